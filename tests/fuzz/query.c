/* Queries and forms: no input is wrong, and what was decoded can be encoded again. */
#include "context/query.h"
#include "protocols/utf8.h"
#include "runtime/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(bool holds) {
    if (!holds)
        abort();
}

static struct query parse(struct arena *arena, const char *data, size_t size) {
    struct query query;
    char *exact = malloc(size ? size : 1); /* at its own address, so that ASan sees an overrun */
    memcpy(exact, data, size);
    check(query_parse(&query, arena, exact, size) == 0);
    free(exact); /* nothing may point into it */
    return query;
}

static void put_encoded(FILE *to, const char *text) {
    for (; *text; text++)
        fprintf(to, "%%%02x", (unsigned char)*text);
}

/* Is this text another way to write the same pairs? */
static void check_same(struct arena *arena, const struct query *query, const char *text) {
    struct query again = parse(arena, text, strlen(text));
    check(again.count == query->count);
    for (size_t i = 0; i < query->count; i++) {
        check(strcmp(again.pairs[i].name, query->pairs[i].name) == 0);
        check(strcmp(again.pairs[i].value, query->pairs[i].value) == 0);
    }
}

static void check_encoded(struct arena *arena, const struct query *query) {
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    for (size_t i = 0; i < query->count; i++) {
        fputs("&&", to);
        put_encoded(to, query->pairs[i].name);
        fputc('=', to);
        put_encoded(to, query->pairs[i].value);
    }
    fclose(to);
    check_same(arena, query, text);
    free(text);
}

static void check_formatted(struct arena *arena, const struct query *query) {
    const char **pairs = calloc(query->count * 2 + 1, sizeof *pairs);
    for (size_t i = 0; i < query->count; i++) {
        pairs[2 * i] = query->pairs[i].name;
        pairs[2 * i + 1] = query->pairs[i].value;
    }
    const char *text = query_format(arena, pairs);
    check(text != NULL);
    check_same(arena, query, text);
    free(pairs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    arena_init(&arena, NULL);
    struct query query = parse(&arena, (const char *)data, size);
    check(query.count <= (size + 1) / 2);
    for (size_t i = 0; i < query.count; i++) {
        check(utf8_valid(query.pairs[i].name, strlen(query.pairs[i].name)));
        check(utf8_valid(query.pairs[i].value, strlen(query.pairs[i].value)));
    }
    check_encoded(&arena, &query);
    check_formatted(&arena, &query);
    arena_release(&arena);
    return 0;
}
