#include "protocols/openssl/digest.h"

#include <openssl/evp.h>

bool sha1_base64(char out[SHA1_BASE64_SIZE], const void *a, size_t a_length, const void *b,
                 size_t b_length) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha1(), NULL) && EVP_DigestUpdate(md, a, a_length) &&
              EVP_DigestUpdate(md, b, b_length) && EVP_DigestFinal_ex(md, digest, NULL);
    EVP_MD_CTX_free(md);
    if (ok)
        EVP_EncodeBlock((unsigned char *)out, digest, 20);
    return ok;
}

void base64_encode(char *out, const void *data, size_t n) {
    EVP_EncodeBlock((unsigned char *)out, data, (int)n);
}
