/*
 * What idle connections cost: every byte that our code allocates for them is counted. libuv's own
 * (8 bytes for each descriptor) and the kernel's are not; tests/bench/idle.py measures those, too.
 */
#include <acacia.h>

#include "application/application.h"
#include "protocols/http1.h"
#include "runtime/connection.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT 50

/* Bytes for one connection. The text of its own handshake is not in it. */
#define IDLE_HTTP 512
#define IDLE_WEBSOCKET 1000

/* --- Counting --------------------------------------------------------------------------------- */

static size_t live; /* bytes */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);

static void *count(void *block) {
    live += malloc_usable_size(block);
    return block;
}

void *__wrap_malloc(size_t size) {
    return count(__real_malloc(size));
}

void *__wrap_calloc(size_t number, size_t size) {
    return count(__real_calloc(number, size));
}

void *__wrap_realloc(void *block, size_t size) {
    live -= malloc_usable_size(block);
    return count(__real_realloc(block, size));
}

char *__wrap_strdup(const char *text) {
    return count(__real_strdup(text));
}

void __wrap_free(void *block) {
    live -= malloc_usable_size(block);
    __real_free(block);
}

/* --- A server, and clients that do nothing ---------------------------------------------------- */

static int page(ctx_t *ctx) {
    return ctx_text(ctx, "hello");
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int talk(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, on_message);
}

/* Connects, and reads the head of the answer. */
static int open_client(app_t *app, const char *request) {
    char answer[4096];
    size_t length = 0;
    ssize_t n;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(send(ends[0], request, strlen(request), 0), strlen(request));
    struct connection *c = connection_new(&app->loop, UV_NAMED_PIPE);
    assert_non_null(c);
    assert_int_equal(uv_pipe_open(connection_pipe(c), ends[1]), 0);
    assert_int_equal(http1_start(c, &app->http_server), 0);
    do {
        uv_run(app->uv, UV_RUN_NOWAIT);
        n = recv(ends[0], answer + length, sizeof answer - 1 - length, MSG_DONTWAIT);
        length += n > 0 ? (size_t)n : 0;
        answer[length] = '\0';
    } while (!strstr(answer, "\r\n\r\n"));
    uv_run(app->uv, UV_RUN_NOWAIT);
    return ends[0];
}

/* What each of them costs, when there are some already. */
static size_t cost(const char *request) {
    static const ws_deflate_t deflate;
    app_t *app = app_new_with(&(app_options_t){.silent = true, .ws.deflate = &deflate});
    int clients[2 * COUNT];
    size_t before = 0;
    app_use(app, page);
    app_ws_use(app, talk);
    uv_ref((uv_handle_t *)&app->awake); /* the loop goes on, as if the app served */
    for (int i = 0; i < 2 * COUNT; i++) {
        if (i == COUNT)
            before = live;
        clients[i] = open_client(app, request);
    }
    size_t bytes = (live - before) / COUNT;
    for (int i = 0; i < 2 * COUNT; i++)
        close(clients[i]);
    while (app->loop.counts.connections)
        uv_run(app->uv, UV_RUN_ONCE);
    uv_run(app->uv, UV_RUN_NOWAIT); /* the last close handlers */
    app_free(app);
    return bytes;
}

/* --- The tests -------------------------------------------------------------------------------- */

#define HANDSHAKE                                                                                  \
    "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"     \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

static void test_keep_alive(void **state) {
    size_t bytes = cost("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    print_message("an idle keep-alive connection: %zu bytes\n", bytes);
    assert_true(bytes > 0);
    assert_true(bytes <= IDLE_HTTP);
}

static void test_websocket(void **state) {
    size_t bytes = cost(HANDSHAKE "\r\n");
    print_message("an idle WebSocket: %zu bytes, its head included\n", bytes);
    assert_true(bytes > 0);
    assert_true(bytes <= IDLE_WEBSOCKET + sizeof HANDSHAKE);
}

/* Compression that is agreed on costs nothing before it is used, but for the text of its field. */
static void test_deflate(void **state) {
    size_t plain = cost(HANDSHAKE "\r\n"), bytes = cost(HANDSHAKE DEFLATE "\r\n");
    assert_true(bytes <= plain + sizeof DEFLATE + 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_websocket),
        cmocka_unit_test(test_deflate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
