/*
 * Patterns: which paths a route is for.
 *
 *     char *error;
 *     struct pattern *pattern = pattern_compile("/users/:id", NULL, &error);
 *     struct capture captures[PATTERN_PARAMS_MAX];
 *     if (pattern_match(pattern, "/Users/7/", 9, captures) == 1)
 *         ; // captures[0] is "7"
 *
 * The grammar and what it matches are those of path-to-regexp 6.3.0:
 *
 *     /users/:id          a parameter: up to the next delimiter, one of / # ?
 *     /:a-:b.:c           as few bytes as let the rest match, the first parameter deciding first
 *     /users/:id(\d+)     a regular expression that says what it may be
 *     /files/(.*)         without a name; it is called "0", the next one "1"
 *     /users/:id?         optional, together with the '/' or '.' before it
 *     /files/:path*       any number of them, "a/b/c"; + is one or more
 *     /a{-:b}?            what is optional, or repeated: "/a" or "/a-x"
 *     /a\:b               the character itself
 *
 * - The case of ASCII letters does not matter. All other bytes must be equal.
 * - After the pattern there may be one delimiter.
 * - If there is text between a parameter and the one before it, and no delimiter in that text, it
 *   can't begin within the parameter: "/:a-:b" finds "x-y" and "z" in "/x-y-z".
 *
 * Regular expressions are JavaScript's (without its flag u), and see bytes: '.' is one byte, and
 * none outside of ASCII is a letter or a space. They have no groups that capture. What JavaScript
 * knows and PCRE2 can't do is refused: an assertion (?<=…) that has no fixed length.
 *
 * Only such parameters take an engine, PCRE2, for which there is a limit of steps, and without
 * which they are an error. All else, parameters like (.*), (\d+) or ([a-z]+) included, is matched
 * in a time that is linear in the path.
 *
 * A pattern is not changed after it has been compiled: any number of threads may use it at once.
 */
#ifndef ACACIA_PATTERN_H
#define ACACIA_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_PARAMS_MAX 32

struct pattern;
struct pattern_tokens;

/* The options of path-to-regexp. Zero is its default, and NULL for all of them is, too. */
struct pattern_options {
    bool sensitive;        /* case matters */
    bool strict;           /* no delimiter may follow */
    bool no_end;           /* end: false. What comes behind, after a delimiter, doesn't matter */
    bool no_start;         /* start: false. What comes before doesn't matter */
    const char *delimiter; /* NULL: "/#?" */
    const char *prefixes;  /* what may be a parameter's prefix. NULL: "./" */
    const char *ends_with; /* endsWith: these bytes are like the end of the path. NULL: none */
};

/* What a parameter took: a piece of the path, not decoded. */
struct capture {
    const char *start; /* NULL if it is absent, which isn't the same as empty */
    size_t length;
};

/*
 * Compile a pattern, which is copied like the options. pattern_free gives it back.
 *
 * NULL on an error: *error is then a message that tells position and reason, for the caller to
 * free(), or NULL if there is no memory. Positions are counted in bytes, from 0.
 */
struct pattern *pattern_compile(const char *source, const struct pattern_options *options,
                                char **error);

void pattern_free(struct pattern *pattern); /* NULL is fine */

/* The pattern as it was given to pattern_compile, and its options, in which nothing is NULL. */
const char *pattern_source(const struct pattern *pattern);
const struct pattern_options *pattern_options(const struct pattern *pattern);

/* What it consists of; see pattern_parse.h. */
const struct pattern_tokens *pattern_tokens(const struct pattern *pattern);

/* The number of parameters, at most PATTERN_PARAMS_MAX, and their names, from 0: NULL past the
 * last. A name may occur more than once. */
size_t pattern_params(const struct pattern *pattern);
const char *pattern_param_name(const struct pattern *pattern, size_t index);

/*
 * Does the whole path match? 1 if it does; `captures`, which has room for one entry for each
 * parameter, is then filled in. 0 if it doesn't. -E2BIG if the engine has come to its limit before
 * it knew, and -ENOMEM if there was no memory: that is no answer, and the route must not be taken
 * for one that doesn't match.
 *
 * Only long paths (from about a kilobyte, with a few parameters) and PCRE2 allocate memory, and
 * give it back at once.
 */
int pattern_match(const struct pattern *pattern, const char *path, size_t length,
                  struct capture *captures);

/* Is the path all of the pattern, letter by letter? Then it matches, and there are no parameters.
 * As a rule it is, if there are none: that takes a tenth of the time. */
bool pattern_is_path(const struct pattern *pattern, const char *path, size_t length);

/* Would the parameter that is the `token`th of the tokens take this value? As pattern_match. */
int pattern_accepts(const struct pattern *pattern, size_t token, const char *value, size_t length);

#endif
