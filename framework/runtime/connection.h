/*
 * A connection: bytes in, bytes out, and a deadline, over a libuv stream.
 *
 * Reading goes into the one buffer of the loop, for a lot of connections (READS_TOGETHER), and the
 * owner uses or copies what it wants before it returns, or holds the buffer (read_buffer.h). What
 * is written is collected in chunks and leaves when the owners of the lot have dealt with what was
 * read, or at the end of the turn: in one system call; only what the kernel does not take at once
 * is left to uv_write, one at a time.
 *
 * connection_close may be called from anywhere, any number of times. After it the owner hears no
 * more but `closed`, from the loop and never from inside a call, and then the connection is gone.
 * Errors of writing close it in the same way.
 */
#ifndef ACACIA_CONNECTION_H
#define ACACIA_CONNECTION_H

#include "app.h"
#include "runtime/chunks.h"
#include "runtime/filter.h"

#include <sys/socket.h>

struct connection_events {
    /* `n` > 0 bytes have come; they and the byte behind them are the owner's, to read and to
     * overwrite, until it returns; and longer, if it holds the buffer that they lie in. */
    void (*data)(struct connection *connection, char *data, size_t n);
    /* The peer will send no more. */
    void (*end)(struct connection *connection);
    /* The deadline has passed. */
    void (*timeout)(struct connection *connection);
    /* The socket takes output again, and no more than `high_water` bytes wait. May be NULL. */
    void (*drained)(struct connection *connection);
    /* The server stops: finish what is begun, then close. */
    void (*shut_down)(struct connection *connection);
    /* Over. `reason` and `error` are what connection_close was given. The last event. */
    void (*closed)(struct connection *connection);
};

/* Most connections are idle: what they don't need then is not in here (docs/websockets.md has the
 * numbers). */
struct connection {
    struct loop *loop;
    const struct connection_events *events;
    void *owner;
    const http_options_t *limits; /* of these high_water and write_timeout */
    struct filter *filter;        /* between the owner and the socket; NULL: nothing is */
    struct chunks out;            /* written and not sent */
    struct flight *in_flight;     /* given to uv_write; NULL when nothing is */
    size_t pending;               /* bytes in all of them */
    struct timer timer;
    uint64_t deadline;                           /* of the owner, 0 for none */
    struct connection *next, **link;             /* in loop->connections */
    struct connection *next_dirty, **dirty_link; /* in loop->dirty or loop->answered, or NULL */
    unsigned read_limit;       /* the most to read at once; 0: what the loop's buffer holds */
    int16_t error;             /* 0, or what libuv said when it broke */
    close_reason_t reason : 8; /* if it did not end well */
    bool reading : 1;
    bool closing : 1;   /* connection_close has been called */
    bool lingering : 1; /* everything is sent; waiting for the peer to close */
    bool close_when_sent : 1;
    bool linger_when_sent : 1;
    bool late : 1;      /* a write of its own waits for the end of the lot: late.c */
    bool truncated : 1; /* the end that the owner has heard of may not be the peer's */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
    } uv; /* last: a pipe is larger, and then this is. Its `data` is the connection's own */
};

/* The reason of an end that is none: both sides wished it. */
#define CONNECTION_DONE CLOSE_REASONS

/* A new connection over a UV_TCP or a UV_NAMED_PIPE, which the caller opens (uv_accept,
 * uv_tcp_connect). There are no limits yet. It must be owned before it is closed. NULL when there
 * is no memory. */
struct connection *connection_new(struct loop *loop, uv_handle_type type);

/* Its stream as a pipe, if it is one. */
static inline uv_pipe_t *connection_pipe(struct connection *connection) {
    return (uv_pipe_t *)&connection->uv;
}

/* From now on `owner` gets the events. */
void connection_own(struct connection *connection, const struct connection_events *events,
                    void *owner);

/*
 * Read a new connection, which is open for reading, in this turn, before the loop looks for what
 * comes: as a rule its first request is there. If that is the only one, the loop need not watch the
 * connection at all, which is a sixth of its system calls. From a callback of libuv's, before the
 * turn's reads are taken; afterwards connection_take_reads is to follow.
 */
void connection_read_early(struct connection *connection);

void connection_read_start(struct connection *connection);
void connection_read_stop(struct connection *connection);

/* `milliseconds` from now `timeout` is called, unless another deadline is set before; 0 takes the
 * deadline away. Costs a store. */
void connection_set_deadline(struct connection *connection, uint64_t milliseconds);

/*
 * Write: the bytes are copied, or sent already, on return. 0, UV_ENOMEM (nothing was written: the
 * stream is broken, and the connection is being closed), or UV_EPIPE when it is closing.
 */
int connection_write(struct connection *connection, const void *data, size_t n);

/* The same of `n` bytes with a head before them, for many: both leave in one system call. If they
 * lie in the loop's read buffer they may be left there for a while, and must not change any more.
 */
int connection_write_headed(struct connection *connection, const void *head, size_t head_length,
                            const void *data, size_t n);

/* Write bytes that others write as well: they are held as long as they wait; few of them behind
 * other output are copied. Returns as connection_write does. */
int connection_write_shared(struct connection *connection, const struct part *part);

/* Room for `n` bytes in a row, to be filled and then committed; NULL when there is no memory, or
 * when it is closing. Nothing else is written in between. */
char *connection_reserve(struct connection *connection, size_t n);
void connection_commit(struct connection *connection, size_t n);

/* Send what is written as far as the kernel takes it. */
void connection_flush(struct connection *connection);

/* Close when everything that was written is sent. With `linger` what the peer is still sending is
 * read and dropped for a while, so that a reset does not take our last words from it (RFC
 * 9112 9.6). */
void connection_finish(struct connection *connection, bool linger);

/* Close now; what was not sent is dropped. `error` is libuv's, or 0. */
void connection_close(struct connection *connection, close_reason_t reason, int error);

/* Why it is going to end, said before it is closed. The first reason that is given stays. */
void connection_blame(struct connection *connection, close_reason_t reason);

static inline bool connection_is_open(const struct connection *connection) {
    return !connection->closing && !connection->close_when_sent;
}

/* Read no more than `size` bytes at once; 0 is what fits into the loop's buffer. */
static inline void connection_limit_read(struct connection *connection, size_t size) {
    connection->read_limit = size < LOOP_READ_BUFFER ? (unsigned)size : 0;
}

/* More waits to be sent than should. */
static inline bool connection_is_high(const struct connection *connection) {
    return connection->pending > connection->limits->high_water;
}

/* TLS, in other words. */
static inline bool connection_is_secure(const struct connection *connection) {
    return connection->filter;
}

/* What went wrong, in words; NULL if nothing did. */
const char *connection_error_text(const struct connection *connection);

/* The peer's address as text, without its port; "" for a unix socket. */
void connection_peer(const struct connection *connection, char *text, size_t size);

/* For a filter: `n` bytes for the owner, or UV_EOF, or an error. */
void connection_deliver(struct connection *connection, char *data, ssize_t n);

/* What has been read goes to the owners, then what they wrote about it to the sockets. From the
 * loop's stack only. */
void connection_take_reads(struct loop *loop);

/* For the loop. */
void connection_flush_dirty(struct loop *loop);

#endif
