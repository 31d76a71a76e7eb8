#include "protocols/openssl/hmac.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define SHA1_SIZE 20

struct hmac {
    EVP_MAC_CTX *keyed; /* has seen the key, and no data: each use works on a copy */
};

/* NULL on failure. */
static EVP_MAC_CTX *new_context(void) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    return context;
}

struct hmac *hmac_new(const void *key, size_t length) {
    char digest[] = "SHA1";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    struct hmac *hmac = malloc(sizeof *hmac);
    if (!hmac)
        return NULL;
    hmac->keyed = new_context();
    /* Not even of length 0 may the key be NULL, which would mean the one before. */
    if (hmac->keyed && EVP_MAC_init(hmac->keyed, length ? key : digest, length, params))
        return hmac;
    ERR_clear_error(); /* what stays in the queue would be taken for an error of TLS */
    hmac_free(hmac);
    return NULL;
}

void hmac_free(struct hmac *hmac) {
    if (!hmac)
        return;
    EVP_MAC_CTX_free(hmac->keyed);
    free(hmac);
}

bool hmac_base64(const struct hmac *hmac, char out[HMAC_BASE64_SIZE], const void *data,
                 size_t length) {
    unsigned char digest[SHA1_SIZE];
    size_t size;
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(hmac->keyed);
    bool ok = context && EVP_MAC_update(context, data, length) &&
              EVP_MAC_final(context, digest, &size, sizeof digest) && size == sizeof digest;
    EVP_MAC_CTX_free(context);
    if (ok)
        EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
    else
        ERR_clear_error();
    return ok;
}

bool equal_in_constant_time(const void *a, const void *b, size_t length) {
    return CRYPTO_memcmp(a, b, length) == 0;
}
