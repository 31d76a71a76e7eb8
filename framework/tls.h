/*
 * TLS: https and wss, by OpenSSL.
 *
 *     app_listen_with(app, &(listen_options_t){
 *         .port = 443,
 *         .tls = &(tls_options_t){.cert_file = "cert.pem", .key_file = "key.pem"},
 *     });
 *
 * Everything else stays as it is: the same handlers serve both, ctx_secure tells them apart. TLS
 * 1.3 and 1.2 are spoken, with ciphers that are all right today; ALPN says http/1.1; nothing is
 * ever renegotiated or compressed.
 *
 * All strings and lists are copied; files are read when listening starts, and by tls_reload. What
 * can't be read, or does not fit together, keeps the app from starting, and is told on stderr.
 */
#ifndef ACACIA_TLS_H
#define ACACIA_TLS_H

#include "app.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef enum {
    TLS_1_2 = 1,
    TLS_1_3,
} tls_version_t;

/* A certificate and its key. */
typedef struct {
    const char *cert_file;    /* PEM: the certificate, and behind it the others of its chain */
    const char *key_file;     /* PEM; NULL: it is in cert_file, too */
    const char *pkcs12_file;  /* all of that in one file (.p12, .pfx), in place of both */
    const char *passphrase;   /* of the key, or of pkcs12_file */
    const char *ocsp_file;    /* what the authority says of it (DER): stapled until it expires */
    const char *const *names; /* of `sni`: the hosts that it is for, "*.example.org" as well, NULL
                                 at the end; NULL: those that the certificate names */
} tls_certificate_t;

/* A certificate that has been read, for on_server_name. */
typedef struct tls_identity tls_identity_t;

/* Read it. NULL when it can't be, or does not fit together; the reason is in `why`, cut to `size`.
 * `names` is not looked at. */
tls_identity_t *tls_identity_new(const tls_certificate_t *certificate, char *why, size_t size);

/* It may go while connections use it. NULL is fine. */
void tls_identity_free(tls_identity_t *identity);

/* Zero is the default. */
struct tls_options {
    /* the certificate, for all names that no other is for: see tls_certificate_t */
    const char *cert_file, *key_file;
    const char *pkcs12_file;
    const char *passphrase;
    const char *ocsp_file;
    /* Asked for a passphrase that is not given, of any file: it writes to `buffer`, and returns the
     * length, negative if it has none. */
    int (*ask_passphrase)(char *buffer, size_t size, const char *file, void *state);

    /* several certificates (SNI) */
    const tls_certificate_t *sni; /* the last one is all zeros; the first that has the name is used,
                                     one with the very name before one with a wildcard */
    /* Asked for names that none of `sni` is for, in lower case; NULL is the certificate above. Must
     * not suspend. */
    tls_identity_t *(*on_server_name)(const char *name, void *state);
    void *state; /* for both */

    /* certificates of clients: see ctx_tls */
    bool request_client_cert; /* ask for one: who has none comes in, who has a bad one doesn't */
    bool require_client_cert; /* nobody comes in without one */
    bool any_client_cert;     /* one that ca_file does not vouch for is taken, too: look at
                                 `verified` */
    const char *ca_file;      /* PEM: the authorities that vouch for them */

    /* what is spoken */
    tls_version_t min_version; /* TLS_1_2 */
    const char *ciphers;       /* of TLS 1.2, in OpenSSL's words; NULL: ECDHE with AES-GCM or
                                  ChaCha20-Poly1305 */
    const char *ciphersuites;  /* of TLS 1.3; NULL: all three */

    /* sessions that are resumed, by tickets that the client keeps */
    bool no_tickets;
    uint64_t ticket_lifetime; /* 2 h, in milliseconds; as often there is a new key */
    /* Keys that several processes share: files of 80 random bytes, NULL at the end. The first one
     * encrypts; there are no others then, and to change them is up to you: see tls_reload. */
    const char *const *ticket_key_files;

