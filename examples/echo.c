/*
 * Every message comes back, text as text and binary as binary, on every path: the server for
 * Autobahn's fuzzing client. DEFLATE=1 in the environment turns compression on.
 */
#include <acacia.h>
#include <stdlib.h>
#include <string.h>

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int echo(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, on_message);
}

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "This is a server for WebSockets, which says what you say.");
}

int main(void) {
    const char *deflate = getenv("DEFLATE");
    app_t *app = app_new_with(&(app_options_t){
        .ws.message_size = 64 << 20,    /* the suite sends 16 MiB */
        .ws.buffered_size = 256 << 20,  /* … and does not always read at once */
        .ws.fragment_count = 128 << 10, /* … in up to 65,536 fragments */
        .ws.deflate = deflate && strcmp(deflate, "1") == 0 ? &(ws_deflate_t){0} : NULL,
    });
    app_ws_use(app, echo);
    app_use(app, hello);
    return app_listen(app, 9001);
}
