/*
 * Matching by PCRE2: what needs an engine. This is the one user of PCRE2; without it, the functions
 * here say so.
 *
 * JavaScript's own engine has no limits, and some patterns make it look at a path of a hundred
 * bytes for years. Here there is one on the steps, and one on the memory.
 */
#ifndef ACACIA_PATTERN_REGEX_H
#define ACACIA_PATTERN_REGEX_H

#include <stdbool.h>
#include <stddef.h>

struct capture;
struct pattern_options;
struct pattern_tokens;
struct pattern_regex;
struct walk;

/*
 * The whole pattern as one regular expression. NULL and *error if there is something wrong with it;
 * see pattern_compile.
 */
struct pattern_regex *pattern_regex_new(const struct pattern_tokens *tokens,
                                        const struct walk *walk, char **error);

/* For the values of one parameter, each by itself. */
struct pattern_regex *pattern_regex_for_value(const struct pattern_tokens *tokens, size_t token,
                                              bool sensitive, char **error);

void pattern_regex_free(struct pattern_regex *regex); /* NULL is fine */

/* As pattern_match. `captures` may be NULL. */
int pattern_regex_match(const struct pattern_regex *regex, const char *path, size_t length,
                        struct capture *captures);

#endif
