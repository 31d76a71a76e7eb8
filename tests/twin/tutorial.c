/* The tutorials' app: tutorial.js is the same in Koa, and e2e/twin_tutorial.test.mjs compares the
 * two. */
#include <acacia.h>
#include <stdlib.h>
#include <string.h>

/* --- Requests --------------------------------------------------------------------------------- */

static int response_time(ctx_t *ctx) {
    uint64_t start = uv_hrtime();
    int err = next(ctx);
    if (!err)
        ctx_setf(ctx, "X-Response-Time", "%.0fms", (double)(uv_hrtime() - start) / 1e6);
    return err;
}

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "Hello, world!");
}

static int show_json(ctx_t *ctx) {
    return ctx_json(ctx, json_pack("{s:s, s:[i,i,i]}", "hello", "world", "n", 1, 2, 3));
}

static int show_user(ctx_t *ctx) {
    return ctx_json(
        ctx, json_pack("{s:s, s:s}", "id", ctx_param(ctx, "id"), "routePath", ctx->route_path));
}

static int echo(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    if (err == -413)
        return ctx_throw(ctx, 413, "request entity too large");
    if (err == -400)
        return ctx_throw(ctx, 400, "request aborted");
    if (err)
        return err;
    const char *type = ctx_get(ctx, "Content-Type");
    ctx_type(ctx, *type ? type : "application/octet-stream");
    return ctx_bytes(ctx, body.data, body.length);
}

static int boom(ctx_t *ctx) {
    return ctx_throw(ctx, 500, "secret detail");
}

static int teapot(ctx_t *ctx) {
    return ctx_throw(ctx, 418, "short and stout");
}

/* --- WebSockets ------------------------------------------------------------------------------- */

static int note_time(ctx_t *ctx) {
    uint64_t *since = ctx_new(ctx, uint64_t);
    if (since)
        *since = uv_now(app_loop(ctx->app));
    ctx->state = since;
    return next(ctx);
}

/* Not ws_sendf, for which a text ends at a NUL. */
static int tell(ctx_t *ctx, const ws_message_t *message) {
    static const char start[] = "You sent: ";
    size_t length = sizeof start - 1 + message->length;
    char *text = ctx_alloc(ctx, length);
    if (!text)
        return UV_ENOMEM;
    memcpy(text, start, sizeof start - 1);
    memcpy(text + sizeof start - 1, message->data, message->length);
    return ws_send(ctx->websocket, (ws_message_t){text, length, false});
}

static int talk(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, tell);
}

struct member {
    websocket_t *ws;
    const char *room;
    struct member *next;
};

static struct member *members;

static int say(ctx_t *ctx, const ws_message_t *message) {
    const char *room = ctx_param(ctx, "room");
    for (struct member *member = members; member; member = member->next)
        if (strcmp(member->room, room) == 0)
            ws_send(member->ws, *message);
    return 0;
}

static void leave(ctx_t *ctx, int code, const char *reason) {
    struct member **link = &members;
    while (*link && (*link)->ws != ctx->websocket)
        link = &(*link)->next;
    if (*link)
        *link = (*link)->next;
}

static int join(ctx_t *ctx) {
    struct member *member = ctx_new(ctx, struct member);
    if (!member)
        return UV_ENOMEM;
    int err = ws_on_close(ctx->websocket, leave);
    if (err)
        return err;
    *member = (struct member){ctx->websocket, ctx_param(ctx, "room"), members};
    members = member;
    return ws_on_message(ctx->websocket, say);
}

int main(void) {
    const char *silent = getenv("SILENT");
    app_t *app = app_new_with(
        &(app_options_t){.silent = silent && strcmp(silent, "1") == 0, .ws.any_origin = true});
    app_use(app, response_time);
    app_use(app, route_get("/", hello));
    app_use(app, route_get("/json", show_json));
    app_use(app, route_get("/users/:id", show_user));
    app_use(app, route_post("/echo", echo));
    app_use(app, route_get("/boom", boom));
    app_use(app, route_get("/teapot", teapot));
    app_ws_use(app, note_time);
    app_ws_use(app, route_all("/", talk));
    app_ws_use(app, route_all("/chat/:room", join));
    return app_listen(app, 3000);
}
