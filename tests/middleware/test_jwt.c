/* Tokens: who is let in, and who never is. Keys are made anew each time. */
#include "test_guard.h"

#include "middleware/jwt.h"
#include "middleware/jwt_parts.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define SECRET "01234567890123456789012345678901"
#define NOW 1700000000

/* RFC 7515, appendix A.1 and A.3. */
#define RFC_CLAIMS                                                                                 \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define RFC_HS256                                                                                  \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS                                         \
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define RFC_ES256                                                                                  \
    "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS                                                             \
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define RFC_SECRET                                                                                 \
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
static const char rfc_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                              "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                              "-----END PUBLIC KEY-----\n";

/* --- Keys ------------------------------------------------------------------------------------- */

struct pem_pair {
    char private[8192], public[4096];
};

static struct pem_pair rsa, small_rsa, p256, p384, p521, ed25519;

static void read_bio(BIO *bio, char *text, size_t size) {
    int n = BIO_read(bio, text, (int)size - 1);
    assert_in_range(n, 1, size - 1);
    text[n] = '\0';
    BIO_free(bio);
}

static void write_pair(struct pem_pair *pair, EVP_PKEY *pkey) {
    assert_non_null(pkey);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL));
    read_bio(bio, pair->private, sizeof pair->private);
    bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PUBKEY(bio, pkey));
    read_bio(bio, pair->public, sizeof pair->public);
    EVP_PKEY_free(pkey);
}

