/* Tutorial 004: what the handshake request said, and the page that shows it. */
#include <acacia.h>

#ifndef PAGE_DIR
#define PAGE_DIR "."
#endif

static int connection(ctx_t *ctx) {
    int err = ws_send_text(ctx->websocket, "ws服务端连接成功！");
    if (err)
        return err;
    char *text = NULL;
    json_t *json = json_pack("{s:o}", "query", ctx_query_json(ctx));
    if (json)
        text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    err = text ? ws_send_text(ctx->websocket, text) : UV_ENOMEM;
    free(text);
    return err;
}

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/request.html");
}

int main(void) {
    app_t *app = app_new();
    app_ws_use(app, connection);
    app_use(app, route_get("/", page));
    return app_listen(app, 8080);
}
