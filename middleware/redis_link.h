/*
 * One connection to Redis that is made again when it is lost. libuv carries it, hiredis reads what
 * comes; its own contexts, which are freed under their users, are not used. For redis_rooms.h; it
 * is not installed.
 */
#ifndef ACACIA_REDIS_LINK_H
#define ACACIA_REDIS_LINK_H

#include "acacia.h"
#include "redis_target.h"
#include "text.h"

#include <uv.h>

struct addrinfo;
struct redisReader;
struct redisReply;
struct redis_link;

/* None may suspend. */
struct redis_link_events {
    /* Redis is there, and has let us in. */
    void (*ready)(struct redis_link *link);
    /* It is not, or no longer: `unanswered` commands were on their way. Told for each attempt. */
    void (*lost)(struct redis_link *link, const char *reason);
    /* An answer, or a message. */
    void (*reply)(struct redis_link *link, const struct redisReply *reply);
    /* Something can be sent: the time for redis_link_add. May be NULL. */
    void (*fill)(struct redis_link *link);
    /* After redis_link_stop: its memory may go. */
    void (*closed)(struct redis_link *link);
};

/* What stays as it is. Times are milliseconds. */
struct redis_link_settings {
    struct redis_target target;
    uint64_t timeout;
    uint64_t reconnect_min, reconnect_max;
    size_t reply_size; /* of which a larger one ends the connection */
};

enum redis_link_state {
    REDIS_LINK_AWAY, /* until the timer fires */
    REDIS_LINK_RESOLVING,
    REDIS_LINK_CONNECTING,
    REDIS_LINK_GREETING, /* who we are, and is it well? */
    REDIS_LINK_READY,
    REDIS_LINK_CLOSING
};

struct redis_link {
    app_t *app;
    const struct redis_link_settings *settings;
    const struct redis_link_events *events;
    size_t unanswered; /* commands that were sent, without those of redis_link.c itself */

    /* private */
    enum redis_link_state state;
    bool stopped;
    unsigned busy; /* handles that are open, and a thread that looks for the host */
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } handle;
    uv_connect_t connect;
    uv_write_t write;
    uv_timer_t timer;
    struct addrinfo *addresses, *address; /* of the host; the one that is tried */
    struct redisReader *reader;
    struct text waiting, flying; /* to be sent, and handed to libuv */
    size_t commands;             /* that wait */
    unsigned greetings;          /* that have not been answered */
    unsigned silence;            /* halves of the timeout in which nothing came */
    uint64_t delay;
    char reason[128];
    char buffer[16 * 1024];
};

/* Begin to connect; `app`, `settings` and `events` are set. From now on it must be stopped. */
void redis_link_start(struct redis_link *link);

/* What waits is sent, if it can be at once. `closed` comes when the loop has run. */
void redis_link_stop(struct redis_link *link);

/* An argument of a command: two pieces, so that nobody must put them together. */
struct redis_argument {
    const char *prefix; /* ends with a NUL */
    const char *data;
    size_t length;
};

/* Add a command to what waits, also while Redis is away. 0, or UV_ENOMEM. */
int redis_link_add(struct redis_link *link, const struct redis_argument *arguments, size_t count);

/* Send what waits, if Redis is there; else that is done when it is. */
void redis_link_flush(struct redis_link *link);

/* Bytes that Redis has not taken. */
size_t redis_link_buffered(const struct redis_link *link);

#endif
