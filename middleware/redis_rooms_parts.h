/* What stands behind redis_rooms.h; not installed. */
#ifndef ACACIA_REDIS_ROOMS_PARTS_H
#define ACACIA_REDIS_ROOMS_PARTS_H

#include "redis_rooms.h"

#ifdef ACACIA_HAVE_REDIS

#include "redis_link.h"
#include "redis_message.h"
#include "redis_subscriptions.h"

#define REDIS_ROOMS "redis_rooms" /* the name of what an app keeps, and of what a socket does */

struct redis_rooms {
    app_t *app;
    redis_rooms_options_t options;
    struct redis_link_settings link_settings;
    struct redis_link publisher, subscriber;
    struct subscriptions subscriptions;
    char *prefix, *username, *password;
    char node[REDIS_NODE_SIZE + 1];
    char text_head[REDIS_HEAD_SIZE], binary_head[REDIS_HEAD_SIZE];
    size_t visits;    /* sockets that have joined rooms */
    bool closing;     /* with the last of them */
    unsigned holders; /* the app, and the links */
    bool away, overflow_told, refusal_told;
    redis_rooms_stats_t stats;
};

/* NULL if the app has none. */
struct redis_rooms *redis_rooms_of(const app_t *app);

bool redis_room_is_valid(const struct redis_rooms *rooms, const char *room);

/* Nothing more is said to Redis. */
void redis_rooms_stop(struct redis_rooms *rooms);

#endif

#endif
