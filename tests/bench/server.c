/*
 * What the benchmarks talk to: an ordinary program against the public headers.
 *
 *     GET /           Hello, World!
 *     ws /echo        every message comes back
 *     ws /broadcast   every message goes to everybody
 *
 * PORT and DEFLATE=1 come from the environment.
 */
#include <acacia.h>
#include <stdlib.h>
#include <string.h>

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "Hello, World!");
}

static int send_back(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int echo(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, send_back);
}

static int send_to_all(ctx_t *ctx, const ws_message_t *message) {
    ws_broadcast(ctx->app, *message, NULL);
    return 0;
}

static int broadcast(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, send_to_all);
}

int main(void) {
    const char *deflate = getenv("DEFLATE");
    app_t *app = app_new_with(&(app_options_t){
        .http.keep_alive_timeout = 75 * 1000, /* nginx's: idle.py may take its time */
        .ws.message_size = 64 << 20,
        .ws.buffered_size = 256 << 20,
        .ws.deflate = deflate && strcmp(deflate, "1") == 0 ? &(ws_deflate_t){0} : NULL,
    });
    app_use(app, route_get("/", hello));
    app_ws_use(app, route_all("/echo", echo));
    app_ws_use(app, route_all("/broadcast", broadcast));
    return app_listen(app, 3000);
}
