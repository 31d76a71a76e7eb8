/* The server's side of TLS: what a listener needs. */
#ifndef ACACIA_TLS_SERVER_H
#define ACACIA_TLS_SERVER_H

#include "protocols/openssl/tls_error.h"
#include "runtime/connection.h"
#include "tls.h"

struct tls_server;

struct tls_server_events {
    /* Hands are shaken: own the connection at once, or close it. */
    void (*ready)(void *owner, struct connection *connection);
    /* The connection has ended before that: its reason says why. */
    void (*closed)(void *owner, struct connection *connection);
};

/* What has happened. */
struct tls_server_counts {
    uint64_t done, resumed; /* handshakes */
    size_t active;          /* now */
};

/* Read all files. `options` must be complete (see tls_options_complete) and outlive it. NULL, and
 * why. `warning` is empty, or what is wrong and yet no reason not to start. */
struct tls_server *tls_server_new(const tls_options_t *options, struct loop *loop,
                                  const struct tls_server_events *events, void *owner,
                                  const struct tls_why *why, const struct tls_why *warning);

/* When no connection of its is left. NULL is fine. */
void tls_server_free(struct tls_server *server);

/* Shake hands on a connection that has been accepted. False when there is no memory: it is the
 * caller's then. */
bool tls_server_accept(struct tls_server *server, struct connection *connection);

/* Read all files anew, and keep what they say for tls_server_switch. False, and why. */
bool tls_server_prepare(struct tls_server *server, const struct tls_why *why);

/* Take what was prepared for connections that come from now on; or drop it. */
void tls_server_switch(struct tls_server *server, bool take);

const struct tls_server_counts *tls_server_counts(const struct tls_server *server);

/* Fill in the defaults. */
void tls_options_complete(tls_options_t *options);

#endif
