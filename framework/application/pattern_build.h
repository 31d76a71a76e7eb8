/*
 * The other way round: a path out of a pattern and its parameters, as path-to-regexp's compile.
 *
 *     static const char *const params[] = {"id", "a/b", NULL};
 *     char *error;
 *     char *path = pattern_build(pattern, arena, params, NULL, &error); // "/users/a%2Fb"
 */
#ifndef ACACIA_PATTERN_BUILD_H
#define ACACIA_PATTERN_BUILD_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct pattern;

struct pattern_build_options {
    bool raw;       /* don't encode: the values are parts of a path already */
    bool unchecked; /* validate: false. Don't ask whether the pattern would take the values */
};

/*
 * Fill in the parameters: names and values in turn, NULL in place of a name at the end. A name that
 * comes several times is a list, for a parameter that repeats; one with NULL as its value is an
 * empty list, or as good as absent. What the pattern doesn't know is ignored. Optional parameters
 * that are missing are left out, as are optional groups of text; other groups of text are written.
 *
 * Each byte of a value is encoded as by encodeURIComponent: all but letters, digits and - _ . ! ~ *
 * ' ( ) becomes %XX. The result must be what the parameter takes: an "a/b" that is raw is refused
 * for ":id". `options` may be NULL.
 *
 * The path lies in the arena. NULL on an error: *error is then a message in the arena, or NULL if
 * there is no memory.
 */
char *pattern_build(const struct pattern *pattern, struct arena *arena, const char *const *params,
                    const struct pattern_build_options *options, char **error);

#endif
