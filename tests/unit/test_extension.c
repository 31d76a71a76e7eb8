/* Sec-WebSocket-Extensions, and what is agreed on about permessage-deflate. Thousands of headers
 * are compared with ws in e2e/extension.test.mjs. */
#include "protocols/extension.h"

#include "protocols/exchange.h"
#include "runtime/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define NAME "permessage-deflate"

/* --- The header ------------------------------------------------------------------------------- */

/* As "a(b=c d) e()", with the error and its place behind it. */
static const char *read_all(const char *header) {
    static char result[1024];
    struct extension_reader reader;
    struct extension_text name, value;
    char *at = result;
    size_t n = strlen(header);
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, header, n);
    extension_reader_init(&reader, exact, n);
    while (extension_next(&reader, &name)) {
        at += sprintf(at, "%s%.*s(", at == result ? "" : " ", (int)name.length, name.start);
        for (bool first = true; extension_next_parameter(&reader, &name, &value); first = false) {
            at += sprintf(at, "%s%.*s", first ? "" : " ", (int)name.length, name.start);
            if (value.start)
                at += sprintf(at, "=%.*s", (int)value.length, value.start);
        }
        at += sprintf(at, ")");
    }
    if (reader.error)
        sprintf(at, " %s at %d", reader.error, (int)(reader.at - exact));
    assert_false(extension_next(&reader, &name));
    assert_false(extension_next_parameter(&reader, &name, &value));
    free(exact);
    return result;
}

static void good_headers(void **state) {
    assert_string_equal(read_all("foo"), "foo()");
    assert_string_equal(read_all("foo;a"), "foo(a)");
    assert_string_equal(read_all("foo;a=b;c;d=e,bar;a,baz"), "foo(a=b c d=e) bar(a) baz()");
    assert_string_equal(read_all("foo ;\ta=b\t, \tbar"), "foo(a=b) bar()");
    assert_string_equal(read_all("foo, foo; a; a=1; a"), "foo() foo(a a=1 a)");
    assert_string_equal(read_all("foo; a=\"b\"; c=\"\\d\\e\""), "foo(a=b c=\\d\\e)");
    assert_string_equal(read_all("!#$%&'*+-.^_`|~09azAZ"), "!#$%&'*+-.^_`|~09azAZ()");
}

static void malformed_headers(void **state) {
    assert_string_equal(read_all(""), " unexpected end at 0");
    assert_string_equal(read_all(" a"), " unexpected character at 0");
    assert_string_equal(read_all("a "), " unexpected end at 2");
    assert_string_equal(read_all(","), " unexpected character at 0");
    assert_string_equal(read_all(";a"), " unexpected character at 0");
    assert_string_equal(read_all("a,"), "a() unexpected end at 2");
    assert_string_equal(read_all("a,,b"), "a() unexpected character at 2");
    assert_string_equal(read_all("a;"), "a() unexpected end at 2");
    assert_string_equal(read_all("a;;b"), "a() unexpected character at 2");
    assert_string_equal(read_all("a b"), " unexpected character at 2");
    assert_string_equal(read_all("a; b c"), "a() unexpected character at 5");
    assert_string_equal(read_all("a; b ="), "a() unexpected character at 5");
    assert_string_equal(read_all("a; b= c"), "a() unexpected character at 5");
    assert_string_equal(read_all("a; b="), "a() unexpected end at 5");
    assert_string_equal(read_all("a; b=c "), "a() unexpected end at 7");
    assert_string_equal(read_all("a; =c"), "a() unexpected character at 3");
    assert_string_equal(read_all("a=b"), " unexpected character at 1");
    assert_string_equal(read_all("a; b=\""), "a() unexpected end at 6");
    assert_string_equal(read_all("a; b=\"\""), "a() unexpected character at 6");
    assert_string_equal(read_all("a; b=\"c"), "a() unexpected end at 7");
    assert_string_equal(read_all("a; b=\"c\\"), "a() unexpected end at 8");
    assert_string_equal(read_all("a; b=\"c d\""), "a() unexpected character at 7");
    assert_string_equal(read_all("a; b=\"c\\\"\""), "a() unexpected character at 8");
    assert_string_equal(read_all("a; b=\"c\"d"), "a() unexpected character at 8");
    assert_string_equal(read_all("a\xc3\xa9"), " unexpected character at 1");
}

