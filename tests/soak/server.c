/*
 * What tests/soak/run talks to for hours: pages, files, bodies, sessions, streams, and sockets in a
 * room, on two ports, the second with TLS. Deadlines are short enough for slow clients to meet
 * them.
 */
#include "report.h"

#include <middleware/body_parser.h>
#include <middleware/compression.h>
#include <middleware/serve.h>
#include <middleware/session_memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Pages ------------------------------------------------------------------------------------ */

static int page(ctx_t *ctx) {
    return ctx_textf(ctx, "hello %s", ctx_ip(ctx));
}

static int show_body(ctx_t *ctx) {
    json_t *body = body_parsed(ctx);
    return body ? ctx_json(ctx, json_incref(body)) : ctx_throw(ctx, 400, "no body");
}

static int count_body(ctx_t *ctx) {
    char buffer[16384];
    size_t length = 0;
    ssize_t n;
    while ((n = ctx_read(ctx, buffer, sizeof buffer)) > 0)
        length += (size_t)n;
    return n < 0 ? (int)n : ctx_textf(ctx, "%zu", length);
}

static int count_visits(ctx_t *ctx) {
    long visits = (long)session_get_int(ctx, "visits") + 1;
    int err = session_set_int(ctx, "visits", visits);
    return err ? err : ctx_textf(ctx, "%ld", visits);
}

static int sleep_a_while(ctx_t *ctx) {
    ctx_cancel_on_abort(ctx, ctx_query(ctx, "cancel"));
    int err = await_sleep(strtoull(ctx_param(ctx, "ms"), NULL, 10));
    return err ? err : ctx_text(ctx, "slept");
}

static void work(void *arg) {
    unsigned *sum = arg;
    for (unsigned i = 0; i < 100000; i++)
        *sum = *sum * 31 + i;
}

static int work_a_while(ctx_t *ctx) {
    unsigned sum = 0;
    int err = await_work(work, &sum);
    return err ? err : ctx_textf(ctx, "%u", sum);
}

static int send_bytes(ctx_t *ctx) {
    size_t left = strtoull(ctx_param(ctx, "count"), NULL, 10);
    char piece[8192];
    int err = 0;
    memset(piece, 'x', sizeof piece);
    while (left > 0 && err >= 0) {
        size_t n = left < sizeof piece ? left : sizeof piece;
        err = ctx_write(ctx, piece, n);
        left -= n;
    }
    return err < 0 ? err : 0;
}

static int fail(ctx_t *ctx) {
    return ctx_throw(ctx, atoi(ctx_param(ctx, "status")), NULL);
}

/* --- Sockets ---------------------------------------------------------------------------------- */

/* What begins with '!' goes to everybody in its room, everything else back. */
static int on_message(ctx_t *ctx, const ws_message_t *message) {
    const char *room = ctx_query(ctx, "room");
    if (!room || message->length == 0 || message->data[0] != '!')
        return ws_send(ctx->websocket, *message);
    ws_publish(ctx->app, room, *message, ctx->websocket);
    return 0;
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    const char *room = ctx_query(ctx, "room");
    if (room)
        ws_publish(ctx->app, room, (ws_message_t){.data = "gone", .length = 4}, NULL);
    await_sleep(1);
}

static int talk(ctx_t *ctx) {
    const char *room = ctx_query(ctx, "room");
    int err = room ? ws_join(ctx->websocket, room) : 0;
    if (!err)
        err = ws_on_close(ctx->websocket, on_close);
    return err ? err : ws_on_message(ctx->websocket, on_message);
}

static int talk_in_a_loop(ctx_t *ctx) {
    ws_message_t message;
    int err = 0;
    while (err >= 0 && ws_recv(ctx->websocket, &message))
        err = ws_send(ctx->websocket, message);
    return 0;
}

/* --- The program ------------------------------------------------------------------------------ */

static app_t *make_app(void) {
    static const char *const keys[] = {"soak", NULL};
    session_memory_t *memory = session_memory_new(&(session_memory_options_t){.sessions = 100});
    app_t *app = app_new_with(&(app_options_t){
        .silent = true,
        .keys = keys,
        .http.head_timeout = 10000,
        .http.request_timeout = 30000,
        .http.write_timeout = 10000,
        .ws.heartbeat = 10000,
        .ws.buffered_size = 256 * 1024,
        .ws.deflate = &(ws_deflate_t){.threshold = 16},
    });
    app_set_value(app, "sessions", memory, session_memory_free);
    app_ws_use(app, route_get("/talk", talk));
    app_ws_use(app, route_get("/loop", talk_in_a_loop));
    app_use(app, route_get("/stats", report_stats));
    app_use(app, route_get("/", page));
    app_use(app, route_post("/count", count_body));
    app_use(app, route_get("/sleep/:ms", sleep_a_while));
    app_use(app, route_get("/work", work_a_while));
    app_use(app, route_get("/bytes/:count", send_bytes));
    app_use(app, route_get("/fail/:status", fail));
    app_use(app, compression(NULL));
    app_use(app, route_post("/body", compose(body_parser(NULL), middleware(show_body))));
    app_use(app,
            route_get("/visits",
                      compose(session(&(session_options_t){.store = session_memory_store(memory)}),
                              middleware(count_visits))));
    return app_use(app, serve(getenv("ROOT"), NULL));
}

int main(void) {
    const tls_options_t tls = {
        .cert_file = getenv("CERT"),
        .key_file = getenv("KEY"),
    };
    if (tls_make_self_signed(tls.cert_file, tls.key_file, (const char *const[]){"localhost", NULL},
                             30))
        return 1;
    app_t *app = make_app();
    setvbuf(stdout, NULL, _IOLBF, 0);
    int err = app_bind(app, &(listen_options_t){.host = "127.0.0.1"});
    if (!err)
        err = app_bind(app, &(listen_options_t){.host = "127.0.0.1", .tls = &tls});
    char address[64];
    if (!err && (err = app_address(app, 1, address, sizeof address)) == 0) {
        printf("tls on %s\n", strrchr(address, ':') + 1);
        printf("listening on http://127.0.0.1:%d\n", app_port(app));
        err = app_run(app);
    }
    app_free(app);
    return err ? 1 : 0;
}
