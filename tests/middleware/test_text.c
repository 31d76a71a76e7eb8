/* Text that came from outside, and goes into a log, JSON or HTML. */
#include "middleware/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *string, *log, *quoted, *json, *html;
} cases[] = {
    {"", "", "", "", ""},
    {"/a?b=c", "/a?b=c", "/a?b=c", "/a?b=c", "/a?b=c"},
    {"a\"b\\c", "a\"b\\c", "a\\\"b\\\\c", "a\\\"b\\\\c", "a&quot;b\\c"},
    {"<i>'&", "<i>'&", "<i>'&", "<i>'&", "&lt;i&gt;&#39;&amp;"},
    {"a\r\nb\tc", "a\\r\\nb\\tc", "a\\r\\nb\\tc", "a\\r\\nb\\tc", "a\ufffd\nb\tc"},
    {"\b\f\v", "\\b\\f\\u000b", "\\b\\f\\u000b", "\\b\\f\\u000b", "\ufffd\ufffd\ufffd"},
    {"\x1b[31m\x7f", "\\u001b[31m\\u007f", "\\u001b[31m\\u007f", "\\u001b[31m\\u007f",
     "\ufffd[31m\ufffd"},
    {"\xc2\x9b", "\\u009b", "\\u009b", "\\u009b", "\ufffd"},     /* CSI, as one character */
    {"\xe2\x80\xa8", "\\u2028", "\\u2028", "\\u2028", "\ufffd"}, /* the end of a line */
    {"\xe2\x80\xae", "\\u202e", "\\u202e", "\\u202e", "\ufffd"}, /* from right to left */
    {"gr\u00fc\u00df \u20ac \U0001f600", "gr\u00fc\u00df \u20ac \U0001f600",
     "gr\u00fc\u00df \u20ac \U0001f600", "gr\u00fc\u00df \u20ac \U0001f600",
     "gr\u00fc\u00df \u20ac \U0001f600"},
    {"\x9b", "\\x9b", "\\x9b", "\ufffd", "\ufffd"},
    {"\xff\xc0\xaf", "\\xff\\xc0\\xaf", "\\xff\\xc0\\xaf", "\ufffd\ufffd\ufffd",
     "\ufffd\ufffd\ufffd"},
    {"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80", "\ufffd\ufffd\ufffd",
     "\ufffd\ufffd\ufffd"}, /* half of a pair */
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80", "\ufffd\ufffd\ufffd\ufffd",
     "\ufffd\ufffd\ufffd\ufffd"}, /* beyond the last one */
    {"\xe2\x82", "\\xe2\\x82", "\\xe2\\x82", "\ufffd\ufffd", "\ufffd\ufffd"}, /* broken off */
};

static void expect(const char *string, text_escape_t escape, const char *expected) {
    struct text text = {0};
    text_add_escaped(&text, string, escape);
    assert_false(text.failed);
    assert_string_equal(text.data ? text.data : "", expected);
    assert_int_equal(text.length, strlen(expected));
    text_free(&text);
}

static void test_escapes(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(cases[i].string, ESCAPE_LOG, cases[i].log);
        expect(cases[i].string, ESCAPE_QUOTED, cases[i].quoted);
        expect(cases[i].string, ESCAPE_JSON, cases[i].json);
        expect(cases[i].string, ESCAPE_HTML, cases[i].html);
    }
}

/* Whatever the bytes are, what comes out is printable, and of one line. */
static void test_any_bytes(void **state) {
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char bytes[9] = "";
        for (int i = 0; i < 8; i++)
            bytes[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
        for (int escape = ESCAPE_LOG; escape <= ESCAPE_HTML; escape++) {
            struct text text = {0};
            text_add_escaped(&text, bytes, (text_escape_t)escape);
            for (size_t i = 0; i < text.length; i++) {
                unsigned char c = (unsigned char)text.data[i];
                bool is_blank = escape == ESCAPE_HTML && (c == '\n' || c == '\t');
                assert_true(is_blank || (c >= 0x20 && c != 0x7f));
                assert_true(escape != ESCAPE_HTML || (c != '<' && c != '"' && c != '\''));
            }
            text_free(&text);
        }
    }
}

static void test_growing(void **state) {
    struct text text = {0};
    for (int i = 0; i < 1000; i++) {
        text_printf(&text, "%d", i % 10);
        text_add_char(&text, ',');
        text_add(&text, "");
    }
    assert_int_equal(text.length, 2000);
    assert_int_equal(strlen(text.data), 2000);
    text_add_bytes(&text, "a\0b", 3);
    assert_int_equal(text.length, 2003);
    text_free(&text);
    assert_null(text.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_growing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
