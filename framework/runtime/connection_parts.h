/* What the files of a connection share: its handle, and when its output leaves. */
#ifndef ACACIA_CONNECTION_PARTS_H
#define ACACIA_CONNECTION_PARTS_H

#include "runtime/connection.h"

static inline struct connection *connection_of(void *handle) {
    return (struct connection *)((char *)handle - offsetof(struct connection, uv));
}

/* Asks libuv, and notes it. */
int connection_find_socket(struct connection *connection);

/* The number of its socket, or -1. It is asked twice for each message, where libuv takes 20
 * instructions to tell it, and libuv's handle has room for it. */
static inline int socket_of(struct connection *c) {
    return c->uv.handle.data ? (int)((intptr_t)c->uv.handle.data - 1) : connection_find_socket(c);
}

/* As much as goes leaves from where it is, behind what was written before; the rest is copied. As
 * connection_write returns. */
int connection_write_at_once(struct connection *connection, uv_buf_t head, uv_buf_t data);

/* --- late.c ----------------------------------------------------------------------------------- */

/* Write it when the lot has been dealt with. False if `data` does not lie in the loop's read
 * buffer, or it can't wait. */
bool connection_write_late(struct connection *connection, uv_buf_t head, uv_buf_t data);

/* Its own, before anything else is written. */
void connection_find_late(struct connection *connection);

static inline void connection_send_late(struct connection *connection) {
    if (connection->late)
        connection_find_late(connection);
}

/* At the end of the lot. */
void connection_send_all_late(struct loop *loop);

/* --- connection.c ----------------------------------------------------------------------------- */

/* Its input was just dealt with: what it has to send leaves with the others' answers. */
void connection_answer(struct connection *connection);

/* Send those. */
void connection_flush_answered(struct loop *loop);

#endif
