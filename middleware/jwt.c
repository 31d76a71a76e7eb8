/* Who has no good token is not let in, as in koa-jwt 4. */
#include "jwt_parts.h"

#ifdef ACACIA_HAVE_JSON

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RESULT "acacia jwt" /* its name among the values of a ctx */

struct jwt {
    jwt_options_t options;  /* strings and lists are copies; its keys are the following */
    const jwt_key_t **keys; /* NULL at the end */
    char error[256];
};

/* What a layer has found, in memory of the ctx. */
struct result {
    json_t *claims;
    const char *token, *error;
};

const json_t *jwt_claims(const ctx_t *ctx) {
    const struct result *result = ctx_value(ctx, RESULT);
    return result ? result->claims : NULL;
}

const char *jwt_token(const ctx_t *ctx) {
    const struct result *result = ctx_value(ctx, RESULT);
    return result && result->claims ? result->token : NULL;
}

const char *jwt_error(const ctx_t *ctx) {
    const struct result *result = ctx_value(ctx, RESULT);
    return result ? result->error : NULL;
}

/* --- Finding the token ------------------------------------------------------------------------ */

/* Of "Bearer TOKEN", any case and one blank. NULL if it is something else. */
static const char *token_of_bearer(const char *text) {
    if (strncasecmp(text, "Bearer ", 7) != 0)
        return NULL;
    return text[7] && !strchr(text + 7, ' ') ? text + 7 : NULL;
}

static int find_in_header(ctx_t *ctx, const struct jwt *jwt, const char **token) {
    const char *header = ctx_get(ctx, "Authorization");
    *token = token_of_bearer(header);
    if (*token || !*header || jwt->options.passthrough)
        return 0;
    ctx_throw_header(ctx, "WWW-Authenticate", "Bearer");
    return ctx_throw(
        ctx, 401, "Bad Authorization header format. Format is \"Authorization: Bearer <token>\"");
}

/* *token is NULL if there is none. */
static int find_token(ctx_t *ctx, const struct jwt *jwt, const char **token) {
    const jwt_options_t *o = &jwt->options;
    *token = o->find_token ? o->find_token(ctx) : NULL;
    if ((!*token || !**token) && o->cookie)
        *token = ctx_cookie(ctx, o->cookie);
    if ((!*token || !**token) && o->query)
        *token = ctx_query(ctx, o->query);
    return *token && **token ? 0 : find_in_header(ctx, jwt, token);
}

/* --- Is it good? ------------------------------------------------------------------------------ */

/* These return 0; JWT_REFUSED, and why; or an error to answer with. */
static int verify_signature(ctx_t *ctx, const struct jwt *jwt, const struct jwt_parts *parts,
                            const char **reason) {
    const jwt_key_t *key = NULL;
    if (!jwt->options.find_key) {
        *reason = jwt_parts_verify_any(parts, jwt->keys);
        return *reason ? JWT_REFUSED : 0;
    }
    int err = jwt->options.find_key(ctx, parts->header, parts->claims, &key);
    if (err < 0)
        return err;
    *reason = key ? jwt_parts_verify(parts, key) : "Secret not provided";
    return *reason ? JWT_REFUSED : 0;
}

static int check_claims(ctx_t *ctx, const struct jwt *jwt, const json_t *claims, const char *token,
                        const char **reason) {
    char text[JWT_REASON_SIZE];
    if (!jwt_claims_check(claims, &jwt->options.checks, text)) {
        *reason = ctx_strdup(ctx, text);
        return *reason ? JWT_REFUSED : UV_ENOMEM;
    }
    int revoked = jwt->options.is_revoked ? jwt->options.is_revoked(ctx, claims, token) : 0;
    *reason = "Token revoked";
    return revoked > 0 ? JWT_REFUSED : revoked;
}

/* *claims gets a reference for the caller. */
static int verify(ctx_t *ctx, const struct jwt *jwt, const char *token, json_t **claims,
                  const char **reason) {
    struct jwt_parts *parts = ctx_new(ctx, struct jwt_parts);
    if (!parts)
        return UV_ENOMEM;
    int err = jwt_parts_read(parts, token, &jwt->options.checks, reason);
    if (!err)
        err = verify_signature(ctx, jwt, parts, reason);
    if (!err)
        err = check_claims(ctx, jwt, parts->claims, token, reason);
    *claims = err ? NULL : json_incref(parts->claims);
    jwt_parts_free(parts);
    return err;
}

/* --- The middleware --------------------------------------------------------------------------- */

static void free_result(void *value) {
    struct result *result = value;
    json_decref(result->claims);
}

static int keep_result(ctx_t *ctx, struct result found) {
    struct result *result = ctx_new(ctx, struct result);
    if (!result) {
        json_decref(found.claims);
        return UV_ENOMEM;
    }
    *result = found;
    return ctx_set_value(ctx, RESULT, result, free_result);
}

/* RFC 6750 3: a challenge, and that the token was not good if there was one. */
static int refuse(ctx_t *ctx, const struct jwt *jwt, const char *token, const char *reason) {
    ctx_throw_header(ctx, "WWW-Authenticate", token ? "Bearer error=\"invalid_token\"" : "Bearer");
    return ctx_throw(ctx, 401, "%s", jwt->options.debug ? reason : "Authentication Error");
}

