/* Sessions that pages and sockets share, one kind in the cookie and one in memory, for
 * e2e/session.test.mjs. */
#include <acacia.h>

#include <middleware/session_memory.h>
#include <stdlib.h>
#include <string.h>

/* --- Pages ------------------------------------------------------------------------------------ */

static int show(ctx_t *ctx) {
    return ctx_json(ctx, json_deep_copy(session_json(ctx)));
}

static int set(ctx_t *ctx) {
    int err = session_set(ctx, ctx_param(ctx, "name"), ctx_param(ctx, "value"));
    return err ? err : show(ctx);
}

static int leave(ctx_t *ctx) {
    int err = session_destroy(ctx);
    return err ? err : show(ctx);
}

static middleware_t pages(const session_options_t *options) {
    return compose(session(options), route_get("/show", show), route_get("/set/:name/:value", set),
                   route_get("/leave", leave));
}

/* --- Sockets ---------------------------------------------------------------------------------- */

static int send_json(ctx_t *ctx) {
    char *text = json_dumps(session_json(ctx), JSON_COMPACT);
    int err = ws_send_text(ctx->websocket, text ? text : "none");
    free(text);
    return err;
}

/* An error is told to the client: here it is no reason to close. */
static int tell(ctx_t *ctx, int err) {
    const ctx_error_t *error = err == -500 ? ctx_catch(ctx) : NULL;
    return ws_send_text(ctx->websocket, error ? error->message : err ? uv_err_name(err) : "ok");
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    char *value = ctx_strdup(ctx, message->data), *what = strsep(&value, ":");
    char *name = value ? strsep(&value, ":") : NULL;
    if (strcmp(what, "set") == 0)
        return tell(ctx, session_set(ctx, name, value));
    if (strcmp(what, "save") == 0)
        return tell(ctx, session_save(ctx));
    if (strcmp(what, "commit") == 0)
        return tell(ctx, session_commit(ctx));
    if (strcmp(what, "reload") == 0)
        return tell(ctx, session_reload(ctx));
    if (strcmp(what, "regenerate") == 0)
        return tell(ctx, session_regenerate(ctx));
    if (strcmp(what, "destroy") == 0)
        return tell(ctx, session_destroy(ctx));
    return send_json(ctx);
}

/* With ?set=… something is set before the handshake is accepted, and with &save=1 saved. */
static int talk(ctx_t *ctx) {
    const char *value = ctx_query(ctx, "set");
    int err = value ? session_set(ctx, "socket", value) : 0;
    if (!err && ctx_query(ctx, "save"))
        err = session_save(ctx);
    if (!err && ctx_query(ctx, "members-only") && session_is_new(ctx))
        err = ctx_throw(ctx, 401, "who are you?");
    return err ? err : ws_on_message(ctx->websocket, on_message);
}

static middleware_t sockets(const session_options_t *options) {
    return compose(session(options), middleware(talk));
}

int main(void) {
    static const char *const keys[] = {"key", NULL};
    app_t *app = app_new_with(
        &(app_options_t){.http.keep_alive_timeout = 60000, .keys = keys, .silent = true});
    session_memory_t *memory = session_memory_new(NULL);
    const session_options_t stored = {.store = session_memory_store(memory), .key = "stored"};
    const session_options_t rolling = {.store = stored.store, .key = "stored", .rolling = true};
    app_set_value(app, "sessions", memory, session_memory_free);
    app_use(app, mount_at("/memory", pages(&stored)));
    app_use(app, mount_at("/cookie", pages(NULL)));
    app_ws_use(app, mount_at("/memory", sockets(&stored)));
    app_ws_use(app, mount_at("/rolling", sockets(&rolling)));
    app_ws_use(app, mount_at("/cookie", sockets(NULL)));
    return app_listen(app, 3000);
}
