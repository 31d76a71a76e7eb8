/* A certificate that vouches for itself, for development. */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define NAMES_MAX 1024 /* bytes of all names together */

static bool is_address(const char *name) {
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    return uv_ip4_addr(name, 0, &in) == 0 || uv_ip6_addr(name, 0, &in6) == 0;
}

/* "DNS:localhost,IP:::1": how OpenSSL wants to be told. False if a name can't be one. */
static bool list_names(char list[NAMES_MAX], const char *const *names) {
    size_t length = 0;
    for (; *names; names++) {
        int n = snprintf(list + length, NAMES_MAX - length, "%s%s:%s", length ? "," : "",
                         is_address(*names) ? "IP" : "DNS", *names);
        if (strchr(*names, ',') || n < 0 || (size_t)n >= NAMES_MAX - length)
            return false;
        length += (size_t)n;
    }
    return length > 0;
}

static bool add_extension(X509 *certificate, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *certificate) {
    unsigned char bytes[16];
    BIGNUM *number = NULL;
    bool ok = RAND_bytes(bytes, sizeof bytes) == 1;
    bytes[0] &= 0x7f; /* RFC 5280 4.1.2.2: positive */
    ok = ok && (number = BN_bin2bn(bytes, sizeof bytes, NULL)) &&
         BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return ok;
}

static bool fill_in(X509 *certificate, EVP_PKEY *key, const char *name, const char *names,
                    int days) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) && /* clocks differ */
           X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, NULL) &&
           X509_set_pubkey(certificate, key) &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0) &&
           X509_set_issuer_name(certificate, subject) &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
           add_extension(certificate, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, NID_subject_alt_name, names) &&
           X509_sign(certificate, key, EVP_sha256());
}

/* --- Files ------------------------------------------------------------------------------------ */

/* What is in `bio`, as a new file in place of an old one. */
static int save(BIO *bio, const char *file, mode_t mode) {
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    if (unlink(file) && errno != ENOENT)
        return uv_translate_sys_error(errno);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    int err = write(fd, data, (size_t)n) == n ? 0 : UV_EIO;
    return close(fd) && !err ? uv_translate_sys_error(errno) : err;
}

static int save_both(const char *cert_file, X509 *certificate, const char *key_file,
                     EVP_PKEY *key) {
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_secmem());
    bool ok = cert_bio && key_bio && PEM_write_bio_X509(cert_bio, certificate) &&
              PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
    int err = ok ? save(key_bio, key_file, 0600) : UV_EIO;
    if (!err)
        err = save(cert_bio, cert_file, 0644);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    return err;
}

int tls_make_self_signed(const char *cert_file, const char *key_file, const char *const *names,
                         int days) {
    char list[NAMES_MAX];
    if (!names || !*names || strlen(*names) > 64 || !list_names(list, names) || days <= 0)
        return UV_EINVAL;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    int err = UV_EIO;
    if (key && certificate && fill_in(certificate, key, *names, list, days))
        err = save_both(cert_file, certificate, key_file, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}
