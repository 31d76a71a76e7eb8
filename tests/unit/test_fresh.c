/* Freshness: every answer here is that of npm's fresh 0.5.2. */
#include "context/fresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define EARLY "Sat, 01 Jan 2000 00:00:00 GMT"
#define LATE "Sat, 01 Jan 2000 00:00:01 GMT"

static void nothing_asked(void **state) {
    (void)state;
    assert_false(fresh(NULL, NULL, NULL, "\"a\"", EARLY));
    assert_false(fresh("", "", "", "\"a\"", EARLY));
    assert_false(fresh(NULL, NULL, NULL, NULL, NULL));
}

static bool matches(const char *if_none_match, const char *etag) {
    return fresh(if_none_match, NULL, NULL, etag, NULL);
}

static void tags(void **state) {
    (void)state;
    assert_true(matches("\"a\"", "\"a\""));
    assert_true(matches("\"b\", \"a\"", "\"a\""));
    assert_true(matches("  \"b\"  ,\"a\"  ", "\"a\""));
    assert_true(matches("\"a\",", "\"a\""));
    assert_false(matches("\"b\"", "\"a\""));
    assert_false(matches("\"A\"", "\"a\""));
    assert_false(matches("a", "\"a\""));
    assert_false(matches("\"a\" \"b\"", "\"a\""));
    assert_false(matches("\"a\"", NULL));
    assert_false(matches("\"a\"", ""));
    assert_false(matches(",", ""));
}

static void weak_tags_equal_strong_ones(void **state) {
    (void)state;
    assert_true(matches("W/\"a\"", "\"a\""));
    assert_true(matches("\"a\"", "W/\"a\""));
    assert_true(matches("W/\"a\"", "W/\"a\""));
    assert_false(matches("w/\"a\"", "\"a\""));
    assert_false(matches("W/\"b\"", "\"a\""));
    assert_false(matches("W/W/\"a\"", "\"a\""));
}

static void star_equals_all_tags(void **state) {
    (void)state;
    assert_true(matches("*", "\"a\""));
    assert_true(matches("*", NULL));
    assert_false(matches("*, \"b\"", "\"a\""));
    assert_false(matches(" *", "\"a\""));
}

static void dates(void **state) {
    (void)state;
    assert_true(fresh(NULL, EARLY, NULL, NULL, EARLY));
    assert_true(fresh(NULL, LATE, NULL, NULL, EARLY));
    assert_false(fresh(NULL, EARLY, NULL, NULL, LATE));
    assert_false(fresh(NULL, EARLY, NULL, NULL, NULL));
    assert_false(fresh(NULL, EARLY, NULL, NULL, ""));
    assert_false(fresh(NULL, "yesterday", NULL, NULL, EARLY));
    assert_false(fresh(NULL, EARLY, NULL, NULL, "yesterday"));
    assert_true(fresh(NULL, "Saturday, 01-Jan-00 00:00:01 GMT", NULL, NULL, EARLY));
    assert_true(fresh(NULL, "Sat Jan  1 00:00:01 2000", NULL, NULL, EARLY));
    assert_true(fresh(NULL, "2000-01-01T00:00:01.000Z", NULL, NULL, EARLY));
}

static void both_must_hold(void **state) {
    (void)state;
    assert_true(fresh("\"a\"", EARLY, NULL, "\"a\"", EARLY));
    assert_false(fresh("\"a\"", EARLY, NULL, "\"a\"", LATE));
    assert_false(fresh("\"b\"", EARLY, NULL, "\"a\"", EARLY));
    assert_false(fresh("*", EARLY, NULL, "\"a\"", LATE));
}

static void no_cache(void **state) {
    (void)state;
    assert_false(fresh("*", NULL, "no-cache", NULL, NULL));
    assert_false(fresh("*", NULL, "max-age=0,\t no-cache , x", NULL, NULL));
    assert_true(fresh("*", NULL, "max-age=0", NULL, NULL));
    assert_true(fresh("*", NULL, "No-Cache", NULL, NULL));
    assert_true(fresh("*", NULL, "no-cache=x", NULL, NULL));
    assert_true(fresh("*", NULL, "no-cache x", NULL, NULL));
    assert_true(fresh("*", NULL, "xno-cache", NULL, NULL));
    assert_true(fresh("*", NULL, "", NULL, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked),
        cmocka_unit_test(tags),
        cmocka_unit_test(weak_tags_equal_strong_ones),
        cmocka_unit_test(star_equals_all_tags),
        cmocka_unit_test(dates),
        cmocka_unit_test(both_must_hold),
        cmocka_unit_test(no_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
