/* Rooms through Redis: one connection to publish, and one that is subscribed. */
#include "redis_rooms_parts.h"

#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_SIZE (1024 * 1024)
#define ROOM_SIZE 1024
#define OUTBOX (4 * 1024 * 1024)
#define TIMEOUT 5000
#define RECONNECT_MIN 100
#define RECONNECT_MAX 10000
#define OVERHEAD 1024 /* of a message in Redis's protocol, and more */

struct redis_rooms *redis_rooms_of(const app_t *app) {
    return app_value(app, REDIS_ROOMS);
}

bool redis_room_is_valid(const struct redis_rooms *rooms, const char *room) {
    return *room && strlen(room) <= rooms->options.room_size;
}

/* --- Trouble ---------------------------------------------------------------------------------- */

static void tell(struct redis_rooms *rooms, const char *trouble) {
    if (rooms->options.on_trouble)
        rooms->options.on_trouble(rooms->app, trouble, rooms->options.state);
    else if (trouble)
        fprintf(stderr, "redis_rooms: trouble with Redis: %s\n", trouble);
    else
        fprintf(stderr, "redis_rooms: Redis is there again\n");
}

static bool is_connected(const struct redis_rooms *rooms) {
    return rooms->publisher.state == REDIS_LINK_READY &&
           rooms->subscriber.state == REDIS_LINK_READY;
}

static void on_lost(struct redis_rooms *rooms, const char *reason) {
    if (rooms->away)
        return;
    rooms->away = true;
    rooms->stats.outages++;
    tell(rooms, reason);
}

static void on_ready(struct redis_rooms *rooms) {
    if (!is_connected(rooms))
        return;
    rooms->overflow_told = rooms->refusal_told = false;
    if (rooms->away)
        tell(rooms, NULL);
    rooms->away = false;
}

static void on_refusal(struct redis_rooms *rooms, const char *reason) {
    bool is_first = !rooms->refusal_told;
    rooms->refusal_told = true; /* before the listener, who may publish */
    if (is_first)
        tell(rooms, reason);
}

static void release(struct redis_rooms *rooms) {
    if (--rooms->holders > 0)
        return;
    subscriptions_free(&rooms->subscriptions);
    redis_target_free(&rooms->link_settings.target);
    free(rooms->prefix);
    free(rooms->username);
    free(rooms->password);
    free(rooms);
}

/* --- What this process publishes -------------------------------------------------------------- */

static struct redis_rooms *of_publisher(struct redis_link *link) {
    return (struct redis_rooms *)((char *)link - offsetof(struct redis_rooms, publisher));
}

static void publisher_ready(struct redis_link *link) {
    on_ready(of_publisher(link));
}

static void publisher_lost(struct redis_link *link, const char *reason) {
    of_publisher(link)->stats.unconfirmed += link->unanswered;
    on_lost(of_publisher(link), reason);
}

static void publisher_reply(struct redis_link *link, const redisReply *reply) {
    struct redis_rooms *rooms = of_publisher(link);
    if (redis_link_buffered(link) == 0)
        rooms->overflow_told = false;
    if (reply->type != REDIS_REPLY_ERROR)
        return;
    rooms->stats.dropped++;
    on_refusal(rooms, reply->str);
}

static void publisher_closed(struct redis_link *link) {
    release(of_publisher(link));
}

static const struct redis_link_events publisher_events = {
    .ready = publisher_ready,
    .lost = publisher_lost,
    .reply = publisher_reply,
    .closed = publisher_closed,
};

static bool has_room(const struct redis_rooms *rooms, size_t length) {
    size_t buffered = redis_link_buffered(&rooms->publisher);
    return buffered == 0 ||
           (buffered < rooms->options.outbox && length <= rooms->options.outbox - buffered);
}

static int drop(struct redis_rooms *rooms) {
    rooms->stats.dropped++;
    return 1;
}

static int overflow(struct redis_rooms *rooms) {
    bool is_first = !rooms->overflow_told && !rooms->away;
    rooms->overflow_told = true;
    if (is_first)
        tell(rooms, "the outbox is full: messages to other processes are dropped");
    return drop(rooms);
}

