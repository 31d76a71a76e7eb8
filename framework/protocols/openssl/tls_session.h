/*
 * TLS on a connection: a filter that shakes hands, and then seals and opens what goes through. A
 * server's (tls_server.h), or a client's (tls_client.h).
 *
 * While hands are shaken the connection is the session's. Then somebody else must own it, and hears
 * nothing of TLS any more.
 */
#ifndef ACACIA_TLS_SESSION_H
#define ACACIA_TLS_SESSION_H

#include "protocols/openssl/tls_material.h"
#include "runtime/connection.h"

struct tls_session;
struct tls_server;

struct tls_session_events {
    /* Hands are shaken: own the connection at once, or close it. */
    void (*ready)(struct tls_session *session);
    /* It can't come to that; the connection ends by itself, and `closed` follows. NULL: nobody
     * cares. */
    void (*failed)(struct tls_session *session);
    /* The connection has ended before that. */
    void (*closed)(struct tls_session *session);
};

struct tls_session {
    struct filter filter; /* first */
    SSL *ssl;             /* NULL until the first byte comes */
    struct tls_material *material;
    struct tls_identity *identity; /* that was chosen by name; NULL: the material's own */
    const struct tls_session_events *events;
    void *owner;
    struct tls_server *server;        /* NULL for a client's */
    struct tls_session *next, **link; /* in the server's list, while hands are shaken */
    const char *input;                /* what has come and was not looked at */
    size_t input_length;
    char *reason;     /* why it has failed, or NULL */
    unsigned chatter; /* messages of TLS since the last byte for the owner */
    bool open : 1;    /* hands are shaken */
    bool refused : 1; /* by us, for its certificate */
    bool out_of_memory : 1;
};

/* A session on `connection`, which it owns from now on. NULL when there is no memory. */
struct tls_session *tls_session_new(struct connection *connection,
                                    const struct tls_session_events *events, void *owner);

/* Give it its SSL. False when there is no memory. */
bool tls_session_begin(struct tls_session *session, struct tls_material *material, bool client);

/* Go on shaking hands; a client begins by it. */
void tls_session_advance(struct tls_session *session);

/* It has failed in the middle of that: say why, let the peer read what it was told, and close. */
void tls_session_fail(struct tls_session *session, close_reason_t reason, const char *text);

/* The session of a connection, NULL if it has none. */
struct tls_session *tls_session_of(const struct connection *connection);

/* For tls_material.c: what OpenSSL is to call, for a server and for both; how it reads and writes,
 * NULL when there is no memory. */
void tls_session_set_callbacks(SSL_CTX *ctx);
void tls_session_watch(SSL_CTX *ctx);
BIO_METHOD *tls_session_method(void);

/* --- tls_server.c: what a server's session asks it -------------------------------------------- */

/* The first bytes have come. False: it is no TLS, and was answered. */
bool tls_server_welcome(struct tls_session *session, const char *data);

struct tls_identity *tls_server_choose(struct tls_server *server, const char *name);

int tls_server_ticket_key(struct tls_server *server, unsigned char *name, unsigned char *iv,
                          EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing);

#endif
