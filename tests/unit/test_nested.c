/* Queries whose names nest: every answer here is that of npm's qs 6.17. */
#include "context/nested.h"
#include "context/query.h"
#include "runtime/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#ifdef ACACIA_HAVE_JSON

/* --- Memory ----------------------------------------------------------------------------------- */

/* An arena of our own, one block for each allocation. These and jansson's are counted, so that each
 * can be made to fail. */
struct arena_chunk {
    struct arena_chunk *next;
    max_align_t data[];
};

static size_t allocations, fail_at;

static void *count_malloc(size_t size) {
    return ++allocations == fail_at ? NULL : malloc(size);
}

void arena_init(struct arena *arena, struct arena_pool *pool) {
    *arena = (struct arena){.pool = pool};
}

void arena_release(struct arena *arena) {
    while (arena->chunks) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
}

void *arena_alloc_more(struct arena *arena, size_t size) {
    struct arena_chunk *chunk = count_malloc(sizeof *chunk + size);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk->data;
}

char *arena_copy(struct arena *arena, const char *data, size_t length) {
    char *copy = arena_zalloc(arena, length + 1);
    return copy ? memcpy(copy, data, length) : NULL;
}

void *arena_resize(struct arena *arena, void *data, size_t size, size_t new_size) {
    void *copy = arena_alloc(arena, new_size);
    if (copy && data)
        memcpy(copy, data, size < new_size ? size : new_size);
    return copy;
}

/* --- Checks ----------------------------------------------------------------------------------- */

static json_t *parse_with(const char *string, const nesting_options_t *options) {
    struct arena arena;
    struct query query;
    json_t *json = NULL;
    arena_init(&arena, NULL);
    assert_int_equal(query_parse(&query, &arena, string, strlen(string)), 0);
    assert_int_equal(nested_parse(query.pairs, query.count, options, &json), 0);
    arena_release(&arena); /* nothing may point into it */
    return json;
}

static json_t *parse(const char *string) {
    return parse_with(string, NULL);
}

