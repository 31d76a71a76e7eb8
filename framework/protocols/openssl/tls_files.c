/* Certificates, keys and answers of authorities, from their files. */
#include "protocols/openssl/tls_identity.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

BIO *tls_open(const char *file, const struct tls_why *why) {
    ERR_clear_error();
    BIO *bio = BIO_new_file(file, "r");
    if (!bio)
        tls_explain(why, file);
    return bio;
}

/* Never OpenSSL's own, which asks on the terminal. */
int tls_ask_passphrase(char *buffer, int size, int writing, void *arg) {
    const struct tls_passphrase *passphrase = arg;
    const tls_options_t *options = passphrase->options;
    if (passphrase->given) {
        size_t n = strlen(passphrase->given);
        if (n > (size_t)size)
            return -1;
        memcpy(buffer, passphrase->given, n);
        return (int)n;
    }
    if (!options || !options->ask_passphrase)
        return -1;
    int n = options->ask_passphrase(buffer, (size_t)size, passphrase->file, options->state);
    return n <= size ? n : -1;
}

/* Has the file come to its end, and nothing else is wrong? */
static bool at_end(void) {
    unsigned long error = ERR_peek_last_error();
    bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    if (end)
        ERR_clear_error();
    return end;
}

STACK_OF(X509) * tls_read_certificates(const char *file, const struct tls_why *why) {
    struct tls_passphrase none = {.file = file};
    BIO *bio = tls_open(file, why);
    STACK_OF(X509) *list = bio ? sk_X509_new_null() : NULL;
    X509 *certificate;
    bool failed = !list;
    if (bio && !list)
        tls_explain(why, file);
    while (!failed && (certificate = PEM_read_bio_X509(bio, NULL, tls_ask_passphrase, &none)))
        if (!sk_X509_push(list, certificate)) {
            X509_free(certificate);
            failed = true;
        }
    BIO_free(bio);
    if (list && (failed || sk_X509_num(list) == 0 || !at_end())) {
        tls_explain(why, file);
        sk_X509_pop_free(list, X509_free);
        return NULL;
    }
    return list;
}

EVP_PKEY *tls_read_key(const char *file, struct tls_passphrase *passphrase,
                       const struct tls_why *why) {
    BIO *bio = tls_open(file, why);
    if (!bio)
        return NULL;
    passphrase->file = file;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, tls_ask_passphrase, passphrase);
    if (!key)
        tls_explain(why, file);
    BIO_free(bio);
    return key;
}

bool tls_read_pkcs12(struct tls_identity *identity, const char *file,
                     struct tls_passphrase *passphrase, const struct tls_why *why) {
    char buffer[PEM_BUFSIZE + 1];
    BIO *bio = tls_open(file, why);
    if (!bio)
        return false;
    PKCS12 *all = d2i_PKCS12_bio(bio, NULL);
    BIO_free(bio);
    if (!all)
        return tls_explain(why, file);
    passphrase->file = file;
    int n = tls_ask_passphrase(buffer, PEM_BUFSIZE, 0, passphrase);
    buffer[n > 0 ? n : 0] = '\0';
    int done = PKCS12_parse(all, buffer, &identity->key, &identity->certificate, &identity->chain);
    OPENSSL_cleanse(buffer, sizeof buffer);
    PKCS12_free(all);
    if (!done)
        return tls_explain(why, file);
    if (!identity->key || !identity->certificate)
        return tls_say(why, file, "there is no certificate with its key in it");
    ERR_clear_error();
    return true;
}

/* --- OCSP ------------------------------------------------------------------------------------- */

static time_t time_of(const ASN1_GENERALIZEDTIME *time) {
    struct tm tm;
    return time && ASN1_TIME_to_tm(time, &tm) ? timegm(&tm) : 0;
}

/* The certificate that has signed ours. */
static X509 *issuer_of(const struct tls_identity *identity) {
    for (int i = 0; identity->chain && i < sk_X509_num(identity->chain); i++) {
        X509 *candidate = sk_X509_value(identity->chain, i);
        if (X509_check_issued(candidate, identity->certificate) == X509_V_OK)
            return candidate;
    }
    return NULL;
}

/* What it says of our certificate; NULL, and why. */
static const char *check_ocsp(struct tls_identity *identity, OCSP_BASICRESP *basic) {
    X509 *issuer = issuer_of(identity);
    int status, reason;
    ASN1_GENERALIZEDTIME *revoked, *from, *until;
    OCSP_CERTID *id = issuer ? OCSP_cert_to_id(NULL, identity->certificate, issuer) : NULL;
    if (!issuer)
        return "the chain lacks the authority's certificate";
    if (!id)
        return "out of memory";
    int found = OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &from, &until);
    OCSP_CERTID_free(id);
    if (!found)
        return "it is for another certificate";
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return status == V_OCSP_CERTSTATUS_REVOKED ? "the certificate is revoked"
                                                   : "the authority does not know the certificate";
    identity->ocsp_until = time_of(until);
    return NULL;
}

bool tls_read_ocsp(struct tls_identity *identity, const char *file, const struct tls_why *why) {
    BIO *bio = tls_open(file, why);
    if (!bio)
        return false;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE_bio(bio, NULL);
    BIO_free(bio);
    if (!response)
        return tls_explain(why, file);
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    const char *wrong = basic ? check_ocsp(identity, basic) : "the authority has refused to answer";
    OCSP_BASICRESP_free(basic);
    identity->ocsp_length = wrong ? 0 : i2d_OCSP_RESPONSE(response, &identity->ocsp);
    OCSP_RESPONSE_free(response);
    if (wrong)
        tls_say(why, file, wrong);
    ERR_clear_error();
    return !wrong && identity->ocsp;
}
