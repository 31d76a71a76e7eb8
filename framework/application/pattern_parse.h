/*
 * What a pattern consists of, as path-to-regexp 6.3.0 reads it: "/:lang?/docs{-:part(\\d+)}*" is a
 * parameter, a text, and a parameter.
 */
#ifndef ACACIA_PATTERN_PARSE_H
#define ACACIA_PATTERN_PARSE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct pattern_options;

/* Text, or a parameter with what belongs to it. */
struct pattern_token {
    const char *text; /* NULL: a parameter */
    bool group;       /* the text stood between braces */

    const char *name; /* of a parameter; the n-th that has none, from 0, is called by its number */
    const char *prefix, *suffix; /* what comes before and after each value; may be "" */
    const char *regex;           /* what a value must be, as a JavaScript regular expression */
    size_t regex_at;             /* where that is in the pattern, if it has been given */
    const char *avoid;           /* if it has not: what may not begin in a value; may be "".
                                    Otherwise NULL */

    char modifier; /* '?', '*', '+', or NUL: exactly once */
};

static inline bool token_is_optional(const struct pattern_token *token) {
    return token->modifier == '?' || token->modifier == '*';
}

static inline bool token_repeats(const struct pattern_token *token) {
    return token->modifier == '*' || token->modifier == '+';
}

struct pattern_tokens {
    struct pattern_token *list;
    size_t count;
    size_t params; /* how many of them are parameters */
};

/*
 * Read a pattern. The tokens and their strings lie in the arena; `options` is complete: none of its
 * strings is NULL. False if the pattern is wrong (see pattern_compile for *error).
 */
bool pattern_parse(struct pattern_tokens *tokens, struct arena *arena, const char *source,
                   const struct pattern_options *options, char **error);

#endif
