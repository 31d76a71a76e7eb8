/* Text for URLs and for HTML. Every line here is what npm encodeurl 2.0.3 and escape-html 1.0.3 do,
 * but for what is called ours. */
#include "context/escape.h"

#include "../support/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_url(const char *url, const char *expected) {
    release(NULL);
    assert_string_equal(escape_url(&empty, url), expected);
}

static void check_html(const char *text, const char *expected) {
    release(NULL);
    assert_string_equal(escape_html(&empty, text), expected);
}

/* --- URLs ------------------------------------------------------------------------------------- */

static void a_url_stays(void **state) {
    (void)state;
    check_url("", "");
    check_url("/", "/");
    check_url("http://user:pw@[::1]:80/a;b?c=d&e#f", "http://user:pw@[::1]:80/a;b?c=d&e#f");
    check_url("!#$&'()*+,-./09:;=?@AZ[\\]^_az|~", "!#$&'()*+,-./09:;=?@AZ[\\]^_az|~");
}

static void what_is_no_url_is_encoded(void **state) {
    (void)state;
    check_url(" \"<>`{}", "%20%22%3C%3E%60%7B%7D");
    check_url("/\r\nSet-Cookie: a=1", "/%0D%0ASet-Cookie:%20a=1");
    check_url("\x01\t\x1F\x7F", "%01%09%1F%7F");
    check_url("/caf\xC3\xA9/\xE2\x82\xAC/\xF0\x9F\x98\x80", "/caf%C3%A9/%E2%82%AC/%F0%9F%98%80");
}

static void an_escape_stays(void **state) {
    (void)state;
    check_url("/a%20b", "/a%20b");
    check_url("%e2%82%AC", "%e2%82%AC");
    check_url("%00%ff", "%00%ff");
}

static void a_percent_sign_is_encoded(void **state) {
    (void)state;
    check_url("100%", "100%25");
    check_url("%foo", "%25foo");
    check_url("%4", "%254");
    check_url("%4g%g4", "%254g%25g4");
    check_url("%%41%%%", "%25%41%25%25%25");
    check_url("%\xC3\xA9", "%25%C3%A9");
}

static void ours_bytes_are_encoded_one_by_one(void **state) {
    (void)state;
    check_url("\xFF", "%FF");
    check_url("\xC3/\xED\xA0\x80", "%C3/%ED%A0%80");
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static void some_characters_are_encoded_too(void **state) {
    (void)state;
    char to[16];
    assert_int_equal(escape_percent(to, "a/b%\0\x7F", 6, "/"), 12);
    assert_memory_equal(to, "a%2Fb%%00%7F", 12);
    assert_int_equal(escape_percent(to, "%", 1, "%"), 3);
    assert_memory_equal(to, "%25", 3);
    assert_int_equal(escape_percent(to, "", 0, "%"), 0);
}

static void counting_writes_nothing(void **state) {
    (void)state;
    assert_int_equal(escape_percent(NULL, "a b\xFF", 4, " "), 8);
}

/* --- HTML ------------------------------------------------------------------------------------- */

static void html_has_entities(void **state) {
    (void)state;
    check_html("", "");
    check_html("plain; t\xC3\xA9xt", "plain; t\xC3\xA9xt");
    check_html("\"&'<>", "&quot;&amp;&#39;&lt;&gt;");
    check_html("<a href='/?a=1&amp;b'>", "&lt;a href=&#39;/?a=1&amp;amp;b&#39;&gt;");
    check_html("`=/", "`=/");
}

static void no_memory(void **state) {
    (void)state;
    fail_at = 1;
    assert_null(escape_url(&empty, "/"));
    assert_null(escape_html(&empty, "a"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_url_stays, release),
        cmocka_unit_test_teardown(what_is_no_url_is_encoded, release),
        cmocka_unit_test_teardown(an_escape_stays, release),
        cmocka_unit_test_teardown(a_percent_sign_is_encoded, release),
        cmocka_unit_test_teardown(ours_bytes_are_encoded_one_by_one, release),
        cmocka_unit_test_teardown(some_characters_are_encoded_too, release),
        cmocka_unit_test_teardown(counting_writes_nothing, release),
        cmocka_unit_test_teardown(html_has_entities, release),
        cmocka_unit_test_teardown(no_memory, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
