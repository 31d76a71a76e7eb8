/* Queries and forms, parsed as URLSearchParams does. */
#include "context/query.h"

#include "../support/blocks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FFFD "\xEF\xBF\xBD"

static struct query parse(const char *string, size_t n) {
    struct query query = {.count = 99};
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, string, n);
    release(NULL);
    assert_int_equal(query_parse(&query, &empty, exact, n), 0);
    free(exact); /* nothing may point into it */
    return query;
}

#define PARSE(string) parse("" string, sizeof string - 1)

static void check(struct query query, size_t count, const char *const expected[][2]) {
    assert_int_equal(query.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(query.pairs[i].name, expected[i][0]);
        assert_string_equal(query.pairs[i].value, expected[i][1]);
    }
}

#define CHECK(string, ...)                                                                         \
    check(PARSE(string), sizeof((const char *[][2]){__VA_ARGS__}) / sizeof(const char *[2]),       \
          (const char *const[][2]){__VA_ARGS__})

static void pairs_come_in_order(void **state) {
    (void)state;
    CHECK("a=1", {"a", "1"});
    CHECK("b=2&a=1&b=3", {"b", "2"}, {"a", "1"}, {"b", "3"});
    CHECK("d[x]=1&__proto__=2", {"d[x]", "1"}, {"__proto__", "2"});
}

static void nothing_is_empty(void **state) {
    (void)state;
    assert_int_equal(PARSE("").count, 0);
    assert_int_equal(PARSE("&").count, 0);
    assert_int_equal(PARSE("&&&").count, 0);
}

static void empty_parts_are_skipped(void **state) {
    (void)state;
    CHECK("&a=1&&b=2&", {"a", "1"}, {"b", "2"});
}

static void what_is_missing_is_empty(void **state) {
    (void)state;
    CHECK("a", {"a", ""});
    CHECK("a=", {"a", ""});
    CHECK("=b", {"", "b"});
    CHECK("=", {"", ""});
    CHECK("a&=&b", {"a", ""}, {"", ""}, {"b", ""});
}

static void first_equals_sign_separates(void **state) {
    (void)state;
    CHECK("a=b=c", {"a", "b=c"});
    CHECK("==", {"", "="});
}

static void both_sides_are_decoded(void **state) {
    (void)state;
    CHECK("a+b=c+d", {"a b", "c d"});
    CHECK("%3D%26=%26%3D", {"=&", "&="});
    CHECK("caf%C3%A9=%zz", {"caf\xC3\xA9", "%zz"});
    CHECK("%ff=\xFF", {FFFD, FFFD});
    CHECK("a%=%", {"a%", "%"});
    CHECK("?a=1", {"?a", "1"});
}

static void nul_cuts_nothing(void **state) {
    (void)state;
    CHECK("user=admin%00x", {"user", "admin" FFFD "x"});
    CHECK("user%00x=admin", {"user" FFFD "x", "admin"});
    CHECK("a\0b=c\0", {"a" FFFD "b", "c" FFFD});
}

static void no_memory(void **state) {
    (void)state;
    struct query query = {.count = 99};
    for (fail_at = 1; query_parse(&query, &empty, "a=1&b", 5) != 0; fail_at++) {
        assert_int_equal(query_parse(&query, &empty, "a=1&b", 5), -ENOMEM);
        assert_int_equal(query.count, 0);
        assert_null(query.pairs);
        assert_true(fail_at < 8);
        while (block_count > 0)
            free(blocks[--block_count]);
    }
    assert_int_equal(fail_at, 3);
    check(query, 2, (const char *const[][2]){{"a", "1"}, {"b", ""}});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(pairs_come_in_order, release),
        cmocka_unit_test_teardown(nothing_is_empty, release),
        cmocka_unit_test_teardown(empty_parts_are_skipped, release),
        cmocka_unit_test_teardown(what_is_missing_is_empty, release),
        cmocka_unit_test_teardown(first_equals_sign_separates, release),
        cmocka_unit_test_teardown(both_sides_are_decoded, release),
        cmocka_unit_test_teardown(nul_cuts_nothing, release),
        cmocka_unit_test_teardown(no_memory, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
