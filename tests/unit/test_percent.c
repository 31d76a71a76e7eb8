/* Percent-decoding, strictly and as in a form. */
#include "context/percent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FFFD "\xEF\xBF\xBD"

/* Blocks of the exact size, so that the sanitizer sees a byte too many. */
static char *exact_copy(const char *data, size_t n) {
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, data, n);
    return copy;
}

static void check_strict(const char *input, size_t n, const char *expected, ptrdiff_t length) {
    char *from = exact_copy(input, n);
    char *to = exact_copy(input, n);
    assert_int_equal(percent_decode(to, from, n), length);
    if (length > 0)
        assert_memory_equal(to, expected, (size_t)length);
    assert_int_equal(percent_decode(from, from, n), length); /* in place */
    if (length > 0)
        assert_memory_equal(from, expected, (size_t)length);
    free(from);
    free(to);
}

#define STRICT(input, expected)                                                                    \
    check_strict("" input, sizeof input - 1, "" expected, sizeof expected - 1)
#define REFUSED(input) check_strict("" input, sizeof input - 1, NULL, -1)

static void check_form(const char *input, size_t n, const char *expected, size_t length) {
    char *from = exact_copy(input, n);
    assert_int_equal(percent_decode_form(NULL, from, n), length);
    char *to = malloc(length ? length : 1);
    assert_non_null(to);
    assert_int_equal(percent_decode_form(to, from, n), length);
    assert_memory_equal(to, expected, length);
    assert_true(length <= 3 * n);
    free(from);
    free(to);
}

#define FORM(input, expected)                                                                      \
    check_form("" input, sizeof input - 1, "" expected, sizeof expected - 1)

static void strict_decodes(void **state) {
    (void)state;
    STRICT("", "");
    STRICT("plain", "plain");
    STRICT("a%2Fb", "a/b");
    STRICT("%41%6a%6A", "Ajj");
    STRICT("a+b", "a+b");
    STRICT("%25", "%");
    STRICT("%2541", "%41");
    STRICT("caf%C3%A9", "caf\xC3\xA9");
    STRICT("%e2%82%ac%F0%9F%8C%B3", "\xE2\x82\xAC\xF0\x9F\x8C\xB3");
    STRICT("%C2%80%DF%BF%E0%A0%80%ED%9F%BF%EE%80%80", "\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF"
                                                      "\xEE\x80\x80");
    STRICT("%F0%90%80%80%F4%8F%BF%BF", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
    STRICT("caf\xC3\xA9", "caf\xC3\xA9");
    STRICT("%00", "\0");
}

static void strict_refuses_malformed_escapes(void **state) {
    (void)state;
    REFUSED("%");
    REFUSED("a%");
    REFUSED("%4");
    REFUSED("%zz");
    REFUSED("%4g");
    REFUSED("%g4");
    REFUSED("%%41");
    REFUSED("% 41");
    REFUSED("%+1");
}

static void strict_refuses_what_is_not_utf8(void **state) {
    (void)state;
    REFUSED("%80");
    REFUSED("%BF");
    REFUSED("%FF");
    REFUSED("%C3");
    REFUSED("%C3x");
    REFUSED("%C3%C3");
    REFUSED("%C3%A9%E2%82");
    REFUSED("%C0%AF"); /* an overlong '/' */
    REFUSED("%C1%BF");
    REFUSED("%E0%80%AF");
    REFUSED("%E0%9F%BF");
    REFUSED("%F0%80%80%AF");
    REFUSED("%F0%8F%BF%BF");
    REFUSED("%ED%A0%80"); /* half of a surrogate pair */
    REFUSED("%ED%BF%BF");
    REFUSED("%F4%90%80%80"); /* past U+10FFFF */
    REFUSED("%F5%80%80%80");
    REFUSED("\xE9");
}

static void string_refuses_nul(void **state) {
    (void)state;
    char to[16];
    assert_true(percent_decode_string(to, "a%20b", 5));
    assert_string_equal(to, "a b");
    assert_true(percent_decode_string(to, "", 0));
    assert_string_equal(to, "");
    assert_false(percent_decode_string(to, "admin%00x", 9));
    assert_false(percent_decode_string(to, "%00", 3));
    assert_false(percent_decode_string(to, "a\0b", 3));
    assert_false(percent_decode_string(to, "%zz", 3));
    strcpy(to, "a%2Fb");
    assert_true(percent_decode_string(to, to, 5));
    assert_string_equal(to, "a/b");
}

static void form_refuses_nothing(void **state) {
    (void)state;
    FORM("", "");
    FORM("a+b", "a b");
    FORM("a%2Bb%20c", "a+b c");
    FORM("%zz", "%zz");
    FORM("%", "%");
    FORM("%4", "%4");
    FORM("%%41", "%A");
    FORM("%4%41", "%4A");
    FORM("%+1", "% 1");
    FORM("caf%C3%A9", "caf\xC3\xA9");
    FORM("\xC3%A9", "\xC3\xA9");
    FORM("%EF%BB%BFx", "\xEF\xBB\xBFx"); /* a byte order mark stays */
}

static void form_replaces_what_is_not_utf8(void **state) {
    (void)state;
    FORM("%80", FFFD);
    FORM("\xFF", FFFD);
    FORM("\xFF\xFE", FFFD FFFD);
    FORM("%C3", FFFD);
    FORM("%C3x", FFFD "x");
    FORM("%C3%C3%A9", FFFD "\xC3\xA9");
    FORM("%E2%82", FFFD);
    FORM("%E2%82x", FFFD "x");
    FORM("%E2%82%E2%82%AC", FFFD "\xE2\x82\xAC");
    FORM("%F0%9F%8C", FFFD);
    FORM("%F0%9F%8C%zz", FFFD "%zz");
    FORM("%C0%AF", FFFD FFFD);
    FORM("%E0%80%AF", FFFD FFFD FFFD);
    FORM("%ED%A0%80", FFFD FFFD FFFD);
    FORM("%F4%90%80%80", FFFD FFFD FFFD FFFD);
    FORM("%F0%80", FFFD FFFD);
}

static void form_has_no_nul(void **state) {
    (void)state;
    FORM("admin%00x", "admin" FFFD "x");
    FORM("\0", FFFD);
    FORM("%E2%82%00%00", FFFD FFFD FFFD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_decodes),
        cmocka_unit_test(strict_refuses_malformed_escapes),
        cmocka_unit_test(strict_refuses_what_is_not_utf8),
        cmocka_unit_test(string_refuses_nul),
        cmocka_unit_test(form_refuses_nothing),
        cmocka_unit_test(form_replaces_what_is_not_utf8),
        cmocka_unit_test(form_has_no_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