    /* limits */
    uint64_t handshake_timeout; /* 10 s from the connection to the end of the handshake */
    size_t handshakes; /* 1,000 at once; beyond it the one that has taken longest is closed */

    const char *key_log_file; /* secrets for Wireshark are appended: whoever reads it reads all */
};

/*
 * Read all files of all listeners, and of clients, again: for connections from now on. Those that
 * there are go on as they are. Tickets remain good, unless ticket_key_files or ca_file say
 * otherwise.
 *
 * Returns 0; or, if anything is wrong, UV_EINVAL or UV_ENOMEM: the reason is told on stderr (unless
 * the app is silent) and by tls_reload_error, and everything stays as it was. A certificate that
 * has expired is wrong, too. app_run does this on SIGHUP.
 */
int tls_reload(app_t *app);

/* Why the last tls_reload has failed; "" if it has not. Until the next one. */
const char *tls_reload_error(const app_t *app);

/*
 * Make a key and a certificate that it signs itself, for these names or addresses ("localhost",
 * "::1"; NULL at the end), and write them to two files in PEM; the key's can be read by its owner
 * only. For development: browsers warn of it. 0; a negative error of a file; UV_EIO if OpenSSL
 * fails. Blocks for a moment.
 */
int tls_make_self_signed(const char *cert_file, const char *key_file, const char *const *names,
                         int days);

/* --- Clients ---------------------------------------------------------------------------------- */

/*
 * How wss:// and https:// of ws_client_options_t are spoken. Zero is the default, and right for the
 * internet: the server must show a certificate for the host of the URL, which an authority that
 * this system trusts vouches for. Files are read once for all clients of an app with the same
 * options, and anew after tls_reload.
 */
typedef struct {
    const char *ca_file; /* PEM: the authorities that vouch for the server; NULL: the system's, or
                            those of SSL_CERT_FILE and SSL_CERT_DIR in the environment */
    const char *server_name; /* that it is asked for (SNI), and must be; NULL: the URL's host */
    bool insecure; /* anybody may be the server, who can read and change everything then: for tests
                    */

    /* a certificate to show when the server asks for one: see tls_certificate_t */
    const char *cert_file, *key_file;
    const char *pkcs12_file;
    const char *passphrase;

    tls_version_t min_version; /* TLS_1_2 */
    const char *key_log_file;  /* as tls_options_t.key_log_file */
} tls_client_options_t;

/* --- What is known of a connection ------------------------------------------------------------ */

/* A certificate of the other side. */
typedef struct {
    const char *subject;     /* "CN=ada,O=Example" (RFC 2253, in UTF-8) */
    const char *common_name; /* "ada"; "" if it has none */
    const char *issuer;
    const char *serial;            /* in hex: "01A2" */
    const char *fingerprint;       /* SHA-256: "AB:CD:…" */
    const char *const *names;      /* of subjectAltName: "DNS:example.org", "email:ada@example.org",
                                      "URI:…", "IP:192.0.2.1"; NULL at the end */
    int64_t not_before, not_after; /* seconds since 1970 */
    bool verified;                 /* an authority that we know vouches for it */
    const char *error;             /* why not; NULL */
} tls_peer_certificate_t;

typedef struct {
    const char *version;     /* "TLSv1.3" */
    const char *cipher;      /* "TLS_AES_128_GCM_SHA256" */
    const char *server_name; /* that the client has asked for (SNI), "" if for none */
    const char *alpn;        /* "http/1.1", or "" */
    bool resumed;
    const tls_peer_certificate_t *certificate; /* NULL: it has shown none */
} tls_info_t;

/* What is known of the connection that this request came by, or of the one to another server if it
 * is the ctx of ws_client or ws_connect; NULL if it is none of TLS (a proxy's
 * word is not enough), or if it is gone. Lives as long as the ctx. */
const tls_info_t *ctx_tls(ctx_t *ctx);

/* The client's certificate: ctx_tls(ctx)->certificate, or NULL. */
const tls_peer_certificate_t *ctx_client_certificate(ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
