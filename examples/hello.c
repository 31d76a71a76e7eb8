/* Tutorial 000: a page and a WebSocket on one port. Any path. */
#include <acacia.h>
#include <stdio.h>

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    printf("Received message: %.*s\n", (int)message->length, message->data);
    return ws_sendf(ctx->websocket, "You sent: %.*s", (int)message->length, message->data);
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    puts("Socket closed");
}

static int talk(ctx_t *ctx) {
    ws_on_message(ctx->websocket, on_message);
    ws_on_close(ctx->websocket, on_close);
    return next(ctx);
}

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "Hello, Koa2 with WebSocket!");
}

int main(void) {
    app_t *app = app_new();
    app_ws_use(app, talk);
    app_use(app, hello);
    return app_listen(app, 8080);
}