static int tell_others(struct redis_rooms *rooms, const char *room, ws_message_t message) {
    const struct redis_argument publish[] = {
        {"PUBLISH", "", 0},
        {rooms->prefix, room, strlen(room)},
        {message.binary ? rooms->binary_head : rooms->text_head, message.data ? message.data : "",
         message.length},
    };
    if (!has_room(rooms, message.length + OVERHEAD))
        return overflow(rooms);
    if (rooms->publisher.stopped || redis_link_add(&rooms->publisher, publish, 3))
        return drop(rooms);
    rooms->stats.published++;
    redis_link_flush(&rooms->publisher);
    return 0;
}

int redis_rooms_publish(app_t *app, const char *room, ws_message_t message,
                        const websocket_t *except) {
    struct redis_rooms *rooms = redis_rooms_of(app);
    if (rooms && !redis_room_is_valid(rooms, room))
        return UV_EINVAL;
    if (rooms && message.length > rooms->options.message_size)
        return UV_EMSGSIZE;
    ws_publish(app, room, message, except);
    return rooms ? tell_others(rooms, room, message) : 0;
}

/* --- What others publish ---------------------------------------------------------------------- */

static struct redis_rooms *of_subscriber(struct redis_link *link) {
    return (struct redis_rooms *)((char *)link - offsetof(struct redis_rooms, subscriber));
}

static void subscriber_ready(struct redis_link *link) {
    on_ready(of_subscriber(link));
}

static void subscriber_lost(struct redis_link *link, const char *reason) {
    subscriptions_forget(&of_subscriber(link)->subscriptions);
    on_lost(of_subscriber(link), reason);
}

/* Before each write: so that what waits is no more than the rooms that there are. */
static int tell_subscription(void *arg, const char *room, bool wanted) {
    struct redis_rooms *rooms = arg;
    const struct redis_argument command[] = {
        {wanted ? "SUBSCRIBE" : "UNSUBSCRIBE", "", 0},
        {rooms->prefix, room, strlen(room)},
    };
    return redis_link_add(&rooms->subscriber, command, 2);
}

static void subscriber_fill(struct redis_link *link) {
    struct redis_rooms *rooms = of_subscriber(link);
    subscriptions_tell(&rooms->subscriptions, tell_subscription, rooms);
}

static bool is_our_own(const struct redis_rooms *rooms, const struct redis_message *message) {
    return message->node_length == strlen(rooms->node) &&
           memcmp(message->node, rooms->node, message->node_length) == 0;
}

static void deliver(struct redis_rooms *rooms, const redisReply *channel,
                    const redisReply *payload) {
    size_t prefix = strlen(rooms->prefix);
    struct redis_message message;
    if (channel->len < prefix || !redis_message_read(payload->str, payload->len, &message) ||
        message.message.length > rooms->options.message_size) {
        rooms->stats.invalid++;
    } else if (!is_our_own(rooms, &message)) { /* its members have got it already */
        rooms->stats.received++;
        ws_publish(rooms->app, channel->str + prefix, message.message, NULL);
    }
}

/* ["message", channel, payload]; all else are answers. */
static void subscriber_reply(struct redis_link *link, const redisReply *reply) {
    struct redis_rooms *rooms = of_subscriber(link);
    if (reply->type == REDIS_REPLY_ERROR)
        on_refusal(rooms, reply->str);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return;
    redisReply *const *parts = reply->element;
    for (size_t i = 0; i < 2; i++)
        if (parts[i]->type != REDIS_REPLY_STRING)
            return;
    if (parts[2]->type == REDIS_REPLY_STRING && strcmp(parts[0]->str, "message") == 0)
        deliver(rooms, parts[1], parts[2]);
}

static void subscriber_closed(struct redis_link *link) {
    release(of_subscriber(link));
}

static const struct redis_link_events subscriber_events = {
    .ready = subscriber_ready,
    .lost = subscriber_lost,
    .reply = subscriber_reply,
    .fill = subscriber_fill,
    .closed = subscriber_closed,
};

/* --- Options, and the life of it all ---------------------------------------------------------- */

static bool copy(char **to, const char *text) {
    *to = text ? strdup(text) : NULL;
    return !text || *to;
}

