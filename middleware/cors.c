/* Cross-origin resource sharing, as @koa/cors 5. */
#include "cors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cors {
    cors_options_t options; /* with defaults filled in; strings and lists are copies */
    char max_age[24];       /* "": not told */
    char error[160];
};

/* What a response is given; an error is given it again. */
struct grant {
    struct {
        const char *name, *value;
    } headers[8];
    size_t count;
};

static void add(struct grant *grant, const char *name, const char *value) {
    grant->headers[grant->count].name = name;
    grant->headers[grant->count].value = value;
    grant->count++;
}

static int set_all(ctx_t *ctx, const struct grant *grant) {
    int err = 0;
    for (size_t i = 0; i < grant->count && !err; i++)
        err = ctx_set(ctx, grant->headers[i].name, grant->headers[i].value);
    return err;
}

/* The error, or that there is no memory for its headers. */
static int set_all_on_error(ctx_t *ctx, const struct grant *grant, int err) {
    int failure = ctx_throw_header(ctx, "vary", "Origin"); /* small, to the byte as it is there */
    for (size_t i = 0; i < grant->count && !failure; i++)
        failure = ctx_throw_header(ctx, grant->headers[i].name, grant->headers[i].value);
    return failure == UV_ENOMEM ? failure : err;
}

/* --- Who asks --------------------------------------------------------------------------------- */

static const char *find_in_list(const char *const *origins, const char *origin) {
    for (size_t i = 0; origins[i]; i++)
        if (strcmp(origins[i], origin) == 0)
            return origins[i];
    return NULL;
}

/* *origin is NULL if there is none. */
static int find_origin(ctx_t *ctx, const struct cors *cors, const char **origin) {
    const cors_options_t *o = &cors->options;
    *origin = NULL;
    if (o->find_origin)
        return o->find_origin(ctx, origin);
    *origin = o->origins ? find_in_list(o->origins, ctx_get(ctx, "Origin")) : o->origin;
    return 0;
}

static int ask_credentials(ctx_t *ctx, const struct cors *cors) {
    if (cors->options.allow_credentials)
        return cors->options.allow_credentials(ctx);
    return cors->options.credentials;
}

/* --- The two kinds of requests ---------------------------------------------------------------- */

static void add_secure_context(const struct cors *cors, struct grant *grant) {
    if (cors->options.secure_context) {
        add(grant, "Cross-Origin-Opener-Policy", "same-origin");
        add(grant, "Cross-Origin-Embedder-Policy", "require-corp");
    }
}

static int answer_preflight(ctx_t *ctx, const struct cors *cors, struct grant *grant) {
    const cors_options_t *o = &cors->options;
    const char *headers = o->allow_headers;
    if (*cors->max_age)
        add(grant, "Access-Control-Max-Age", cors->max_age);
    if (o->private_network_access && *ctx_get(ctx, "Access-Control-Request-Private-Network"))
        add(grant, "Access-Control-Allow-Private-Network", "true");
    if (*o->methods)
        add(grant, "Access-Control-Allow-Methods", o->methods);
    add_secure_context(cors, grant);
    if (!*headers)
        headers = ctx_get(ctx, "Access-Control-Request-Headers");
    if (*headers)
        add(grant, "Access-Control-Allow-Headers", headers);
    ctx->status = 204;
    return set_all(ctx, grant);
}

static int pass_on(ctx_t *ctx, const struct cors *cors, struct grant *grant) {
    if (*cors->options.expose_headers)
        add(grant, "Access-Control-Expose-Headers", cors->options.expose_headers);
    add_secure_context(cors, grant);
    int err = set_all(ctx, grant);
    if (err)
        return err;
    err = next(ctx);
    bool keeps = err < 0 && !cors->options.no_headers_on_error;
    return keeps ? set_all_on_error(ctx, grant, err) : err;
}

static int run_cors(ctx_t *ctx, void *state) {
    const struct cors *cors = state;
    struct grant grant = {.count = 0};
    const char *origin;
    int err = ctx_vary(ctx, "Origin");
    if (!err)
        err = find_origin(ctx, cors, &origin);
    if (err < 0)
        return err;
    if (!origin || !*origin)
        return next(ctx);
    int credentials = ask_credentials(ctx, cors);
    if (credentials < 0)
        return credentials;
    if (credentials && strcmp(origin, "*") == 0)
        origin = ctx_get(ctx, "Origin"); /* browsers take no "*" with them */
    add(&grant, "Access-Control-Allow-Origin", origin);
    if (credentials)
        add(&grant, "Access-Control-Allow-Credentials", "true");
    if (strcmp(ctx->method, "OPTIONS") != 0)
        return pass_on(ctx, cors, &grant);
    if (!*ctx_get(ctx, "Access-Control-Request-Method"))
        return next(ctx); /* no preflight, but somebody's own OPTIONS */
    return answer_preflight(ctx, cors, &grant);
}

