/*
 * The recipes of ws's README, and the app of koa-websocket's tests, for e2e/recipes.test.mjs. Some
 * of them are in docs/websockets.md as well.
 */
#include <acacia.h>

#include <middleware/session.h>
#include <stdlib.h>
#include <string.h>

static int reply(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int echo(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, reply);
}

/* --- Server broadcast ------------------------------------------------------------------------- */

static int tell_all(ctx_t *ctx, const ws_message_t *message) {
    ws_broadcast(ctx->app, *message, NULL);
    return 0;
}

static int tell_others(ctx_t *ctx, const ws_message_t *message) {
    ws_broadcast(ctx->app, *message, ctx->websocket);
    return 0;
}

static int all(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, tell_all);
}

static int others(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, tell_others);
}

/* --- Multiple servers sharing a single HTTP server -------------------------------------------- */

/* Each of them has its own clients: a room that is called as its path. */
static int tell_endpoint(ctx_t *ctx, const ws_message_t *message) {
    ws_publish(ctx->app, ctx->path, *message, NULL);
    return 0;
}

static int endpoint(ctx_t *ctx) {
    int err = ws_join(ctx->websocket, ctx->path);
    return err ? err : ws_on_message(ctx->websocket, tell_endpoint);
}

/* --- Client authentication -------------------------------------------------------------------- */

/* Looks the user up, which takes time; before the 101. */
static int authenticate(ctx_t *ctx) {
    const char *token = ctx_get(ctx, "Authorization");
    int err = await_sleep(10);
    if (err)
        return err;
    if (strncmp(token, "Bearer ", 7) != 0 || strlen(token) == 7) {
        ctx_throw_header(ctx, "WWW-Authenticate", "Bearer");
        return ctx_throw(ctx, 401, NULL);
    }
    ctx->state = (void *)(token + 7);
    return next(ctx);
}

static int tell_who(ctx_t *ctx, const ws_message_t *message) {
    return ws_sendf(ctx->websocket, "Received message %s from user %s", message->data,
                    (const char *)ctx->state);
}

static int private(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, tell_who);
}

/* --- How to get the IP address of the client -------------------------------------------------- */

static int tell_ip(ctx_t *ctx) {
    return ws_send_text(ctx->websocket, ctx_ip(ctx));
}

/* --- How to detect and close broken connections ----------------------------------------------- */

/* `ws.heartbeat` does it. By hand, as ws has it: */
static void mark(ctx_t *ctx, const char *data, size_t length) {
    *(bool *)ctx->state = true;
}

static void check(websocket_t *ws, void *arg) {
    bool *is_alive = ws_ctx(ws)->state;
    if (!*is_alive) {
        ws_terminate(ws);
        return;
    }
    *is_alive = false;
    ws_ping(ws, NULL, 0);
}

static void check_all(uv_timer_t *timer) {
    ws_room_each(timer->data, "watched", check, NULL);
}

static int watched(ctx_t *ctx) {
    bool *is_alive = ctx_new(ctx, bool);
    if (!is_alive)
        return UV_ENOMEM;
    *is_alive = true;
    ctx->state = is_alive;
    ws_on_pong(ctx->websocket, mark);
    return ws_join(ctx->websocket, "watched");
}

static void stop_checking(app_t *app, void *arg) {
    uv_close(arg, NULL);
}

static uint64_t setting(const char *name) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static void begin_checking(app_t *app) {
    static uv_timer_t timer;
    timer.data = app;
    uv_timer_init(app_loop(app), &timer);
    uv_timer_start(&timer, check_all, setting("WATCH"), setting("WATCH"));
    app_on_close(app, stop_checking, &timer);
}

/* --- Server stats ----------------------------------------------------------------------------- */

static int server_stats(ctx_t *ctx) {
    int err = ws_accept(ctx->websocket);
    while (!err && ws_state(ctx->websocket) == WS_OPEN) {
        app_stats_t stats;
        app_stats(ctx->app, &stats);
        err = ws_sendf(ctx->websocket, "{\"websockets\":%zu}", stats.websockets);
        if (!err)
            err = await_sleep(10);
    }
    return err == UV_ENOTCONN ? 0 : err;
}

/* --- Sessions that are shared with HTTP ------------------------------------------------------- */

static int log_in(ctx_t *ctx) {
    int err = session_set(ctx, "user", ctx_param(ctx, "user"));
    return err ? err : ctx_text(ctx, "hello");
}

static int log_out(ctx_t *ctx) {
    int err = session_destroy(ctx);
    return err ? err : ctx_text(ctx, "bye");
}

static int tell_session(ctx_t *ctx, const ws_message_t *message) {
    return ws_sendf(ctx->websocket, "Received message %s from user %s", message->data,
                    session_get(ctx, "user"));
}

static int of_session(ctx_t *ctx) {
    if (!session_get(ctx, "user"))
        return ctx_throw(ctx, 401, NULL);
    return ws_on_message(ctx->websocket, tell_session);
}

/* --- koa-websocket's tests -------------------------------------------------------------------- */

/* wsOptions.handleProtocols */
static int choose(ctx_t *ctx) {
    const char *offered = ws_offered_protocol(ctx->websocket, 0);
    if (offered && strcmp(offered, "bad_protocol") == 0)
        ws_set_protocol(ctx->websocket, NULL);
    return next(ctx);
}

static int reply_to_123(ctx_t *ctx, const ws_message_t *message) {
    return strcmp(message->data, "123") == 0 ? ws_send(ctx->websocket, *message) : 0;
}

static int global(ctx_t *ctx) {
    int err = ws_on_message(ctx->websocket, reply_to_123);
    return err ? err : next(ctx);
}

static void use_koa_websocket(app_t *app) {
    app_ws_use(app, choose);
    app_ws_use(app, global);
    app_ws_use(app, route_all("/abc", echo));
    app_ws_use(app, route_all("/def", echo));
}

/* --- All of it -------------------------------------------------------------------------------- */

static void use_recipes(app_t *app) {
    const session_options_t options = {.cookie.same_site = "lax"};
    app_ws_use(app, route_all("/", echo));
    app_ws_use(app, route_all("/all", all));
    app_ws_use(app, route_all("/others", others));
    app_ws_use(app, route_all("/foo", endpoint));
    app_ws_use(app, route_all("/bar", endpoint));
    app_ws_use(app, route_all("/private", compose(middleware(authenticate), middleware(private))));
    app_ws_use(app, route_all("/ip", tell_ip));
    app_ws_use(app, route_all("/watched", watched));
    app_ws_use(app, route_all("/stats", server_stats));
    app_ws_use(app, route_all("/session", compose(session(&options), middleware(of_session))));
    app_use(app, session(&options));
    app_use(app, route_post("/login/:user", log_in));
    app_use(app, route_post("/logout", log_out));
    if (setting("WATCH"))
        begin_checking(app);
}

int main(void) {
    static const char *const keys[] = {"a key of tests", NULL};
    static const char *const proxies[] = {"loopback", NULL};
    app_t *app = app_new_with(&(app_options_t){
        .keys = keys,
        .trusted_proxies = getenv("PROXY") ? proxies : NULL,
        .ws.heartbeat = setting("HEARTBEAT"),
    });
    if (getenv("KOA_WEBSOCKET"))
        use_koa_websocket(app);
    else
        use_recipes(app);
    return app_listen(app, 0);
}
