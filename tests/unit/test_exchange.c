/* The headers of a request as a list, and packed as a WebSocket keeps them: the same answers. */
#include "protocols/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const fields[][2] = {
    {"Host", "localhost"}, {"X-Empty", ""},        {"Cookie", "a=1"},
    {"cookie", "b=2"},     {"X", "one character"}, {"X-Last", "end"},
};
#define COUNT (sizeof fields / sizeof *fields)

static struct exchange make(size_t count) {
    struct exchange exchange = {.method = "GET", .url = "/path?query", .content_length = 7};
    arena_init(&exchange.arena, NULL);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(headers_add(&exchange.headers, &exchange.arena, fields[i][0],
                                     strlen(fields[i][0]), fields[i][1], strlen(fields[i][1])),
                         0);
    return exchange;
}

static void expect_all(const struct headers *headers, size_t count) {
    struct header_walk walk = {0};
    const char *name, *value;
    assert_int_equal(headers->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(headers_next(headers, &walk));
        assert_string_equal(walk.header.name, fields[i][0]);
        assert_string_equal(walk.header.value, fields[i][1]);
        assert_int_equal(walk.header.name_length, strlen(fields[i][0]));
        assert_int_equal(walk.header.value_length, strlen(fields[i][1]));
        assert_true(headers_at(headers, i, &name, &value));
        assert_string_equal(name, fields[i][0]);
        assert_string_equal(value, fields[i][1]);
    }
    assert_false(headers_next(headers, &walk));
    assert_false(headers_next(headers, &walk));
    assert_false(headers_at(headers, count, &name, &value));
    assert_false(headers_at(headers, SIZE_MAX, &name, &value));
}

static void expect_lookups(const struct headers *headers) {
    assert_string_equal(headers_get(headers, "host"), "localhost");
    assert_string_equal(headers_get(headers, "X-EMPTY"), "");
    assert_string_equal(headers_get(headers, "Cookie"), "a=1"); /* the first */
    assert_string_equal(headers_get(headers, "x"), "one character");
    assert_string_equal(headers_get(headers, "x-last"), "end");
    assert_null(headers_get(headers, "Hos"));
    assert_null(headers_get(headers, "Hosts"));
    assert_null(headers_get(headers, "localhost")); /* a value is no name */
    assert_null(headers_get(headers, "end"));
}

static void test_list_and_copy(void **state) {
    struct exchange exchange = make(COUNT);
    struct exchange *copy = exchange_copy(&exchange, 100);
    assert_non_null(copy);
    expect_all(&exchange.headers, COUNT);
    expect_lookups(&exchange.headers);
    arena_release(&exchange.arena); /* which the copy needs nothing of */
    expect_all(&copy->headers, COUNT);
    expect_lookups(&copy->headers);
    assert_string_equal(copy->url, "/path?query");
    assert_int_equal(copy->content_length, 7);
    arena_release(&copy->arena);
}

static void test_copy_of_a_copy(void **state) {
    struct exchange exchange = make(COUNT);
    struct exchange *copy = exchange_copy(&exchange, 0), *again = exchange_copy(copy, 0);
    assert_non_null(again);
    expect_all(&again->headers, COUNT);
    expect_lookups(&again->headers);
    arena_release(&exchange.arena);
    arena_release(&copy->arena);
    arena_release(&again->arena);
}

static void test_none(void **state) {
    struct exchange exchange = make(0);
    struct exchange *copy = exchange_copy(&exchange, 0);
    assert_non_null(copy);
    expect_all(&exchange.headers, 0);
    expect_all(&copy->headers, 0);
    assert_null(headers_get(&copy->headers, "Host"));
    arena_release(&exchange.arena);
    arena_release(&copy->arena);
}

static void test_find(void **state) {
    struct exchange exchange = make(COUNT);
    assert_ptr_equal(headers_find(&exchange.headers, "COOKIE", 6), &exchange.headers.list[2]);
    assert_null(headers_find(&exchange.headers, "Cookies", 7));
    arena_release(&exchange.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_and_copy),
        cmocka_unit_test(test_copy_of_a_copy),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
