#include "protocols/openssl/tls_material.h"

#include "protocols/openssl/tls_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>

/* --- What OpenSSL asks in the middle of a handshake ------------------------------------------- */

/* RFC 7301 3.2: a client that names protocols, and not ours, is told that there is none. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                           const unsigned char *in, unsigned in_length, void *arg) {
    for (unsigned at = 0; at < in_length; at += in[at] + 1u)
        if (in[at] == tls_alpn[0] && in_length - at >= sizeof tls_alpn &&
            memcmp(in + at, tls_alpn, sizeof tls_alpn) == 0) {
            *out = in + at + 1;
            *out_length = tls_alpn[0];
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void log_key(const SSL *ssl, const char *line) {
    const struct tls_material *material = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    char text[512];
    size_t n = strlen(line);
    if (n >= sizeof text)
        return;
    memcpy(text, line, n);
    text[n] = '\n'; /* a line in one write, so that several processes may share the file */
    if (write(material->key_log, text, n + 1) < 0)
        return; /* it is for debugging: nobody is to suffer for it */
    OPENSSL_cleanse(text, n);
}

/* Whoever checks its own list of clients looks at the result. */
static int accept_any(int ok, X509_STORE_CTX *store) {
    return 1;
}

/* --- Certificates of clients ------------------------------------------------------------------ */

/* A session that was made under other authorities, or other rules, can't be resumed: it would be
 * taken without a look at its certificate. */
static bool set_session_context(SSL_CTX *ctx, const tls_options_t *options,
                                const STACK_OF(X509) * authorities) {
    unsigned char rules =
        (unsigned char)(options->request_client_cert | options->require_client_cert << 1 |
                        options->any_client_cert << 2);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) && EVP_DigestUpdate(md, &rules, 1);
    for (int i = 0; authorities && i < sk_X509_num(authorities) && ok; i++)
        ok = X509_digest(sk_X509_value(authorities, i), EVP_sha256(), digest, &n) &&
             EVP_DigestUpdate(md, digest, n);
    ok = ok && EVP_DigestFinal_ex(md, digest, &n) &&
         SSL_CTX_set_session_id_context(ctx, digest, n) == 1;
    EVP_MD_CTX_free(md);
    return ok;
}

static bool trust(SSL_CTX *ctx, STACK_OF(X509) * authorities) {
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        X509 *authority = sk_X509_value(authorities, i);
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), authority) != 1 ||
            SSL_CTX_add_client_CA(ctx, authority) != 1)
            return false;
    }
    return true;
}

