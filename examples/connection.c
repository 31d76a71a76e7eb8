/* Tutorial 001: the life of a connection: open, message, close. */
#include <acacia.h>
#include <stdio.h>

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    return ws_sendf(ctx->websocket, "Received message: %.*s", (int)message->length, message->data);
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    puts("Connection closed");
}

static int connection(ctx_t *ctx) {
    puts("Client connected");
    ws_on_message(ctx->websocket, on_message);
    ws_on_close(ctx->websocket, on_close);
    return ws_send_text(ctx->websocket, "Hello, client!");
}

int main(void) {
    app_t *app = app_new();
    app_ws_use(app, connection);
    return app_listen(app, 8080);
}
