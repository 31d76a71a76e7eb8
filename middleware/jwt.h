/*
 * JSON Web Tokens (RFC 7519), as koa-jwt and jsonwebtoken: tokens of theirs verify here, and the
 * other way round.
 *
 *     app_use(app, jwt(&(jwt_options_t){
 *                      .key = {.algorithm = "HS256", .secret = getenv("JWT_SECRET")}}));
 *     …
 *     const char *user = json_string_value(json_object_get(jwt_claims(ctx), "sub"));
 *
 * Whoever has no good token gets 401, and nothing below runs. It works in both stacks: for a
 * WebSocket before the handshake is accepted.
 *
 * What a token says of itself is not believed. Each of our keys has its algorithm, and a token must
 * have that one: "none" is no algorithm, and a public key is never taken for a secret.
 */
#ifndef ACACIA_JWT_H
#define ACACIA_JWT_H

#include "acacia.h"

#ifdef ACACIA_HAVE_JSON

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* --- Keys ------------------------------------------------------------------------------------- */

/*
 * A key and what it is for (RFC 7518 3.1):
 *
 *     HS256 HS384 HS512   a secret, at least as long as the digest: 32, 48 or 64 bytes
 *     RS256 RS384 RS512   RSA, 2,048 to 8,192 bits
 *     PS256 PS384 PS512   RSA with PSS
 *     ES256 ES384 ES512   an elliptic curve: P-256, P-384, P-521
 */
typedef struct {
    const char *algorithm;
    const char *secret;   /* of HS… */
    size_t secret_length; /* its bytes; 0: up to its NUL */
    bool short_secret;    /* it may be shorter: anybody who has one token can guess at it */
    const char *pem;      /* of the others: a public key, or a private one, which signs as well;
                             unencrypted */
    const char *id;       /* its name in tokens, "kid"; NULL: none */
} jwt_key_options_t;

typedef struct jwt_key jwt_key_t;

/* A key from options, which are copied; NULL, and *error (may be NULL) says why. Any thread. */
jwt_key_t *jwt_key_new(const jwt_key_options_t *options, const char **error);

/* NULL is fine. */
void jwt_key_free(jwt_key_t *key);

/* --- What a token must say -------------------------------------------------------------------- */

/* Times are seconds, lists end with NULL; names of claims are those of RFC 7519 4.1. A claim that
 * is asked for must be there. */
typedef struct {
    const char *const *audiences; /* "aud" is, or has, one of these */
    const char *const *issuers;   /* "iss" is one of these */
    const char *subject;          /* "sub" */
    const char *id;               /* "jti" */
    const char *nonce;            /* "nonce" */
    int64_t max_age;              /* since "iat"; 0: any */
    int64_t clock_tolerance;      /* by which the clocks of two hosts may differ; 0: none */
    bool ignore_expiration;       /* "exp" is not looked at … */
    bool ignore_not_before;       /* … nor is "nbf"; else they hold if they are there */
    int64_t (*now)(void);         /* since 1970; NULL: the system's clock */

    /* limits */
    size_t token_size; /* 8 KiB; longer ones are refused unread */
    size_t depth;      /* 16 arrays and objects within each other; at most 200 */
} jwt_checks_t;

/* --- The middleware --------------------------------------------------------------------------- */

typedef struct {
    /* The key: one, or several, `algorithm` NULL at the end; they are copied. */
    jwt_key_options_t key;
    const jwt_key_options_t *keys;

    /*
     * Or asked for each token: sets *key, or leaves it NULL: refused. What `header` ("kid") and
     * `claims` ("iss") say is NOT verified yet. The key must live until next() runs; it is not
     * given up. Returns 0, or an error to answer with, such as UV_ECONNREFUSED: 500. May suspend.
     */
    int (*find_key)(ctx_t *ctx, const json_t *header, const json_t *claims, const jwt_key_t **key);

    /* Where the token is: the first of these that there is, then Authorization: Bearer. */
    const char *(*find_token)(ctx_t *ctx); /* NULL: not here. May suspend */
    const char *cookie;                    /* the name of a cookie, not signed */
    const char *query; /* a name in the query: for WebSockets of browsers, which send no headers.
                          URLs are written to logs: let such tokens be short-lived */

    jwt_checks_t checks;

    /* A good token: is it revoked? 1, 0, or an error to answer with. May suspend. */
    int (*is_revoked)(ctx_t *ctx, const json_t *claims, const char *token);

    bool (*skip)(ctx_t *ctx); /* requests that need no token (koa-jwt's unless) */
    bool passthrough;         /* go on without a good token, too; jwt_claims is NULL then */
    bool debug;               /* 401 says what is wrong, and not just "Authentication Error" */
} jwt_options_t;

/* Strings and lists are copied. Wrong options, or keys, keep the app from starting. */
middleware_t jwt(const jwt_options_t *options);

/*
 * Of the layer that ran last, living as long as the ctx, or until another such layer runs: the
 * claims, all of them verified, NULL if there are none; the token itself; and what is wrong with
 * it, NULL if nothing is.
 */
const json_t *jwt_claims(const ctx_t *ctx);
const char *jwt_token(const ctx_t *ctx);
const char *jwt_error(const ctx_t *ctx);

/* --- Without a request ------------------------------------------------------------------------ */

typedef struct {
    int64_t expires_in;   /* seconds from now: "exp"; 0: not added */
    int64_t not_before;   /* seconds from now: "nbf"; 0: not added */
    bool no_timestamp;    /* no "iat" is added */
    int64_t (*now)(void); /* as above */
} jwt_sign_options_t;

/*
 * Make a token: *token is for the caller to free(). Takes over the reference to `claims`, an
 * object, so that jwt_sign(key, json_pack(…), NULL, &token) is complete. `options` may be NULL.
 *
 * Returns 0; UV_EINVAL for claims that are no object, or have an "exp" or "nbf" that options would
 * add, or an "iat" that they would count from and that is no time, and for a key that can't sign, a
 * public one; UV_ENOMEM. Any thread.
 */
int jwt_sign(const jwt_key_t *key, json_t *claims, const jwt_sign_options_t *options, char **token);

#define JWT_REASON_SIZE 256

/*
 * Verify a token by one of `keys`, NULL at the end. *claims gets a reference for the caller, who
 * gives it up by json_decref. `checks` may be NULL.
 *
 * Returns 0; UV_EACCES if the token is not good, and `reason` (may be NULL) says why; UV_ENOMEM.
 * Any thread.
 */
int jwt_verify(const jwt_key_t *const *keys, const char *token, const jwt_checks_t *checks,
               json_t **claims, char reason[JWT_REASON_SIZE]);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
#endif
