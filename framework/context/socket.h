/*
 * What stands behind a websocket_t: the peer on the wire, the ctx that it came from, its handlers,
 * and whoever runs or waits. One coroutine of a socket runs at a time: the chain of app_ws_use, a
 * message handler, or the close handler.
 */
#ifndef ACACIA_SOCKET_H
#define ACACIA_SOCKET_H

#include "context/context.h"
#include "protocols/handshake.h"
#include "protocols/ws_peer.h"
#include "runtime/wait.h"
#include "websocket.h"

struct crowd_entry;
struct membership;
struct ws_client;

/* What few sockets need; made when one does. */
struct socket_extras {
    ws_part_handler *on_part;
    ws_error_handler *on_error;
    ws_control_handler *on_ping, *on_pong;
    ws_drain_handler *on_drain;
    uint64_t id;               /* 0 until somebody asks */
    struct websocket *next_id; /* in its bucket of host->ids */
};

/* Thousands of them may be idle: every byte counts. */
struct websocket {
    struct ws_peer peer;     /* first */
    struct context *context; /* its `handler` is the coroutine at work */
    const char *protocol;    /* that was agreed on, or NULL */
    ws_message_handler *on_message;
    ws_close_handler *on_close;
    struct socket_extras *extras; /* NULL: none */
    struct ws_incoming *received; /* what ws_recv has returned, or is about to */
    struct wait *recv, *drain;    /* of coroutines that wait for a message, or to send */
    struct websocket *next;       /* in host->sockets while it is open; then in host->retired */
    union {
        struct handshake *handshake; /* while it is CONNECTING */
        struct websocket **link;     /* then: in host->sockets, or NULL */
    };
    struct membership *rooms;
    union {
        struct ws_client *client;  /* that has made it, or NULL: if peer.client */
        struct crowd_entry *crowd; /* of its address, where that is counted: else */
    };
    ws_state_t state : 8;
    bool configured : 1;  /* peer.options are its own, by ws_configure */
    bool chain_done : 1;  /* app_ws_use's stack has returned */
    bool terminated : 1;  /* before it was accepted */
    bool close_began : 1; /* the close handler has been started */
    bool paused : 1;
    bool closed_by_us : 1;
    bool is_high : 1; /* somebody was told that too much waits */
};

/* A socket for the handshake of `context`, CONNECTING, in its arena; sets ctx->websocket. The
 * handshake must live until the chain has returned. NULL when there is no memory. */
struct websocket *socket_new(struct context *context, struct handshake *handshake);

/* The stack has returned `err`. Goes on with messages; or, if nobody has accepted, answers the
 * request. */
void socket_chain_done(struct websocket *ws, int err);

/* One that a client has opened: for a ctx of it, with these limits; nobody is at work for it. The
 * peer is to be started. NULL when there is no memory. */
struct websocket *socket_open(struct context *context, const ws_options_t *options);

/* The coroutine that calls this works with it, besides what else it does; and lets it go. */
void socket_hold(struct websocket *ws);
void socket_release(struct websocket *ws);

/* Its part handler, or NULL. */
static inline ws_part_handler *socket_on_part(const struct websocket *ws) {
    return ws->extras ? ws->extras->on_part : NULL;
}

/* Its extras; NULL when there is no memory. */
struct socket_extras *socket_extras(struct websocket *ws);

/* Look at what comes in, as far as it can be dealt with now. */
void socket_go_on(struct websocket *ws);

/* --- socket_accept.c -------------------------------------------------------------------------- */

extern const struct ws_peer_events socket_events;

/* An exchange that carries nothing any more. */
extern const struct exchange_ops socket_exchange_ops;

/* Take what is not zero. */
void socket_merge_options(ws_options_t *options, const ws_options_t *given);

/* What these options mean for the handshake; NULL is NULL. */
const struct deflate_options *socket_deflate_options(const ws_deflate_t *options,
                                                     struct deflate_options *memory);

/* --- socket_set.c: those that are open -------------------------------------------------------- */

void socket_join_set(struct websocket *ws);
void socket_leave_set(struct websocket *ws);

/* It is gone for good, and counts no more. */
void socket_leave_crowd(struct websocket *ws);

/* The one that has this id, or NULL. */
struct websocket *socket_find(const struct context_host *host, uint64_t id);

#endif