/* Who does not care for parameters is told all the same when they are malformed. */
static void parameters_may_be_skipped(void **state) {
    struct extension_reader reader;
    struct extension_text name;
    extension_reader_init(&reader, "a;b=c;d,e", 9);
    assert_true(extension_next(&reader, &name));
    assert_true(extension_next(&reader, &name));
    assert_memory_equal(name.start, "e", 1);
    assert_false(extension_next(&reader, &name));
    assert_null(reader.error);
    extension_reader_init(&reader, "a;b=,e", 6);
    assert_true(extension_next(&reader, &name));
    assert_false(extension_next(&reader, &name));
    assert_string_equal(reader.error, "unexpected character");
}

static void fields_are_one_list(void **state) {
    struct headers headers = {0};
    struct arena arena;
    const char *value = "";
    arena_init(&arena, NULL);
    headers_add(&headers, &arena, "Host", 4, "x", 1);
    assert_int_equal(extension_header(&headers, &arena, &value), 0);
    assert_null(value);
    headers_add(&headers, &arena, "SEC-WEBSOCKET-EXTENSIONS", 24, "foo", 3);
    assert_int_equal(extension_header(&headers, &arena, &value), 0);
    assert_string_equal(value, "foo");
    headers_add(&headers, &arena, "Sec-WebSocket-Extension", 23, "no", 2);
    headers_add(&headers, &arena, "sec-websocket-extensions", 24, "bar; a", 6);
    headers_add(&headers, &arena, "Sec-WebSocket-Extensions", 24, "", 0);
    assert_int_equal(extension_header(&headers, &arena, &value), 0);
    assert_string_equal(value, "foo, bar; a, ");
    headers.count = 0;
    headers_add(&headers, &arena, "Sec-WebSocket-Extensions", 24, "", 0);
    headers_add(&headers, &arena, "Sec-WebSocket-Extensions", 24, "foo", 3);
    assert_int_equal(extension_header(&headers, &arena, &value), 0);
    assert_string_equal(value, ", foo"); /* which is malformed */
    arena_release(&arena);
}

/* --- The server ------------------------------------------------------------------------------- */

static struct deflate_agreement agreement;
static const char *why;

static int accept_offer(struct deflate_options options, const char *header) {
    memset(&agreement, 0xaa, sizeof agreement);
    why = NULL;
    return deflate_accept_offer(&agreement, &options, header, strlen(header), &why);
}

/* The answer to "permessage-deflate" with these parameters, without that name. */
static const char *answer(struct deflate_options options, const char *parameters) {
    char header[256];
    snprintf(header, sizeof header, NAME "%s", parameters);
    int agreed = accept_offer(options, header);
    if (agreed < 0) {
        assert_int_equal(agreed, UV_EINVAL);
        return why;
    }
    assert_int_equal(agreed, 1);
    assert_memory_equal(agreement.text, NAME, strlen(NAME));
    return agreement.text + strlen(NAME);
}

#define OPTIONS(...) ((struct deflate_options){__VA_ARGS__})
#define ANSWER(expected, parameters, ...)                                                          \
    assert_string_equal(answer(OPTIONS(__VA_ARGS__), parameters), expected)

#define SERVER_FORGETS "; server_no_context_takeover"
#define CLIENT_FORGETS "; client_no_context_takeover"
#define SERVER_BITS "; server_max_window_bits"
#define CLIENT_BITS "; client_max_window_bits"
#define DECLINED "no acceptable offer"

