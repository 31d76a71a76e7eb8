/* Cookies out of headers and into them. Every line here is what npm cookies 0.9.2 does, but for
 * what is called ours. */
#include "context/cookie.h"

#include "../support/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- Reading ---------------------------------------------------------------------------------- */

static void check_get(const char *header, const char *name, const char *expected) {
    size_t length = 99;
    const char *value = cookie_get(header, name, &length);
    if (!expected) {
        assert_null(value);
        return;
    }
    if (!value)
        fail_msg("no \"%s\" in \"%s\"", name, header);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(value, expected, length);
}

static void first_one_wins(void **state) {
    (void)state;
    check_get("a=1", "a", "1");
    check_get("a=1; b=2", "b", "2");
    check_get("a=1;b=2", "b", "2");
    check_get("a=1; a=2", "a", "1");
    check_get("a=; a=2", "a", "");
    check_get("a=1", "b", NULL);
    check_get("", "a", NULL);
}

static void name_is_compared_whole(void **state) {
    (void)state;
    check_get("ba=1", "a", NULL);
    check_get("ab=1", "a", NULL);
    check_get("A=1", "a", NULL);
    check_get("a =1; a=2", "a", "2");
    check_get("\ta=1", "a", NULL);
    check_get("  ;  a=1", "a", "1");
    check_get("b=a=1", "a", NULL);
    check_get("a; a=1", "a", "1");
    check_get("b=1, a=2", "a", NULL);
}

static void no_character_of_a_name_is_special(void **state) {
    (void)state;
    check_get("ab=1; a.b=2", "a.b", "2");
    check_get("aab=1; a+b=2", "a+b", "2");
    check_get("$x=1; ^=2; (a)=3; a|b=4; [a]=5; {1}=6; \\d=7; *=8; ?=9", "$x", "1");
    check_get("$x=1; ^=2; (a)=3; a|b=4; [a]=5; {1}=6; \\d=7; *=8; ?=9", "^", "2");
    check_get("$x=1; ^=2; (a)=3; a|b=4; [a]=5; {1}=6; \\d=7; *=8; ?=9", "a|b", "4");
    check_get("$x=1; ^=2; (a)=3; a|b=4; [a]=5; {1}=6; \\d=7; *=8; ?=9", "\\d", "7");
    check_get("$x=1; ^=2; (a)=3; a|b=4; [a]=5; {1}=6; \\d=7; *=8; ?=9", "?", "9");
    check_get("=1", "", "1");
    check_get("a=b=c", "a=b", "c");
    check_get(" a=1", " a", "1");
    check_get("x=1;   a=1", "  a", "1");
    check_get("a=1", " a", NULL);
}

static void value_is_not_decoded(void **state) {
    (void)state;
    check_get("a=%20+", "a", "%20+");
    check_get("a=b=c", "a", "b=c");
    check_get("a= 1 ; b=2", "a", " 1 ");
    check_get("a=1, b=2", "a", "1, b=2");
    check_get("a=\xC3\xA9", "a", "\xC3\xA9");
}

/* Only the first character is looked at: what is last goes, whatever it is. */
static void quotes_are_dropped(void **state) {
    (void)state;
    check_get("a=\"1\"", "a", "1");
    check_get("a=\"b c\"; d", "a", "b c");
    check_get("a=\"\"", "a", "");
    check_get("a=\"", "a", "");
    check_get("a=\"bc", "a", "b");
    check_get("a=b\"", "a", "b\"");
    check_get("a=\"b;c\"", "a", "");
}

/* --- Writing ---------------------------------------------------------------------------------- */

#define EPOCH "Thu, 01 Jan 1970 00:00:00 GMT"
#define NOW INT64_C(1709251199999) /* Thu, 29 Feb 2024 23:59:59.999 */

static void check_line(struct cookie cookie, const char *expected) {
    const char *error = "not touched";
    char *line = cookie_write(&empty, &cookie, NOW, &error);
    if (!line)
        fail_msg("%s: %s", expected, error ? error : "no memory");
    assert_null(error);
    assert_string_equal(line, expected);
    release(NULL);
}

#define LINE(expected, ...)                                                                        \
    check_line((struct cookie){.name = "a", .value = "1", __VA_ARGS__}, expected)

