/* How OpenSSL is told what we want, for servers and clients. */
#include "protocols/openssl/tls_material.h"

#include <openssl/err.h>

/* With forward secrecy, and authenticated: what is left of TLS 1.2 (Mozilla's "intermediate"). */
#define CIPHERS                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERSUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* Not the finite fields that OpenSSL has as well, in which a client makes a server calculate for
 * long. The first one is for OpenSSL 3.5 and later. */
#define GROUPS "X25519:P-256:P-384"
#define GROUPS_HYBRID "X25519MLKEM768:" GROUPS

const unsigned char tls_alpn[9] = "\x08http/1.1";

static bool set_groups(SSL_CTX *ctx) {
    if (SSL_CTX_set1_groups_list(ctx, GROUPS_HYBRID) == 1)
        return true;
    ERR_clear_error();
    return SSL_CTX_set1_groups_list(ctx, GROUPS) == 1;
}

bool tls_context_set_up(SSL_CTX *ctx, tls_version_t min_version, const char *ciphers,
                        const char *ciphersuites) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1); /* all that has come is in memory: a record in one piece */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(ctx, min_version == TLS_1_3 ? TLS1_3_VERSION
                                                                     : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, ciphers ? ciphers : CIPHERS) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, ciphersuites ? ciphersuites : CIPHERSUITES) == 1 &&
           set_groups(ctx);
}
