/* Tutorial 002: a middleware and a route for WebSockets, and the page that talks to them. */
#include <acacia.h>

#ifndef PAGE_DIR
#define PAGE_DIR "."
#endif

static int pass_through(ctx_t *ctx) {
    return next(ctx);
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message); /* as it came: text or binary */
}

static int talk(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, on_message);
}

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/routes.html");
}

int main(void) {
    app_t *app = app_new();
    app_ws_use(app, pass_through);
    app_ws_use(app, route_all("/", talk));
    app_use(app, route_get("/", page));
    return app_listen(app, 3000);
}
