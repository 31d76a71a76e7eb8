/*
 * Allocations fail, each in turn, while a client talks to a real server over a socket pair.
 * Whatever it gets then, nothing crashes or leaks, no middleware is skipped, and the next client is
 * served. (Only our allocations: libuv aborts when its own fail.)
 */
#include <acacia.h>

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

/* --- Failing ---------------------------------------------------------------------------------- */

static long countdown = -1; /* allocations until one fails; negative: none does */
static long allocations;

static bool fails(void) {
    allocations++;
    return countdown >= 0 && countdown-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) {
    return fails() ? NULL : __real_realloc(block, size);
}

/* --- The server ------------------------------------------------------------------------------- */

static int guarded, reached; /* how often the guard was passed, and what it guards */

static int guard(ctx_t *ctx) {
    guarded++;
    return next(ctx);
}

static int page(ctx_t *ctx) {
    bytes_t body;
    reached++;
    int err = ctx_read_body(ctx, &body);
    ctx_set(ctx, "X-Set", "1");
    ctx_append(ctx, "X-Set", "2");
    ctx_defer(ctx, free, malloc(1));
    return err ? err : ctx_textf(ctx, "%s %s", ctx_param(ctx, "id"), body.data);
}

static int json(ctx_t *ctx) {
    reached++;
    return ctx_json(ctx, ctx_query_json(ctx));
}

static int teapot(ctx_t *ctx) {
    reached++;
    ctx_throw_header(ctx, "X-Thrown", "1");
    return ctx_throw(ctx, 418, "short and %s", "stout");
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    ws_sendf(ctx->websocket, "%s %.600s", ctx_strdup(ctx, "you said"), message->data);
    return ws_broadcast(ctx->app, *message, NULL) ? 0 : 0;
}

static int talk(ctx_t *ctx) {
    reached++;
    return ws_on_message(ctx->websocket, on_message);
}

static app_t *new_app(void) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, guard);
    app_use(app, route_post("/page/:id", page));
    app_use(app, route_get("/json", json));
    app_use(app, teapot);
    app_ws_use(app, compose(middleware(guard), route_all("/talk", talk)));
    return app;
}

/* --- The client ------------------------------------------------------------------------------- */

#define PAGE                                                                                       \
    "POST /page/%37 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"                         \
    "POST /page/8 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
#define JSON "GET /json?a=1&a=2&b=%20 HTTP/1.1\r\nHost: a\r\n\r\n"
#define FAIL "GET /fail HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define TALK                                                                                       \
    "GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"               \
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"                 \
    "Sec-WebSocket-Protocol: a, b\r\n\r\n"                                                         \
    "\x81\x85\0\0\0\0hello"                                                                        \
    "\x01\x82\0\0\0\0ab\x89\x81\0\0\0\0p\x80\x81\0\0\0\0c"                                         \
    "\x88\x85\0\0\0\0\x03\xe8"                                                                     \
    "bye"

static void ignore_closed(struct connection *connection) {
}

static const struct connection_events refused_events = {.closed = ignore_closed};

/* Send, close our side, and return what came back. */
static char *converse(app_t *app, const char *data, size_t size) {
    static char answer[8192];
    size_t length = 0;
    ssize_t n;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(send(ends[0], data, size, 0), size);
    shutdown(ends[0], SHUT_WR);
    struct connection *c = connection_new(&app->loop);
    if (!c) {
        close(ends[0]);
        close(ends[1]);
        return strcpy(answer, "");
    }
    uv_pipe_init(app->uv, &c->uv.pipe, 0);
    c->uv.handle.data = c;
    assert_int_equal(uv_pipe_open(&c->uv.pipe, ends[1]), 0);
    if (http1_start(c, &app->options.http, &app_http_events, app)) {
        connection_own(c, &refused_events, NULL);
        connection_close(c, CLOSE_NO_MEMORY, 0);
    }
    for (int i = 0; i < 100 && app->loop.counts.connections; i++) {
        uv_run(app->uv, UV_RUN_NOWAIT);
        while (length < sizeof answer - 1 &&
               (n = recv(ends[0], answer + length, sizeof answer - 1 - length, MSG_DONTWAIT)) > 0)
            length += (size_t)n;
    }
    answer[length] = '\0';
    close(ends[0]);
    for (int i = 0; i < 2000 && app->loop.counts.connections; i++) {
        uv_run(app->uv, UV_RUN_NOWAIT);
        usleep(1000);
    }
    uv_run(app->uv, UV_RUN_NOWAIT); /* the last close handlers */
    assert_int_equal(app->loop.counts.connections, 0);
    assert_int_equal(app->loop.coroutines.live_count, 0);
    return answer;
}

static void check_scenario(const char *data, size_t size, const char *expected) {
    for (long n = 0;; n++) {
        app_t *app = new_app();
        guarded = reached = 0;
        allocations = 0;
        countdown = n;
        converse(app, data, size);
        bool done = countdown >= 0; /* it was never reached */
        countdown = -1;
        assert_true(reached <= guarded);
        assert_non_null(strstr(converse(app, data, size), expected));
        app_stats_t stats;
        app_stats(app, &stats);
        assert_int_equal(stats.websockets, 0);
        assert_int_equal(stats.messages_active, 0);
        assert_int_equal(stats.requests_active, 0);
        assert_int_equal(stats.read_buffers, 0);
        assert_int_equal(stats.write_buffers, 0);
        app_free(app);
        if (done)
            break;
        assert_true(n < 2000);
    }
}

static void test_request(void **state) {
    check_scenario(PAGE, sizeof PAGE - 1, "8 abc");
}

static void test_json(void **state) {
    check_scenario(JSON, sizeof JSON - 1, "{\"a\":[\"1\",\"2\"],\"b\":\" \"}");
}

static void test_error(void **state) {
    check_scenario(FAIL, sizeof FAIL - 1, "short and stout");
}

static void test_websocket(void **state) {
    check_scenario(TALK, sizeof TALK - 1, "you said abc");
}

/* The app itself: it is made, or it is not; a layer that is missing keeps it from starting. */
static void test_setup(void **state) {
    for (long n = 0;; n++) {
        countdown = n;
        app_t *app = new_app();
        bool done = countdown >= 0;
        countdown = -1;
        int err = app_bind(app, &(listen_options_t){.host = "127.0.0.1"});
        if (done)
            assert_int_equal(err, 0);
        else
            assert_true(err < 0);
        if (app)
            app_close(app);
        app_free(app);
        if (done)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setup), cmocka_unit_test(test_request),   cmocka_unit_test(test_json),
        cmocka_unit_test(test_error), cmocka_unit_test(test_websocket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
