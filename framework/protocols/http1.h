/*
 * HTTP/1.1 on a connection (RFC 9112): requests in, one after the other, their answers out in the
 * same order; keep-alive, deadlines, 100-continue, what is left of a body that nobody read.
 *
 * The next request is looked at when the answer to the one before is complete. What a client sends
 * ahead is kept, up to a limit; beyond it the socket is not read.
 */
#ifndef ACACIA_HTTP1_H
#define ACACIA_HTTP1_H

#include "protocols/exchange.h"
#include "runtime/connection.h"

struct http1;

struct http1_events {
    /* A request: its head is complete. The receiver starts a coroutine that ends with ops->end, or
     * with ops->take_over, or refuses it by http1_refuse. */
    void (*request)(void *owner, struct exchange *exchange);
    /* The connection is over. `reason` is CONNECTION_DONE for an end that both sides wished. Not
     * called after take_over. */
    void (*closed)(void *owner, struct connection *connection);
    /* What the receiver allocates in the arena of an exchange that asks for an upgrade, in bytes:
     * the sum of what arena_round makes of each block. */
    size_t (*upgrade_memory)(struct exchange *exchange);
};

/* What the connections of a server have in common. */
struct http1_server {
    const http_options_t *options; /* complete: no zeros */
    const struct http1_events *events;
    void *owner;
    char keep_alive_lines[80]; /* the fields Connection and Keep-Alive of a response */
    size_t keep_alive_length;
};

/* Both `options` and `owner` must outlive it. */
void http1_server_init(struct http1_server *server, const http_options_t *options,
                       const struct http1_events *events, void *owner);

/* Speak HTTP on `connection`, which `server` must outlive. 0 or UV_ENOMEM. */
int http1_start(struct connection *connection, const struct http1_server *server);

/* Answer with a bare status line and close, for want of anything to run a handler on. From
 * `request`. */
void http1_refuse(struct exchange *exchange, int status, close_reason_t reason);

#endif