/* Members in the same order, too: JavaScript has indices first. */
static void check_with(const char *string, const nesting_options_t *options, const char *expected) {
    json_t *json = parse_with(string, options);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void check(const char *string, const char *expected) {
    check_with(string, NULL, expected);
}

static void flat(void **state) {
    (void)state;
    check("", "{}");
    check("a=1", "{\"a\":\"1\"}");
    check("b=2&a=1&c", "{\"b\":\"2\",\"a\":\"1\",\"c\":\"\"}");
    check("b=2&10=x&9=y", "{\"9\":\"y\",\"10\":\"x\",\"b\":\"2\"}");
    check("a+b=%C3%A9%26", "{\"a b\":\"\xC3\xA9&\"}");
    check("=1&&=", "{}");
    check("a.b=1&a]=2&]=3", "{\"a.b\":\"1\",\"a]\":\"2\",\"]\":\"3\"}");
}

static void objects(void **state) {
    (void)state;
    check("a[b]=1", "{\"a\":{\"b\":\"1\"}}");
    check("a[b]=1&a[c]=2", "{\"a\":{\"b\":\"1\",\"c\":\"2\"}}");
    check("a[b][c]=1&a[b][d]=2", "{\"a\":{\"b\":{\"c\":\"1\",\"d\":\"2\"}}}");
    check("a%5Bb%5D=1", "{\"a\":{\"b\":\"1\"}}");
    check("[b]=1&[b][c]=2", "{\"b\":[\"1\",{\"c\":\"2\"}]}");
    check("a[x y][07][-1]=1", "{\"a\":{\"x y\":{\"07\":{\"-1\":\"1\"}}}}");
}

static void arrays(void **state) {
    (void)state;
    check("a=1&a=2", "{\"a\":[\"1\",\"2\"]}");
    check("a[]=1", "{\"a\":[\"1\"]}");
    check("a[]=1&a[]=2", "{\"a\":[\"1\",\"2\"]}");
    check("a[]=", "{\"a\":[\"\"]}");
    check("a[1]=x&a[0]=y", "{\"a\":[\"y\",\"x\"]}");
    check("a[19]=x&a[7]=y", "{\"a\":[\"y\",\"x\"]}");
    check("a[0]=x&a[0]=y", "{\"a\":[[\"x\",\"y\"]]}");
    check("a[0][b]=x&a[1][b]=y", "{\"a\":[{\"b\":\"x\"},{\"b\":\"y\"}]}");
    check("a[][b]=x&a[][c]=y", "{\"a\":[{\"b\":\"x\",\"c\":\"y\"}]}");
    check("a[b][]=x&a[b][]=y", "{\"a\":{\"b\":[\"x\",\"y\"]}}");
    check("a[][]=x", "{\"a\":[\"x\"]}");
    check("a[][1]=x", "{\"a\":[\"x\"]}");
    check("[]=x&[]=y", "{\"0\":\"x\",\"1\":\"y\"}");
}

static void what_does_not_go_together(void **state) {
    (void)state;
    check("a=1&a[]=2", "{\"a\":[\"1\",\"2\"]}");
    check("a[]=1&a=2", "{\"a\":[\"1\",\"2\"]}");
    check("a[]=1&a=", "{\"a\":[\"1\"]}");
    check("a=&a[]=1", "{\"a\":[\"\",\"1\"]}");
    check("a=1&a[b]=2", "{\"a\":[\"1\",{\"b\":\"2\"}]}");
    check("a[b]=1&a=2", "{\"a\":[{\"b\":\"1\"},\"2\"]}");
    check("a[b]=1&a=", "{\"a\":{\"b\":\"1\"}}");
    check("a[]=1&a[b]=2", "{\"a\":{\"0\":\"1\",\"b\":\"2\"}}");
    check("a[b]=1&a[]=2", "{\"a\":{\"0\":\"2\",\"b\":\"1\"}}");
    check("a[0]=1&a[]=2&a[0]=3", "{\"a\":[[\"1\",\"3\"],\"2\"]}");
    check("a[b]=1&a=2&a[c]=3&a[0][d]=4",
          "{\"a\":{\"0\":{\"b\":\"1\",\"d\":\"4\"},\"1\":\"2\",\"c\":\"3\"}}");
    check("a=1&a[b]=2&a[c]=3", "{\"a\":{\"0\":\"1\",\"1\":{\"b\":\"2\"},\"c\":\"3\"}}");
    check("a[b]=1&a[b][c]=2", "{\"a\":{\"b\":[\"1\",{\"c\":\"2\"}]}}");
}

static void arrays_are_limited(void **state) {
    (void)state;
    check("a[20]=x", "{\"a\":{\"20\":\"x\"}}");
    check("a[20]=x&a=y", "{\"a\":{\"20\":\"x\",\"21\":\"y\"}}");
    check("a=x&a[19]=y", "{\"a\":{\"0\":\"x\",\"20\":\"y\"}}");
    check("a=x&a[20]=y", "{\"a\":{\"0\":\"x\",\"21\":\"y\"}}");
    check("a[0]=x&a[20]=y", "{\"a\":{\"0\":\"x\",\"20\":\"y\"}}");
    check("a[999999999]=x", "{\"a\":{\"999999999\":\"x\"}}");
    char query[21 * 4 + 1];
    for (size_t count = 20; count <= 21; count++) {
        query[0] = '\0';
        for (size_t i = 0; i < count; i++)
            strcat(query, "a=1&");
        json_t *json = parse(query), *a = json_object_get(json, "a");
        assert_int_equal(json_is_array(a), count == 20);
        assert_int_equal(json_array_size(a) + json_object_size(a), count);
        json_decref(json);
    }
}

static void depth_is_limited(void **state) {
    (void)state;
    check("a[b][c][d][e][f]=1", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":\"1\"}}}}}}");
    check("a[b][c][d][e][f][g][h]=1",
          "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"[g][h]\":\"1\"}}}}}}}");
    check("[a][b][c][d][e][f]=1", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"[f]\":\"1\"}}}}}}");
}

static void odd_brackets(void **state) {
    (void)state;
    check("a[=1", "{\"a\":{\"[\":\"1\"}}");
    check("a[b=1", "{\"a\":{\"[b\":\"1\"}}");
    check("a[b][c=1", "{\"a\":{\"b\":{\"[c\":\"1\"}}}");
    check("a[b[c]]=1", "{\"a\":{\"b[c]\":\"1\"}}");
    check("a[b]x[c]y=1", "{\"a\":{\"b\":{\"c\":\"1\"}}}");
    check("a]b[c]=1", "{\"a]b\":{\"c\":\"1\"}}");
    check("[=1&[]]=2", "{\"0\":\"2\",\"[\":\"1\"}");
    check("a%255Bb%255D=1", "{\"a%5Bb%5D\":\"1\"}");
}

static void inherited_names_are_dropped(void **state) {
    (void)state;
    check("__proto__=1&__proto__[a]=1&a[__proto__][b]=1&a[__proto__]=1", "{}");
    check("constructor[prototype][a]=1&toString=1&a[valueOf]=1&[hasOwnProperty]=1&b=2",
          "{\"b\":\"2\"}");
    check("prototype=1&__PROTO__=2", "{\"prototype\":\"1\",\"__PROTO__\":\"2\"}");
}

static void pairs_are_limited(void **state) {
    (void)state;
    char *query = malloc(1001 * 16 + 1), *to = query;
    for (int i = 0; i <= 1000; i++)
        to += sprintf(to, "%sx%d[a]=1", i ? "&" : "", i);
    json_t *json = parse(query);
    assert_int_equal(json_object_size(json), 1000);
    assert_non_null(json_object_get(json, "x999"));
    json_decref(json);
    free(query);
}

static void dots(void **state) {
    (void)state;
    const nesting_options_t options = {.dots = true};
    check_with("a.b=1&a[c.d]=2", &options, "{\"a\":{\"b\":\"1\",\"c.d\":\"2\"}}");
    check_with("a.b.0=1&a.b.1=2", &options, "{\"a\":{\"b\":[\"1\",\"2\"]}}");
    check_with("a.b[c].d=1", &options, "{\"a\":{\"b\":{\"c\":{\"d\":\"1\"}}}}");
    check_with(".a=1&b.=2&c..d=3&.=4", &options,
               "{\"a\":\"1\",\"b.\":\"2\",\"c.\":{\"d\":\"3\"},\".\":\"4\"}");
    check_with("a.__proto__.b=1&a.toString=2", &options, "{}");
}

static void other_limits(void **state) {
    (void)state;
    check_with("a[b][c]=1", &(nesting_options_t){.depth = 1}, "{\"a\":{\"b\":{\"[c]\":\"1\"}}}");
    check_with("a[b][c][d][e][f][g]=1", &(nesting_options_t){.depth = 6},
               "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":\"1\"}}}}}}}");
    check_with("a=1&a=2", &(nesting_options_t){.items = 1}, "{\"a\":{\"0\":\"1\",\"1\":\"2\"}}");
    check_with("a[30]=x", &(nesting_options_t){.items = 31}, "{\"a\":[\"x\"]}");
    check_with("a=1&b=2&c=3", &(nesting_options_t){.pairs = 2}, "{\"a\":\"1\",\"b\":\"2\"}");
}

/* However much of it is allowed. */
static void depth_has_an_end(void **state) {
    (void)state;
    char query[1 + 3 * 1000 + 3] = "a";
    for (int i = 0; i < 1000; i++)
        strcat(query, "[b]");
    strcat(query, "=1");
    json_t *json = parse_with(query, &(nesting_options_t){.depth = 1000});
    int levels = 0;
    for (const json_t *at = json; json_is_object(at); levels++)
        at = json_object_iter_value(json_object_iter((json_t *)at));
    assert_int_equal(levels, 1 + 32 + 1);
    json_decref(json);
}

static void no_memory(void **state) {
    (void)state;
    static const char string[] =
        "a[b][]=1&a=2&a=3&c=1&c[20]=2&c=3&d[]=1&d[x]=2&e.f[g]=1&e[f]=2&5=1";
    const nesting_options_t options = {.dots = true};
    struct arena arena;
    struct query query;
    json_t unset, *json = &unset;
    arena_init(&arena, NULL);
    assert_int_equal(query_parse(&query, &arena, string, strlen(string)), 0);
    json_set_alloc_funcs(count_malloc, free);
    size_t failures = 0;
    for (fail_at = 1, allocations = 0; nested_parse(query.pairs, query.count, &options, &json) != 0;
         fail_at++) {
        assert_int_equal(allocations >= fail_at, 1);
        assert_ptr_equal(json, &unset);
        allocations = 0;
        failures++;
    }
    assert_true(failures > 100);
    fail_at = 0;
    assert_int_equal(json_object_size(json), 5);
    json_decref(json);
    json_set_alloc_funcs(malloc, free);
    arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat),
        cmocka_unit_test(objects),
        cmocka_unit_test(arrays),
        cmocka_unit_test(what_does_not_go_together),
        cmocka_unit_test(arrays_are_limited),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(odd_brackets),
        cmocka_unit_test(inherited_names_are_dropped),
        cmocka_unit_test(pairs_are_limited),
        cmocka_unit_test(dots),
        cmocka_unit_test(other_limits),
        cmocka_unit_test(depth_has_an_end),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
    return 0; /* there is no JSON in this build */
}

#endif
