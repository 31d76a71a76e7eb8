/*
 * Matching without a regular expression engine: what is text, parameters of the usual kind, groups
 * and modifiers is walked through, in a time that is linear in the length of the path.
 */
#ifndef ACACIA_PATTERN_WALK_H
#define ACACIA_PATTERN_WALK_H

#include "application/pattern_bytes.h"
#include "application/pattern_ecma.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct capture;
struct pattern_options;
struct pattern_token;
struct pattern_tokens;

struct walk_text {
    const char *start; /* in lower case, unless case matters */
    size_t length;
};

/* One token, ready to be matched. */
struct walk_step {
    struct walk_text before; /* the text, or the parameter's prefix */
    struct walk_text after, between;
    bool optional, repeats;
    bool is_param;
    bool simple;           /* its value is a span; else it takes an engine */
    struct ecma_span span; /* what a value consists of */
    struct walk_text avoid;
    bool may_be_empty; /* in its place */
};

/* What holds for the whole pattern. */
struct walk {
    struct walk_step *steps; /* one for each token */
    size_t count;
    bool simple;   /* all of them are */
    bool straight; /* and there is nothing to choose, except perhaps how far the last one goes */
    bool plain;    /* … and it is one text */
    bool fold;     /* case doesn't matter */
    bool strict;
    bool any_start;             /* it may begin anywhere in the path */
    bool any_end;               /* it may end before any delimiter … */
    bool end_delimited;         /* … and before anything else, too */
    struct byte_set delimiters; /* one of them may follow */
    struct byte_set ends;       /* one of them is as good as the end of the path */
};

/* False if there is no memory, or with *error if the options are wrong. */
bool walk_init(struct walk *walk, struct arena *arena, const struct pattern_tokens *tokens,
               const struct pattern_options *options, char **error);

/* As pattern_is_path. */
bool walk_is_path(const struct walk *walk, const char *path, size_t length);

/* As pattern_match, for one whose steps are all simple. */
int walk_match(const struct walk *walk, const char *path, size_t length, struct capture *captures);

/* Is this a value of a simple parameter, all by itself? */
bool walk_accepts(const struct walk *walk, size_t step, const char *value, size_t length);

#endif
