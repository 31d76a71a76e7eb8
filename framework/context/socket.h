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

struct websocket {
    struct ws_peer peer;
    struct context *context;
    const struct handshake *handshake; /* lies in the arena of the ctx */
    ws_message_handler *on_message;
    ws_close_handler *on_close;
    ws_error_handler *on_error;
    ws_control_handler *on_ping, *on_pong;
    struct ws_incoming *received; /* what ws_recv has returned, or is about to */
    struct wait recv, drain;
    struct coroutine *runner;       /* the handler that runs, or NULL */
    struct websocket *next, **link; /* in host->sockets while it is open */
    struct task close_task;
    struct timer retry;
    ws_state_t state;
    bool chain_done;  /* app_ws_use's stack has returned */
    bool terminated;  /* before it was accepted */
    bool close_began; /* the close handler has been started */
};

/* A socket for the handshake of `context`, CONNECTING, in its arena; sets ctx->websocket. NULL when
 * there is no memory. */
struct websocket *socket_new(struct context *context, const struct handshake *handshake);

/* The stack has returned `err`. Goes on with messages; or, if nobody has accepted, answers the
 * request. */
void socket_chain_done(struct websocket *ws, int err);

#endif
