/*
 * Tokens. Lines of the input: a byte of flags and a token, as a stranger sends it; a header and
 * claims, of which we make one that is signed as it should be, so that what is in it is looked at.
 */
#include "middleware/jwt.h"
#include "middleware/jwt_parts.h"

#include <stdlib.h>
#include <string.h>

#define SECRET "01234567890123456789012345678901"
#define NOW 1700000000

enum { TOKEN, HEADER, CLAIMS, FIELDS };

static const char curve_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                                "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                                "-----END PUBLIC KEY-----\n";
static const char rsa_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1sZTt4II1JilaUwA66QK\n"
                              "pqS6SUnvsdTPXk/KK22MoJUed6EEXMueHoMD/EjJ9C9eNBUBAhbSmDkW8m9RFv8e\n"
                              "OgeX+KFICDUzDcs1nX7ZT0GTrcxBzkZsxsF7f5R3wD+dTmKvMxwqiE4FveSQQPEU\n"
                              "turzDkYIoIKy5hZT75dGm90GSSxIFdK5qdjG7t0A38d5RtQfYfhIE/ksvN5VXgZC\n"
                              "ZYrAw/9Imhh7jpJXSxp8ZZpJtOs758cqVqApRCDNNudDPElpxNYcJE7PMLpkr2Ji\n"
                              "y5PM/9v/kFot1fRD+pWscUbYzyZH72L3teX+Ibsewqi+4KLnzHA5S1mjjGQP0y34\n"
                              "pwIDAQAB\n"
                              "-----END PUBLIC KEY-----\n";

static jwt_key_t *secret, *curve, *rsa, *pss;

static void check(bool holds) {
    if (!holds)
        abort();
}

static void make_keys(void) {
    secret = jwt_key_new(&(jwt_key_options_t){.algorithm = "HS256", .secret = SECRET}, NULL);
    curve = jwt_key_new(&(jwt_key_options_t){.algorithm = "ES256", .pem = curve_pem}, NULL);
    rsa = jwt_key_new(&(jwt_key_options_t){.algorithm = "RS256", .pem = rsa_pem, .id = "a"}, NULL);
    pss = jwt_key_new(&(jwt_key_options_t){.algorithm = "PS384", .pem = rsa_pem}, NULL);
    check(secret && curve && rsa && pss);
}

static int64_t fixed_now(void) {
    return NOW;
}

static int verify(const char *token, const jwt_checks_t *checks, json_t **claims) {
    const jwt_key_t *const keys[] = {rsa, curve, secret, pss, NULL};
    char reason[JWT_REASON_SIZE];
    memset(reason, 'x', sizeof reason);
    int err = jwt_verify(keys, token, checks, claims, reason);
    check(err == 0 || err == UV_EACCES);
    check(!*claims == !!err);
    check(!err || memchr(reason, '\0', sizeof reason));
    return err;
}

/* A stranger's token: what is accepted is written in the one way that there is. */
static void fuzz_token(const char *token, const jwt_checks_t *checks) {
    json_t *claims;
    char *copy = strdup(token); /* of its own, so that ASan sees an overrun */
    if (verify(copy, checks, &claims) == 0) {
        check(json_is_object(claims));
        for (size_t n; *token; token += n + (token[n] == '.')) {
            n = strcspn(token, ".");
            unsigned char *data = malloc(n + 1);
            char *text = malloc(n + 4);
            ssize_t length = jwt_base64url_decode(data, token, n);
            check(length >= 0);
            check(jwt_base64url_encode(text, data, (size_t)length) == text + n);
            check(memcmp(text, token, n) == 0);
            free(data);
            free(text);
        }
    }
    json_decref(claims);
    free(copy);
}

/* Header and claims are signed, whatever they are. */
static char *forge(const char *header, const char *claims) {
    unsigned char signature[JWT_SIGNATURE_SIZE];
    size_t size;
    char *token = malloc(2 * (strlen(header) + strlen(claims)) + 100);
    char *end = jwt_base64url_encode(token, (const unsigned char *)header, strlen(header));
    *end++ = '.';
    end = jwt_base64url_encode(end, (const unsigned char *)claims, strlen(claims));
    check(jwt_key_sign(secret, token, (size_t)(end - token), signature, &size) == 0);
    *end++ = '.';
    jwt_base64url_encode(end, signature, size);
    return token;
}

static void fuzz_parts(const char *header, const char *text, const jwt_checks_t *checks) {
    json_t *claims, *again;
    char *token = forge(header, text), *other;
    if (verify(token, checks, &claims) == 0) {
        json_t *object = json_loads(header, 0, NULL);
        const char *algorithm = json_string_value(json_object_get(object, "alg"));
        check(algorithm && strcmp(algorithm, "HS256") == 0 && !json_object_get(object, "crit"));
        json_decref(object);

        /* signed once more, it says the same, but for the time */
        const jwt_sign_options_t options = {.no_timestamp = true};
        const jwt_checks_t lenient = {
            .ignore_expiration = true, .ignore_not_before = true, .token_size = SIZE_MAX};
        check(jwt_sign(secret, json_incref(claims), &options, &other) == 0);
        check(verify(other, &lenient, &again) == 0);
        check(json_equal(claims, again));
        json_decref(again);
        free(other);

        char *last = token + strlen(token) - 2;
        *last = *last == 'A' ? 'B' : 'A';
        check(verify(token, checks, &again) == UV_EACCES);
    }
    json_decref(claims);
    free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"a", "b", NULL};
    if (size == 0)
        return 0;
    if (!secret)
        make_keys();
    unsigned flags = data[0];
    const jwt_checks_t checks = {
        .audiences = flags & 1 ? names : NULL,
        .issuers = flags & 2 ? names : NULL,
        .subject = flags & 4 ? "a" : NULL,
        .max_age = flags & 8 ? 100 : 0,
        .clock_tolerance = flags & 16 ? 10 : 0,
        .ignore_expiration = flags & 32,
        .ignore_not_before = flags & 64,
        .depth = flags & 128 ? 2 : 0,
        .now = fixed_now,
    };
    char *text = malloc(size), *fields[FIELDS] = {NULL}, *at = text;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    for (size_t i = 0; i < FIELDS && at; i++)
        fields[i] = strsep(&at, "\n");
    fuzz_token(fields[TOKEN], &checks);
    if (fields[CLAIMS])
        fuzz_parts(fields[HEADER], fields[CLAIMS], &checks);
    free(text);
    return 0;
}