static int run_jwt(ctx_t *ctx, void *state) {
    const struct jwt *jwt = state;
    const char *token, *reason = NULL;
    json_t *claims = NULL;
    if (jwt->options.skip && jwt->options.skip(ctx))
        return next(ctx);
    int err = find_token(ctx, jwt, &token);
    if (err)
        return err;
    if (!token && !jwt->options.passthrough)
        return refuse(ctx, jwt, NULL, "Token not found");
    if (token)
        err = verify(ctx, jwt, token, &claims, &reason);
    else
        reason = "jwt must be provided";
    if (err == JWT_REFUSED && !jwt->options.passthrough)
        return refuse(ctx, jwt, token, reason);
    if (err < 0)
        return err;
    err = keep_result(ctx, (struct result){claims, token, claims ? NULL : reason});
    return err ? err : next(ctx);
}

/* --- Making one ------------------------------------------------------------------------------- */

static const jwt_options_t none;

static void free_list(const char *const *list) {
    for (size_t i = 0; list && list[i]; i++)
        free((char *)list[i]);
    free((char **)list);
}

static void free_jwt(void *state) {
    struct jwt *jwt = state;
    const jwt_options_t *o = &jwt->options;
    for (size_t i = 0; jwt->keys && jwt->keys[i]; i++)
        jwt_key_free((jwt_key_t *)jwt->keys[i]);
    free(jwt->keys);
    free_list(o->checks.audiences);
    free_list(o->checks.issuers);
    free((char *)o->checks.subject);
    free((char *)o->checks.id);
    free((char *)o->checks.nonce);
    free((char *)o->cookie);
    free((char *)o->query);
    free(jwt);
}

static bool copy_text(const char **text, const char *given) {
    *text = given ? strdup(given) : NULL;
    return *text || !given;
}

static bool copy_list(const char *const **list, const char *const *given) {
    size_t count = 0;
    *list = NULL;
    while (given && given[count])
        count++;
    const char **copy = given ? calloc(count + 1, sizeof *copy) : NULL;
    *list = copy;
    for (size_t i = 0; copy && i < count; i++)
        if (!copy_text(&copy[i], given[i]))
            return false;
    return copy || !given;
}

static bool copy_options(struct jwt *jwt, const jwt_options_t *given) {
    jwt_options_t *o = &jwt->options;
    *o = *given;
    o->key = none.key;
    o->keys = NULL;
    bool copied = copy_list(&o->checks.audiences, given->checks.audiences);
    copied &= copy_list(&o->checks.issuers, given->checks.issuers);
    copied &= copy_text(&o->checks.subject, given->checks.subject);
    copied &= copy_text(&o->checks.id, given->checks.id);
    copied &= copy_text(&o->checks.nonce, given->checks.nonce);
    copied &= copy_text(&o->cookie, given->cookie);
    copied &= copy_text(&o->query, given->query);
    return copied;
}

/* What is wrong with a key, or NULL. */
static const char *add_key(struct jwt *jwt, size_t i, const jwt_key_options_t *given) {
    const char *error;
    jwt->keys[i] = jwt_key_new(given, &error);
    if (jwt->keys[i])
        return NULL;
    snprintf(jwt->error, sizeof jwt->error, "%s: %s",
             given->algorithm ? given->algorithm : "a key without an algorithm", error);
    return jwt->error;
}

static const char *add_keys(struct jwt *jwt, const jwt_options_t *given) {
    size_t count = 0;
    const char *error = NULL;
    while (given->keys && given->keys[count].algorithm)
        count++;
    bool is_one = given->key.algorithm || given->key.secret || given->key.pem;
    if (is_one + (count > 0) + !!given->find_key != 1)
        return "it needs a key, or keys, or find_key: one of them";
    jwt->keys = calloc(count + 2, sizeof *jwt->keys);
    if (!jwt->keys)
        return "out of memory";
    if (is_one)
        return add_key(jwt, 0, &given->key);
    for (size_t i = 0; i < count && !error; i++)
        error = add_key(jwt, i, &given->keys[i]);
    return error;
}

static const char *check(const jwt_options_t *given) {
    const jwt_checks_t *checks = &given->checks;
    if (checks->max_age < 0 || checks->clock_tolerance < 0)
        return "max_age and clock_tolerance are not negative";
    if ((checks->audiences && !checks->audiences[0]) || (checks->issuers && !checks->issuers[0]))
        return "an empty list of audiences, or of issuers, lets nobody in";
    return NULL;
}

middleware_t jwt(const jwt_options_t *options) {
    const jwt_options_t *given = options ? options : &none;
    struct jwt *jwt = calloc(1, sizeof *jwt);
    if (!jwt)
        return (middleware_t){.name = "jwt", .error = "out of memory"};
    middleware_t layer = {run_jwt, jwt, free_jwt, "jwt", check(given)};
    if (!copy_options(jwt, given))
        layer.error = "out of memory";
    if (!layer.error)
        layer.error = add_keys(jwt, given);
    return layer;
}

#endif
