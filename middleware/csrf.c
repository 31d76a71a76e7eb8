/* Tokens against cross-site request forgery, as koa-csrf 5. */
#include "csrf.h"

#include "base64.h"
#include "body_parser.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECRET_SIZE 18 /* random bytes: 24 letters */
#define SALT_SIZE 8    /* letters */

/* --- Tokens ----------------------------------------------------------------------------------- */

/* "salt-hash", in memory of the ctx, as the npm package csrf makes it: the hash is the SHA-1 of
 * "salt-secret". NULL when there is no memory. */
static const char *tokenize(ctx_t *ctx, const char *secret, const char *salt, size_t salt_length) {
    unsigned char digest[SHA_DIGEST_LENGTH];
    const char *text = ctx_printf(ctx, "%.*s-%s", (int)salt_length, salt, secret);
    if (!text)
        return NULL;
    SHA1((const unsigned char *)text, strlen(text), digest);
    char *hash = base64url_write(digest, sizeof digest);
    const char *token = hash ? ctx_printf(ctx, "%.*s-%s", (int)salt_length, salt, hash) : NULL;
    free(hash);
    return token;
}

/* A secret for the session. 0 or an error. */
static int new_secret(ctx_t *ctx) {
    unsigned char bytes[SECRET_SIZE];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return ctx_throw(ctx, 500, "no random bytes for a CSRF secret");
    char *secret = base64url_write(bytes, sizeof bytes);
    int err = secret ? session_set(ctx, "secret", secret) : UV_ENOMEM;
    free(secret);
    return err;
}

static const char *secret_of(ctx_t *ctx) {
    const char *secret = session_get(ctx, "secret");
    return secret && *secret ? secret : NULL;
}

const char *csrf_token(ctx_t *ctx) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char salt[SALT_SIZE];
    if (!session_json(ctx) || (!secret_of(ctx) && new_secret(ctx)))
        return NULL;
    const char *secret = secret_of(ctx);
    if (!secret || RAND_bytes((unsigned char *)salt, sizeof salt) != 1)
        return NULL;
    for (size_t i = 0; i < sizeof salt; i++)
        salt[i] = letters[(unsigned char)salt[i] % (sizeof letters - 1)];
    return tokenize(ctx, secret, salt, sizeof salt);
}

bool csrf_verify(ctx_t *ctx, const char *token) {
    const char *secret = secret_of(ctx), *dash = token ? strchr(token, '-') : NULL;
    if (!secret || !dash)
        return false;
    const char *expected = tokenize(ctx, secret, token, (size_t)(dash - token));
    size_t length = expected ? strlen(expected) : 0;
    return expected && strlen(token) == length && CRYPTO_memcmp(token, expected, length) == 0;
}

int csrf_rotate(ctx_t *ctx) {
    return session_json(ctx) ? new_secret(ctx) : -500;
}

/* --- Paths ------------------------------------------------------------------------------------ */

/* A text that is part of another one. */
struct part {
    const char *at, *end;
};

/* May a '*' or '?' stand for this byte, or for nothing before it? */
static bool is_open(struct part path, const char *start) {
    bool begins_segment = path.at > start && path.at[-1] == '/';
    return path.at == path.end || *path.at != '.' || !begins_segment;
}

/* One step of glob and path together, if they agree here. */
static bool step(struct part *glob, struct part *path, const char *start) {
    if (glob->at == glob->end || path->at == path->end)
        return false;
    bool agree =
        *glob->at == '?' ? *path->at != '/' && is_open(*path, start) : *glob->at == *path->at;
    glob->at += agree;
    path->at += agree;
    return agree;
}

/* A '*' takes as few bytes as let the rest match, and when that fails, one more. Only the last one
 * is ever tried again, so that it takes no longer than the product of both lengths. */
static bool matches(struct part glob, struct part path) {
    const char *start = path.at;
    struct part after_star = {0}, taken = path;
    while (glob.at < glob.end || path.at < path.end) {
        if (glob.at < glob.end && *glob.at == '*' && is_open(path, start)) {
            glob.at++;
            after_star = glob;
            taken = path;
        } else if (!step(&glob, &path, start)) {
            if (!after_star.at || taken.at == path.end || *taken.at == '/')
                return false;
            taken.at++;
            glob = after_star;
            path = taken;
        }
    }
    return true;
}

/* For a glob with slash and two stars at its end: is the rest of it, `stem`, for so much of the
 * path as has the same number of slashes? */
static bool is_below(struct part stem, const char *path) {
    const char *end = path;
    for (const char *at = stem.at; at < stem.end && end; at++)
        if (*at == '/' && (end = strchr(end, '/')))
            end++;
    end = end ? strchr(end, '/') : NULL;
    return end && matches(stem, (struct part){path, end}) && !strstr(end, "/.");
}

static bool is_for(const char *glob, const char *path) {
    size_t length = strlen(glob);
    if (length >= 3 && strcmp(glob + length - 3, "/**") == 0)
        return is_below((struct part){glob, glob + length - 3}, path);
    return matches((struct part){glob, glob + length}, (struct part){path, path + strlen(path)});
}

static bool is_ignored(const csrf_options_t *o, const char *path) {
    for (const char *const *glob = o->ignored_paths; *glob; glob++)
        if (is_for(*glob, path))
            return true;
    return false;
}

