/* A certificate with its chain, its key, and what its authority says of it. */
#ifndef ACACIA_TLS_IDENTITY_H
#define ACACIA_TLS_IDENTITY_H

#include "protocols/openssl/tls_error.h"
#include "tls.h"

#include <openssl/ssl.h>
#include <time.h>

struct tls_identity {
    size_t references;
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* without the certificate; may be NULL */
    char **names;           /* of hosts that it is for, by itself; NULL at the end */
    size_t name_count;
    unsigned char *ocsp; /* DER; NULL: none */
    int ocsp_length;
    time_t ocsp_until; /* when it expires; 0: never */
};

/* Read the files. `options` is asked for passphrases, and may be NULL. NULL, and why. */
struct tls_identity *tls_identity_read(const tls_certificate_t *certificate,
                                       const tls_options_t *options, const struct tls_why *why);

struct tls_identity *tls_identity_hold(struct tls_identity *identity);

/* Is it valid now? NULL, or why not. */
const char *tls_identity_date(const struct tls_identity *identity);

/* Use it for a connection. False: OpenSSL says why. */
bool tls_identity_use(struct tls_identity *identity, SSL *ssl);

/* --- tls_files.c ------------------------------------------------------------------------------ */

/* Open a file for reading. NULL, and why. */
BIO *tls_open(const char *file, const struct tls_why *why);

/* Where OpenSSL asks for a passphrase. */
struct tls_passphrase {
    const char *given;
    const tls_options_t *options; /* may be NULL */
    const char *file;
};
int tls_ask_passphrase(char *buffer, int size, int writing, void *passphrase);

/* All certificates in a file, one at least. NULL, and why. */
STACK_OF(X509) * tls_read_certificates(const char *file, const struct tls_why *why);

EVP_PKEY *tls_read_key(const char *file, struct tls_passphrase *passphrase,
                       const struct tls_why *why);

/* All of PKCS#12. */
bool tls_read_pkcs12(struct tls_identity *identity, const char *file,
                     struct tls_passphrase *passphrase, const struct tls_why *why);

bool tls_read_ocsp(struct tls_identity *identity, const char *file, const struct tls_why *why);

#endif
