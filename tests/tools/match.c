/*
 * Patterns and paths from outside, a line each: the pattern, a TAB, path-to-regexp's options as
 * JSON, a TAB, the path, which goes up to the end of the line. There are no escapes. For each line
 * comes one of JSON:
 *
 *     ["7",null]       it matches, with these captures, not decoded; null is one that is absent
 *     false            it doesn't
 *     {"error":"…"}    the pattern is wrong, or took too long
 *
 * What is not UTF-8 is written as if it were Latin-1.
 */
#include "application/pattern.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *latin1(const char *data, size_t length) {
    char *text = malloc(2 * length + 1), *to = text;
    for (size_t i = 0; text && i < length; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte >= 0x80)
            *to++ = (char)(0xC0 | byte >> 6);
        *to++ = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3F) : byte);
    }
    json_t *json = text ? json_stringn(text, (size_t)(to - text)) : NULL;
    free(text);
    return json;
}

static json_t *text(const char *data, size_t length) {
    json_t *json = json_stringn(data, length);
    return json ? json : latin1(data, length);
}

static json_t *failure(const char *message) {
    json_t *object = json_object();
    json_object_set_new(object, "error", text(message, strlen(message)));
    return object;
}

static struct pattern_options options_of(const json_t *json) {
    const json_t *end = json_object_get(json, "end"), *start = json_object_get(json, "start");
    return (struct pattern_options){
        .sensitive = json_is_true(json_object_get(json, "sensitive")),
        .strict = json_is_true(json_object_get(json, "strict")),
        .no_end = json_is_false(end),
        .no_start = json_is_false(start),
        .delimiter = json_string_value(json_object_get(json, "delimiter")),
        .prefixes = json_string_value(json_object_get(json, "prefixes")),
        .ends_with = json_string_value(json_object_get(json, "endsWith")),
    };
}

static json_t *match(const struct pattern *pattern, const char *path, size_t length) {
    struct capture captures[PATTERN_PARAMS_MAX];
    int matches = pattern_match(pattern, path, length, captures);
    if (matches < 0)
        return failure(matches == -E2BIG ? "the path takes too long to match" : "out of memory");
    if (matches == 0)
        return json_false();
    json_t *array = json_array();
    for (size_t i = 0; i < pattern_params(pattern); i++)
        json_array_append_new(array, captures[i].start ? text(captures[i].start, captures[i].length)
                                                       : json_null());
    return array;
}

static json_t *answer(const char *source, const json_t *options, const char *path, size_t length) {
    char *error;
    const struct pattern_options given = options_of(options);
    struct pattern *pattern = pattern_compile(source, &given, &error);
    json_t *result =
        pattern ? match(pattern, path, length) : failure(error ? error : "out of memory");
    pattern_free(pattern);
    free(error);
    return result;
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        char *end = line + n - (line[n - 1] == '\n');
        char *first = memchr(line, '\t', (size_t)(end - line));
        char *second = first ? memchr(first + 1, '\t', (size_t)(end - first - 1)) : NULL;
        json_t *options =
            second ? json_loadb(first + 1, (size_t)(second - first - 1), 0, NULL) : NULL;
        if (!options) {
            fprintf(stderr, "match: want a pattern, a TAB, {options}, a TAB, and a path\n");
            return 2;
        }
        *first = '\0';
        json_t *result = answer(line, options, second + 1, (size_t)(end - second - 1));
        json_dumpf(result, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        putchar('\n');
        fflush(stdout);
        json_decref(result);
        json_decref(options);
    }
    free(line);
    return 0;
}
