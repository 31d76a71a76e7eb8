#include "protocols/openssl/tls_info.h"

#include "protocols/openssl/tls_session.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

static const char *copy(struct arena *arena, const char *text) {
    return arena_copy(arena, text, strlen(text));
}

/* --- A certificate ---------------------------------------------------------------------------- */

static const char *name_text(struct arena *arena, const X509_NAME *name) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;
    const char *text = NULL;
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        long n = BIO_get_mem_data(bio, &data);
        text = arena_copy(arena, n ? data : "", (size_t)n);
    }
    BIO_free(bio);
    return text;
}

static const char *common_name(struct arena *arena, const X509_NAME *name) {
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *utf8 = NULL;
    int n = at < 0 ? 0
                   : ASN1_STRING_to_UTF8(&utf8,
                                         X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    const char *text = arena_copy(arena, n > 0 ? (const char *)utf8 : "", n > 0 ? (size_t)n : 0);
    OPENSSL_free(utf8);
    return text;
}

static const char *serial_text(struct arena *arena, X509 *certificate) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    const char *text = hex ? copy(arena, hex) : NULL;
    OPENSSL_free(hex);
    BN_free(number);
    return text;
}

static const char *fingerprint(struct arena *arena, const X509 *certificate) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char text[3 * EVP_MAX_MD_SIZE + 1] = "";
    if (!X509_digest(certificate, EVP_sha256(), digest, &n))
        return NULL;
    for (unsigned i = 0; i < n; i++)
        snprintf(text + 3 * i, 4, i + 1 < n ? "%02X:" : "%02X", digest[i]);
    return copy(arena, text);
}

/* A name with a NUL in it would look like another one: it ends with a question mark instead. */
static const char *prefixed(struct arena *arena, const char *prefix, const ASN1_STRING *value) {
    const char *data = (const char *)ASN1_STRING_get0_data(value);
    size_t n = strlen(prefix), length = (size_t)ASN1_STRING_length(value);
    char *text = arena_alloc(arena, n + length + 1);
    if (!text)
        return NULL;
    memcpy(text, prefix, n);
    memcpy(text + n, data, length);
    text[n + length] = '\0';
    for (char *nul = text; (nul = memchr(nul, '\0', (size_t)(text + n + length - nul)));)
        *nul = '?';
    return text;
}

static const char *address_name(struct arena *arena, const ASN1_STRING *value) {
    char text[INET6_ADDRSTRLEN + 3] = "IP:";
    int family = ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6;
    if (ASN1_STRING_length(value) != 4 && ASN1_STRING_length(value) != 16)
        return copy(arena, "IP:?");
    inet_ntop(family, ASN1_STRING_get0_data(value), text + 3, sizeof text - 3);
    return copy(arena, text);
}

/* NULL when there is no memory. *skip: it is of a kind that nobody wants. */
static const char *alternative(struct arena *arena, const GENERAL_NAME *name, bool *skip) {
    *skip = false;
    switch (name->type) {
    case GEN_DNS:
        return prefixed(arena, "DNS:", name->d.dNSName);
    case GEN_EMAIL:
        return prefixed(arena, "email:", name->d.rfc822Name);
    case GEN_URI:
        return prefixed(arena, "URI:", name->d.uniformResourceIdentifier);
    case GEN_IPADD:
        return address_name(arena, name->d.iPAddress);
    default:
        *skip = true;
        return NULL;
    }
}

static const char *const *alternatives(struct arena *arena, X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = names ? sk_GENERAL_NAME_num(names) : 0, used = 0;
    const char **list = arena_zalloc(arena, ((size_t)count + 1) * sizeof *list);
    bool skip = false, failed = !list;
    for (int i = 0; i < count && !failed; i++) {
        list[used] = alternative(arena, sk_GENERAL_NAME_value(names, i), &skip);
        failed = !list[used] && !skip;
        used += !skip;
    }
    GENERAL_NAMES_free(names);
    return failed ? NULL : list;
}

static int64_t seconds(const ASN1_TIME *time) {
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) ? timegm(&tm) : 0;
}

static const tls_peer_certificate_t *describe(struct arena *arena, X509 *certificate, long result) {
    tls_peer_certificate_t *peer = arena_alloc(arena, sizeof *peer);
    if (!peer)
        return NULL;
    *peer = (tls_peer_certificate_t){
        .subject = name_text(arena, X509_get_subject_name(certificate)),
        .common_name = common_name(arena, X509_get_subject_name(certificate)),
        .issuer = name_text(arena, X509_get_issuer_name(certificate)),
        .serial = serial_text(arena, certificate),
        .fingerprint = fingerprint(arena, certificate),
        .names = alternatives(arena, certificate),
        .not_before = seconds(X509_get0_notBefore(certificate)),
        .not_after = seconds(X509_get0_notAfter(certificate)),
        .verified = result == X509_V_OK,
        .error = result == X509_V_OK ? NULL : X509_verify_cert_error_string(result),
    };
    ERR_clear_error();
    return peer->subject && peer->common_name && peer->issuer && peer->serial &&
                   peer->fingerprint && peer->names
               ? peer
               : NULL;
}

/* --- A connection ----------------------------------------------------------------------------- */

int tls_info_make(const tls_info_t **result, const struct connection *c, struct arena *arena) {
    const struct tls_session *s = c ? tls_session_of(c) : NULL;
    const unsigned char *alpn;
    unsigned alpn_length;
    if (!s || !s->open)
        return UV_ENOENT;
    const char *name = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
    X509 *certificate = SSL_get0_peer_certificate(s->ssl);
    tls_info_t *info = arena_alloc(arena, sizeof *info);
    if (!info)
        return UV_ENOMEM;
    SSL_get0_alpn_selected(s->ssl, &alpn, &alpn_length);
    *info = (tls_info_t){
        .version = SSL_get_version(s->ssl),
        .cipher = SSL_get_cipher_name(s->ssl),
        .server_name = copy(arena, name ? name : ""),
        .alpn = arena_copy(arena, alpn_length ? (const char *)alpn : "", alpn_length),
        .resumed = SSL_session_reused(s->ssl) != 0,
        .certificate =
            certificate ? describe(arena, certificate, SSL_get_verify_result(s->ssl)) : NULL,
    };
    *result = info;
    return info->server_name && info->alpn && (info->certificate || !certificate) ? 0 : UV_ENOMEM;
}
