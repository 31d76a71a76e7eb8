/* A client's handshake: the head of a response, the request, and what is agreed on; also while
 * allocations fail, each in turn. That npm's ws says the same is e2e/client.test.mjs's affair. */
#include "protocols/client_handshake.h"

#include "../support/countdown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static struct arena arena;

static int begin(void **state) {
    arena_init(&arena, NULL);
    return 0;
}

static int end(void **state) {
    countdown = -1;
    arena_release(&arena);
    return 0;
}

/* --- The head of a response ------------------------------------------------------------------- */

static size_t head_of(const char *text) {
    return http1_response_head(text, strlen(text));
}

static void finds_the_end_of_a_head(void **state) {
    assert_int_equal(head_of(""), 0);
    assert_int_equal(head_of("HTTP/1.1 101 Sure\r\n"), 0);
    assert_int_equal(head_of("HTTP/1.1 101 Sure\r\n\r"), 0);
    assert_int_equal(head_of("HTTP/1.1 101 Sure\r\n\r\n"), 21);
    assert_int_equal(head_of("HTTP/1.1 101 Sure\r\nA: b\r\n\r\nmore\r\n\r\n"), 27);
    assert_int_equal(head_of("\n\n\r\n"), 4);
    for (size_t n = 0; n < 21; n++)
        assert_int_equal(http1_response_head("HTTP/1.1 101 Sure\r\n\r\n", n), 0);
}

static struct http1_response response;

static int parse(const char *text) {
    char *copy = malloc(strlen(text)); /* so that one byte more would be seen */
    memcpy(copy, text, strlen(text));
    int err = http1_response_parse(&response, &arena, copy, strlen(text));
    free(copy);
    return err;
}

static const char *get(const char *name) {
    return headers_get(&response.headers, name);
}

static void parses_a_head(void **state) {
    assert_int_equal(parse("HTTP/1.1 302 Found\r\nLocation:  /a b \t\r\nEmpty:\r\nlocation: /c\r\n"
                           "X:\t\r\n\r\n"),
                     0);
    assert_int_equal(response.status, 302);
    assert_int_equal(response.headers.count, 4);
    assert_string_equal(response.headers.list[0].value, "/a b");
    assert_string_equal(response.headers.list[2].value, "/c");
    assert_string_equal(get("EMPTY"), "");
    assert_string_equal(get("x"), "");
    assert_null(get("none"));
    assert_int_equal(parse("HTTP/1.0 101 \r\n\r\n"), 0);
    assert_int_equal(response.status, 101);
    assert_int_equal(response.headers.count, 0);
    assert_int_equal(parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 0);
}

