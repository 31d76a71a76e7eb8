/* Heads that are plain, and those that are not. That both are understood alike is compared by
 * test_http1_parser.c and by tests/fuzz/parsers.c. */
#include "protocols/plain_head.h"

#include "../support/countdown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ALL 100

static struct plain_head head;
static struct header usual[16];
static struct headers headers;
static struct arena arena;

/* At an address of its own, so that the sanitizer sees its ends; what was read points into it. */
static char *text;

static bool read_bytes(const char *data, size_t n, size_t limit) {
    arena_release(&arena);
    free(text);
    text = memcpy(malloc(n ? n : 1), data, n);
    headers = (struct headers){.list = usual, .capacity = 16};
    memset(&head, 0xff, sizeof head);
    bool plain = plain_head_read(&head, &headers, &arena, limit, text, n);
    if (!plain)
        assert_true(headers.count == 0 && headers.seen == 0);
    return plain;
}

static bool read_text(const char *data) {
    return read_bytes(data, strlen(data), ALL);
}

static int end(void **state) {
    free(text);
    text = NULL;
    arena_release(&arena);
    return 0;
}

static void check_string(const char *string, size_t length, const char *expected) {
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(string, expected, length);
}

static void check_field(size_t i, const char *name, const char *value) {
    const struct header *field = &headers.list[i];
    check_string(field->name, field->name_length, name);
    check_string(field->value, field->value_length, value);
}

/* --- Plain ------------------------------------------------------------------------------------ */

static void strings_are_told(void **state) {
    assert_true(
        read_text("GET /a?b HTTP/1.1\r\nHost: a.b\r\nX-Y-0:\xc3\xa9 \"z\"\r\nEmpty:\r\n\r\nbody"));
    check_string(head.url, head.url_length, "/a?b");
    assert_int_equal(headers.count, 3);
    check_field(0, "Host", "a.b");
    check_field(1, "X-Y-0", "\xc3\xa9 \"z\"");
    check_field(2, "Empty", "");
    assert_memory_equal(head.fields, "Host", 4);
    assert_memory_equal(head.end, "\r\n", 2);
    assert_int_equal(head.end[-1], '\n');
    assert_string_equal(headers_get(&headers, "empty") ? "there" : "", "there");
    assert_null(headers_get(&headers, "body"));
}

static void there_may_be_no_field(void **state) {
    assert_true(read_text("OPTIONS * HTTP/1.0\r\n\r\n"));
    check_string(head.url, head.url_length, "*");
    assert_int_equal(headers.count, 0);
    assert_ptr_equal(head.fields, head.end);
    assert_int_equal(head.framing, 0);
}

/* Strings of every length, so that their ends lie at every place of a block, and of the data. */
static void lengths(void **state) {
    static const char *const forms[] = {
        "%.*s / HTTP/1.1\r\n\r\n", "G %.*s HTTP/1.1\r\n\r\n", "G / HTTP/1.1\r\n%.*s: a\r\n\r\n",
        "G / HTTP/1.1\r\nN: %.*s\r\n\r\n", "G / HTTP/1.1\r\nN:%.*s\r\nM: b\r\n\r\n"};
    char many[101], data[200];
    memset(many, 'a', sizeof many);
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++)
        for (int length = 1; length <= 100; length++) {
            size_t n = (size_t)snprintf(data, sizeof data, forms[form], length, many);
            assert_true(read_bytes(data, n, ALL));
            size_t expected = (size_t)length;
            size_t found = form == 1   ? head.url_length
                           : form == 2 ? headers.list[0].name_length
                           : form > 2  ? headers.list[0].value_length
                                       : (size_t)(head.url - text) - 1;
            assert_int_equal(found, expected);
            assert_int_equal(headers.count, form == 4 ? 2 : form > 1);
            for (size_t cut = 0; cut < n; cut++) /* not all there */
                assert_false(read_bytes(data, cut, ALL));
        }
}

static uint64_t framing_of(const char *name) {
    char data[100];
    snprintf(data, sizeof data, "G / HTTP/1.1\r\nAccept: a\r\n%s: a\r\n\r\n", name);
    assert_true(read_text(data));
    return head.framing;
}

