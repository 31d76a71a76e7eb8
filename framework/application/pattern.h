/*
 * Patterns: which paths a route is for.
 *
 *     char *error;
 *     struct pattern *pattern = pattern_compile("/users/:id", &error);
 *     struct capture captures[PATTERN_PARAMS_MAX];
 *     if (pattern_match(pattern, "/Users/7/", 9, captures))
 *         ; // captures[0] is "7"
 *
 * A pattern is literal text and parameters, ':' and a name of letters, digits and '_'. What it
 * matches is what path-to-regexp 6.3.0 makes of it with its default options:
 *
 * - The case of ASCII letters does not matter. All other bytes must be equal.
 * - After the pattern there may be one delimiter, '/', '#' or '?'.
 * - A parameter takes one or more bytes that are not delimiters: as few as let the rest match, the
 *   first parameter deciding first.
 * - Between two parameters there is text. A '.' or '/' right before a parameter is its prefix.
 * - What separates a parameter from the one before it can't begin inside of it: the prefix, or
 *   without one all text since the last parameter. So "/:a-:b" finds "x-y" and "z" in "/x-y-z".
 *   This holds for text at the start too, but not if there is a delimiter in it, as in "/@:name".
 *
 * The other characters of its grammar, ( ) { } ? * + and \, are an error.
 *
 * A pattern is not changed after it has been compiled: any number of threads may match it at once.
 */
#ifndef ACACIA_PATTERN_H
#define ACACIA_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_PARAMS_MAX 32

struct pattern;

/* What a parameter took: a piece of the path, not decoded. */
struct capture {
    const char *start;
    size_t length;
};

/*
 * Compile a pattern, which is copied. pattern_free gives it back.
 *
 * NULL on an error: *error is then a message that tells position and reason, for the caller to
 * free(), or NULL if there is no memory. Positions are counted in bytes, from 0.
 */
struct pattern *pattern_compile(const char *source, char **error);

void pattern_free(struct pattern *pattern); /* NULL is fine */

/* The pattern as it was given to pattern_compile. */
const char *pattern_source(const struct pattern *pattern);

/* The number of parameters, at most PATTERN_PARAMS_MAX, and their names, from 0: NULL past the
 * last. A name may occur more than once. */
size_t pattern_params(const struct pattern *pattern);
const char *pattern_param_name(const struct pattern *pattern, size_t index);

/*
 * Does the whole path match? `captures` has room for one entry for each parameter, and is filled in
 * if it does; otherwise there is nothing useful in it.
 *
 * Allocates nothing. Takes no more than about 2 * strlen(source) * length comparisons of bytes,
 * whatever the pattern and the path.
 */
bool pattern_match(const struct pattern *pattern, const char *path, size_t length,
                   struct capture *captures);

#endif
