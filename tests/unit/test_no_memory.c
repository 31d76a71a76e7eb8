/*
 * Allocations fail, each in turn, while a client talks to a real server over a socket pair.
 * Whatever it gets then, nothing crashes or leaks, no middleware is skipped, and the next client is
 * served. (Only our allocations: libuv aborts when its own fail.)
 */
#include <acacia.h>

#include "../support/countdown.h"

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

static void on_pong(ctx_t *ctx, const char *data, size_t length) {
}

static int talk(ctx_t *ctx) {
    reached++;
    int err = ws_on_pong(ctx->websocket, on_pong);
    return err ? err : ws_on_message(ctx->websocket, on_message);
}

/* Whatever takes memory. What comes of it must be all right, or a 500. */
static int everything(ctx_t *ctx) {
    reached++;
    ctx_set_path(ctx, "/other");
    ctx_set_querystring(ctx, "a=b");
    ctx_append(ctx, "X-List", ctx_printf(ctx, "%s %s", ctx_ip_at(ctx, 0), ctx_ip_at(ctx, 1)));
    ctx_append(ctx, "X-List", ctx_subdomain_at(ctx, 0));
    ctx_append(ctx, "X-List", ctx_accepts_at(ctx, 1));
    ctx_append(ctx, "X-List", ctx_accepts_encoding_at(ctx, 1));
    ctx_append(ctx, "X-List", ctx_accepts_language_at(ctx, 1));
    ctx_append(ctx, "X-List", ctx_accepts_charset_at(ctx, 1));
    ctx_append(ctx, "X-List", ctx_href(ctx));
    ctx_append(ctx, "X-List", ctx_request_charset(ctx));
    ctx_append(ctx, "X-List", ctx_is(ctx, "text/*"));
    ctx_append(ctx, "X-List", ctx_get(ctx, "X-Twice"));
    ctx_append(ctx, "X-List", ctx_cookie(ctx, "c"));
    ctx_append(ctx, "X-List", ctx_query(ctx, "a"));
    ctx_vary(ctx, "Accept, Origin");
    ctx_etag(ctx, "tag");
    ctx_last_modified(ctx, 0);
    ctx_type(ctx, "html");
    ctx_set_cookie(ctx, "d", "1", &(cookie_options_t){.max_age = 1000});
    ctx_attachment(ctx, "\u20ac.txt");
    ctx_set_value(ctx, "v", malloc(1), free);
    return ctx_textf(ctx, "%s %s %s", ctx->url, ctx_host(ctx), ctx_hostname(ctx));
}

static int away(ctx_t *ctx) {
    reached++;
    ctx_message(ctx, "Gone elsewhere");
    return ctx_redirect(ctx, "HTTP://B\u00fccher.example:80/<\u00fc>");
}

static app_t *new_app(void) {
    static const char *const keys[] = {"k", NULL}, *const proxies[] = {"10.0.0.0/8", "loopback",
                                                                       NULL};
    static const char *const protocols[] = {"a", NULL};
    app_t *app = app_new_with(&(app_options_t){
        .silent = true, .keys = keys, .trusted_proxies = proxies, .ws.protocols = protocols});
    app_use(app, guard);
    app_use(app, route_post("/everything", everything));
    app_use(app, route_get("/away", away));
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
#define EVERYTHING                                                                                 \
    "POST /everything?x=1 HTTP/1.1\r\nHost: a.b.c.test\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.1\r\n"  \
    "Accept: text/html, text/plain;q=.5\r\nAccept-Encoding: gzip, br;q=.5\r\n"                     \
    "Accept-Language: en, de;q=.5\r\nAccept-Charset: utf-8, x;q=.5\r\nX-Twice: 1\r\nX-Twice: "     \
    "2\r\n"                                                                                        \
    "Content-Type: text/plain; charset=\"x\"\r\nContent-Length: 0\r\nCookie: b=1; c=2\r\n\r\n"
#define EVERYTHING_IN_ORDER                                                                        \
    "X-List: 1.1.1.1 10.0.0.1\r\nX-List: b\r\nX-List: text/plain\r\nX-List: br\r\nX-List: de\r\n"  \
    "X-List: x\r\nX-List: http://a.b.c.test/everything?x=1\r\nX-List: x\r\nX-List: text/plain\r\n" \
    "X-List: 1, 2\r\nX-List: 2\r\nX-List: b\r\nVary: Accept, Origin\r\nETag: \"tag\"\r\n"          \
    "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n"                                             \
    "Content-Type: text/html; charset=utf-8\r\nSet-Cookie: d=1;"
#define AWAY "GET /away HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n"
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
    struct connection *c = connection_new(&app->loop, UV_NAMED_PIPE);
    if (!c) {
        close(ends[0]);
        close(ends[1]);
        return strcpy(answer, "");
    }
    assert_int_equal(uv_pipe_open(connection_pipe(c), ends[1]), 0);
    if (http1_start(c, &app->http_server)) {
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
        const char *answer = converse(app, data, size);
        bool done = countdown >= 0; /* it was never reached */
        if (strstr(answer, "HTTP/1.1 200 OK") && strstr(answer, "X-List"))
            assert_non_null(strstr(answer, expected));
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

static void test_everything(void **state) {
    check_scenario(EVERYTHING, sizeof EVERYTHING - 1, EVERYTHING_IN_ORDER);
}

static void test_redirect(void **state) {
    check_scenario(AWAY, sizeof AWAY - 1, "/%3C%C3%BC%3E");
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
        cmocka_unit_test(test_setup),      cmocka_unit_test(test_request),
        cmocka_unit_test(test_everything), cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_json),       cmocka_unit_test(test_error),
        cmocka_unit_test(test_websocket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
