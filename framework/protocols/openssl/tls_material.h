/*
 * What connections are made of: an SSL_CTX, and the certificates. A reload makes another one;
 * connections hold theirs.
 */
#ifndef ACACIA_TLS_MATERIAL_H
#define ACACIA_TLS_MATERIAL_H

#include "protocols/openssl/tls_identity.h"

struct tls_named {
    const char *name; /* of a host; a star is for its first part */
    struct tls_identity *identity;
    size_t order;
};

struct tls_material {
    size_t references;
    SSL_CTX *ctx;
    BIO_METHOD *method;            /* of what is between OpenSSL and a connection */
    struct tls_identity *identity; /* for names that no other is for; a client's own, or NULL */
    struct tls_identity **others;
    size_t other_count;
    struct tls_named *names; /* of the others, sorted */
    size_t name_count;
    int key_log; /* a descriptor, or -1 */
};

/* Make it for a server, whose `options` are complete and outlive it. NULL, and why. */
struct tls_material *tls_material_new(const tls_options_t *options, const struct tls_why *why);

struct tls_material *tls_material_hold(struct tls_material *material);
void tls_material_release(struct tls_material *material); /* NULL is fine */

/* Is every certificate valid now? Else false, and why. */
bool tls_material_check_dates(const struct tls_material *material, const struct tls_why *why);

/* The certificate for the host that a client has asked for, in lower case; NULL: none of the
 * others. */
struct tls_identity *tls_material_find(const struct tls_material *material, const char *host);

/* --- Both for servers and clients ------------------------------------------------------------- */

/* An SSL_CTX, and nothing in it. NULL, and why. */
struct tls_material *tls_material_blank(const SSL_METHOD *method, const struct tls_why *why);

/* Append the secrets of all its connections to a file. False, and why. */
bool tls_material_log_keys(struct tls_material *material, const char *file,
                           const struct tls_why *why);

/* What all connections have in common. False: OpenSSL says why. */
bool tls_context_set_up(SSL_CTX *ctx, tls_version_t min_version, const char *ciphers,
                        const char *ciphersuites);

/* "http/1.1" as ALPN has it. */
extern const unsigned char tls_alpn[9];

#endif
