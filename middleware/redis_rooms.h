/*
 * Rooms that span processes and machines, through Redis (or Valkey): what is published in one is
 * sent to the members in all of them.
 *
 *     redis_rooms(app, &(redis_rooms_options_t){.url = getenv("REDIS_URL")});
 *
 *     static int on_message(ctx_t *ctx, const ws_message_t *message) {
 *         return redis_rooms_publish(ctx->app, "lobby", *message, NULL);
 *     }
 *
 *     static int enter(ctx_t *ctx) {
 *         int err = redis_rooms_join(ctx->websocket, "lobby");
 *         return err ? err : ws_on_message(ctx->websocket, on_message);
 *     }
 *
 * They take the places of ws_join, ws_leave and ws_publish. In an app that redis_rooms was not
 * called for they do the same as these: a program that runs alone needs no Redis.
 *
 * What to count on:
 *
 *   - The members in this process get a message at once, whether Redis is there or not. Nobody ever
 *     waits for Redis.
 *   - Members elsewhere get it once, or not at all. What is published while Redis is away waits, up
 *     to `outbox` bytes, and is dropped beyond it; what was on its way when the connection broke
 * may be lost; and who is not connected to Redis when it is published does not get it later.
 *   - What one process publishes arrives everywhere in that order. What several publish at the same
 *     time need not have the same order in all of them.
 *   - Who has just joined gets what others publish from the moment on that Redis knows of it.
 *
 * Each process has two connections to Redis, and subscribes once to a room, however many of its
 * sockets are in there: to the channel `prefix` + room, by SUBSCRIBE, so that `*` and `?` in the
 * name of a room are nothing special. When Redis is lost it is tried again, and all subscriptions
 * are made anew.
 *
 * Others may publish, too: `PUBLISH acacia:lobby` with a payload of `text NODE` or `binary NODE`,
 * a '\n', and the message, NODE being a word that no process has as its `node`. What is not of this
 * form, or text that is not UTF-8, is ignored and counted. So let nobody into this Redis whom your
 * clients should not hear: protect it by a password, and by a network of its own, since there is no
 * TLS to it.
 *
 * All functions belong to the thread of the app; none suspends.
 */
#ifndef ACACIA_REDIS_ROOMS_H
#define ACACIA_REDIS_ROOMS_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#ifdef ACACIA_HAVE_REDIS

/*
 * Told what is wrong, in words, such as "connection refused": once when Redis is lost or can't be
 * reached, whatever the number of attempts and messages, and NULL when it is there again. Also when
 * the outbox has become full, and when Redis refuses a command. Must not suspend.
 */
typedef void redis_rooms_listener_t(app_t *app, const char *trouble, void *state);

/* Zero is the default. All is copied. Sizes are bytes, times are milliseconds. */
typedef struct {
    const char *url;      /* redis://USER:PASSWORD@HOST:PORT/DATABASE, of which only HOST is needed;
                             or unix:/PATH of a socket; NULL: redis://localhost */
    const char *username; /* in place of the URL's, where they are percent-encoded */
    const char *password;
    const char *prefix;  /* NULL: "acacia:"; of the channels. The database makes no difference for
                            them, this does: for each program its own */
    const char *node;    /* of this process, 1 to 64 visible characters, that no other one has;
                            NULL: by chance */
    size_t message_size; /* 1 MiB; a larger one is UV_EMSGSIZE, or ignored if it comes in */
    size_t room_size;    /* 1024 of the name of a room; UV_EINVAL */
    size_t outbox;       /* 4 MiB that wait for Redis; then messages to other processes are
                            dropped; one may always wait */
    uint64_t timeout;    /* 5 s to connect and to be let in; a Redis from which nothing comes for
                            twice as long, though it was asked, counts as lost */
    uint64_t reconnect_min; /* 100 ms before the first attempt, twice as much before each next … */
    uint64_t reconnect_max; /* … up to 10 s; all by chance between a half and the whole */
    redis_rooms_listener_t *on_trouble; /* NULL: it is told on stderr */
    void *state;                        /* for on_trouble */
} redis_rooms_options_t;

/*
 * Connect the rooms of `app` to those of other processes, before app_listen; soon, and from app_run
 * on. They go with the app: it says what is left to say when the last of their members is gone
 * after app_close.
 *
 * Returns 0; UV_EINVAL if an option can't be, UV_EALREADY the second time, UV_ENOMEM: then the app
 * does not start, and says why.
 */
int redis_rooms(app_t *app, const redis_rooms_options_t *options);

/*
 * Put a socket into a room, as ws_join, or take it out again, as ws_leave. It leaves all of them
 * when it closes. 0; UV_EINVAL if the name is empty or too long; UV_ENOTCONN, UV_ENOMEM. Who has
 * joined by ws_join only gets what this process publishes.
 */
int redis_rooms_join(websocket_t *ws, const char *room);
void redis_rooms_leave(websocket_t *ws, const char *room);

/*
 * As ws_publish, to the members in all processes. `except` (may be NULL) is a socket of this one.
 *
 * Returns 0; 1 when other processes won't get it, since the outbox is full or the app is at its
 * end; UV_EMSGSIZE and UV_EINVAL (the room), then nobody has got it.
 */
int redis_rooms_publish(app_t *app, const char *room, ws_message_t message,
                        const websocket_t *except);

typedef struct {
    bool connected;     /* Redis is there */
    size_t rooms;       /* that have members in this process */
    size_t buffered;    /* bytes that wait for Redis */
    uint64_t published; /* messages to other processes, some of which may wait */
    uint64_t received;  /* messages of other processes */
    uint64_t dropped; /* that other processes did not get: the outbox was full, or Redis refused */
    uint64_t unconfirmed; /* on their way when the connection broke: they have arrived, or not */
    uint64_t invalid;     /* that came from Redis and were no messages, or too large */
    uint64_t outages;     /* how often Redis was lost, or was not there in the beginning */
} redis_rooms_stats_t;

/* A look at the counters; all are 0 in an app that redis_rooms was not called for. */
void redis_rooms_stats(const app_t *app, redis_rooms_stats_t *stats);

#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
