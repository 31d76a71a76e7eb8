/*
 * What http1.c, which reads, and http1_exchange.c, which answers, know of a connection and of the
 * request that is at work on it.
 */
#ifndef ACACIA_HTTP1_REQUEST_H
#define ACACIA_HTTP1_REQUEST_H

#include "protocols/http1.h"
#include "protocols/http1_parser.h"
#include "runtime/input.h"
#include "runtime/wait.h"

/* What is not inlined is not on the way of a request that comes as a whole: that one would have to
 * save registers for it. */
#define NOT_INLINE __attribute__((noinline))

struct http1 {
    struct connection *connection; /* NULL once it is closed, or taken over */
    const struct http1_server *server;
    struct request *request; /* the one that is read or answered, or NULL */
    struct input input;      /* not looked at yet */
    struct task go_on;
    bool going_on;      /* go_on is on the stack */
    bool shutting_down; /* no further request */
    bool peer_closed;
};

struct request {
    struct exchange own;
    struct exchange *exchange; /* that the layers above know: its own, or an upgrade's */
    struct http1 *h;
    struct loop *loop;
    struct http1_parser *parser;
    uint64_t began; /* 0 as long as all of it came at once */
    struct wait reader, writer;
    char *want; /* where `reader` wants its bytes, and how many at most */
    size_t room;
    uint64_t body_dropped;
    uint64_t body_left; /* of the response, if its length was announced */
    /* no bits: each request writes several of them */
    bool dispatched;
    bool complete;  /* all of the request has been read */
    bool broken;    /* the rest of the body will never make sense */
    bool timed_out; /* … or comes too late */
    bool wants_continue;
    bool ended; /* the response is complete; the rest of the body is being skipped */
    bool keep_alive;
    bool chunked;
    bool counted; /* the body of the response has a length */
};

/* The client has said all that it will say, and all of it has been used. */
static inline bool nothing_follows(const struct http1 *h) {
    return h->peer_closed && h->input.length == 0;
}

static inline void drop_input(struct http1 *h) {
    input_drop(&h->input, h->connection->loop);
}

/* --- http1.c ---------------------------------------------------------------------------------- */

/* The socket is read while there is room for what comes. */
void http1_control_flow(struct http1 *h);

/* The reader's bytes. False if there are none yet. */
NOT_INLINE bool http1_take(struct request *r, ssize_t *result);

void http1_free_request(struct request *r);

/* --- http1_exchange.c ------------------------------------------------------------------------- */

extern const struct exchange_ops http1_ops;

/* Back to silence, or to what the client has sent ahead. */
void http1_release_request(struct http1 *h);

#endif
