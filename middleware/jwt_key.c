/* Keys, and what OpenSSL signs and verifies by them. */
#include "jwt_parts.h"

#ifdef ACACIA_HAVE_JSON

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define RSA_BITS_MIN 2048 /* RFC 7518 3.3 */
#define RSA_BITS_MAX (8 * JWT_SIGNATURE_SIZE)

enum kind { HMAC_SECRET, RSA_PKCS1, RSA_PSS, ECDSA };

struct algorithm {
    const char *name;
    enum kind kind;
    const EVP_MD *(*digest)(void);
    size_t bytes;      /* of the digest; of ECDSA: of r and of s */
    const char *curve; /* of ECDSA, as OpenSSL calls it */
};

static const struct algorithm algorithms[] = {
    {"HS256", HMAC_SECRET, EVP_sha256, 32, NULL},  {"HS384", HMAC_SECRET, EVP_sha384, 48, NULL},
    {"HS512", HMAC_SECRET, EVP_sha512, 64, NULL},  {"RS256", RSA_PKCS1, EVP_sha256, 32, NULL},
    {"RS384", RSA_PKCS1, EVP_sha384, 48, NULL},    {"RS512", RSA_PKCS1, EVP_sha512, 64, NULL},
    {"PS256", RSA_PSS, EVP_sha256, 32, NULL},      {"PS384", RSA_PSS, EVP_sha384, 48, NULL},
    {"PS512", RSA_PSS, EVP_sha512, 64, NULL},      {"ES256", ECDSA, EVP_sha256, 32, "prime256v1"},
    {"ES384", ECDSA, EVP_sha384, 48, "secp384r1"}, {"ES512", ECDSA, EVP_sha512, 66, "secp521r1"},
};

struct jwt_key {
    const struct algorithm *algorithm;
    unsigned char *secret; /* of HMAC */
    size_t secret_length;
    EVP_PKEY *pkey; /* of the others */
    bool is_private;
    char *id;
};

const char *jwt_key_algorithm(const jwt_key_t *key) {
    return key->algorithm->name;
}

const char *jwt_key_id(const jwt_key_t *key) {
    return key->id;
}

/* --- Making one ------------------------------------------------------------------------------- */

static const struct algorithm *find_algorithm(const char *name) {
    for (size_t i = 0; name && i < sizeof algorithms / sizeof *algorithms; i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    return NULL;
}

/* What is wrong with it, or NULL. */
static const char *read_secret(jwt_key_t *key, const jwt_key_options_t *options) {
    const char *secret = options->secret;
    size_t length = options->secret_length;
    if (!secret || options->pem)
        return "HS256, HS384 and HS512 need a secret, and no PEM";
    length = length ? length : strlen(secret);
    if (length == 0)
        return "an empty secret is none";
    if (length >= 10 && memcmp(secret, "-----BEGIN", 10) == 0)
        return "a PEM is no secret: everybody may know a public key";
    if (length < key->algorithm->bytes && !options->short_secret)
        return "the secret is shorter than the digest (RFC 7518 3.2): 32, 48 or 64 bytes";
    key->secret = malloc(length);
    if (!key->secret)
        return "out of memory";
    memcpy(key->secret, secret, length);
    key->secret_length = length;
    key->is_private = true;
    return NULL;
}

/* Nobody sits there who could be asked. */
static int no_password(char *buffer, int size, int writing, void *arg) {
    return -1;
}

static EVP_PKEY *read_pem(const char *pem, bool *is_private) {
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    *is_private = pkey;
    if (bio && !pkey) {
        BIO_reset(bio);
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    }
    BIO_free(bio);
    ERR_clear_error();
    return pkey;
}

static const char *check_rsa(const EVP_PKEY *pkey) {
    int bits = EVP_PKEY_get_bits(pkey);
    if (!EVP_PKEY_is_a(pkey, "RSA"))
        return "this algorithm needs a key of RSA";
    return bits < RSA_BITS_MIN || bits > RSA_BITS_MAX ? "a key of RSA has 2,048 to 8,192 bits"
                                                      : NULL;
}

static const char *check_curve(const EVP_PKEY *pkey, const char *curve) {
    char name[64];
    size_t length;
    if (!EVP_PKEY_is_a(pkey, "EC"))
        return "this algorithm needs a key of an elliptic curve";
    if (!EVP_PKEY_get_group_name(pkey, name, sizeof name, &length) || strcmp(name, curve) != 0)
        return "ES256 needs the curve P-256, ES384 P-384, and ES512 P-521";
    return NULL;
}

static const char *read_key_pair(jwt_key_t *key, const jwt_key_options_t *options) {
    if (!options->pem || options->secret)
        return "RS…, PS… and ES… need a PEM, and no secret";
    key->pkey = read_pem(options->pem, &key->is_private);
    if (!key->pkey)
        return "this is no PEM of a public key, nor of a private one that is not encrypted";
    const char *error = key->algorithm->kind == ECDSA
                            ? check_curve(key->pkey, key->algorithm->curve)
                            : check_rsa(key->pkey);
    ERR_clear_error();
    return error;
}

static const char *read_options(jwt_key_t *key, const jwt_key_options_t *options) {
    key->algorithm = find_algorithm(options->algorithm);
    if (!key->algorithm)
        return "algorithm is one of HS256, HS384, HS512, RS…, PS… and ES…";
    for (const char *at = options->id; at && *at; at++)
        if (*at < ' ' || *at > '~')
            return "the id of a key is visible ASCII";
    if (options->id && !(key->id = strdup(options->id)))
        return "out of memory";
    return key->algorithm->kind == HMAC_SECRET ? read_secret(key, options)
                                               : read_key_pair(key, options);
}

jwt_key_t *jwt_key_new(const jwt_key_options_t *options, const char **error) {
    const char *ignored;
    jwt_key_t *key = calloc(1, sizeof *key);
    error = error ? error : &ignored;
    *error = key ? read_options(key, options) : "out of memory";
    if (!*error)
        return key;
    jwt_key_free(key);
    return NULL;
}

void jwt_key_free(jwt_key_t *key) {
    if (!key)
        return;
    if (key->secret)
        OPENSSL_cleanse(key->secret, key->secret_length);
    free(key->secret);
    EVP_PKEY_free(key->pkey);
    free(key->id);
    free(key);
}

/* --- ECDSA: r and s side by side in a token, in DER for OpenSSL (RFC 7518 3.4) -----------------
 */

/* Returns the length of the DER, whose memory is OpenSSL's; 0 on failure. */
static size_t der_of_raw(const unsigned char *raw, size_t bytes, unsigned char **der) {
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)bytes, NULL), *s = BN_bin2bn(raw + bytes, (int)bytes, NULL);
    int length = 0;
    *der = NULL;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
        length = i2d_ECDSA_SIG(pair, der);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    return length > 0 ? (size_t)length : 0;
}

