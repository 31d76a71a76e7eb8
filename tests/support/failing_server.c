/*
 * A server whose memory runs out: GET /arm?after=N lets one allocation fail, N after the answer has
 * been made. For H35 in tests/e2e/hostile_process.test.mjs; what can be had without sockets is in
 * tests/unit/test_no_memory.c.
 */
#include <acacia.h>

#include "failing_allocator.h"

#include <stdlib.h>
#include <string.h>

/* --- Failing ---------------------------------------------------------------------------------- */

static long armed = -1; /* to be counted down from, as soon as the answer has been sent */
static long countdown = -1;
static long failures;

static bool fails(void) {
    if (countdown < 0 || countdown-- > 0)
        return false;
    failures++;
    return true;
}

/* --- Pages ------------------------------------------------------------------------------------ */

static void begin_to_fail(ctx_t *ctx, bool complete, void *arg) {
    countdown = armed;
}

static int arm(ctx_t *ctx) {
    const char *after = ctx_query(ctx, "after");
    countdown = -1;
    armed = after ? atol(after) : -1;
    ctx_textf(ctx, "%ld", failures);
    return ctx_on_finish(ctx, begin_to_fail, NULL);
}

/* Whoever has no token comes no further, whatever fails. */
static int guard(ctx_t *ctx) {
    const char *token = ctx_get(ctx, "Authorization");
    return strcmp(token, "Bearer good") == 0 ? next(ctx) : ctx_throw(ctx, 401, "who are you?");
}

static int secret(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    ctx_set(ctx, "X-Read", "yes");
    return err ? err : ctx_textf(ctx, "the secret, and %s", body.data);
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    ws_publish(ctx->app, "room", *message, NULL);
    return 0;
}

static int room(ctx_t *ctx) {
    int err = ws_join(ctx->websocket, "room");
    return err ? err : ws_on_message(ctx->websocket, on_message);
}

int main(void) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, route_get("/arm", arm));
    app_use(app, guard);
    app_use(app, route_post("/secret", secret));
    app_ws_use(app, guard);
    app_ws_use(app, route_all("/room", room));
    return app_listen(app, 0) ? 1 : 0;
}
