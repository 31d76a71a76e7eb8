#include "protocols/openssl/tls_client.h"

#include "protocols/openssl/tls_session.h"
#include "runtime/wait.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* --- Whom it trusts, and what it shows -------------------------------------------------------- */

static bool trust(SSL_CTX *ctx, const char *file, const struct tls_why *why) {
    STACK_OF(X509) *authorities = file ? tls_read_certificates(file, why) : NULL;
    if (file && !authorities)
        return false;
    bool ok = file || SSL_CTX_set_default_verify_paths(ctx) == 1;
    for (int i = 0; i < sk_X509_num(authorities) && ok; i++)
        ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), sk_X509_value(authorities, i)) == 1;
    sk_X509_pop_free(authorities, X509_free);
    return ok || tls_explain(why, file);
}

static bool show(struct tls_material *material, const tls_client_options_t *options,
                 const struct tls_why *why) {
    const tls_certificate_t own = {
        .cert_file = options->cert_file,
        .key_file = options->key_file,
        .pkcs12_file = options->pkcs12_file,
        .passphrase = options->passphrase,
    };
    if (!own.cert_file && !own.pkcs12_file)
        return true;
    struct tls_identity *identity = tls_identity_read(&own, NULL, why);
    material->identity = identity;
    return identity && (SSL_CTX_use_cert_and_key(material->ctx, identity->certificate,
                                                 identity->key, identity->chain, 1) == 1 ||
                        tls_explain(why, own.cert_file));
}

static bool set_up(struct tls_material *material, const tls_client_options_t *options,
                   const struct tls_why *why) {
    SSL_CTX *ctx = material->ctx;
    if (!tls_context_set_up(ctx, options->min_version, NULL, NULL) ||
        SSL_CTX_set_alpn_protos(ctx, tls_alpn, sizeof tls_alpn) != 0)
        return tls_explain(why, NULL);
    SSL_CTX_set_verify(ctx, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (options->key_log_file && !tls_material_log_keys(material, options->key_log_file, why))
        return false;
    return trust(ctx, options->ca_file, why) && show(material, options, why);
}

struct tls_material *tls_client_material(const tls_client_options_t *options,
                                         const struct tls_why *why) {
    struct tls_material *material = tls_material_blank(TLS_client_method(), why);
    if (!material || set_up(material, options, why))
        return material;
    tls_material_release(material);
    return NULL;
}

/* --- Whom it expects -------------------------------------------------------------------------- */

static bool is_address(const char *name) {
    unsigned char bytes[sizeof(struct in6_addr)];
    return uv_inet_pton(AF_INET, name, bytes) == 0 || uv_inet_pton(AF_INET6, name, bytes) == 0;
}

/* RFC 6066 3: addresses are no names, and a name has no dot at its end. */
static bool expect(SSL *ssl, const char *name) {
    char host[256];
    size_t n = strlen(name);
    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    if (n > 1 && name[n - 1] == '.')
        n--;
    if (n >= sizeof host)
        return false;
    memcpy(host, name, n);
    host[n] = '\0';
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

/* --- Shaking hands ---------------------------------------------------------------------------- */

struct handshake {
    struct wait wait;
    struct connection *connection; /* NULL when it is gone */
    struct tls_failure *failure;
};

static void note(struct handshake *handshake, const struct tls_session *s) {
    struct tls_failure *failure = handshake->failure;
    if (s->reason)
        snprintf(failure->text, sizeof failure->text, "%s", s->reason);
    failure->verify = s->refused ? SSL_get_verify_result(s->ssl) : 0;
}

/* Nothing is read before somebody owns it. */
static void on_ready(struct tls_session *s) {
    struct handshake *handshake = s->owner;
    connection_read_stop(s->filter.connection);
    wait_done(&handshake->wait, 0);
}

static void on_failed(struct tls_session *s) {
    struct handshake *handshake = s->owner;
    note(handshake, s);
    wait_done(&handshake->wait, UV_EPROTO);
}

static void on_closed(struct tls_session *s) {
    struct handshake *handshake = s->owner;
    struct connection *c = s->filter.connection;
    handshake->connection = NULL;
    note(handshake, s);
    wait_done(&handshake->wait, c->error ? c->error : UV_ECONNRESET);
}

static const struct tls_session_events session_events = {
    .ready = on_ready,
    .failed = on_failed,
    .closed = on_closed,
};

/* --- What goes on alone ----------------------------------------------------------------------- */

static void on_end_alone(struct connection *c) {
    connection_close(c, CONNECTION_DONE, 0);
}

static void on_data_alone(struct connection *c, char *data, size_t n) {
}

static void on_closed_alone(struct connection *c) {
}

/* Its last words are on their way. */
static const struct connection_events alone = {
    .data = on_data_alone,
    .end = on_end_alone,
    .timeout = on_end_alone,
    .shut_down = on_end_alone,
    .closed = on_closed_alone,
};

static int give_up(struct connection *c, int err) {
    if (!c)
        return err;
    connection_own(c, &alone, NULL);
    if (connection_is_open(c))
        connection_close(c, CONNECTION_DONE, err);
    return err;
}

int tls_client_open(struct connection *c, struct tls_material *material, const char *name,
                    uint64_t deadline, struct tls_failure *failure) {
    struct handshake handshake = {.connection = c, .failure = failure};
    *failure = (struct tls_failure){0};
    struct tls_session *s = tls_session_new(c, &session_events, &handshake);
    if (!s || !tls_session_begin(s, material, true))
        return give_up(c, UV_ENOMEM);
    if (!expect(s->ssl, name)) {
        ERR_clear_error();
        snprintf(failure->text, sizeof failure->text, "A host whose name can't be one");
        return give_up(c, UV_EINVAL);
    }
    connection_read_start(c);
    tls_session_advance(s);
    connection_flush(c);
    int err = wait_until(&handshake.wait, deadline);
    if (!err && !handshake.connection)
        err = UV_ECONNRESET;
    return err ? give_up(handshake.connection, err) : 0;
}