static bool ask_clients(SSL_CTX *ctx, const tls_options_t *options, const struct tls_why *why) {
    bool wanted =
        options->request_client_cert || options->require_client_cert || options->any_client_cert;
    STACK_OF(X509) *authorities = NULL;
    if (wanted && !options->ca_file && !options->any_client_cert)
        return tls_say(why, NULL, "certificates of clients need a ca_file");
    if (options->ca_file && !(authorities = tls_read_certificates(options->ca_file, why)))
        return false;
    if (wanted)
        SSL_CTX_set_verify(ctx,
                           SSL_VERIFY_PEER |
                               (options->require_client_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                           options->any_client_cert ? accept_any : NULL);
    bool ok =
        (!authorities || trust(ctx, authorities)) && set_session_context(ctx, options, authorities);
    sk_X509_pop_free(authorities, X509_free);
    return ok || tls_explain(why, options->ca_file);
}

/* --- The certificates of this server ---------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    const struct tls_named *left = a, *right = b;
    int order = strcasecmp(left->name, right->name);
    return order ? order : left->order < right->order ? -1 : left->order > right->order;
}

static const struct tls_named *lookup(const struct tls_material *material, const char *name) {
    size_t low = 0, high = material->name_count;
    while (low < high) { /* the first that is not less */
        size_t middle = low + (high - low) / 2;
        if (strcasecmp(material->names[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < material->name_count && strcasecmp(material->names[low].name, name) == 0;
    return found ? &material->names[low] : NULL;
}

struct tls_identity *tls_material_find(const struct tls_material *material, const char *host) {
    char pattern[256];
    const struct tls_named *found = lookup(material, host);
    const char *dot = strchr(host, '.');
    if (!found && dot && dot != host && strlen(dot) < sizeof pattern - 1) {
        pattern[0] = '*'; /* RFC 6125 6.4.3: a star is for one whole part, the first */
        strcpy(pattern + 1, dot);
        found = lookup(material, pattern);
    }
    return found ? found->identity : NULL;
}

static bool add_names(struct tls_material *material, struct tls_identity *identity,
                      const char *const *names) {
    for (; *names; names++) {
        size_t n = material->name_count, size = (n + 1) * sizeof *material->names;
        struct tls_named *list = realloc(material->names, size);
        if (!list)
            return false;
        material->names = list;
        list[material->name_count++] = (struct tls_named){*names, identity, n};
    }
    return true;
}

static bool read_others(struct tls_material *material, const tls_options_t *options,
                        const struct tls_why *why) {
    const tls_certificate_t *given = options->sni;
    size_t count = 0;
    while (given && (given[count].cert_file || given[count].pkcs12_file))
        count++;
    material->others = calloc(count + 1, sizeof *material->others);
    if (!material->others)
        return tls_say(why, NULL, "out of memory");
    for (; material->other_count < count; material->other_count++, given++) {
        struct tls_identity *identity = tls_identity_read(given, options, why);
        if (!identity)
            return false;
        material->others[material->other_count] = identity;
        const char *const *names =
            given->names ? given->names : (const char *const *)identity->names;
        if (!add_names(material, identity, names)) {
            material->other_count++; /* it is ours to free */
            return tls_say(why, NULL, "out of memory");
        }
    }
    if (material->name_count)
        qsort(material->names, material->name_count, sizeof *material->names, compare);
    return true;
}

static bool read_certificates(struct tls_material *material, const tls_options_t *options,
                              const struct tls_why *why) {
    const tls_certificate_t first = {
        .cert_file = options->cert_file,
        .key_file = options->key_file,
        .pkcs12_file = options->pkcs12_file,
        .passphrase = options->passphrase,
        .ocsp_file = options->ocsp_file,
    };
    struct tls_identity *identity = tls_identity_read(&first, options, why);
    material->identity = identity;
    if (!identity)
        return false;
    if (SSL_CTX_use_cert_and_key(material->ctx, identity->certificate, identity->key,
                                 identity->chain, 1) != 1)
        return tls_explain(why, first.pkcs12_file ? first.pkcs12_file : first.cert_file);
    return read_others(material, options, why);
}

bool tls_material_check_dates(const struct tls_material *material, const struct tls_why *why) {
    const char *wrong = tls_identity_date(material->identity);
    for (size_t i = 0; i < material->other_count && !wrong; i++)
        wrong = tls_identity_date(material->others[i]);
    return !wrong || tls_say(why, NULL, wrong);
}

/* --- Making it -------------------------------------------------------------------------------- */

bool tls_material_log_keys(struct tls_material *material, const char *file,
                           const struct tls_why *why) {
    material->key_log = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (material->key_log < 0)
        return tls_say(why, file, strerror(errno));
    SSL_CTX_set_keylog_callback(material->ctx, log_key);
    return true;
}

static bool set_up(struct tls_material *material, const tls_options_t *options,
                   const struct tls_why *why) {
    SSL_CTX *ctx = material->ctx;
    if (!tls_context_set_up(ctx, options->min_version, options->ciphers, options->ciphersuites))
        return tls_explain(why, NULL);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_timeout(ctx, (long)((options->ticket_lifetime + 999) / 1000));
    tls_session_set_callbacks(ctx);
    if (options->no_tickets) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
    }
    if (options->key_log_file && !tls_material_log_keys(material, options->key_log_file, why))
        return false;
    return ask_clients(ctx, options, why) && read_certificates(material, options, why);
}

struct tls_material *tls_material_blank(const SSL_METHOD *kind, const struct tls_why *why) {
    struct tls_material *material = calloc(1, sizeof *material);
    if (!material) {
        tls_say(why, NULL, "out of memory");
        return NULL;
    }
    material->references = 1;
    material->key_log = -1;
    ERR_clear_error();
    material->ctx = SSL_CTX_new(kind);
    material->method = tls_session_method();
    if (material->ctx && material->method && SSL_CTX_set_app_data(material->ctx, material)) {
        tls_session_watch(material->ctx);
        return material;
    }
    tls_explain(why, NULL);
    tls_material_release(material);
    return NULL;
}

struct tls_material *tls_material_new(const tls_options_t *options, const struct tls_why *why) {
    struct tls_material *material = tls_material_blank(TLS_server_method(), why);
    if (!material || set_up(material, options, why))
        return material;
    tls_material_release(material);
    return NULL;
}

struct tls_material *tls_material_hold(struct tls_material *material) {
    material->references++;
    return material;
}

void tls_material_release(struct tls_material *material) {
    if (!material || --material->references > 0)
        return;
    SSL_CTX_free(material->ctx);
    BIO_meth_free(material->method);
    tls_identity_free(material->identity);
    for (size_t i = 0; i < material->other_count; i++)
        tls_identity_free(material->others[i]);
    free(material->others);
    free(material->names);
    if (material->key_log >= 0)
        close(material->key_log);
    free(material);
}
