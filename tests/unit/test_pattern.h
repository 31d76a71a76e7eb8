/* What the tests of patterns share: compile, match, and compare. */
#include "application/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline struct pattern *compile(const char *source, const struct pattern_options *options) {
    char *error = "";
    struct pattern *pattern = pattern_compile(source, options, &error);
    if (!pattern)
        fail_msg("%s: %s", source, error);
    assert_null(error);
    assert_string_equal(pattern_source(pattern), source);
    return pattern;
}

/* What matched, as "a|b", with "~" for what is absent; NULL if nothing did. The path is a block of
 * its exact size, so that the sanitizer sees who reads past it. */
static inline const char *match_bytes(const char *source, const struct pattern_options *options,
                                      const char *path, size_t length) {
    static char text[4096];
    struct pattern *pattern = compile(source, options);
    size_t count = pattern_params(pattern);
    struct capture *captures = malloc((count + 1) * sizeof *captures);
    char *exact = malloc(length + 1);
    assert_non_null(captures);
    assert_non_null(exact);
    char *start = exact + 1, *to = text;
    memcpy(start, path, length);
    int matches = pattern_match(pattern, start, length, captures);
    assert_in_range(matches, 0, 1);
    for (size_t i = 0; matches && i < count; i++) {
        if (i)
            *to++ = '|';
        if (!captures[i].start) {
            *to++ = '~';
            continue;
        }
        assert_true(captures[i].start >= start);
        assert_true(captures[i].start + captures[i].length <= start + length);
        to += sprintf(to, "%.*s", (int)captures[i].length, captures[i].start);
    }
    *to = '\0';
    free(exact);
    free(captures);
    pattern_free(pattern);
    return matches ? text : NULL;
}

static inline void check_with(const struct pattern_options *options, const char *source,
                              const char *path, const char *expected) {
    const char *found = match_bytes(source, options, path, strlen(path));
    if (!expected && found)
        fail_msg("%s must not match %s: [%s]", source, path, found);
    if (expected && (!found || strcmp(found, expected) != 0))
        fail_msg("%s with %s: [%s], not [%s]", source, path, found ? found : "-", expected);
}

static inline void check(const char *source, const char *path, const char *expected) {
    check_with(NULL, source, path, expected);
}

static inline void check_error(const char *source, const char *expected) {
    char *error = NULL;
    assert_null(pattern_compile(source, NULL, &error));
    assert_non_null(error);
    assert_string_equal(error, expected);
    free(error);
}