/* --- Origins ---------------------------------------------------------------------------------- */

/* "https://example.org:8443" and the host that was asked for. The scheme does not count: behind a
 * proxy it is not always known. */
static bool is_own(ctx_t *ctx, const char *origin) {
    const char *host = strstr(origin, "://");
    return host && strcasecmp(host + 3, ctx_host(ctx)) == 0;
}

static bool has(const char *const *list, const char *text) {
    while (*list && strcmp(*list, text) != 0)
        list++;
    return *list;
}

static bool is_from_here(ctx_t *ctx, const csrf_options_t *o) {
    const char *site = ctx_get(ctx, "Sec-Fetch-Site"), *origin = ctx_origin(ctx);
    if (origin && has(o->origins, origin))
        return true;
    if (*site) /* "none" is what somebody has typed, or bookmarked */
        return strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
    return !origin || is_own(ctx, origin);
}

/* --- The middleware --------------------------------------------------------------------------- */

static const char *token_in_headers(ctx_t *ctx) {
    static const char *const names[] = {"CSRF-Token", "XSRF-Token", "X-CSRF-Token", "X-XSRF-Token"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = ctx_get(ctx, names[i]);
        if (*value)
            return value;
    }
    return NULL;
}

/* Blanks alone are no token, as in Koa: then the next place is looked at. */
static bool is_blank(const char *text) {
    return !text || !text[strspn(text, " \t\r\n\f\v")];
}

/* In a form, or in JSON, that body_parser has read above. */
static const char *token_in_body(ctx_t *ctx) {
    const char *token = body_field(ctx, "_csrf");
    return token ? token : json_string_value(json_object_get(body_json(ctx), "_csrf"));
}

static const char *find_token(ctx_t *ctx, const csrf_options_t *o) {
    const char *token = o->get_token ? o->get_token(ctx) : NULL;
    if (is_blank(token))
        token = token_in_body(ctx);
    if (is_blank(token) && !o->no_query)
        token = ctx_query(ctx, "_csrf");
    return is_blank(token) ? token_in_headers(ctx) : token;
}

static int refuse(ctx_t *ctx, const csrf_options_t *o, const char *message) {
    return o->on_error ? o->on_error(ctx) : ctx_throw(ctx, 403, "%s", message);
}

static int run(ctx_t *ctx, void *state) {
    const csrf_options_t *o = state;
    if (has(o->excluded_methods, ctx->method) || is_ignored(o, ctx->path))
        return next(ctx);
    if (o->check_origin && !is_from_here(ctx, o))
        return refuse(ctx, o, "Cross-origin request");
    if (!session_json(ctx))
        return -500;
    return csrf_verify(ctx, find_token(ctx, o)) ? next(ctx) : refuse(ctx, o, "Invalid CSRF token");
}

/* --- Options ---------------------------------------------------------------------------------- */

static void free_list(const char *const *list) {
    for (size_t i = 0; list && list[i]; i++)
        free((char *)list[i]);
    free((void *)list);
}

/* A copy in place of the list. False when there is no memory. */
static bool copy_list(const char *const **list) {
    size_t count = 0;
    while ((*list)[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    bool copied = copy != NULL;
    for (size_t i = 0; copied && i < count; i++)
        copied = (copy[i] = strdup((*list)[i]));
    *list = (const char *const *)copy;
    return copied;
}

static void destroy(void *state) {
    csrf_options_t *o = state;
    free_list(o->excluded_methods);
    free_list(o->ignored_paths);
    free_list(o->origins);
    free(o);
}

static csrf_options_t *copy_options(const csrf_options_t *options) {
    static const char *const none[] = {NULL}, *const safe[] = {"GET", "HEAD", "OPTIONS", NULL};
    csrf_options_t *o = malloc(sizeof *o);
    if (!o)
        return NULL;
    *o = options ? *options : (csrf_options_t){0};
    const char *const **lists[] = {&o->excluded_methods, &o->ignored_paths, &o->origins};
    o->excluded_methods = o->excluded_methods ? o->excluded_methods : safe;
    o->ignored_paths = o->ignored_paths ? o->ignored_paths : none;
    o->origins = o->origins ? o->origins : none;
    for (size_t i = 0; i < 3; i++) {
        if (copy_list(lists[i]))
            continue;
        while (++i < 3) /* those that are not ours yet */
            *lists[i] = NULL;
        destroy(o);
        return NULL;
    }
    return o;
}

static const char *complaint(const csrf_options_t *o) {
    for (size_t i = 0; o && o->ignored_paths && o->ignored_paths[i]; i++)
        if (*o->ignored_paths[i] != '/')
            return "csrf: a path that is ignored begins with '/'";
    for (size_t i = 0; o && o->origins && o->origins[i]; i++) {
        const char *host = strstr(o->origins[i], "://");
        if (!host || strchr(host + 3, '/'))
            return "csrf: an origin is \"https://example.org\", without a path";
    }
    return NULL;
}

middleware_t csrf(const csrf_options_t *options) {
    middleware_t middleware = {.fn = run, .name = "csrf", .error = complaint(options)};
    middleware.state = middleware.error ? NULL : copy_options(options);
    if (!middleware.error && !middleware.state)
        middleware.error = "csrf: out of memory";
    middleware.destroy = middleware.error ? NULL : destroy;
    return middleware;
}
