/* Content-Type: every answer here is that of npm's content-type 1.0.5 or type-is 2.1.0. */
#include "context/media_type.h"

#include "../support/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

/* At an address of its own, so that the sanitizer sees its end. */
static void check_charset(const char *value, const char *expected) {
    release(NULL);
    char *copy = strdup(value);
    assert_string_equal(media_type_charset(&empty, copy), expected);
    free(copy);
}

static const char *match(const char *value, const char *const *types) {
    const char *found = "not set";
    release(NULL);
    char *copy = value ? strdup(value) : NULL;
    assert_int_equal(media_type_is(&empty, copy, types, &found), 0);
    free(copy);
    return found;
}

#define IS(value, ...) match(value, (const char *const[]){__VA_ARGS__, NULL})

static void charsets(void **state) {
    (void)state;
    check_charset("text/html; charset=utf-8", "utf-8");
    check_charset("text/html;charset=UTF-8", "UTF-8");
    check_charset("text/html ; a=b ; CharSet = utf-8 ", "utf-8");
    check_charset("a/b; charset=x; charset=y", "y");
    check_charset("a/b; charset=\"utf-8\"", "utf-8");
    check_charset("a/b; charset=\"a\\\"b\\\\c\\d\"", "a\"b\\cd");
    check_charset("a/b; charset=\"a;b,c d\"", "a;b,c d");
    check_charset("a/b; charset=\"\\\x7F\xC3\xA9\"", "\x7F\xC3\xA9");
    check_charset("!#$%&'*+-.^_`|~/!; charset=x", "x");
}

static void no_charset(void **state) {
    (void)state;
    assert_string_equal(media_type_charset(&empty, NULL), "");
    check_charset("", "");
    check_charset("text/html", "");
    check_charset("text/html; charset=\"\"", "");
    check_charset("text/html; boundary=x; xcharset=y", "");
}

static void malformed_has_no_charset(void **state) {
    (void)state;
    check_charset("text; charset=utf-8", "");
    check_charset("text/; charset=utf-8", "");
    check_charset("/html; charset=utf-8", "");
    check_charset("a/b/c; charset=utf-8", "");
    check_charset("te xt/html; charset=utf-8", "");
    check_charset("; charset=utf-8", "");
    check_charset("a/b; charset=utf-8;", "");
    check_charset("a/b;; charset=utf-8", "");
    check_charset("a/b; charset", "");
    check_charset("a/b; charset=", "");
    check_charset("a/b; =utf-8", "");
    check_charset("a/b; charset=utf-8 x", "");
    check_charset("a/b; charset=utf-8, a/b", "");
    check_charset("a/b; charset=utf-8; x", "");
    check_charset("a/b;\tcharset=utf-8", "");
    check_charset("a/b; charset=\"utf-8", "");
    check_charset("a/b; charset=\"utf-8\\", "");
    check_charset("a/b; charset=\"utf-8\\\"", "");
    check_charset("a/b; charset=\"utf-8\"x", "");
    check_charset("a/b; charset=\"a\tb\"", "");
    check_charset("a/b; charset=\"\x7F\"", "");
    check_charset("a/b; charset=\xC3\xA9", "");
}

static void types_are_returned_as_given(void **state) {
    (void)state;
    assert_string_equal(IS("text/html; charset=utf-8", "json", "html"), "html");
    assert_string_equal(IS("text/html", ".html", "html"), ".html");
    assert_string_equal(IS("text/html", "text/html"), "text/html");
    assert_string_equal(IS("TEXT/HTML", "text/html"), "text/html");
    assert_string_equal(IS("text/html", "HTML"), "HTML");
    assert_string_equal(IS("application/x-www-form-urlencoded", "urlencoded"), "urlencoded");
    assert_string_equal(IS("multipart/mixed", "multipart"), "multipart");
    assert_string_equal(IS("text/html;malformed", "html"), "html");
}

static void wildcards_give_the_type(void **state) {
    (void)state;
    assert_string_equal(IS("Text/HTML; x=y", "text/*"), "text/html");
    assert_string_equal(IS("text/html", "*/html"), "text/html");
    assert_string_equal(IS("text/html", "image/*", "*/*"), "text/html");
    assert_string_equal(IS("application/Vnd.Api+JSON", "+json"), "application/vnd.api+json");
    assert_string_equal(IS("image/svg+xml", "image/*+xml"), "image/svg+xml");
    assert_string_equal(IS("image/svg+xml", "*/*+xml"), "image/svg+xml");
    assert_string_equal(IS("multipart/mixed", "multipart/*"), "multipart/mixed");
    assert_string_equal(match(" Text/HTML ; x=y", (const char *const[]){NULL}), "text/html");
}

static void no_match(void **state) {
    (void)state;
    assert_null(IS("text/html", "json", "text/plain", "image/*", "*/plain", "+html"));
    assert_null(IS("text/html", "Text/HTML", "text/html; charset=utf-8", "text/html/x", "text*"));
    assert_null(IS("text/html", "", "*", "text", "/", "unheard-of", "+/html"));
    assert_null(IS("application/vnd.api+json", "json", "+JSON", "text/*+json"));
    assert_null(IS("application/json", "+json", "application/*+json"));
    assert_null(IS("text/htm", "text/html"));
}

static void malformed_types_match_nothing(void **state) {
    (void)state;
    assert_null(IS(NULL, "*/*"));
    assert_null(IS("", "*/*"));
    assert_null(IS("text", "*/*"));
    assert_null(IS("text/", "*/*"));
    assert_null(IS("/html", "*/*"));
    assert_null(IS("a/b/c", "*/*"));
    assert_null(IS("te xt/html", "*/*"));
    assert_null(IS("*/*", "*/*"));
    assert_null(IS("a.b/c", "*/*"));
    assert_null(IS("a/.b", "*/*"));
    assert_null(IS("a/b, c/d", "*/*"));
    assert_null(IS("; a/b", "*/*"));
    assert_null(match("text", (const char *const[]){NULL}));
}

static void names_have_at_most_127_characters(void **state) {
    (void)state;
    char type[140] = "x/";
    memset(type + 2, 'y', 127);
    assert_string_equal(IS(type, "*/*"), type);
    type[2 + 127] = 'y';
    assert_null(IS(type, "*/*"));
}

static void no_memory(void **state) {
    (void)state;
    const char *found = "not set";
    fail_at = 1;
    assert_null(media_type_charset(&empty, "a/b; charset=x"));
    assert_int_equal(media_type_is(&empty, "a/b", (const char *const[]){"a/*", NULL}, &found),
                     UV_ENOMEM);
    assert_string_equal(found, "not set");
    assert_string_equal(IS("a/b", "a/b"), "a/b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(charsets, release),
        cmocka_unit_test_teardown(no_charset, release),
        cmocka_unit_test_teardown(malformed_has_no_charset, release),
        cmocka_unit_test_teardown(types_are_returned_as_given, release),
        cmocka_unit_test_teardown(wildcards_give_the_type, release),
        cmocka_unit_test_teardown(no_match, release),
        cmocka_unit_test_teardown(malformed_types_match_nothing, release),
        cmocka_unit_test_teardown(names_have_at_most_127_characters, release),
        cmocka_unit_test_teardown(no_memory, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
