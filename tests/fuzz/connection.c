/*
 * Whole connections against the real server: the input is what a client sends, over a socket pair.
 * The first two bytes say in which pieces. When it has closed its side the server must come to
 * rest, with nothing left over.
 */
#include <acacia.h>

#include "server.h"

#include <string.h>

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    if (message->length == 3)
        await_sleep(0);
    if (message->length == 4)
        return ctx_throw(ctx, 400, "four");
    if (message->length == 5)
        ws_close(ctx->websocket, 4000, message->binary ? "five" : NULL);
    return ws_send(ctx->websocket, *message);
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    ws_send_text(ctx->websocket, "too late");
}

static int talk(ctx_t *ctx) {
    if (ctx_query(ctx, "no"))
        return ctx_throw(ctx, 403, NULL);
    if (ctx_query(ctx, "wait"))
        await_sleep(0);
    ws_on_close(ctx->websocket, on_close);
    return ws_on_message(ctx->websocket, on_message);
}

static int loop(ctx_t *ctx) {
    ws_message_t message;
    while (ws_recv(ctx->websocket, &message))
        ws_send(ctx->websocket, message);
    return 0;
}

static int echo(ctx_t *ctx) {
    char piece[7];
    ssize_t n;
    await_sleep(0);
    while ((n = ctx_read(ctx, piece, sizeof piece)) > 0)
        if (ctx_write(ctx, piece, (size_t)n))
            return UV_ECANCELED;
    return (int)n;
}

static int body(ctx_t *ctx) {
    bytes_t whole;
    int err = ctx_read_body(ctx, &whole);
    return err ? err : ctx_bytes(ctx, whole.data, whole.length);
}

static int page(ctx_t *ctx) {
    const char *name, *value;
    for (size_t i = 0; ctx_header_at(ctx, i, &name, &value); i++)
        ctx_set(ctx, name, ctx_get(ctx, name));
    ctx_remove(ctx, "Content-Length");
    ctx_remove(ctx, "Transfer-Encoding");
    return ctx_redirect(ctx, ctx->url);
}

static app_t *app;

static void start(void) {
    app = app_new_with(&(app_options_t){.silent = true,
                                        .http.body_size = 100,
                                        .http.drain_size = 100,
                                        .http.read_ahead = 200,
                                        .http.head_size = 600,
                                        .ws.message_size = 300,
                                        .ws.fragment_count = 8});
    app_ws_use(app, route_get("/talk", talk));
    app_ws_use(app, route_get("/loop", loop));
    app_use(app, route_post("/echo", echo));
    app_use(app, route_post("/body/:id", body));
    app_use(app, page);
    uv_ref((uv_handle_t *)&app->awake); /* the loop goes on, as if the app served */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    if (size < 3 || size > 8192)
        return 0;
    if (!app)
        start();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    accept_from(app, ends[1]);
    size_t piece = data[0] + 256u * (data[1] & 15) + 1;
    for (data += 2, size -= 2; size > 0;) {
        size_t n = size < piece ? size : piece;
        if (send(ends[0], data, n, MSG_NOSIGNAL) < 0)
            break;
        turn(app, ends[0]);
        data += n;
        size -= n;
    }
    come_to_rest(app, ends[0]);
    return 0;
}
