/* What the files of a connection share: its handle, and when its output leaves. */
#ifndef ACACIA_CONNECTION_PARTS_H
#define ACACIA_CONNECTION_PARTS_H

#include "runtime/connection.h"

static inline struct connection *connection_of(void *handle) {
    return (struct connection *)((char *)handle - offsetof(struct connection, uv));
}

/* The number of its socket, or -1. It is asked twice for each message, where libuv takes 20
 * instructions to tell it, and libuv's handle has room for it. */
static inline int socket_of(struct connection *c) {
    uv_os_fd_t fd;
    if (!c->uv.handle.data && uv_fileno(&c->uv.handle, &fd) == 0)
        c->uv.handle.data = (void *)((intptr_t)fd + 1);
    return (int)((intptr_t)c->uv.handle.data - 1);
}

/* Its input was just dealt with: what it has to send leaves with the others' answers. */
void connection_answer(struct connection *connection);

/* Send those. */
void connection_flush_answered(struct loop *loop);

#endif