static void a_server_does_as_it_is_asked(void **state) {
    ANSWER("", "", 0);
    ANSWER("", CLIENT_BITS, 0);
    ANSWER(SERVER_FORGETS, SERVER_FORGETS, 0);
    ANSWER(CLIENT_FORGETS SERVER_FORGETS, CLIENT_FORGETS SERVER_FORGETS, 0);
    ANSWER(SERVER_BITS "=9" CLIENT_BITS "=10", SERVER_BITS "=9" CLIENT_BITS "=10", 0);
    ANSWER(CLIENT_BITS "=8" SERVER_BITS "=15", CLIENT_BITS "=\"8\"" SERVER_BITS "=\"\\1\\5\"", 0);
    assert_int_equal(agreement.client_max_window_bits, 8);
    assert_int_equal(agreement.server_max_window_bits, 15);
    assert_false(agreement.server_no_context_takeover || agreement.client_no_context_takeover);
    ANSWER(SERVER_FORGETS, SERVER_FORGETS, 0);
    assert_int_equal(agreement.client_max_window_bits, 15);
    assert_int_equal(agreement.server_max_window_bits, 15);
    assert_true(agreement.server_no_context_takeover);
    assert_false(agreement.client_no_context_takeover);
}

static void a_server_says_what_it_wants(void **state) {
    ANSWER(SERVER_FORGETS, "", .server_no_context_takeover = true);
    ANSWER(CLIENT_FORGETS, "", .client_no_context_takeover = true);
    assert_true(agreement.client_no_context_takeover);
    ANSWER(SERVER_BITS "=10", "", .server_max_window_bits = 10);
    ANSWER(SERVER_BITS "=10", SERVER_BITS "=12", .server_max_window_bits = 10);
    assert_int_equal(agreement.server_max_window_bits, 10);
    ANSWER(CLIENT_BITS "=10", CLIENT_BITS, .client_max_window_bits = 10);
    ANSWER(CLIENT_BITS "=10", CLIENT_BITS "=10", .client_max_window_bits = 10);
    ANSWER("", CLIENT_BITS "=10", .client_max_window_bits = DEFLATE_REFUSE);
    assert_int_equal(agreement.client_max_window_bits, 15);
    ANSWER(CLIENT_FORGETS, CLIENT_FORGETS, .client_no_context_takeover = DEFLATE_REFUSE);
    /* What the client has named stays in its place, the rest follows. */
    ANSWER(CLIENT_BITS "=9" CLIENT_FORGETS SERVER_FORGETS SERVER_BITS "=10",
           CLIENT_BITS CLIENT_FORGETS, .server_no_context_takeover = true,
           .client_no_context_takeover = true, .server_max_window_bits = 10,
           .client_max_window_bits = 9);
    assert_int_equal(strlen(agreement.text), 127);
}

static void a_server_declines(void **state) {
    ANSWER(DECLINED, SERVER_FORGETS, .server_no_context_takeover = DEFLATE_REFUSE);
    ANSWER(DECLINED, SERVER_BITS "=15", .server_max_window_bits = DEFLATE_REFUSE);
    ANSWER(DECLINED, SERVER_BITS "=9", .server_max_window_bits = 10);
    ANSWER(DECLINED, "", .client_max_window_bits = 10);
    ANSWER(DECLINED, CLIENT_BITS "=9", .client_max_window_bits = 10);
    /* The first offer that is not declined wins. */
    ANSWER(SERVER_BITS "=10", SERVER_BITS "=9, " NAME SERVER_BITS "=10, " NAME,
           .server_max_window_bits = 10);
    ANSWER("", SERVER_FORGETS "," NAME, .server_no_context_takeover = DEFLATE_REFUSE);
}

