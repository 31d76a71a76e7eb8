/* Basic authentication, as koa-basic-auth 4. */
#include "basic_auth.h"

#include "base64.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE "acacia basic_auth" /* the user's name among the values of the ctx */

/* What is compared are digests: so the length of a secret can't be seen either. */
struct secret {
    bool given;
    unsigned char digest[SHA256_DIGEST_LENGTH];
};

struct basic_auth {
    struct secret name, password;
    int (*verify)(ctx_t *ctx, const char *name, const char *password);
    char *challenge; /* of WWW-Authenticate */
};

/* --- Credentials ------------------------------------------------------------------------------ */

struct credentials {
    char *name, *password; /* one block */
};

/* "Basic dG9iaTpmZXJyZXQ=", blanks around it aside: in memory of the ctx. 0; UV_EINVAL if it is not
 * that; UV_ENOMEM. */
static int token_of(ctx_t *ctx, const char **token) {
    const char *header = ctx_get(ctx, "Authorization");
    header += strspn(header, " ");
    if (strncasecmp(header, "Basic ", 6) != 0)
        return UV_EINVAL;
    header += 6 + strspn(header + 6, " ");
    size_t length = strcspn(header, " ");
    if (length == 0 || header[length + strspn(header + length, " ")])
        return UV_EINVAL;
    *token = ctx_printf(ctx, "%.*s", (int)length, header);
    return *token ? 0 : UV_ENOMEM;
}

/* "name:password". The name has no ':', and neither of them a line break or a NUL. */
static int split(struct credentials *credentials, char *text, size_t length) {
    char *colon = strchr(text, ':');
    if (!colon || strlen(text) != length || text[strcspn(text, "\r\n")])
        return UV_EINVAL;
    *colon = '\0';
    *credentials = (struct credentials){text, colon + 1};
    return 0;
}

/* 0; UV_EINVAL if there are none; UV_ENOMEM. */
static int read_credentials(ctx_t *ctx, struct credentials *credentials) {
    const char *token;
    char *decoded;
    size_t length;
    int err = token_of(ctx, &token);
    if (!err)
        err = base64_read(token, &decoded, &length);
    if (err)
        return err;
    char *text = ctx_alloc(ctx, length + 1);
    if (text)
        memcpy(text, decoded, length + 1);
    free(decoded);
    return text ? split(credentials, text, length) : UV_ENOMEM;
}

/* --- The middleware --------------------------------------------------------------------------- */

static bool is_right(const struct secret *secret, const char *text) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text, strlen(text), digest);
    return CRYPTO_memcmp(digest, secret->digest, sizeof digest) == 0 || !secret->given;
}

/* 1, 0, or an error. */
static int check(ctx_t *ctx, const struct basic_auth *auth, const struct credentials *given) {
    bool name_is_right = is_right(&auth->name, given->name);
    bool password_is_right = is_right(&auth->password, given->password);
    if (!(name_is_right & password_is_right))
        return 0;
    return auth->verify ? auth->verify(ctx, given->name, given->password) : 1;
}

static int run(ctx_t *ctx, void *state) {
    const struct basic_auth *auth = state;
    struct credentials given = {0};
    int err = read_credentials(ctx, &given);
    int verdict = err == 0 ? check(ctx, auth, &given) : err == UV_EINVAL ? 0 : err;
    if (verdict < 0)
        return verdict;
    if (verdict == 0) {
        err = ctx_throw_header(ctx, "WWW-Authenticate", auth->challenge);
        return err ? err : ctx_throw(ctx, 401, NULL);
    }
    err = ctx_set_value(ctx, VALUE, given.name, NULL);
    return err ? err : next(ctx);
}

const char *basic_auth_name(const ctx_t *ctx) {
    return ctx_value(ctx, VALUE);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void destroy(void *state) {
    struct basic_auth *auth = state;
    OPENSSL_cleanse(auth, sizeof auth->name + sizeof auth->password);
    free(auth->challenge);
    free(auth);
}

static struct secret secret_of(const char *text) {
    struct secret secret = {.given = text != NULL};
    if (text)
        SHA256((const unsigned char *)text, strlen(text), secret.digest);
    return secret;
}

/* A quoted string of HTTP. NULL when there is no memory. */
static char *challenge_for(const char *realm) {
    static const char begin[] = "Basic realm=\"";
    char *challenge = malloc(sizeof begin + strlen("\"") + 2 * strlen(realm));
    if (!challenge)
        return NULL;
    char *at = stpcpy(challenge, begin);
    for (; *realm; realm++) {
        if (*realm == '"' || *realm == '\\')
            *at++ = '\\';
        *at++ = *realm;
    }
    strcpy(at, "\"");
    return challenge;
}

static bool is_printable(const char *text) {
    while (*text && (unsigned char)*text >= ' ' && *text != 0x7f)
        text++;
    return !*text;
}

static const char *complaint(const basic_auth_options_t *o) {
    if (!o || (!o->name && !o->password && !o->verify))
        return "basic_auth: a name, a password or verify is needed";
    if (!o->password && !o->verify && !o->any_password)
        return "basic_auth: the password is NULL: any_password says that this is meant";
    if (o->name && strchr(o->name, ':'))
        return "basic_auth: nobody can send a name with a ':'";
    if (o->realm && !is_printable(o->realm))
        return "basic_auth: the realm can't have control characters";
    return NULL;
}

middleware_t basic_auth(const basic_auth_options_t *options) {
    middleware_t middleware = {.fn = run, .name = "basic_auth", .error = complaint(options)};
    if (middleware.error)
        return middleware;
    struct basic_auth *auth = calloc(1, sizeof *auth);
    if (auth)
        auth->challenge = challenge_for(options->realm ? options->realm : "Secure Area");
    if (!auth || !auth->challenge) {
        free(auth);
        middleware.error = "basic_auth: out of memory";
        return middleware;
    }
    auth->name = secret_of(options->name);
    auth->password = secret_of(options->password);
    auth->verify = options->verify;
    middleware.state = auth;
    middleware.destroy = destroy;
    return middleware;
}
