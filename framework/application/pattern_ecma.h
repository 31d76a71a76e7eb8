/*
 * Regular expressions as JavaScript has them (ECMA-262 without the flag u, and what its Annex B
 * adds for the web), written anew so that PCRE2 takes them for the same. Nothing is passed on that
 * has not been understood, so what only PCRE2 knows, like callouts, recursion and verbs, can't get
 * through.
 */
#ifndef ACACIA_PATTERN_ECMA_H
#define ACACIA_PATTERN_ECMA_H

#include "application/pattern_bytes.h"

#include <stdbool.h>
#include <stddef.h>

struct pattern_text;

/* "[set]*" or "[set]+", greedy or lazy: what is matched without an engine. */
struct ecma_span {
    struct byte_set set;
    bool may_be_empty;
    bool greedy;
};

/* Is it such a one, as "\d+", ".*" or "[^/]+?" are? */
bool ecma_is_span(const char *regex, bool sensitive, struct ecma_span *span);

/* What surrounds a regular expression. */
struct ecma_context {
    bool sensitive;
    size_t groups;         /* of JavaScript: \1 to \groups are back references */
    size_t closed;         /* those of them that end before this: the others are still empty */
    const size_t *numbers; /* which groups those are in PCRE2's, where there are more */
};

struct ecma_result {
    const char *reason;   /* what is wrong */
    size_t at;            /* and where, in the regular expression */
    size_t groups;        /* how many groups have been written */
    bool may_start_empty; /* to take nothing may be what it tries before something else */
};

/*
 * Append the same in PCRE2's syntax, to be compiled with PCRE2_CASELESS unless it is sensitive,
 * with PCRE2_MATCH_UNSET_BACKREF, and without PCRE2_UTF. False and a reason, in the words of V8
 * where it refuses it, too.
 */
bool ecma_translate(struct pattern_text *to, const char *regex, const struct ecma_context *context,
                    struct ecma_result *result);

/*
 * In PCRE2's syntax, what goes before and after something that must not take nothing. Before, the
 * rest of the path is remembered by a group; afterwards it may not be the same. The format is given
 * the number of that group, or how many groups ago it was, as a negative number.
 */
#define ECMA_SOMETHING_FROM "(?=([\\x00-\\xff]*))"
#define ECMA_SOMETHING_UP_TO "(?!\\g{%ld}\\z)"

/* Pieces of a regular expression for PCRE2: text, and one byte of a set. */
void ecma_put_text(struct pattern_text *to, const char *text);
void ecma_put_set(struct pattern_text *to, const struct byte_set *set);

#endif