static void wrong_offers(void **state) {
    ANSWER("an unknown parameter", "; foo", 0);
    ANSWER("an unknown parameter", "; Server_no_context_takeover", 0);
    ANSWER("a parameter that comes twice", SERVER_FORGETS SERVER_FORGETS, 0);
    ANSWER("a parameter that comes twice", CLIENT_BITS CLIENT_BITS "=9", 0);
    ANSWER("a parameter with a wrong value", SERVER_FORGETS "=true", 0);
    ANSWER("a parameter with a wrong value", CLIENT_FORGETS "=\"1\"", 0);
    ANSWER("a parameter with a wrong value", SERVER_BITS, 0);
    static const char *const bits[] = {
        "0",  "1",   "7",   "16", "80", "-8",  "+9",  "08",         "8.0",
        "1e", "0xF", "1e1", "9x", "x",  "10_", "100", "4294967305", "18446744073709551625"};
    char parameter[64];
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        snprintf(parameter, sizeof parameter, SERVER_BITS "=%s", bits[i]);
        ANSWER("a parameter with a wrong value", parameter, 0);
        snprintf(parameter, sizeof parameter, CLIENT_BITS "=\"\\%s\"", bits[i]);
        ANSWER("a parameter with a wrong value", parameter, 0);
    }
    /* However good another one is; and what is malformed is told before what is wrong. */
    ANSWER("an unknown parameter", ", " NAME "; foo", 0);
    ANSWER("unexpected end", "; foo,", 0);
    ANSWER("unexpected character", ",,", 0);
}

static void other_extensions(void **state) {
    assert_int_equal(accept_offer(OPTIONS(0), "foo; server_max_window_bits=99, bar"), 0);
    assert_int_equal(accept_offer(OPTIONS(0), "Permessage-Deflate, permessage-deflat"), 0);
    assert_int_equal(accept_offer(OPTIONS(0), "foo; bar, " NAME ", baz"), 1);
    assert_string_equal(agreement.text, NAME);
    assert_int_equal(accept_offer(OPTIONS(0), "foo;"), UV_EINVAL);
}

/* --- The client ------------------------------------------------------------------------------- */

static const char *offer(struct deflate_options options) {
    static char text[DEFLATE_TEXT_SIZE];
    deflate_write_offer(text, &options);
    assert_memory_equal(text, NAME, strlen(NAME));
    return text + strlen(NAME);
}

static void a_client_offers(void **state) {
    assert_string_equal(offer(OPTIONS(0)), CLIENT_BITS);
    assert_string_equal(offer(OPTIONS(.client_max_window_bits = DEFLATE_REFUSE)), "");
    assert_string_equal(offer(OPTIONS(.server_no_context_takeover = DEFLATE_REFUSE,
                                      .client_no_context_takeover = DEFLATE_REFUSE,
                                      .server_max_window_bits = DEFLATE_REFUSE)),
                        CLIENT_BITS);
    assert_string_equal(
        offer(OPTIONS(.server_no_context_takeover = true, .client_no_context_takeover = true,
                      .server_max_window_bits = 15, .client_max_window_bits = 10)),
        SERVER_FORGETS CLIENT_FORGETS SERVER_BITS "=15" CLIENT_BITS "=10");
}

/* NULL when all is well. */
static const char *objection(struct deflate_options options, const char *header) {
    why = NULL;
    int agreed = deflate_accept_response(&agreement, &options, header, strlen(header), &why);
    bool foreign = why && strcmp(why, "an extension that was not offered") == 0;
    assert_int_equal(agreed, foreign ? UV_ENOTSUP : why ? UV_EINVAL : 1);
    return why;
}

static void a_client_agrees(void **state) {
    assert_null(objection(OPTIONS(0), NAME));
    assert_int_equal(agreement.server_max_window_bits, 15);
    assert_int_equal(agreement.client_max_window_bits, 15);
    assert_string_equal(agreement.text, "");
    assert_null(objection(OPTIONS(0), NAME SERVER_FORGETS SERVER_BITS "=9" CLIENT_BITS "=8"));
    assert_true(agreement.server_no_context_takeover);
    assert_false(agreement.client_no_context_takeover);
    assert_int_equal(agreement.server_max_window_bits, 9);
    assert_int_equal(agreement.client_max_window_bits, 8);
    /* Its own bits hold even if the server does not repeat them. */
    assert_null(objection(OPTIONS(.client_max_window_bits = 10), NAME CLIENT_FORGETS));
    assert_int_equal(agreement.client_max_window_bits, 10);
    assert_true(agreement.client_no_context_takeover);
    assert_null(objection(OPTIONS(.client_max_window_bits = 10), NAME CLIENT_BITS "=9"));
    assert_int_equal(agreement.client_max_window_bits, 9);
    /* The first one counts. */
    assert_null(objection(OPTIONS(0), NAME SERVER_BITS "=9, " NAME SERVER_BITS "=10"));
    assert_int_equal(agreement.server_max_window_bits, 9);
}

