/*
 * A byte of options, the delimiters, a pattern and a path, on a line each. Whatever the pattern, a
 * path is matched quickly, captures lie in it, and what is matched without an engine is what PCRE2
 * makes of it.
 */
#include "application/pattern.h"
#include "application/pattern_build.h"
#include "application/pattern_parse.h"
#include "application/pattern_regex.h"
#include "application/pattern_walk.h"
#include "runtime/arena.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int check_match(const struct pattern *pattern, const char *path, size_t length,
                       struct capture *captures) {
    double start = seconds();
    int matches = pattern_match(pattern, path, length, captures);
    if (seconds() - start > 1)
        abort();
    for (size_t i = 0; matches == 1 && i < pattern_params(pattern); i++)
        if (captures[i].start &&
            (captures[i].start < path || captures[i].start + captures[i].length > path + length))
            abort();
    return matches;
}

/* The same by PCRE2. */
static void compare(const struct pattern *pattern, const char *path, size_t length, int matches,
                    const struct capture *captures) {
    struct arena arena;
    struct walk walk;
    char *error = NULL;
    arena_init(&arena, NULL);
    if (!walk_init(&walk, &arena, pattern_tokens(pattern), pattern_options(pattern), &error))
        abort();
    struct pattern_regex *regex =
        walk.simple ? pattern_regex_new(pattern_tokens(pattern), &walk, &error) : NULL;
    struct capture others[PATTERN_PARAMS_MAX];
    int other = regex ? pattern_regex_match(regex, path, length, others) : -E2BIG;
    if (other >= 0 && other != matches)
        abort();
    for (size_t i = 0; other == 1 && i < pattern_params(pattern); i++)
        if (captures[i].start != others[i].start || captures[i].length != others[i].length)
            abort();
    pattern_regex_free(regex);
    arena_release(&arena);
    free(error);
}

static void build(const struct pattern *pattern, const char *value) {
    struct arena arena;
    char *error;
    const char *params[2 * PATTERN_PARAMS_MAX + 1] = {NULL};
    for (size_t i = 0; i < pattern_params(pattern); i++) {
        params[2 * i] = pattern_param_name(pattern, i);
        params[2 * i + 1] = value;
    }
    arena_init(&arena, NULL);
    if (!pattern_build(pattern, &arena, params, NULL, &error) && !error)
        abort();
    arena_release(&arena);
}

/* Cut off a line, and give what comes behind it. */
static char *next_line(char *line) {
    char *end = line ? strchr(line, '\n') : NULL;
    if (end)
        *end++ = '\0';
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    char *text = malloc(size), *error = NULL;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    char *source = next_line(text), *path = next_line(source);
    struct pattern_options options = {
        .sensitive = data[0] & 1,
        .strict = data[0] & 2,
        .no_end = data[0] & 4,
        .no_start = data[0] & 8,
        .delimiter = *text ? text : NULL,
        .ends_with = data[0] & 16 ? text : NULL,
    };
    struct pattern *pattern = path ? pattern_compile(source, &options, &error) : NULL;
    if (pattern) {
        struct capture captures[PATTERN_PARAMS_MAX];
        int matches = check_match(pattern, path, strlen(path), captures);
        if (matches >= 0)
            compare(pattern, path, strlen(path), matches, captures);
        build(pattern, path);
    } else if (path && !error) {
        abort();
    }
    pattern_free(pattern);
    free(error);
    free(text);
    return 0;
}