static bool raw_of_der(const unsigned char *der, size_t length, unsigned char *raw, size_t bytes) {
    const BIGNUM *r, *s;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)length);
    bool fits = false;
    if (pair) {
        ECDSA_SIG_get0(pair, &r, &s);
        fits = BN_bn2binpad(r, raw, (int)bytes) > 0 && BN_bn2binpad(s, raw + bytes, (int)bytes) > 0;
    }
    ECDSA_SIG_free(pair);
    return fits;
}

/* --- Signing and verifying -------------------------------------------------------------------- */

static bool use_pss(EVP_PKEY_CTX *context) {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
}

static bool sign_digest(const jwt_key_t *key, const char *text, size_t length,
                        unsigned char *signature, size_t *size) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey_context;
    *size = JWT_SIGNATURE_SIZE;
    bool signs =
        context &&
        EVP_DigestSignInit(context, &pkey_context, key->algorithm->digest(), NULL, key->pkey) > 0 &&
        (key->algorithm->kind != RSA_PSS || use_pss(pkey_context)) &&
        EVP_DigestSign(context, signature, size, (const unsigned char *)text, length) > 0;
    EVP_MD_CTX_free(context);
    return signs;
}

static bool sign_curve(const jwt_key_t *key, const char *text, size_t length,
                       unsigned char *signature, size_t *size) {
    unsigned char der[JWT_SIGNATURE_SIZE];
    size_t der_length;
    *size = 2 * key->algorithm->bytes;
    return sign_digest(key, text, length, der, &der_length) &&
           raw_of_der(der, der_length, signature, key->algorithm->bytes);
}

static bool sign_secret(const jwt_key_t *key, const char *text, size_t length,
                        unsigned char *signature, size_t *size) {
    unsigned n;
    bool signs = HMAC(key->algorithm->digest(), key->secret, (int)key->secret_length,
                      (const unsigned char *)text, length, signature, &n);
    *size = key->algorithm->bytes;
    return signs && n == *size;
}

/* What fails, after all was checked when the key was made, fails for want of memory. What stayed in
 * OpenSSL's queue would be taken for an error of TLS. */
int jwt_key_sign(const jwt_key_t *key, const char *text, size_t length,
                 unsigned char signature[JWT_SIGNATURE_SIZE], size_t *size) {
    bool signs;
    if (!key->is_private)
        return UV_EINVAL;
    if (key->algorithm->kind == HMAC_SECRET)
        signs = sign_secret(key, text, length, signature, size);
    else if (key->algorithm->kind == ECDSA)
        signs = sign_curve(key, text, length, signature, size);
    else
        signs = sign_digest(key, text, length, signature, size);
    ERR_clear_error();
    return signs ? 0 : UV_ENOMEM;
}

static bool verify_digest(const jwt_key_t *key, const char *text, size_t length,
                          const unsigned char *signature, size_t size) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey_context;
    bool holds =
        context &&
        EVP_DigestVerifyInit(context, &pkey_context, key->algorithm->digest(), NULL, key->pkey) >
            0 &&
        (key->algorithm->kind != RSA_PSS || use_pss(pkey_context)) &&
        EVP_DigestVerify(context, signature, size, (const unsigned char *)text, length) == 1;
    EVP_MD_CTX_free(context);
    return holds;
}

static bool verify_curve(const jwt_key_t *key, const char *text, size_t length,
                         const unsigned char *signature, size_t size) {
    unsigned char *der;
    if (size != 2 * key->algorithm->bytes)
        return false;
    size_t der_length = der_of_raw(signature, key->algorithm->bytes, &der);
    bool holds = der_length && verify_digest(key, text, length, der, der_length);
    OPENSSL_free(der);
    return holds;
}

static bool verify_secret(const jwt_key_t *key, const char *text, size_t length,
                          const unsigned char *signature, size_t size) {
    unsigned char expected[EVP_MAX_MD_SIZE];
    size_t expected_size;
    return sign_secret(key, text, length, expected, &expected_size) && size == expected_size &&
           CRYPTO_memcmp(signature, expected, size) == 0;
}

bool jwt_key_verify(const jwt_key_t *key, const char *text, size_t length,
                    const unsigned char *signature, size_t size) {
    bool holds;
    if (key->algorithm->kind == HMAC_SECRET)
        holds = verify_secret(key, text, length, signature, size);
    else if (key->algorithm->kind == ECDSA)
        holds = verify_curve(key, text, length, signature, size);
    else
        holds = verify_digest(key, text, length, signature, size);
    ERR_clear_error();
    return holds;
}

#endif
