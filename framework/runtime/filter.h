/*
 * What may stand between the owner of a connection and its socket: TLS. The owner's bytes pass
 * through it in both directions, and nothing above knows of it. A connection without one pays a
 * comparison for each read and each flush.
 *
 * Reading: the socket's bytes lie FILTER_MARGIN behind the start of the loop's read buffer, so that
 * what becomes of them can be put together from its start on, and be delivered in one piece.
 *
 * Writing: what the owner writes is sealed when the socket is ready for it, as much at a time as a
 * record holds; small pieces are joined.
 */
#ifndef ACACIA_FILTER_H
#define ACACIA_FILTER_H

#include "runtime/chunks.h"

#include <sys/types.h>

#define FILTER_RECORD 16384 /* the most that is sealed at once */
#define FILTER_MARGIN 20480 /* more than a record that is sealed */

/* A connection is busy once it was used so often, in either direction, and until it has been quiet
 * for one to two seconds; at most so many of a loop's are. */
#define FILTER_BUSY_USES 8
#define FILTER_BUSY_MAX 256
#define FILTER_BUSY_TIME 1000 /* milliseconds between two looks */

struct connection;
struct filter;

struct filter_ops {
    /* `n` bytes have come from the socket, or its end (UV_EOF), or an error. What is for the owner
     * goes to connection_deliver. */
    void (*receive)(struct filter *filter, char *data, ssize_t n);
    /* Seal `n` bytes, at most FILTER_RECORD: what becomes of them goes to filter_put. 0 or an error
     * that ends the connection: UV_ENOMEM, UV_EPROTO. */
    int (*seal)(struct filter *filter, const char *data, size_t n);
    /* Nothing follows: seal a farewell. */
    void (*end)(struct filter *filter);
    /* It is busy from now on: memory that it needs for each record may stay. Or it is no more: that
     * memory goes. May be NULL. */
    void (*busy)(struct filter *filter, bool busy);
    /* The connection is gone, and the filter with it. */
    void (*free)(struct filter *filter);
    /* Why it has failed, in words; NULL if it has not. */
    const char *(*reason)(const struct filter *filter);
};

struct filter {
    const struct filter_ops *ops;
    struct connection *connection;
    struct chunks sealed; /* for the socket */
    size_t waiting;       /* bytes in it */
    struct task again;
    struct filter *next_busy;
    unsigned uses;  /* since the loop has last looked at it */
    bool busy;      /* in loop->busy_filters */
    bool ended;     /* nothing will be sealed any more */
    bool exhausted; /* nothing more will be opened: the peer has said so */
};

/* Put it on a connection, from now on. False when there is no memory. */
bool filter_attach(struct filter *filter, const struct filter_ops *ops,
                   struct connection *connection);

/* Bytes for the socket, copied. False when there is no memory. */
bool filter_put(struct filter *filter, const char *data, size_t n);

/* It was used: something has come through it. */
void filter_use(struct filter *filter);

/* The peer has said that nothing follows. The owner is told; and again, as a socket would, each
 * time that it reads. */
void filter_exhaust(struct filter *filter);

/* --- For the connection ----------------------------------------------------------------------- */

/* Seal some of what its owner has written, if there is not enough for the socket yet. True if there
 * is something for it. An error closes the connection. */
bool filter_seal(struct connection *connection);

/* The same for bytes that the owner has not handed over, when nothing was written before them. How
 * many were sealed. */
size_t filter_seal_from(struct connection *connection, const char *data, size_t n);

/* The connection is closed: the filter goes. */
void filter_free(struct filter *filter);

#endif