static void refuses_what_is_no_head(void **state) {
    static const char *const wrong[] = {
        "",
        "\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 10 X\r\n\r\n",
        "HTTP/1.1 1000 X\r\n\r\n",
        "HTTP/1.1 abc X\r\n\r\n",
        "HTTP/1.1 101 X\r\nno header\r\n\r\n",
        "HTTP/1.1 101 X\r\n: x\r\n\r\n",
        "HTTP/1.1 101 X\r\nA: x\ry\r\n\r\n",
        "HTTP/1.1 101 X\r\nA: x\r\n folded\r\n\r\n",
        "HTTP/1.1 101 X\r\nA: x\r\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse(wrong[i]) != UV_EPROTO)
            fail_msg("taken: %s", wrong[i]);
}

/* --- The request ------------------------------------------------------------------------------ */

static const char *const protocols[] = {"chat", "v2.chat", NULL};
static const char *const fields[] = {"X-One", "1", "hOST", "elsewhere", NULL};
static const struct deflate_options deflate;

static struct client_handshake handshake;

static void write_request(char *text, size_t size) {
    const char *request;
    size_t length;
    assert_int_equal(client_handshake_write(&handshake, &arena, &request, &length), 0);
    assert_in_range(length, 1, size - 1);
    memcpy(text, request, length);
    text[length] = '\0';
    char *key = strstr(text, handshake.key);
    assert_non_null(key);
    assert_int_equal(strlen(handshake.key), 24);
    memset(key, 'K', 24);
}

static void writes_a_request(void **state) {
    char text[1024];
    handshake = (struct client_handshake){.target = "/a?b", .host = "h:1"};
    write_request(text, sizeof text);
    assert_string_equal(text, "GET /a?b HTTP/1.1\r\nHost: h:1\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: KKKKKKKKKKKKKKKKKKKKKKKK\r\n"
                              "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    handshake = (struct client_handshake){
        .target = "/",
        .host = "h",
        .origin = "http://o",
        .authorization = "Basic x",
        .protocols = protocols,
        .headers = fields,
        .deflate = &deflate,
    };
    write_request(text, sizeof text);
    assert_string_equal(
        text, "GET / HTTP/1.1\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: KKKKKKKKKKKKKKKKKKKKKKKK\r\n"
              "Connection: Upgrade\r\nUpgrade: websocket\r\nX-One: 1\r\nhOST: elsewhere\r\n"
              "Authorization: Basic x\r\n"
              "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
              "Sec-WebSocket-Protocol: chat,v2.chat\r\nOrigin: http://o\r\n\r\n");
    char first[25];
    strcpy(first, handshake.key);
    write_request(text, sizeof text);
    assert_string_not_equal(first, handshake.key);
}

/* --- What is agreed on ------------------------------------------------------------------------ */

#define ANSWER                                                                                     \
    "HTTP/1.1 101 Sure\r\nUpgrade: WebSocket\r\nConnection: a, upgrade\r\n"                        \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static struct client_agreement agreement;

/* Why it is refused; NULL: it is not. */
static const char *objection(const char *more) {
    char text[1024];
    const char *why = "unset";
    snprintf(text, sizeof text, ANSWER "%s\r\n", more);
    strcpy(handshake.key, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_int_equal(parse(text), 0);
    int err = client_handshake_check(&handshake, &arena, &response, &agreement, &why);
    assert_int_equal(err, why ? UV_EPROTO : 0);
    return why;
}

static void agrees(void **state) {
    handshake = (struct client_handshake){0};
    assert_null(objection(""));
    assert_null(agreement.protocol);
    assert_false(agreement.compressed);
    handshake.protocols = protocols;
    assert_null(objection("Sec-WebSocket-Protocol: v2.chat\r\n"));
    assert_ptr_equal(agreement.protocol, protocols[1]);
    handshake.deflate = &deflate;
    assert_null(objection("Sec-WebSocket-Protocol: chat\r\n"
                          "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    assert_true(agreement.compressed);
    assert_string_equal(objection(""), "Server sent no subprotocol");
    assert_string_equal(objection("Sec-WebSocket-Protocol: CHAT\r\n"),
                        "Server sent an invalid subprotocol");
    assert_string_equal(objection("Upgrade: websocket\r\n"), "Invalid Upgrade header");
    assert_string_equal(objection("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
                        "Invalid Sec-WebSocket-Accept header");
    handshake = (struct client_handshake){0};
    assert_string_equal(objection("Sec-WebSocket-Protocol: chat\r\n"),
                        "Server sent a subprotocol but none was requested");
    assert_string_equal(
        objection("Sec-WebSocket-Extensions: foo\r\n"),
        "Server sent a Sec-WebSocket-Extensions header but no extension was requested");
}

/* --- Without memory --------------------------------------------------------------------------- */

/* All of it: 0, or UV_ENOMEM. */
static int shake_hands(void) {
    static const char text[] = ANSWER "Sec-WebSocket-Protocol: chat\r\n"
                                      "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                      "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    const char *request, *why;
    size_t length;
    handshake = (struct client_handshake){
        .target = "/", .host = "h", .protocols = protocols, .headers = fields, .deflate = &deflate};
    int err = client_handshake_write(&handshake, &arena, &request, &length);
    if (err)
        return err;
    strcpy(handshake.key, "dGhlIHNhbXBsZSBub25jZQ==");
    err = http1_response_parse(&response, &arena, text, sizeof text - 1);
    return err ? err : client_handshake_check(&handshake, &arena, &response, &agreement, &why);
}

static void fails_without_memory(void **state) {
    assert_int_equal(shake_hands(), 0);
    allocations = 0;
    for (long i = 0;; i++) {
        arena_release(&arena);
        arena_init(&arena, NULL);
        countdown = i;
        int err = shake_hands();
        bool failed = countdown < 0;
        countdown = -1;
        if (!failed)
            break;
        assert_int_equal(err, UV_ENOMEM);
    }
    assert_true(allocations > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_the_end_of_a_head, begin, end),
        cmocka_unit_test_setup_teardown(parses_a_head, begin, end),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_head, begin, end),
        cmocka_unit_test_setup_teardown(writes_a_request, begin, end),
        cmocka_unit_test_setup_teardown(agrees, begin, end),
        cmocka_unit_test_setup_teardown(fails_without_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
