/*
 * What is done again and again allocates nothing: requests on a connection that is kept alive, and
 * messages on a WebSocket. Every call of an allocator that our code makes is counted, after some
 * rounds in which pools are filled. tests/bench/run counts those of libuv and others, too.
 *
 * With AddressSanitizer arenas keep no chunks, so that it sees who uses one too late: each request
 * takes one then.
 */
#include <acacia.h>

#include "../support/countdown.h" /* none fails: they are counted */

#include "application/application.h"
#include "protocols/http1.h"
#include "runtime/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 200

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined WITH_ASAN
#define FOR_EACH_REQUEST 1
#else
#define FOR_EACH_REQUEST 0
#endif

/* --- A server, and a client that does the same again and again ---------------------------------
 */

static int pass(ctx_t *ctx) {
    return next(ctx);
}

static int page(ctx_t *ctx) {
    return ctx_text(ctx, "Hello, World!");
}

static int slow_page(ctx_t *ctx) {
    int err = await_sleep(0);
    return err ? err : ctx_text(ctx, "Hello, World!");
}

static int send_back(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int echo(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, send_back);
}

static app_t *make_app(void) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, pass);
    app_use(app, route_get("/", page));
    app_use(app, route_get("/slow/:id", slow_page));
    app_ws_use(app, route_all("/echo", echo));
    uv_ref((uv_handle_t *)&app->awake); /* the loop goes on, as if the app served */
    return app;
}

static int connect_to(app_t *app) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct connection *c = connection_new(&app->loop, UV_NAMED_PIPE);
    assert_non_null(c);
    assert_int_equal(uv_pipe_open(connection_pipe(c), ends[1]), 0);
    assert_int_equal(http1_start(c, &app->http_server), 0);
    return ends[0];
}

/* Sends, and runs the loop until what has come ends with `end`. */
static void exchange(app_t *app, int client, const char *request, size_t length, const char *end) {
    char answer[16384];
    size_t received = 0, end_length = strlen(end);
    assert_int_equal(send(client, request, length, 0), length);
    do {
        uv_run(app->uv, UV_RUN_NOWAIT);
        ssize_t n = recv(client, answer + received, sizeof answer - received, MSG_DONTWAIT);
        received += n > 0 ? (size_t)n : 0;
        assert_true(received < sizeof answer);
    } while (received < end_length || memcmp(answer + received - end_length, end, end_length) != 0);
}

/* Another round takes none, when there were as many already. */
static void assert_no_allocations(const char *first, const char *again, size_t requests,
                                  const char *end) {
    if (ARENA_CHUNK < 1024)
        skip(); /* a build in which nothing fits anywhere */
    app_t *app = make_app();
    int client = connect_to(app);
    if (first)
        exchange(app, client, first, strlen(first), "\r\n\r\n");
    for (int i = 0; i < 2 * ROUNDS; i++) {
        if (i == ROUNDS)
            allocations = 0;
        exchange(app, client, again, strlen(again), end);
    }
    assert_int_equal(allocations, ROUNDS * requests * FOR_EACH_REQUEST);
    close(client);
    while (app->loop.counts.connections)
        uv_run(app->uv, UV_RUN_ONCE);
    uv_run(app->uv, UV_RUN_NOWAIT); /* the last close handlers */
    app_free(app);
}

/* --- The tests -------------------------------------------------------------------------------- */

#define GET "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define BROWSER                                                                                    \
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n"                              \
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "          \
    "Chrome/126.0.0.0 Safari/537.36\r\n"                                                           \
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"                  \
    "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n"              \
    "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n"             \
    "Upgrade-Insecure-Requests: 1\r\nCookie: session=0123456789abcdef; theme=dark\r\n\r\n"
#define HANDSHAKE                                                                                  \
    "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"       \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void test_request(void **state) {
    assert_no_allocations(NULL, GET, 1, "Hello, World!");
}

static void test_browser(void **state) {
    assert_no_allocations(NULL, BROWSER, 1, "Hello, World!");
}

/* The last answer is unlike the ones before it, so that it is known when all are there. */
static void test_pipelined(void **state) {
    assert_no_allocations(NULL, GET GET GET GET GET GET GET "GET /none HTTP/1.1\r\nHost: a\r\n\r\n",
                          8, "Not Found");
}

static void test_await(void **state) {
    assert_no_allocations(NULL, "GET /slow/7 HTTP/1.1\r\nHost: localhost\r\n\r\n", 1,
                          "Hello, World!");
}

/* Masked with the key "aaaa", which turns "hello" into what follows it. */
#define MASKED_HELLO                                                                               \
    "\x81\x85"                                                                                     \
    "aaaa"                                                                                         \
    "\x09\x04\x0d\x0d\x0e"

static void test_echo(void **state) {
    assert_no_allocations(HANDSHAKE, MASKED_HELLO, 1, "\x81\x05hello");
}

/* A large message stays where it was read. AddressSanitizer gets another buffer for each. */
static void test_large_echo(void **state) {
    char frame[8 + 8200 + 1] = "\x82\xfe\x20\x08" /* 8,200 bytes */
                               "aaaa";
    memset(frame + 8, '-', 8200);
    memcpy(frame + 8 + 8200 - 5, &MASKED_HELLO[6], 5);
    assert_no_allocations(HANDSHAKE, frame, 2, "hello");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),   cmocka_unit_test(test_browser),
        cmocka_unit_test(test_pipelined), cmocka_unit_test(test_await),
        cmocka_unit_test(test_echo),      cmocka_unit_test(test_large_echo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
