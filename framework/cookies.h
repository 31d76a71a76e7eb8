/*
 * Cookies (RFC 6265), as the npm packages cookies and keygrip do them for Koa: one that Koa has
 * signed verifies here, and the other way round.
 */
#ifndef ACACIA_COOKIES_H
#define ACACIA_COOKIES_H

#include "ctx.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* The cookie `name` that the client sent, as it stands, not decoded; NULL if there is none. Of
 * several the first. Nothing is verified. */
const char *ctx_cookie(ctx_t *ctx, const char *name);

/*
 * The same, if its signature, the cookie `name`.sig, is by one of app_options_t.keys; else NULL. A
 * wrong signature is deleted in the response; one by another key than the first is renewed.
 * Without keys it is an error: NULL, and *err (may be NULL) is -500, thrown already; else 0.
 */
const char *ctx_signed_cookie(ctx_t *ctx, const char *name, int *err);

/* Zero is the default, in all of them. */
typedef struct {
    const char *path;      /* "/" */
    const char *domain;    /* none: this host only */
    const char *same_site; /* none; "strict", "lax" or "none" */
    const char *priority;  /* none; "low", "medium" or "high" */
    int64_t max_age;    /* milliseconds from now, sent as `expires`; none: until the client ends */
    int64_t expires;    /* the same as seconds since 1970; max_age wins */
    bool secure;        /* https only; the default is ctx_secure */
    bool not_secure;    /* … or not even if this is https */
    bool script_access; /* scripts may read it: no `httponly` */
    bool partitioned;
    bool overwrite;  /* in place of cookies of this name that were set before */
    bool is_signed;  /* needs keys */
    bool not_signed; /* the default is signed if there are keys, and if there are options at all */
} cookie_options_t;

/*
 * Set a cookie. With NULL for `options` it has path=/ and httponly, and no signature. A `value`
 * that is NULL or "" deletes it.
 *
 * Returns 0; -500, thrown, for a name, value or option that no cookie can have, for is_signed
 * without keys, and for `secure` over a connection that is not; UV_EALREADY when the head has been
 * sent; UV_ENOMEM.
 */
int ctx_set_cookie(ctx_t *ctx, const char *name, const char *value,
                   const cookie_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
