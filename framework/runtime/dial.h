/* Connections to others: the address of a name, and a socket to it. */
#ifndef ACACIA_DIAL_H
#define ACACIA_DIAL_H

#include "runtime/connection.h"

struct dial_target {
    const char *host; /* a name, or an address without brackets */
    int port;
    const char *path; /* a unix socket in place of both, or NULL */
};

/*
 * Connect, at most until the loop's clock says `deadline`. The addresses of a name are tried one
 * after the other. Awaits.
 *
 * Returns 0 and a connection that belongs to nobody yet: it must be owned before the loop goes on.
 * Or UV_ETIMEDOUT, UV_ECANCELED, UV_ENOMEM, or what the last address has failed with.
 */
int dial(struct loop *loop, const struct dial_target *target, uint64_t deadline,
         struct connection **connection);

#endif
