/*
 * Forms from outside, a line of JSON each: {"text": "a[b]=1&c.d=2", "dots": true, "depth": 5,
 * "items": 20, "pairs": 1000}, where all but the text may be missing. For each line comes one of
 * JSON: what the pairs of the text nest to.
 */
#include "context/nested.h"
#include "context/query.h"
#include "runtime/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t size_of(const json_t *line, const char *name) {
    return (size_t)json_integer_value(json_object_get(line, name));
}

static json_t *nest(const json_t *line) {
    const json_t *text = json_object_get(line, "text");
    const nesting_options_t options = {
        .dots = json_is_true(json_object_get(line, "dots")),
        .depth = size_of(line, "depth"),
        .items = size_of(line, "items"),
        .pairs = size_of(line, "pairs"),
    };
    struct arena arena;
    struct query query;
    json_t *json = NULL;
    arena_init(&arena, NULL);
    if (query_parse(&query, &arena, json_string_value(text), json_string_length(text)) == 0)
        nested_parse(query.pairs, query.count, &options, &json);
    arena_release(&arena);
    return json;
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        json_t *given = json_loadb(line, (size_t)n, 0, NULL);
        if (!json_is_string(json_object_get(given, "text"))) {
            fprintf(stderr, "form: want an object with a text\n");
            return 2;
        }
        json_t *json = nest(given);
        json_dumpf(json, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(json);
        json_decref(given);
    }
    free(line);
    return 0;
}