/* --- Making one ------------------------------------------------------------------------------- */

static void free_cors(void *state) {
    struct cors *cors = state;
    const cors_options_t *o = &cors->options;
    for (size_t i = 0; o->origins && o->origins[i]; i++)
        free((char *)o->origins[i]);
    free((char **)o->origins);
    free((char *)o->origin);
    free((char *)o->methods);
    free((char *)o->allow_headers);
    free((char *)o->expose_headers);
    free(cors);
}

/* *text becomes a copy of its own; NULL if there is no memory. */
static bool copy_text(const char **text, const char *given, const char *otherwise) {
    *text = strdup(given ? given : otherwise);
    return *text;
}

static bool copy_list(const char *const **list, const char *const *given) {
    size_t count = 0;
    while (given[count])
        count++;
    const char **copy = calloc(count + 1, sizeof *copy);
    *list = copy;
    for (size_t i = 0; copy && i < count; i++)
        if (!copy_text(&copy[i], given[i], NULL))
            return false;
    return copy;
}

static bool copy_options(struct cors *cors, const cors_options_t *given) {
    cors_options_t *o = &cors->options;
    *o = *given;
    o->origins = NULL;
    bool copied = copy_text(&o->origin, given->origin, "*");
    copied &= copy_text(&o->methods, given->methods, "GET,HEAD,PUT,POST,DELETE,PATCH");
    copied &= copy_text(&o->allow_headers, given->allow_headers, "");
    copied &= copy_text(&o->expose_headers, given->expose_headers, "");
    return copied && (!given->origins || copy_list(&o->origins, given->origins));
}

/* "https://example.org:8443", as browsers write it, or "null". */
static bool is_origin(const char *text) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789+-._~%[]:";
    const char *host = strstr(text, "://");
    if (strcmp(text, "null") == 0)
        return true;
    if (!host || host == text || !host[3])
        return false;
    size_t scheme = strspn(text, allowed);
    return text + scheme == host + 1 && !host[3 + strspn(host + 3, allowed)];
}

/* Names with commas, and blanks, between them. */
static bool is_list_of_tokens(const char *text) {
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (;;) {
        text += strspn(text, " ");
        size_t length = strspn(text, token);
        text += length;
        text += strspn(text, " ");
        if (!*text || length == 0)
            return !*text && length > 0;
        if (*text++ != ',')
            return false;
    }
}

static const char *fail(struct cors *cors, const char *what, const char *text) {
    snprintf(cors->error, sizeof cors->error, "%s: \"%s\"", what, text);
    return cors->error;
}

/* What is wrong with the options, or NULL. */
static const char *check(struct cors *cors, const cors_options_t *given) {
    static const char no_origin[] =
        "an origin is \"https://example.org\", in lower case and without a path";
    static const char no_list[] = "names of methods and headers are tokens with commas between";
    const cors_options_t *o = &cors->options;
    const char *const lists[] = {o->methods, o->allow_headers, o->expose_headers};
    int ways = !!given->origin + !!given->origins + !!given->find_origin;
    if (ways > 1)
        return "of origin, origins and find_origin one is enough";
    if ((o->credentials || o->allow_credentials) && ways == 0)
        return "credentials need to be told whose origin they are for";
    if (strcmp(o->origin, "*") != 0 && !is_origin(o->origin))
        return fail(cors, no_origin, o->origin);
    for (size_t i = 0; o->origins && o->origins[i]; i++)
        if (!is_origin(o->origins[i]))
            return fail(cors, no_origin, o->origins[i]);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (*lists[i] && !is_list_of_tokens(lists[i]))
            return fail(cors, no_list, lists[i]);
    return NULL;
}

middleware_t cors(const cors_options_t *options) {
    static const cors_options_t defaults;
    static const char no_memory[] = "out of memory";
    const cors_options_t *given = options ? options : &defaults;
    struct cors *cors = calloc(1, sizeof *cors);
    if (!cors)
        return (middleware_t){.name = "cors", .error = no_memory};
    middleware_t layer = {run_cors, cors, free_cors, "cors", NULL};
    layer.error = copy_options(cors, given) ? check(cors, given) : no_memory;
    int64_t max_age = given->max_age;
    if (max_age)
        snprintf(cors->max_age, sizeof cors->max_age, "%" PRId64, max_age < 0 ? 0 : max_age);
    return layer;
}
