/*
 * What tests/e2e/redis_rooms.test.mjs starts several of. A text `join ROOM`, `leave ROOM`,
 * `publish ROOM\nTEXT` or `others ROOM\nTEXT` is done, a binary message `ROOM\nBYTES` is published;
 * the answer is `= RESULT`. GET /redis are the counters, /flood?room&count&size publishes a lot.
 */
#include "report.h"

#include <middleware/redis_rooms.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Sockets ---------------------------------------------------------------------------------- */

/* `ROOM\nDATA` is taken apart. */
static int publish(ctx_t *ctx, const ws_message_t *message, const char *from, bool others) {
    const char *end = message->data + message->length, *line = memchr(from, '\n', end - from);
    if (!line)
        return UV_EINVAL;
    const char *room = ctx_printf(ctx, "%.*s", (int)(line - from), from);
    const ws_message_t rest = {line + 1, (size_t)(end - line) - 1, message->binary};
    return redis_rooms_publish(ctx->app, room, rest, others ? ctx->websocket : NULL);
}

static int obey(ctx_t *ctx, const ws_message_t *message) {
    const char *text = message->data;
    if (message->binary)
        return publish(ctx, message, text, false);
    if (strncmp(text, "join ", 5) == 0)
        return redis_rooms_join(ctx->websocket, text + 5);
    if (strncmp(text, "leave ", 6) == 0)
        redis_rooms_leave(ctx->websocket, text + 6);
    if (strncmp(text, "publish ", 8) == 0)
        return publish(ctx, message, text + 8, false);
    if (strncmp(text, "others ", 7) == 0)
        return publish(ctx, message, text + 7, true);
    return 0;
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    int err = obey(ctx, message);
    return ws_sendf(ctx->websocket, "= %s", err < 0 ? uv_err_name(err) : err ? "1" : "0");
}

/* ?last=ROOM is told when it goes. */
static void on_close(ctx_t *ctx, int code, const char *reason) {
    const char *room = ctx_query(ctx, "last");
    if (room)
        redis_rooms_publish(ctx->app, room, (ws_message_t){"gone", 4, false}, NULL);
}

static int talk(ctx_t *ctx) {
    ws_on_close(ctx->websocket, on_close);
    return ws_on_message(ctx->websocket, on_message);
}

/* --- Pages ------------------------------------------------------------------------------------ */

static int show_redis(ctx_t *ctx) {
    redis_rooms_stats_t s;
    redis_rooms_stats(ctx->app, &s);
    return ctx_textf(ctx,
                     "{\"connected\":%s,\"rooms\":%zu,\"buffered\":%zu,\"published\":%llu,"
                     "\"received\":%llu,\"dropped\":%llu,\"unconfirmed\":%llu,\"invalid\":%llu,"
                     "\"outages\":%llu}",
                     s.connected ? "true" : "false", s.rooms, s.buffered,
                     (unsigned long long)s.published, (unsigned long long)s.received,
                     (unsigned long long)s.dropped, (unsigned long long)s.unconfirmed,
                     (unsigned long long)s.invalid, (unsigned long long)s.outages);
}

static int flood(ctx_t *ctx) {
    size_t size = (size_t)atol(ctx_query(ctx, "size"));
    char *data = ctx_alloc(ctx, size);
    if (!data)
        return UV_ENOMEM;
    memset(data, 'x', size);
    for (long i = atol(ctx_query(ctx, "count")); i > 0; i--)
        redis_rooms_publish(ctx->app, ctx_query(ctx, "room"), (ws_message_t){data, size, false},
                            NULL);
    return show_redis(ctx);
}

int main(void) {
    app_t *app = app_new();
    if (getenv("REDIS_URL"))
        redis_rooms(app, &(redis_rooms_options_t){
                             .url = getenv("REDIS_URL"),
                             .username = getenv("REDIS_USER"),
                             .password = getenv("REDIS_PASSWORD"),
                             .prefix = getenv("PREFIX"),
                             .node = getenv("NODE"),
                             .message_size = report_setting("MESSAGE_SIZE"),
                             .outbox = report_setting("OUTBOX"),
                             .timeout = report_setting("TIMEOUT"),
                             .reconnect_min = report_setting("RECONNECT_MIN"),
                             .reconnect_max = report_setting("RECONNECT_MAX"),
                         });
    app_ws_use(app, talk);
    app_use(app, route_get("/redis", show_redis));
    app_use(app, route_get("/flood", flood));
    app_use(app, route_get("/stats", report_stats));
    return app_listen(app, 0) ? 1 : 0;
}
