/* Who is in which room, of those in this process: so that Redis is told of the first and the last.
 */
#include "redis_rooms_parts.h"

#include <stdlib.h>
#include <string.h>

/* What a socket has joined. */
struct membership {
    struct membership *next;
    struct subscription *subscription;
    char room[];
};

struct visit {
    struct redis_rooms *rooms;
    struct membership *memberships;
};

static void end_membership(struct redis_rooms *rooms, struct membership *membership) {
    subscriptions_remove(&rooms->subscriptions, membership->subscription);
    free(membership);
}

/* The socket is closed, and its ctx goes. */
static void end_visit(void *arg) {
    struct visit *visit = arg;
    struct redis_rooms *rooms = visit->rooms;
    for (struct membership *one = visit->memberships, *next; one; one = next) {
        next = one->next;
        end_membership(rooms, one);
    }
    free(visit);
    redis_link_flush(&rooms->subscriber);
    if (--rooms->visits == 0 && rooms->closing)
        redis_rooms_stop(rooms);
}

static struct visit *begin_visit(struct redis_rooms *rooms, ctx_t *ctx) {
    struct visit *visit = calloc(1, sizeof *visit);
    if (!visit)
        return NULL;
    visit->rooms = rooms;
    rooms->visits++;
    return ctx_set_value(ctx, REDIS_ROOMS, visit, end_visit) ? NULL : visit;
}

/* ctx_value would find that of the app as well. */
static struct visit *visit_of(struct redis_rooms *rooms, ctx_t *ctx) {
    void *value = ctx_value(ctx, REDIS_ROOMS);
    return value == rooms ? NULL : value;
}

static struct membership **find_membership(struct visit *visit, const char *room) {
    struct membership **one = &visit->memberships;
    while (*one && strcmp((*one)->room, room) != 0)
        one = &(*one)->next;
    return one;
}

static int add_membership(struct redis_rooms *rooms, struct membership **end, const char *room) {
    size_t size = strlen(room) + 1;
    struct membership *one = malloc(sizeof *one + size);
    if (!one)
        return UV_ENOMEM;
    one->next = NULL;
    memcpy(one->room, room, size);
    one->subscription = subscriptions_add(&rooms->subscriptions, room);
    if (!one->subscription) {
        free(one);
        return UV_ENOMEM;
    }
    *end = one;
    redis_link_flush(&rooms->subscriber);
    return 0;
}

int redis_rooms_join(websocket_t *ws, const char *room) {
    ctx_t *ctx = ws_ctx(ws);
    struct redis_rooms *rooms = redis_rooms_of(ctx->app);
    if (rooms && !redis_room_is_valid(rooms, room))
        return UV_EINVAL;
    int err = ws_join(ws, room);
    if (err || !rooms)
        return err;
    struct visit *visit = visit_of(rooms, ctx);
    if (!visit)
        visit = begin_visit(rooms, ctx);
    struct membership **place = visit ? find_membership(visit, room) : NULL;
    if (!place || (!*place && add_membership(rooms, place, room))) {
        ws_leave(ws, room);
        return UV_ENOMEM;
    }
    return 0;
}

void redis_rooms_leave(websocket_t *ws, const char *room) {
    struct redis_rooms *rooms = redis_rooms_of(ws_ctx(ws)->app);
    struct visit *visit = rooms ? visit_of(rooms, ws_ctx(ws)) : NULL;
    struct membership **place = visit ? find_membership(visit, room) : NULL;
    ws_leave(ws, room);
    if (!place || !*place)
        return;
    struct membership *one = *place;
    *place = one->next;
    end_membership(rooms, one);
    redis_link_flush(&rooms->subscriber);
}