static void a_client_objects(void **state) {
    assert_string_equal(objection(OPTIONS(0), "foo"), "an extension that was not offered");
    assert_string_equal(objection(OPTIONS(0), NAME ", foo"), "an extension that was not offered");
    assert_string_equal(objection(OPTIONS(0), ""), "unexpected end");
    assert_string_equal(objection(OPTIONS(0), NAME CLIENT_BITS), "a parameter with a wrong value");
    assert_string_equal(objection(OPTIONS(0), NAME SERVER_BITS), "a parameter with a wrong value");
    assert_string_equal(objection(OPTIONS(0), NAME ", " NAME "; foo"), "an unknown parameter");
    assert_string_equal(
        objection(OPTIONS(.client_no_context_takeover = DEFLATE_REFUSE), NAME CLIENT_FORGETS),
        "client_no_context_takeover, which is refused");
    assert_string_equal(
        objection(OPTIONS(.client_max_window_bits = DEFLATE_REFUSE), NAME CLIENT_BITS "=15"),
        "client_max_window_bits, which was not offered");
    assert_string_equal(objection(OPTIONS(.client_max_window_bits = 10), NAME CLIENT_BITS "=11"),
                        "client_max_window_bits, which was not offered");
}

/* --- Options ---------------------------------------------------------------------------------- */

static void options_are_checked(void **state) {
    assert_null(deflate_options_check(&OPTIONS(0)));
    for (int n = -3; n < 20; n++) {
        bool bits = n == 0 || n == DEFLATE_REFUSE || (n >= 8 && n <= 15), level = n >= 0 && n <= 9;
        assert_int_equal(!deflate_options_check(&OPTIONS(.server_max_window_bits = n)), bits);
        assert_int_equal(!deflate_options_check(&OPTIONS(.client_max_window_bits = n)), bits);
        assert_int_equal(!deflate_options_check(&OPTIONS(.level = n)), level);
        assert_int_equal(!deflate_options_check(&OPTIONS(.memory_level = n)), level);
    }
}

static void what_is_worthwhile(void **state) {
    assert_true(deflate_is_worthwhile(&OPTIONS(0), false, 0));
    assert_false(deflate_is_worthwhile(&OPTIONS(0), true, 1023));
    assert_true(deflate_is_worthwhile(&OPTIONS(0), true, 1024));
    assert_false(deflate_is_worthwhile(&OPTIONS(.threshold = 1), true, 0));
    assert_true(deflate_is_worthwhile(&OPTIONS(.threshold = 1), true, 1));
}

/* As long as a header may be, and longer: it is read once. */
static void long_headers(void **state) {
    enum { COUNT = 1000000 };
    char *header = malloc(COUNT + sizeof NAME), *end = header + COUNT;
    assert_non_null(header);
    for (char *at = header; at < end; at += 4)
        memcpy(at, "a;b,", 4);
    strcpy(end, NAME);
    assert_int_equal(accept_offer(OPTIONS(0), header), 1);
    for (char *at = header; at < end; at += 20)
        memcpy(at, NAME ", ", 20);
    assert_int_equal(accept_offer(OPTIONS(.client_max_window_bits = 8), header), UV_EINVAL);
    assert_string_equal(why, DECLINED);
    free(header);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers),
        cmocka_unit_test(malformed_headers),
        cmocka_unit_test(parameters_may_be_skipped),
        cmocka_unit_test(fields_are_one_list),
        cmocka_unit_test(a_server_does_as_it_is_asked),
        cmocka_unit_test(a_server_says_what_it_wants),
        cmocka_unit_test(a_server_declines),
        cmocka_unit_test(wrong_offers),
        cmocka_unit_test(other_extensions),
        cmocka_unit_test(a_client_offers),
        cmocka_unit_test(a_client_agrees),
        cmocka_unit_test(a_client_objects),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(what_is_worthwhile),
        cmocka_unit_test(long_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
