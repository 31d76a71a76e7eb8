/*
 * Rooms that span processes: start it twice with one REDIS_URL, and talk from one to the other.
 *
 *     PORT=3000 REDIS_URL=redis://localhost examples/run rooms
 *     PORT=3001 REDIS_URL=redis://localhost examples/run rooms
 *
 * Without REDIS_URL it is a chat of one process.
 */
#include <acacia.h>
#include <middleware/redis_rooms.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PAGE_DIR
#define PAGE_DIR "."
#endif

static int say(ctx_t *ctx, const char *text) {
    ws_message_t message = {.data = text, .length = strlen(text)};
    return redis_rooms_publish(ctx->app, ctx_param(ctx, "room"), message, NULL);
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    return say(ctx, message->data);
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    say(ctx, "somebody has left");
}

static int enter(ctx_t *ctx) {
    int err = redis_rooms_join(ctx->websocket, ctx_param(ctx, "room"));
    if (err)
        return err;
    ws_on_close(ctx->websocket, on_close);
    ws_on_message(ctx->websocket, on_message);
    return say(ctx, "somebody has come");
}

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/rooms.html");
}

/* For the load balancer, or for people. */
static int show_redis(ctx_t *ctx) {
    redis_rooms_stats_t stats;
    redis_rooms_stats(ctx->app, &stats);
    unsigned long long received = stats.received, lost = stats.dropped + stats.unconfirmed;
    return ctx_textf(ctx, "%s, %zu rooms, %llu messages of others, %llu lost\n",
                     stats.connected ? "connected" : "alone", stats.rooms, received, lost);
}

int main(void) {
    app_t *app = app_new();
    const char *url = getenv("REDIS_URL");
    if (url)
        redis_rooms(app, &(redis_rooms_options_t){.url = url});
    app_ws_use(app, route_all("/rooms/:room", enter));
    app_use(app, route_get("/redis", show_redis));
    app_use(app, route_get("/", page));
    return app_listen(app, 3000);
}
