/* The client's side of TLS: what dialling needs. */
#ifndef ACACIA_TLS_CLIENT_H
#define ACACIA_TLS_CLIENT_H

#include "protocols/openssl/tls_material.h"
#include "runtime/connection.h"

/* Why there is none. */
struct tls_failure {
    char text[TLS_WHY];
    long verify; /* why the server's certificate was refused: X509_V_ERR_…; else 0 */
};

/* What connections with these options are made of. All files are read. NULL, and why. */
struct tls_material *tls_client_material(const tls_client_options_t *options,
                                         const struct tls_why *why);

/*
 * Shake hands on a connection that belongs to nobody yet, with a server that must be `name`, a
 * host or an address. Awaits, at most until the loop's clock says `deadline`, 0 for never.
 *
 * Returns 0, and the connection must be owned before the loop goes on. Or UV_ENOMEM, UV_ETIMEDOUT,
 * UV_ECANCELED, UV_EPROTO, or what the socket has failed with; *failure says why, unless its text
 * is empty, and the connection closes by itself.
 */
int tls_client_open(struct connection *connection, struct tls_material *material, const char *name,
                    uint64_t deadline, struct tls_failure *failure);

#endif