static int make_pairs(void **state) {
    write_pair(&rsa, EVP_RSA_gen(2048));
    write_pair(&small_rsa, EVP_RSA_gen(1024));
    write_pair(&p256, EVP_EC_gen("P-256"));
    write_pair(&p384, EVP_EC_gen("P-384"));
    write_pair(&p521, EVP_EC_gen("P-521"));
    write_pair(&ed25519, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    return 0;
}

static jwt_key_t *key_of(jwt_key_options_t options) {
    const char *error = "";
    options.short_secret = true;
    jwt_key_t *key = jwt_key_new(&options, &error);
    if (!key)
        fail_msg("%s: %s", options.algorithm, error);
    assert_null(error);
    return key;
}

static jwt_key_t *secret_key(void) {
    return key_of((jwt_key_options_t){.algorithm = "HS256", .secret = SECRET});
}

static void refuse_key(jwt_key_options_t options, const char *expected) {
    const char *error = NULL;
    assert_null(jwt_key_new(&options, &error));
    if (!error || !strstr(error, expected))
        fail_msg("\"%s\", not \"%s\"", error, expected);
    assert_null(jwt_key_new(&options, NULL));
}

static void test_wrong_keys(void **state) {
    char encrypted[8192];
    BIO *bio = BIO_new(BIO_s_mem()), *plain = BIO_new_mem_buf(p256.private, -1);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(plain, NULL, NULL, NULL);
    BIO_free(plain);
    assert_true(PEM_write_bio_PrivateKey(bio, pkey, EVP_aes_128_cbc(), NULL, 0, NULL, "password"));
    read_bio(bio, encrypted, sizeof encrypted);
    EVP_PKEY_free(pkey);

#define WRONG(expected, ...) refuse_key((jwt_key_options_t){__VA_ARGS__}, expected)
    static const char *const names[] = {"none", "None", "NONE",  "hs256",  "HS255", "HS2560",
                                        "HS",   "",     "EdDSA", "RS256 ", "dir",   "A128KW"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        WRONG("algorithm is one of", .algorithm = names[i], .secret = SECRET);
    WRONG("algorithm is one of", .secret = SECRET);
    WRONG("need a secret", .algorithm = "HS256");
    WRONG("need a secret", .algorithm = "HS256", .pem = rsa.public);
    WRONG("need a secret", .algorithm = "HS256", .secret = SECRET, .pem = rsa.public);
    WRONG("an empty secret", .algorithm = "HS256", .secret = "", .short_secret = true);
    WRONG("a PEM is no secret", .algorithm = "HS256", .secret = rsa.public);
    WRONG("a PEM is no secret", .algorithm = "HS512", .secret = p256.private, .short_secret = true);
    WRONG("shorter than the digest", .algorithm = "HS256", .secret = "secret");
    WRONG("shorter than the digest", .algorithm = "HS256", .secret = SECRET, .secret_length = 31);
    WRONG("shorter than the digest", .algorithm = "HS384", .secret = SECRET);
    WRONG("need a PEM", .algorithm = "RS256", .secret = SECRET);
    WRONG("need a PEM", .algorithm = "ES256");
    WRONG("need a PEM", .algorithm = "ES256", .secret = SECRET, .pem = p256.public);
    WRONG("no PEM", .algorithm = "RS256", .pem = "");
    WRONG("no PEM", .algorithm = "RS256", .pem = SECRET);
    WRONG("no PEM", .algorithm = "ES256", .pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n");
    WRONG("no PEM", .algorithm = "ES256", .pem = encrypted);
    WRONG("2,048", .algorithm = "RS256", .pem = small_rsa.public);
    WRONG("2,048", .algorithm = "PS512", .pem = small_rsa.private);
    WRONG("key of RSA", .algorithm = "RS256", .pem = p256.public);
    WRONG("key of RSA", .algorithm = "PS256", .pem = ed25519.public);
    WRONG("elliptic curve", .algorithm = "ES256", .pem = rsa.public);
    WRONG("elliptic curve", .algorithm = "ES256", .pem = ed25519.public);
    WRONG("P-256", .algorithm = "ES256", .pem = p384.public);
    WRONG("P-256", .algorithm = "ES512", .pem = p384.private);
    WRONG("visible ASCII", .algorithm = "HS256", .secret = SECRET, .id = "\xc3\xbc");
#undef WRONG
    jwt_key_free(NULL);
}

/* --- Signing and verifying -------------------------------------------------------------------- */

static int64_t fixed_now(void) {
    return NOW;
}

static const jwt_checks_t at_now = {.now = fixed_now};

static char *sign(const jwt_key_t *key, json_t *claims) {
    char *token;
    assert_int_equal(jwt_sign(key, claims, NULL, &token), 0);
    return token;
}

/* `expected` NULL: it is good. */
static void verify_with(const jwt_key_t *key, const char *token, const jwt_checks_t *checks,
                        const char *expected) {
    char reason[JWT_REASON_SIZE] = "";
    json_t *claims = (json_t *)reason;
    int err = jwt_verify((const jwt_key_t *const[]){key, NULL}, token, checks, &claims, reason);
    if (err != (expected ? UV_EACCES : 0) || (expected && strcmp(reason, expected) != 0))
        fail_msg("%s: %d \"%s\", not \"%s\"", token, err, reason, expected ? expected : "");
    assert_true(!claims == !!expected);
    json_decref(claims);
    assert_int_equal(
        jwt_verify((const jwt_key_t *const[]){key, NULL}, token, checks, &claims, NULL), err);
    json_decref(claims);
}

static void verify(const jwt_key_t *key, const char *token, const char *expected) {
    verify_with(key, token, &at_now, expected);
}

/* A token with any header and any claims, signed all the same. */
static char *forge(const jwt_key_t *key, const char *header, const char *claims) {
    unsigned char signature[JWT_SIGNATURE_SIZE];
    size_t size;
    char *token = malloc(2 * (strlen(header) + strlen(claims) + sizeof signature));
    char *end = jwt_base64url_encode(token, (const unsigned char *)header, strlen(header));
    *end++ = '.';
    end = jwt_base64url_encode(end, (const unsigned char *)claims, strlen(claims));
    assert_int_equal(jwt_key_sign(key, token, (size_t)(end - token), signature, &size), 0);
    *end++ = '.';
    jwt_base64url_encode(end, signature, size);
    return token;
}

static void check_forged(const char *header, const char *claims, const char *expected) {
    jwt_key_t *key = secret_key();
    char *token = forge(key, header, claims);
    verify(key, token, expected);
    free(token);
    jwt_key_free(key);
}

static void test_vectors(void **state) {
    unsigned char secret[96];
    ssize_t length = jwt_base64url_decode(secret, RFC_SECRET, strlen(RFC_SECRET));
    assert_int_equal(length, 64);
    jwt_key_t *hmac = key_of(
        (jwt_key_options_t){.algorithm = "HS256", .secret = (char *)secret, .secret_length = 64});
    jwt_key_t *curve = key_of((jwt_key_options_t){.algorithm = "ES256", .pem = rfc_pem});
    const jwt_checks_t old = {.ignore_expiration = true};
    verify_with(hmac, RFC_HS256, &old, NULL);
    verify_with(curve, RFC_ES256, &old, NULL);
    verify_with(hmac, RFC_HS256, NULL, "jwt expired");
    verify_with(curve, RFC_HS256, &old, "invalid algorithm");
    verify_with(hmac, RFC_ES256, &old, "invalid algorithm");
    jwt_key_free(hmac);
    jwt_key_free(curve);
}

/* One character of the signature, or of what is signed, or of its length. */
static void spoil(const jwt_key_t *key, char *token) {
    const jwt_key_t *const keys[] = {key, NULL};
    size_t length = strlen(token), dot = strcspn(token, ".");
    dot += 1 + strcspn(token + dot + 1, "."); /* the second */
    const size_t places[] = {dot + 1, dot - 4, (dot + length) / 2};
    for (size_t i = 0; i < 3; i++) {
        char old = token[places[i]];
        json_t *claims;
        token[places[i]] = old == 'A' ? 'B' : 'A';
        assert_int_equal(jwt_verify(keys, token, &at_now, &claims, NULL), UV_EACCES);
        token[places[i]] = old;
    }
    verify(key, token, NULL);
    token[length - 4] = '\0';
    verify(key, token, "invalid signature");
    token[dot + 1] = '\0';
    verify(key, token, "jwt signature is required");
}

static void check_algorithm(const char *algorithm, const char *private, const char *public) {
    bool is_hmac = *algorithm == 'H';
    jwt_key_t *signer = key_of((jwt_key_options_t){
        .algorithm = algorithm, .secret = is_hmac ? SECRET : NULL, .pem = private});
    jwt_key_t *verifier = key_of((jwt_key_options_t){
        .algorithm = algorithm, .secret = is_hmac ? SECRET : NULL, .pem = public});
    for (int i = 0; i < 20; i++) { /* r and s of ECDSA have leading zeros now and then */
        char *token = sign(signer, json_pack("{s:i}", "n", i)), *other;
        verify(verifier, token, NULL);
        verify(signer, token, NULL);
        spoil(verifier, token);
        free(token);
        int err = jwt_sign(verifier, json_object(), NULL, &other);
        assert_int_equal(err, is_hmac ? 0 : UV_EINVAL);
        free(other);
    }
    jwt_key_free(signer);
    jwt_key_free(verifier);
}

static void test_algorithms(void **state) {
    static const char *const hmacs[] = {"HS256", "HS384", "HS512"};
    static const char *const rsas[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
    for (size_t i = 0; i < 3; i++)
        check_algorithm(hmacs[i], NULL, NULL);
    for (size_t i = 0; i < 6; i++)
        check_algorithm(rsas[i], rsa.private, rsa.public);
    check_algorithm("ES256", p256.private, p256.public);
    check_algorithm("ES384", p384.private, p384.public);
    check_algorithm("ES512", p521.private, p521.public);
}

/* The attacks of old: another algorithm than the key's, none, and the public key as a secret. */
static void test_algorithm_of_token(void **state) {
    jwt_key_t *hmac = secret_key();
    jwt_key_t *pair = key_of((jwt_key_options_t){.algorithm = "RS256", .pem = rsa.private});
    jwt_key_t *public = key_of((jwt_key_options_t){.algorithm = "RS256", .pem = rsa.public});
    static const char *const names[] = {"none",  "None",   "HS384", "RS256",
                                        "hs256", "HS256 ", "",      "ES256"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char header[64];
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", names[i]);
        char *token = forge(hmac, header, "{}");
        verify(hmac, token, "invalid algorithm");
        *strrchr(token, '.') = '\0';
        verify(hmac, token, "jwt malformed");
        strcat(token, ".");
        verify(hmac, token, "jwt signature is required");
        free(token);
    }
    check_forged("{\"typ\":\"JWT\"}", "{}", "invalid algorithm");
    check_forged("{\"alg\":null}", "{}", "invalid algorithm");
    check_forged("{\"alg\":[\"HS256\"]}", "{}", "invalid algorithm");

    /* somebody takes the public key for a secret */
    unsigned char digest[EVP_MAX_MD_SIZE];
    char token[512];
    size_t size;
    char *end = jwt_base64url_encode(token, (const unsigned char *)"{\"alg\":\"HS256\"}", 15);
    *end++ = '.';
    end = jwt_base64url_encode(end, (const unsigned char *)"{}", 2);
    EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, rsa.public, strlen(rsa.public),
              (unsigned char *)token, (size_t)(end - token), digest, sizeof digest, &size);
    *end++ = '.';
    jwt_base64url_encode(end, digest, size);
    verify(public, token, "invalid algorithm");
    verify(pair, token, "invalid algorithm");
    jwt_key_free(hmac);
    jwt_key_free(pair);
    jwt_key_free(public);
}

static void test_malformed(void **state) {
    static const char *const tokens[] = {"",    ".",    "a.b",    "a",     "a.b.c.d",
                                         "...", "....", "a.b.c.", ".a.b.c"};
    static const char *const bad_json[] = {"",
                                           "{",
                                           "[]",
                                           "null",
                                           "\"a\"",
                                           "1",
                                           "{}x",
                                           "{\"a\":}",
                                           "{'a':1}",
                                           "{\"a\":1,}",
                                           "{\"a\":1,\"a\":2}",
                                           "{\"a\":\"\xff\"}",
                                           "{\"a\":\"\\ud800\"}",
                                           "{\"a\":\"\\u0000\"}",
                                           "{\"a\":1e999}",
                                           "\xef\xbb\xbf{}"};
    jwt_key_t *key = secret_key();
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        verify(key, tokens[i], "jwt malformed");
    for (size_t i = 0; i < sizeof bad_json / sizeof *bad_json; i++) {
        check_forged("{\"alg\":\"HS256\"}", bad_json[i], "invalid token");
        check_forged(bad_json[i], "{}", "invalid token");
    }
    check_forged("{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", "{}",
                 "unknown critical header");
    check_forged("{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", "{}",
                 "unknown critical header");
    check_forged("{\"typ\":7,\"alg\":\"HS256\"}", "{\"a\":\"\xc3\xbc\"}", NULL);

    /* "{}" is "e30": other digits, padding, bits that are left over, a length that can't be */
    char *good = forge(key, "{\"alg\":\"HS256\"}", "{}");
    static const char *const claims[] = {"e30=", "e3+", "e3/",   "e31",  "e30A",
                                         "e3",   "e",   "e30\n", " e30", "e\xc3\xbc"};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        char token[256];
        snprintf(token, sizeof token, "%.*s.%s%s", (int)strcspn(good, "."), good, claims[i],
                 strrchr(good, '.'));
        verify(key, token, "invalid token");
    }
    static const char *const tails[] = {"=", "+", "/", "-=", " ", "%41", "\xff"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        char token[256];
        snprintf(token, sizeof token, "%s%s", good, tails[i]);
        verify(key, token, "invalid token");
    }
    char *last = good + strlen(good) - 1; /* 32 bytes are 43 digits, and two bits too many */
    *last = 'B';
    char reason[JWT_REASON_SIZE];
    json_t *none;
    assert_int_equal(jwt_verify((const jwt_key_t *const[]){key, NULL}, good, NULL, &none, reason),
                     UV_EACCES);
    assert_string_equal(reason, "invalid signature");
    free(good);
    jwt_key_free(key);
}

static void test_limits(void **state) {
    jwt_key_t *key = secret_key();
    char *deep = calloc(1, 100), *token;
    for (int depth = 15; depth <= 17; depth++) {
        memset(deep, 0, 100);
        strcat(deep, "{\"[[[[\\\"[[[[\":"); /* what is in strings doesn't count */
        for (int i = 2; i < depth; i++)
            strcat(deep, "[");
        strcat(deep, depth % 2 ? "{}" : "[]");
        for (int i = 2; i < depth; i++)
            strcat(deep, "]");
        strcat(deep, "}");
        token = forge(key, "{\"alg\":\"HS256\"}", deep);
        verify(key, token, depth <= 16 ? NULL : "invalid token");
        verify_with(key, token, &(jwt_checks_t){.depth = 100}, NULL);
        verify_with(key, token, &(jwt_checks_t){.depth = 2}, "invalid token");
        free(token);
    }
    free(deep);
    char *abyss = calloc(1, 3000);
    strcpy(abyss, "{\"a\":");
    memset(abyss + 5, '[', 1000);
    memset(abyss + 1005, ']', 1000);
    strcat(abyss, "}");
    token = forge(key, "{\"alg\":\"HS256\"}", abyss);
    verify_with(key, token, &(jwt_checks_t){.depth = SIZE_MAX}, "invalid token");
    free(token);
    free(abyss);
    char *wide = malloc(20000); /* many, but side by side */
    strcpy(wide, "{\"a\":[");
    for (int i = 0; i < 1000; i++)
        strcat(wide, "[],");
    strcat(wide, "[]]}");
    token = forge(key, "{\"alg\":\"HS256\"}", wide);
    assert_in_range(strlen(token), 4000, 8191);
    verify(key, token, NULL);
    verify_with(key, token, &(jwt_checks_t){.token_size = strlen(token)}, NULL);
    verify_with(key, token, &(jwt_checks_t){.token_size = strlen(token) - 1}, "jwt too long");
    free(token);
    memset(wide, ' ', 7000);
    wide[7000] = '\0';
    strcat(wide, "{}");
    token = forge(key, "{\"alg\":\"HS256\"}", wide);
    verify(key, token, "jwt too long");
    verify_with(key, token, &(jwt_checks_t){.token_size = 16384}, NULL);
    free(token);
    free(wide);
    token = calloc(1, 6000); /* a signature longer than any */
    memset(token, 'A', 5999);
    memcpy(token, "eyJhbGciOiJIUzI1NiJ9.e30.", 25);
    verify(key, token, "invalid signature");
    free(token);
    jwt_key_free(key);
}

static void test_base64url(void **state) {
    unsigned char data[64], back[64];
    char text[100];
    for (size_t length = 0; length < 64; length++) {
        for (size_t i = 0; i < length; i++)
            data[i] = (unsigned char)(i * 37 + length * 101);
        char *end = jwt_base64url_encode(text, data, length);
        assert_int_equal(end - text, (length * 4 + 2) / 3);
        assert_int_equal(*end, '\0');
        assert_int_equal(jwt_base64url_decode(back, text, (size_t)(end - text)), length);
        assert_memory_equal(data, back, length);
    }
    jwt_base64url_encode(text, (const unsigned char *)"\xfb\xff\xbf", 3);
    assert_string_equal(text, "-_-_");
}

/* --- Claims ----------------------------------------------------------------------------------- */

static void check_claims(const char *claims, jwt_checks_t checks, const char *expected) {
    jwt_key_t *key = secret_key();
    char *token = forge(key, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", claims);
    checks.now = fixed_now;
    verify_with(key, token, &checks, expected);
    free(token);
    jwt_key_free(key);
}

static void test_times(void **state) {
    const jwt_checks_t none = {0}, tolerant = {.clock_tolerance = 10};
    check_claims("{\"exp\":1700000001}", none, NULL);
    check_claims("{\"exp\":1700000000.5}", none, NULL);
    check_claims("{\"exp\":1700000000}", none, "jwt expired");
    check_claims("{\"exp\":-1}", none, "jwt expired");
    check_claims("{\"exp\":\"1800000000\"}", none, "invalid exp value");
    check_claims("{\"exp\":null}", none, "invalid exp value");
    check_claims("{\"exp\":1699999991}", tolerant, NULL);
    check_claims("{\"exp\":1699999990}", tolerant, "jwt expired");
    check_claims("{\"exp\":0}", (jwt_checks_t){.ignore_expiration = true}, NULL);
    check_claims("{\"nbf\":1700000000}", none, NULL);
    check_claims("{\"nbf\":1700000000.5}", none, "jwt not active");
    check_claims("{\"nbf\":1700000010}", tolerant, NULL);
    check_claims("{\"nbf\":1700000011}", tolerant, "jwt not active");
    check_claims("{\"nbf\":true}", none, "invalid nbf value");
    check_claims("{\"nbf\":9e15}", (jwt_checks_t){.ignore_not_before = true}, NULL);
    check_claims("{\"iat\":1800000000}", none, NULL);
    check_claims("{\"iat\":1699999991}", (jwt_checks_t){.max_age = 10}, NULL);
    check_claims("{\"iat\":1699999990}", (jwt_checks_t){.max_age = 10}, "maxAge exceeded");
    check_claims("{\"iat\":1699999990}", (jwt_checks_t){.max_age = 10, .clock_tolerance = 1}, NULL);
    check_claims("{}", (jwt_checks_t){.max_age = 10}, "iat required when maxAge is specified");
    check_claims("{\"iat\":\"1\"}", (jwt_checks_t){.max_age = 10},
                 "iat required when maxAge is specified");
}

static void test_names(void **state) {
    const jwt_checks_t audience = {.audiences = HEADERS("a", "b")};
    const jwt_checks_t issuer = {.issuers = HEADERS("me", "you")};
    check_claims("{\"aud\":\"b\"}", audience, NULL);
    check_claims("{\"aud\":[7,\"x\",\"a\"]}", audience, NULL);
    check_claims("{\"aud\":\"ab\"}", audience, "jwt audience invalid. expected: a or b");
    check_claims("{\"aud\":[]}", audience, "jwt audience invalid. expected: a or b");
    check_claims("{\"aud\":{\"a\":1}}", audience, "jwt audience invalid. expected: a or b");
    check_claims("{}", audience, "jwt audience invalid. expected: a or b");
    check_claims("{\"iss\":\"you\"}", issuer, NULL);
    check_claims("{\"iss\":[\"you\"]}", issuer, "jwt issuer invalid. expected: me,you");
    check_claims("{}", issuer, "jwt issuer invalid. expected: me,you");
    check_claims("{\"sub\":\"7\"}", (jwt_checks_t){.subject = "7"}, NULL);
    check_claims("{\"sub\":7}", (jwt_checks_t){.subject = "7"}, "jwt subject invalid. expected: 7");
    check_claims("{\"jti\":\"1\"}", (jwt_checks_t){.id = "2"}, "jwt jwtid invalid. expected: 2");
    check_claims("{}", (jwt_checks_t){.nonce = "n"}, "jwt nonce invalid. expected: n");
    check_claims("{\"nonce\":\"n\",\"jti\":\"2\"}", (jwt_checks_t){.nonce = "n", .id = "2"}, NULL);

    char name[300], reason[JWT_REASON_SIZE];
    memset(name, 'n', sizeof name - 1);
    name[299] = '\0';
    json_t *claims = json_object();
    assert_false(
        jwt_claims_check(claims, &(jwt_checks_t){.audiences = HEADERS(name, name)}, reason));
    assert_int_equal(strlen(reason), JWT_REASON_SIZE - 1);
    json_decref(claims);
}

static void test_sign(void **state) {
    jwt_key_t *key =
        key_of((jwt_key_options_t){.algorithm = "HS256", .secret = "secret", .id = "k1"});
    const jwt_sign_options_t options = {.now = fixed_now, .expires_in = 60, .not_before = -5};
    json_t *claims = json_pack("{s:s}", "sub", "7");
    char *token;
    assert_int_equal(jwt_sign(key, json_incref(claims), &options, &token), 0);
    assert_int_equal(json_object_size(claims), 1); /* the caller's own stay as they are */
    json_decref(claims);
    char text[256];
    ssize_t n = jwt_base64url_decode((unsigned char *)text, token, strcspn(token, "."));
    text[n] = '\0';
    assert_string_equal(text, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
    const char *middle = strchr(token, '.') + 1;
    n = jwt_base64url_decode((unsigned char *)text, middle, strcspn(middle, "."));
    text[n] = '\0';
    assert_string_equal(text,
                        "{\"sub\":\"7\",\"iat\":1700000000,\"nbf\":1699999995,\"exp\":1700000060}");
    free(token);

#define REFUSED(json, ...)                                                                         \
    assert_int_equal(jwt_sign(key, json, &(jwt_sign_options_t){__VA_ARGS__}, &token), UV_EINVAL);  \
    assert_null(token)
    REFUSED(NULL, 0);
    REFUSED(json_array(), 0);
    REFUSED(json_string("a"), 0);
    REFUSED(json_pack("{s:i}", "exp", 1), .expires_in = 1);
    REFUSED(json_pack("{s:i}", "nbf", 1), .not_before = 1);
    REFUSED(json_pack("{s:s}", "iat", "now"), 0);
    REFUSED(json_pack("{s:f}", "iat", 1.7e92), .expires_in = 1);
    REFUSED(json_pack("{s:f}", "iat", -1e16), .not_before = 1);
    REFUSED(json_object(), .expires_in = INT64_MAX, .now = fixed_now);
#undef REFUSED
    assert_int_equal(jwt_sign(key, json_pack("{s:i}", "iat", 100), &options, &token), 0);
    verify_with(key, token, &(jwt_checks_t){0}, "jwt expired");
    free(token);
    assert_int_equal(
        jwt_sign(key, json_object(), &(jwt_sign_options_t){.no_timestamp = true}, &token), 0);
    assert_memory_equal(strchr(token, '.'), ".e30.", 5);
    free(token);
    jwt_key_free(key);
}

/* Which of several keys; ids decide only where both have one. */
static void test_several_keys(void **state) {
    jwt_key_t *old = key_of((jwt_key_options_t){.algorithm = "HS256", .secret = "old", .id = "1"});
    jwt_key_t *new = key_of((jwt_key_options_t){.algorithm = "HS256", .secret = "new", .id = "2"});
    jwt_key_t *anonymous = key_of((jwt_key_options_t){.algorithm = "HS256", .secret = "old"});
    jwt_key_t *liar = key_of((jwt_key_options_t){.algorithm = "HS256", .secret = "old", .id = "2"});
    jwt_key_t *other = key_of((jwt_key_options_t){.algorithm = "HS512", .secret = "old"});
    const jwt_key_t *const keys[] = {other, new, old, NULL};
    const struct {
        const jwt_key_t *signer;
        int err;
    } cases[] = {{old, 0}, {new, 0}, {anonymous, 0}, {liar, UV_EACCES}, {other, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *claims;
        char *token = sign(cases[i].signer, json_object());
        assert_int_equal(jwt_verify(keys, token, NULL, &claims, NULL), cases[i].err);
        json_decref(claims);
        assert_int_equal(jwt_verify(&keys[3], token, NULL, &claims, NULL), UV_EACCES);
        free(token);
    }
    const jwt_key_t *const two[] = {new, other, NULL}; /* the nearest of them says what is wrong */
    char *token = sign(anonymous, json_object()), reason[JWT_REASON_SIZE];
    json_t *claims;
    assert_int_equal(jwt_verify(two, token, NULL, &claims, reason), UV_EACCES);
    assert_string_equal(reason, "invalid signature");
    free(token);
    jwt_key_free(old);
    jwt_key_free(new);
    jwt_key_free(anonymous);
    jwt_key_free(liar);
    jwt_key_free(other);
}

/* --- The middleware --------------------------------------------------------------------------- */

static const jwt_key_options_t shared = {.algorithm = "HS256", .secret = SECRET};
static char good[256], bad[256], expired[256];
static int handled;

static int make_tokens(void **state) {
    jwt_key_t *key = secret_key();
    char *token = sign(key, json_pack("{s:s}", "sub", "ada"));
    snprintf(good, sizeof good, "%s", token);
    snprintf(bad, sizeof bad, "%s", token);
    char *first = strrchr(bad, '.') + 1;
    *first = *first == 'A' ? 'B' : 'A';
    free(token);
    token = sign(key, json_pack("{s:s, s:i}", "sub", "ada", "exp", 1));
    snprintf(expired, sizeof expired, "%s", token);
    free(token);
    jwt_key_free(key);
    return 0;
}

static int page(ctx_t *ctx) {
    const char *subject = json_string_value(json_object_get(jwt_claims(ctx), "sub"));
    handled++;
    assert_true(!jwt_token(ctx) == !jwt_claims(ctx));
    assert_true(!jwt_token(ctx) || strcmp(jwt_token(ctx), good) == 0);
    return ctx_text(ctx, subject ? subject : jwt_error(ctx) ? jwt_error(ctx) : "nobody");
}

static app_t *app_for(jwt_options_t options) {
    if (!options.find_key && !options.keys && !options.key.algorithm)
        options.key = shared;
    handled = 0;
    return app_with(jwt(&options), page);
}

static void ask_bearer(app_t *app, const char *token, int status, const char *body) {
    char header[1024];
    snprintf(header, sizeof header, "Bearer %s", token);
    expect(ask_with(app, "GET", "/", HEADERS("Authorization", header)), status, body);
}

static void test_bearer(void **state) {
    static const char format[] =
        "Bad Authorization header format. Format is \"Authorization: Bearer <token>\"";
    static const char *const wrong[] = {"Basic YTpi", "Bearer",    "Bearer ",
                                        "Bearer a b", "Bearer  a", "a",
                                        "Bearera b",  "Bearer\ta", "Token a.b.c"};
    char value[300];
    app_t *app = app_for((jwt_options_t){0});
    ask_bearer(app, good, 200, "ada");
    snprintf(value, sizeof value, "bEARER %s", good);
    expect(ask_with(app, "GET", "/", HEADERS("Authorization", value)), 200, "ada");
    assert_int_equal(handled, 2);
    app_response_t *response = ask(app, "GET", "/");
    expect_header(response, "WWW-Authenticate", "Bearer");
    expect(response, 401, "Authentication Error");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        response = ask_with(app, "GET", "/", HEADERS("Authorization", wrong[i]));
        expect_header(response, "WWW-Authenticate", "Bearer");
        expect(response, 401, format);
    }
    snprintf(value, sizeof value, "Bearer %s", bad);
    response = ask_with(app, "GET", "/", HEADERS("Authorization", value));
    expect_header(response, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    expect(response, 401, "Authentication Error");
    ask_bearer(app, expired, 401, "Authentication Error");
    ask_bearer(app, "a.b.c", 401, "Authentication Error");
    assert_int_equal(handled, 2);
    app_free(app);
}

static void test_debug(void **state) {
    app_t *app = app_for((jwt_options_t){.debug = true});
    expect(ask(app, "GET", "/"), 401, "Token not found");
    ask_bearer(app, bad, 401, "invalid signature");
    ask_bearer(app, expired, 401, "jwt expired");
    ask_bearer(app, "x", 401, "jwt malformed");
    app_free(app);
    app = app_for((jwt_options_t){.debug = true, .checks.audiences = HEADERS("100%s", "b")});
    ask_bearer(app, good, 401, "jwt audience invalid. expected: 100%s or b");
    app_free(app);
}

static const char *token_of_header(ctx_t *ctx) {
    const char *token = ctx_get(ctx, "X-Token");
    return *token ? token : NULL;
}

static void test_places(void **state) {
    char cookie[300], query[300];
    snprintf(cookie, sizeof cookie, "other=1; token=%s", good);
    snprintf(query, sizeof query, "/?access_token=%s", good);
    app_t *app = app_for((jwt_options_t){
        .find_token = token_of_header, .cookie = "token", .query = "access_token", .debug = true});
    expect(ask_with(app, "GET", "/", HEADERS("X-Token", good)), 200, "ada");
    expect(ask_with(app, "GET", "/", HEADERS("Cookie", cookie)), 200, "ada");
    expect(ask(app, "GET", query), 200, "ada");
    ask_bearer(app, good, 200, "ada");
    /* the first there is decides, though another one would be good */
    expect(ask_with(app, "GET", query, HEADERS("X-Token", bad, "Cookie", cookie)), 401,
           "invalid signature");
    expect(ask_with(app, "GET", "/", HEADERS("X-Token", good, "Cookie", "token=x")), 200, "ada");
    expect(ask_with(app, "GET", query, HEADERS("Cookie", "token=x")), 401, "jwt malformed");
    expect(ask_with(app, "GET", query, HEADERS("Cookie", "token=")), 200, "ada");
    expect(ask_with(app, "GET", query, HEADERS("Authorization", "Basic x")), 200, "ada");
    app_free(app);
    app = app_for((jwt_options_t){0}); /* nowhere else than told */
    expect(ask_with(app, "GET", query, HEADERS("Cookie", cookie)), 401, NULL);
    app_free(app);
}

static void test_passthrough(void **state) {
    app_t *app = app_for((jwt_options_t){.passthrough = true});
    ask_bearer(app, good, 200, "ada");
    ask_bearer(app, bad, 200, "invalid signature");
    ask_bearer(app, expired, 200, "jwt expired");
    expect(ask(app, "GET", "/"), 200, "jwt must be provided");
    expect(ask_with(app, "GET", "/", HEADERS("Authorization", "Basic x")), 200,
           "jwt must be provided");
    app_free(app);
}

static jwt_key_t *asked_key;

static int ask_for_key(ctx_t *ctx, const json_t *header, const json_t *claims,
                       const jwt_key_t **key) {
    const char *how = ctx_query(ctx, "how");
    assert_string_equal(json_string_value(json_object_get(header, "alg")), "HS256");
    assert_string_equal(json_string_value(json_object_get(claims, "sub")), "ada");
    int err = await_sleep(0);
    if (how && strcmp(how, "refused") == 0)
        return UV_EACCES; /* of a file, say: our trouble, and not the client's */
    if (how && strcmp(how, "busy") == 0)
        return ctx_throw(ctx, 503, NULL);
    if (!how || strcmp(how, "unknown") != 0)
        *key = asked_key;
    return err;
}

static void test_find_key(void **state) {
    app_t *app = app_for((jwt_options_t){.find_key = ask_for_key, .debug = true});
    char value[300];
    snprintf(value, sizeof value, "Bearer %s", good);
    const char *const *headers = HEADERS("Authorization", value);
    asked_key = key_of((jwt_key_options_t){.algorithm = "HS256", .secret = SECRET, .id = "any"});
    expect(ask_with(app, "GET", "/", headers), 200, "ada");
    expect(ask_with(app, "GET", "/?how=unknown", headers), 401, "Secret not provided");
    expect(ask_with(app, "GET", "/?how=refused", headers), 500, "Internal Server Error");
    expect(ask_with(app, "GET", "/?how=busy", headers), 503, NULL);
    ask_bearer(app, bad, 401, "invalid signature");
    ask_bearer(app, "a.b.c", 401, "invalid token");
    jwt_key_free(asked_key);
    asked_key = key_of((jwt_key_options_t){.algorithm = "RS256", .pem = rsa.public});
    expect(ask_with(app, "GET", "/", headers), 401, "invalid algorithm");
    jwt_key_free(asked_key);
    assert_int_equal(handled, 1);
    app_free(app);
}

static int ask_if_revoked(ctx_t *ctx, const json_t *claims, const char *token) {
    const char *how = ctx_query(ctx, "how");
    assert_string_equal(token, good);
    assert_string_equal(json_string_value(json_object_get(claims, "sub")), "ada");
    int err = await_sleep(0);
    return err ? err : how && *how == 'e' ? UV_EACCES : how != NULL;
}

static void test_revoked(void **state) {
    char value[300];
    snprintf(value, sizeof value, "Bearer %s", good);
    const char *const *headers = HEADERS("Authorization", value);
    for (int passes = 0; passes < 2; passes++) {
        app_t *app = app_for(
            (jwt_options_t){.is_revoked = ask_if_revoked, .debug = true, .passthrough = passes});
        expect(ask_with(app, "GET", "/", headers), 200, "ada");
        expect(ask_with(app, "GET", "/?how=yes", headers), passes ? 200 : 401, "Token revoked");
        expect(ask_with(app, "GET", "/?how=error", headers), 500, NULL);
        ask_bearer(app, bad, passes ? 200 : 401, "invalid signature");
        app_free(app);
    }
}

static bool is_public(ctx_t *ctx) {
    return strncmp(ctx->path, "/public/", 8) == 0;
}

static void test_skip(void **state) {
    app_t *app = app_for((jwt_options_t){.skip = is_public});
    check(app, "GET", "/public/a", 200, "nobody");
    check(app, "GET", "/public", 401, NULL);
    app_free(app);
}

/* What one layer has found, another one's failure takes away. */
static void test_two_layers(void **state) {
    app_t *app = quiet_app();
    app_use(app, jwt(&(jwt_options_t){.key = shared, .passthrough = true}));
    app_use(app, jwt(&(jwt_options_t){
                     .key = shared, .passthrough = true, .checks.audiences = HEADERS("x")}));
    app_use(app, page);
    ask_bearer(app, good, 200, "jwt audience invalid. expected: x");
    app_free(app);
}

static void test_options_are_copied(void **state) {
    char secret[] = SECRET, audience[] = "a", cookie[] = "token", value[300];
    const char *audiences[] = {audience, NULL};
    jwt_key_options_t keys[] = {{.algorithm = "HS256", .secret = secret}, {0}};
    jwt_key_t *key = secret_key();
    char *token = sign(key, json_pack("{s:s}", "aud", "a"));
    snprintf(value, sizeof value, "token=%s", token);
    snprintf(good, sizeof good, "%s", token);
    middleware_t layer =
        jwt(&(jwt_options_t){.keys = keys, .cookie = cookie, .checks.audiences = audiences});
    memset(secret, 'x', sizeof secret - 1);
    *audience = *cookie = 'x';
    audiences[0] = keys[0].algorithm = NULL;
    app_t *app = app_with(layer, page);
    expect(ask_with(app, "GET", "/", HEADERS("Cookie", value)), 200, "nobody");
    app_free(app);
    free(token);
    jwt_key_free(key);
    make_tokens(NULL);
}

static void test_wrong_options(void **state) {
    const jwt_key_options_t keys[] = {shared, {.algorithm = "RS256", .pem = "x"}, {0}},
                            no_keys[] = {{0}};
#define WRONG(expected, ...) refuse(jwt(&(jwt_options_t){__VA_ARGS__}), expected)
    refuse(jwt(NULL), "one of them");
    WRONG("one of them", .cookie = "a");
    WRONG("one of them", .keys = no_keys);
    WRONG("one of them", .key = shared, .find_key = ask_for_key);
    WRONG("one of them", .key = shared, .keys = keys);
    WRONG("HS256: HS256, HS384 and HS512 need a secret", .key = {.algorithm = "HS256"});
    WRONG("a key without an algorithm: algorithm is one of", .key = {.secret = SECRET});
    WRONG("none: algorithm is one of", .key = {.algorithm = "none", .secret = SECRET});
    WRONG("HS256: the secret is shorter", .key = {.algorithm = "HS256", .secret = "secret"});
    WRONG("RS256: this is no PEM", .keys = keys);
    WRONG("not negative", .key = shared, .checks.max_age = -1);
    WRONG("not negative", .key = shared, .checks.clock_tolerance = -1);
    WRONG("lets nobody in", .key = shared, .checks.audiences = (const char *const[]){NULL});
    WRONG("lets nobody in", .key = shared, .checks.issuers = (const char *const[]){NULL});
#undef WRONG
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_keys),    cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_algorithms),    cmocka_unit_test(test_algorithm_of_token),
        cmocka_unit_test(test_malformed),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_base64url),     cmocka_unit_test(test_times),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_sign),
        cmocka_unit_test(test_several_keys),  cmocka_unit_test_setup(test_bearer, make_tokens),
        cmocka_unit_test(test_debug),         cmocka_unit_test(test_places),
        cmocka_unit_test(test_passthrough),   cmocka_unit_test(test_find_key),
        cmocka_unit_test(test_revoked),       cmocka_unit_test(test_skip),
        cmocka_unit_test(test_two_layers),    cmocka_unit_test(test_options_are_copied),
        cmocka_unit_test(test_wrong_options),
    };
    return cmocka_run_group_tests(tests, make_pairs, NULL);
}