static void framing_is_marked(void **state) {
    static const char *const names[] = {
        "Host",           "EXPECT",           "upgrade",          "Connection",
        "content-LENGTH", "Proxy-Connection", "Transfer-Encoding"};
    static const char *const others[] = {
        "Cookie",
        "User-Agent",
        "Sec-WebSocket-Key",
        "A",
        "X-Content-Length",
        "ccccccccccccccccccccccccccccccccc" /* 32 more than one that is none */};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(framing_of(names[i]), 2);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(framing_of(others[i]), 0);
}

/* --- Each byte -------------------------------------------------------------------------------- */

static bool is_plain_with(const char *form, size_t at, int c) {
    char data[100];
    size_t n = strlen(form);
    memcpy(data, form, n);
    data[at] = (char)c;
    return read_bytes(data, n, ALL);
}

static void bytes_of_strings(void **state) {
    static const char form[] =
        "GET /aaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nNaaaaaaaaaaaaaaaaaaaaaaaaam"
        "e: vaaaaaaaaaaaaaaaaaalue\r\n\r\n";
    const size_t method = 1, url = 24, name = 42, value = 80;
    for (int c = 0; c < 256; c++) {
        bool visible = c > 0x20 && c < 0x7f;
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80);
        assert_int_equal(is_plain_with(form, method, c), visible);
        assert_int_equal(is_plain_with(form, url, c), visible);
        assert_int_equal(is_plain_with(form, name, c),
                         letter || (c >= '0' && c <= '9') || c == '-' || c == ':');
        assert_int_equal(is_plain_with(form, value, c), c >= 0x20 && c != 0x7f);
    }
}

/* --- Not plain -------------------------------------------------------------------------------- */

static void not_plain(void **state) {
    static const char *const texts[] = {
        "",
        "\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET /  HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/1.10\r\n\r\n",
        "GET HTTP/1.1\r\n\r\n\r\n\r\n",
        "GET /\r\nHost: a.b.c.d.e\r\n\r\n",
        "GET / HTTP/1.1\n\n\n\n\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\rx",
        "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:  a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\ta\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \r\n\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n\r\n",
        "GET / HTTP/1.1\r\n: a\r\n\r\n\r\n",
        "GET / HTTP/1.1\r\nA_b: a\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (read_text(texts[i]))
            fail_msg("%s", texts[i]);
}

/* --- Limits ----------------------------------------------------------------------------------- */

static size_t write_fields(char *data, size_t size, size_t count) {
    size_t n = (size_t)snprintf(data, size, "G / HTTP/1.1\r\n");
    for (size_t i = 0; i < count; i++)
        n += (size_t)snprintf(data + n, size - n, "Host: %zu\r\n", i);
    return n + (size_t)snprintf(data + n, size - n, "\r\n");
}

static void many_fields(void **state) {
    char data[2000], value[10];
    for (size_t count = 0; count <= 70; count++) {
        size_t n = write_fields(data, sizeof data, count);
        assert_int_equal(read_bytes(data, n, ALL), count <= 64);
        assert_int_equal(read_bytes(data, n, 20), count <= 20);
        assert_int_equal(read_bytes(data, n, count), count <= 64);
        for (size_t i = 0; i < headers.count; i++) {
            snprintf(value, sizeof value, "%zu", i);
            check_field(i, "Host", value);
        }
        if (headers.count)
            assert_int_equal(head.framing, UINT64_MAX >> (64 - headers.count));
    }
}

static void no_memory(void **state) {
    char data[2000];
    size_t n = write_fields(data, sizeof data, 33);
    for (long i = 1; i <= 2; i++) { /* behind the one of the text itself */
        countdown = i;
        assert_false(read_bytes(data, n, ALL));
        assert_true(countdown < 0);
    }
    assert_true(read_bytes(data, n, ALL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(strings_are_told, end),
        cmocka_unit_test_teardown(there_may_be_no_field, end),
        cmocka_unit_test_teardown(lengths, end),
        cmocka_unit_test_teardown(framing_is_marked, end),
        cmocka_unit_test_teardown(bytes_of_strings, end),
        cmocka_unit_test_teardown(not_plain, end),
        cmocka_unit_test_teardown(many_fields, end),
        cmocka_unit_test_teardown(no_memory, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