static void attributes_have_an_order(void **state) {
    (void)state;
    LINE("a=1; path=/; httponly", .secure = false);
    LINE("a=1; path=/x; expires=Fri, 01 Mar 2024 00:00:00 GMT; domain=.example.org; "
         "priority=high; samesite=lax; secure; httponly; partitioned",
         .path = "/x", .max_age = 1, .domain = ".example.org", .priority = "High",
         .same_site = "LAX", .secure = true, .partitioned = true);
    LINE("a=1", .path = "", .domain = "", .priority = "", .same_site = "", .script_access = true);
}

static void age_becomes_a_date(void **state) {
    (void)state;
    LINE("a=1; path=/; expires=Thu, 29 Feb 2024 23:59:59 GMT; httponly", .max_age = -999);
    LINE("a=1; path=/; expires=Thu, 29 Feb 2024 23:59:58 GMT; httponly", .max_age = -1000);
    LINE("a=1; path=/; expires=Wed, 31 Dec 1969 23:59:59 GMT; httponly", .max_age = -NOW - 1);
    LINE("a=1; path=/; expires=Sat, 13 Sep 275760 00:00:00 GMT; httponly",
         .max_age = INT64_C(8640000000000000) - NOW);
}

static void dates(void **state) {
    (void)state;
    LINE("a=1; path=/; expires=Tue, 14 Nov 2023 22:13:20 GMT; httponly", .expires = 1700000000);
    LINE("a=1; path=/; expires=Wed, 31 Dec 1969 23:59:59 GMT; httponly", .expires = -1);
    LINE("a=1; path=/; expires=Sat, 01 Jan 10000 00:00:00 GMT; httponly",
         .expires = INT64_C(253402300800));
    LINE("a=1; path=/; expires=Sat, 01 Jan 0000 00:00:00 GMT; httponly",
         .expires = -INT64_C(62167219200));
    LINE("a=1; path=/; expires=Fri, 31 Dec -0001 23:59:59 GMT; httponly",
         .expires = -INT64_C(62167219201));
    LINE("a=1; path=/; expires=Tue, 20 Apr -271821 00:00:00 GMT; httponly",
         .expires = -INT64_C(8640000000000));
    LINE("a=1; path=/; expires=Fri, 01 Mar 2024 00:00:00 GMT; httponly", .expires = 5,
         .max_age = 1);
}

static void without_a_value_it_is_deleted(void **state) {
    (void)state;
    static const char line[] = "a=; path=/; expires=" EPOCH "; httponly";
    check_line((struct cookie){.name = "a"}, line);
    check_line((struct cookie){.name = "a", .value = ""}, line);
    check_line((struct cookie){.name = "a", .max_age = INT64_MAX, .expires = INT64_MAX}, line);
    check_line((struct cookie){.name = "a", .path = "/x", .domain = "b.c", .secure = true},
               "a=; path=/x; expires=" EPOCH "; domain=b.c; secure; httponly");
    LINE("a=1; path=/; expires=" EPOCH "; httponly", .expired = true, .max_age = 1000);
}

/* --- Errors ----------------------------------------------------------------------------------- */

static void check_error(struct cookie cookie, const char *expected) {
    const char *error = NULL;
    char *line = cookie_write(&empty, &cookie, NOW, &error);
    if (line)
        fail_msg("%s: %s", expected, line);
    assert_string_equal(error, expected);
    assert_int_equal(block_count, 0);
}

