#include "protocols/openssl/tls_identity.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* --- Life ------------------------------------------------------------------------------------- */

struct tls_identity *tls_identity_hold(struct tls_identity *identity) {
    if (identity)
        identity->references++;
    return identity;
}

void tls_identity_free(tls_identity_t *identity) {
    if (!identity || --identity->references > 0)
        return;
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    sk_X509_pop_free(identity->chain, X509_free);
    OPENSSL_free(identity->ocsp);
    for (size_t i = 0; i < identity->name_count; i++)
        free(identity->names[i]);
    free(identity->names);
    free(identity);
}

/* --- Names ------------------------------------------------------------------------------------ */

static bool add_name(struct tls_identity *identity, const char *name, size_t length) {
    char **names = realloc(identity->names, (identity->name_count + 2) * sizeof *names);
    if (!names)
        return false;
    identity->names = names;
    names[identity->name_count] = strndup(name, length);
    names[identity->name_count + 1] = NULL;
    return names[identity->name_count++];
}

/* Without names for hosts in subjectAltName an old certificate has its common name. */
static bool find_names(struct tls_identity *identity) {
    X509 *certificate = identity->certificate;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool ok = true;
    char text[256];
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && ok; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            ok = add_name(identity, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                          (size_t)ASN1_STRING_length(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text,
                                      sizeof text);
    return ok && (identity->names || add_name(identity, text, n > 0 ? (size_t)n : 0));
}

/* --- Reading ---------------------------------------------------------------------------------- */

static bool read_pem(struct tls_identity *identity, const tls_certificate_t *given,
                     struct tls_passphrase *passphrase, const struct tls_why *why) {
    STACK_OF(X509) *list = tls_read_certificates(given->cert_file, why);
    if (!list)
        return false;
    identity->certificate = sk_X509_shift(list);
    identity->chain = list;
    identity->key =
        tls_read_key(given->key_file ? given->key_file : given->cert_file, passphrase, why);
    return identity->key;
}

static bool read_all(struct tls_identity *identity, const tls_certificate_t *given,
                     struct tls_passphrase *passphrase, const struct tls_why *why) {
    const char *file = given->pkcs12_file ? given->pkcs12_file : given->cert_file;
    if (given->pkcs12_file ? !tls_read_pkcs12(identity, given->pkcs12_file, passphrase, why)
                           : !read_pem(identity, given, passphrase, why))
        return false;
    if (!X509_check_private_key(identity->certificate, identity->key)) {
        ERR_clear_error();
        return tls_say(why, given->key_file ? given->key_file : file,
                       "the key is not the certificate's");
    }
    if (!find_names(identity))
        return tls_say(why, file, "out of memory");
    return !given->ocsp_file || tls_read_ocsp(identity, given->ocsp_file, why);
}

struct tls_identity *tls_identity_read(const tls_certificate_t *given, const tls_options_t *options,
                                       const struct tls_why *why) {
    struct tls_passphrase passphrase = {.given = given->passphrase, .options = options};
    if (!given->cert_file && !given->pkcs12_file) {
        tls_say(why, NULL, "there is neither cert_file nor pkcs12_file");
        return NULL;
    }
    struct tls_identity *identity = calloc(1, sizeof *identity);
    if (!identity) {
        tls_say(why, NULL, "out of memory");
        return NULL;
    }
    identity->references = 1;
    if (read_all(identity, given, &passphrase, why))
        return identity;
    tls_identity_free(identity);
    return NULL;
}

tls_identity_t *tls_identity_new(const tls_certificate_t *certificate, char *why, size_t size) {
    return tls_identity_read(certificate, NULL, &(struct tls_why){why, size});
}

const char *tls_identity_date(const struct tls_identity *identity) {
    if (X509_cmp_current_time(X509_get0_notAfter(identity->certificate)) < 0)
        return "the certificate has expired";
    if (X509_cmp_current_time(X509_get0_notBefore(identity->certificate)) > 0)
        return "the certificate is not valid yet";
    return NULL;
}

/* OpenSSL holds one for each kind of key, and would choose among them: the first one has to go. */
bool tls_identity_use(struct tls_identity *identity, SSL *ssl) {
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, identity->certificate, identity->key, identity->chain, 1) == 1;
}
