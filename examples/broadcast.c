/* Tutorial 003: every message goes to everybody who is connected. */
#include <acacia.h>
#include <stdio.h>

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    printf("Received message => %.*s\n", (int)message->length, message->data);
    ws_broadcast(ctx->app, *message, NULL);
    return 0;
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    puts("Client disconnected");
}

static int connection(ctx_t *ctx) {
    puts("New client connected");
    ws_on_message(ctx->websocket, on_message);
    return ws_on_close(ctx->websocket, on_close);
}

int main(void) {
    app_t *app = app_new();
    app_ws_use(app, connection);
    return app_listen(app, 8080);
}