static void names(void **state) {
    (void)state;
    static const char *const bad[] = {NULL, "", "a;", "a=", "=", "a\n", "a\r", "\x01", "a\x7F"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_error((struct cookie){.name = bad[i], .value = "1"}, "argument name is invalid");
    /* Much that RFC 6265 does not allow is fine. */
    check_line((struct cookie){.name = "a b,\"\t", .value = "1"}, "a b,\"\t=1; path=/; httponly");
    check_line((struct cookie){.name = "\xC3\xA9", .value = "1"}, "\xC3\xA9=1; path=/; httponly");
}

static void values(void **state) {
    (void)state;
    static const char *const bad[] = {";", "1;", "a\n", "a\r\nSet-Cookie: b=1", "\x1F", "\x7F"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_error((struct cookie){.name = "a", .value = bad[i]}, "argument value is invalid");
    check_line((struct cookie){.name = "a", .value = "=, \"\t\\\xFF"},
               "a==, \"\t\\\xFF; path=/; httponly");
}

#define BAD(expected, ...)                                                                         \
    check_error((struct cookie){.name = "a", .value = "1", __VA_ARGS__}, expected)

static void paths(void **state) {
    (void)state;
    LINE("a=1; path=a b:=>~; httponly", .path = "a b:=>~");
    BAD("option path is invalid", .path = "/;");
    BAD("option path is invalid", .path = "/<");
    BAD("option path is invalid", .path = "/\t");
    BAD("option path is invalid", .path = "/\x7F");
    BAD("option path is invalid", .path = "/\xC3\xA9");
}

#define LABEL_63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void domains(void **state) {
    (void)state;
    static const char *const bad[] = {
        ".",   "..a",  "a.",    "a..b", "-a.b",       "a-.b",           "a.-", "a_b",
        "a b", "a:80", "[::1]", "a;b",  "x" LABEL_63, LABEL_63 "x.org", "a\n", "\xC3\xA9.org",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        BAD("option domain is invalid", .domain = bad[i]);
    LINE("a=1; path=/; domain=a; httponly", .domain = "a");
    LINE("a=1; path=/; domain=.A-1.b; httponly", .domain = ".A-1.b");
    LINE("a=1; path=/; domain=127.0.0.1; httponly", .domain = "127.0.0.1");
    LINE("a=1; path=/; domain=" LABEL_63 ".org; httponly", .domain = LABEL_63 ".org");
}

static void words(void **state) {
    (void)state;
    BAD("option priority is invalid", .priority = "lowest");
    BAD("option priority is invalid", .priority = " low");
    BAD("option sameSite is invalid", .same_site = "true");
    BAD("option sameSite is invalid", .same_site = "lax; domain=a");
}

/* npm cookies writes "expires=Invalid Date" for these: the errors are ours. */
static void dates_that_do_not_exist(void **state) {
    (void)state;
    BAD("option maxAge is invalid", .max_age = INT64_MAX);
    BAD("option maxAge is invalid", .max_age = INT64_MIN);
    BAD("option maxAge is invalid", .max_age = INT64_C(8640000000001000) - NOW);
    BAD("option expires is invalid", .expires = INT64_MAX);
    BAD("option expires is invalid", .expires = -INT64_C(8640000000001));
}

static void first_error_is_told(void **state) {
    (void)state;
    struct cookie cookie = {"=", ";", ";", ";", ";", ";", .max_age = INT64_MAX};
    check_error(cookie, "argument name is invalid");
    cookie.name = "a";
    check_error(cookie, "argument value is invalid");
    cookie.value = "1";
    check_error(cookie, "option path is invalid");
    cookie.path = NULL;
    check_error(cookie, "option domain is invalid");
}

static void no_memory(void **state) {
    (void)state;
    const char *error = "not touched";
    fail_at = 1;
    assert_null(cookie_write(&empty, &(struct cookie){.name = "a", .value = "1"}, NOW, &error));
    assert_null(error);
}

static void line_of_a_name(void **state) {
    (void)state;
    assert_true(cookie_line_sets("a=1; path=/", "a"));
    assert_true(cookie_line_sets("a=", "a"));
    assert_false(cookie_line_sets("a.sig=1", "a"));
    assert_false(cookie_line_sets("A=1", "a"));
    assert_false(cookie_line_sets("b=1; a=2", "a"));
    assert_false(cookie_line_sets("a", "a"));
    assert_false(cookie_line_sets("", "a"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_one_wins),
        cmocka_unit_test(name_is_compared_whole),
        cmocka_unit_test(no_character_of_a_name_is_special),
        cmocka_unit_test(value_is_not_decoded),
        cmocka_unit_test(quotes_are_dropped),
        cmocka_unit_test_teardown(attributes_have_an_order, release),
        cmocka_unit_test_teardown(age_becomes_a_date, release),
        cmocka_unit_test_teardown(dates, release),
        cmocka_unit_test_teardown(without_a_value_it_is_deleted, release),
        cmocka_unit_test_teardown(names, release),
        cmocka_unit_test_teardown(values, release),
        cmocka_unit_test_teardown(paths, release),
        cmocka_unit_test_teardown(domains, release),
        cmocka_unit_test_teardown(words, release),
        cmocka_unit_test_teardown(dates_that_do_not_exist, release),
        cmocka_unit_test_teardown(first_error_is_told, release),
        cmocka_unit_test_teardown(no_memory, release),
        cmocka_unit_test(line_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