static const char *read_names(struct redis_rooms *rooms) {
    const redis_rooms_options_t *o = &rooms->options;
    struct redis_target *target = &rooms->link_settings.target;
    uint64_t chance;
    if (!copy(&rooms->prefix, o->prefix ? o->prefix : "acacia:") ||
        !copy(&rooms->username, o->username) || !copy(&rooms->password, o->password))
        return "out of memory";
    if (o->node && !redis_node_is_valid(o->node, strlen(o->node)))
        return "a node is 1 to 64 visible characters of ASCII";
    if (!o->node && uv_random(NULL, NULL, &chance, sizeof chance, 0, NULL))
        return "there are no random numbers";
    if (o->node)
        strcpy(rooms->node, o->node);
    else
        snprintf(rooms->node, sizeof rooms->node, "%016llx", (unsigned long long)chance);
    redis_message_head(rooms->text_head, rooms->node, false);
    redis_message_head(rooms->binary_head, rooms->node, true);
    const char *error = redis_target_parse(target, o->url ? o->url : "redis://localhost");
    if (error)
        return error;
    if (o->username)
        target->username = rooms->username;
    if (o->password)
        target->password = rooms->password;
    return target->username && !target->password ? "a username needs a password" : NULL;
}

static const char *read_options(struct redis_rooms *rooms, const redis_rooms_options_t *given) {
    static const redis_rooms_options_t defaults;
    redis_rooms_options_t *o = &rooms->options;
    *o = given ? *given : defaults;
    o->message_size = o->message_size ? o->message_size : MESSAGE_SIZE;
    o->room_size = o->room_size ? o->room_size : ROOM_SIZE;
    o->outbox = o->outbox ? o->outbox : OUTBOX;
    o->timeout = o->timeout ? o->timeout : TIMEOUT;
    o->reconnect_min = o->reconnect_min ? o->reconnect_min : RECONNECT_MIN;
    o->reconnect_max = o->reconnect_max ? o->reconnect_max : RECONNECT_MAX;
    const char *error = read_names(rooms);
    rooms->link_settings.timeout = o->timeout;
    rooms->link_settings.reconnect_min = o->reconnect_min;
    rooms->link_settings.reconnect_max = o->reconnect_max;
    rooms->link_settings.reply_size = o->message_size + o->room_size + OVERHEAD;
    return error;
}

void redis_rooms_stop(struct redis_rooms *rooms) {
    redis_link_stop(&rooms->publisher);
    redis_link_stop(&rooms->subscriber);
}

/* The last who are here still hear of each other: members until they are gone, and what their close
 * handlers publish. */
static void on_close(app_t *app, void *arg) {
    struct redis_rooms *rooms = arg;
    rooms->closing = true;
    if (rooms->visits == 0)
        redis_rooms_stop(rooms);
}

static void let_go(void *arg) {
    release(arg);
}

/* The app does not start, and says why. */
static int refuse(app_t *app, int err, const char *why) {
    app_use_middleware(app, (middleware_t){.error = why}, REDIS_ROOMS);
    return err;
}

static int refuse_memory(app_t *app) {
    return refuse(app, UV_ENOMEM, "out of memory");
}

static void start(struct redis_link *link, struct redis_rooms *rooms,
                  const struct redis_link_events *events) {
    link->app = rooms->app;
    link->settings = &rooms->link_settings;
    link->events = events;
    rooms->holders++;
    redis_link_start(link);
}

int redis_rooms(app_t *app, const redis_rooms_options_t *options) {
    if (app && redis_rooms_of(app))
        return refuse(app, UV_EALREADY, "one Redis for an app");
    struct redis_rooms *rooms = calloc(1, sizeof *rooms);
    if (!rooms)
        return refuse_memory(app);
    rooms->app = app;
    rooms->holders = 1;
    const char *error = read_options(rooms, options);
    if (error) {
        release(rooms);
        return strcmp(error, "out of memory") ? refuse(app, UV_EINVAL, error) : refuse_memory(app);
    }
    if (app_set_value(app, REDIS_ROOMS, rooms, let_go))
        return refuse_memory(app);
    if (app_on_close(app, on_close, rooms)) {
        app_set_value(app, REDIS_ROOMS, NULL, NULL);
        return refuse_memory(app);
    }
    start(&rooms->publisher, rooms, &publisher_events);
    start(&rooms->subscriber, rooms, &subscriber_events);
    return 0;
}

void redis_rooms_stats(const app_t *app, redis_rooms_stats_t *stats) {
    const struct redis_rooms *rooms = redis_rooms_of(app);
    *stats = rooms ? rooms->stats : (redis_rooms_stats_t){0};
    if (!rooms)
        return;
    stats->connected = is_connected(rooms);
    stats->rooms = rooms->subscriptions.count;
    stats->buffered = redis_link_buffered(&rooms->publisher);
}
