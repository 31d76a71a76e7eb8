/* The cookies of a ctx. */
#include "cookies.h"

#include "context/context.h"
#include "context/cookie.h"
#include "context/keygrip.h"

#include <string.h>
#include <strings.h>
#include <sys/time.h>

static const char *find_cookie(struct context *context, const char *name) {
    size_t length;
    const char *header = context_get(context, "Cookie");
    const char *value = header ? cookie_get(header, name, &length) : NULL;
    if (!value)
        return NULL;
    value = arena_copy(context->scope->arena, value, length);
    if (!value)
        context_no_memory(context);
    return value;
}

const char *ctx_cookie(ctx_t *ctx, const char *name) {
    return find_cookie(context_of(ctx), name);
}

/* --- Setting ---------------------------------------------------------------------------------- */

static int64_t milliseconds_since_1970(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

/* Take away what was set under this name. */
static void overwrite(struct headers *headers, const char *name) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < headers->count; i++)
        if (strcasecmp(headers->list[i].name, "Set-Cookie") != 0 ||
            !cookie_line_sets(headers->list[i].value, name))
            headers->list[kept++] = headers->list[i];
    headers->count = kept;
}

static int add_line(struct context *context, const struct cookie *cookie, bool overwrites) {
    struct arena *arena = context->home.arena;
    const char *error;
    char *line = cookie_write(arena, cookie, milliseconds_since_1970(), &error);
    if (!line)
        return error ? ctx_throw(&context->ctx, 500, "%s", error) : context_no_memory(context);
    if (overwrites)
        overwrite(&context->response->headers, cookie->name);
    if (headers_add(&context->response->headers, arena, "Set-Cookie", 10, line, strlen(line)))
        return context_no_memory(context);
    return 0;
}

static const char *sign(struct context *context, const char *name, const char *value) {
    char signature[KEYGRIP_SIZE];
    const char *data = ctx_printf(&context->ctx, "%s=%s", name, value);
    if (!data || keygrip_sign(context->host->keys, signature, data, strlen(data))) {
        context_no_memory(context);
        return NULL;
    }
    return ctx_strdup(&context->ctx, signature);
}

static int add_signature(struct context *context, struct cookie cookie, bool overwrites) {
    ctx_t *ctx = &context->ctx;
    if (!context->host->keys)
        return ctx_throw(ctx, 500, "keys are required for signed cookies");
    cookie.expired = !cookie.value || !*cookie.value; /* the signature goes with its cookie */
    cookie.value = sign(context, cookie.name, cookie.value ? cookie.value : "");
    cookie.name = ctx_printf(ctx, "%s.sig", cookie.name);
    if (!cookie.value || !cookie.name)
        return UV_ENOMEM;
    return add_line(context, &cookie, overwrites);
}

int ctx_set_cookie(ctx_t *ctx, const char *name, const char *value,
                   const cookie_options_t *options) {
    static const cookie_options_t none = {.not_signed = true};
    struct context *context = context_of(ctx);
    const cookie_options_t *o = options ? options : &none;
    if (context->header_sent)
        return UV_EALREADY;
    if (o->secure && !ctx_secure(ctx))
        return ctx_throw(ctx, 500, "can't send a secure cookie over an unencrypted connection");
    struct cookie cookie = {
        .name = name,
        .value = value,
        .path = o->path,
        .domain = o->domain,
        .priority = o->priority,
        .same_site = o->same_site,
        .max_age = o->max_age,
        .expires = o->expires,
        .secure = o->secure || (!o->not_secure && ctx_secure(ctx)),
        .script_access = o->script_access,
        .partitioned = o->partitioned,
    };
    bool is_signed = o->is_signed || (!o->not_signed && context->host->keys);
    int err = add_line(context, &cookie, o->overwrite);
    return err || !is_signed ? err : add_signature(context, cookie, o->overwrite);
}

/* --- Verifying -------------------------------------------------------------------------------- */

/* A signature that is wrong is deleted; one by an old key is renewed. */
static int verify(struct context *context, const char *name, const char *value,
                  const char *signature_name, const char *signature) {
    ctx_t *ctx = &context->ctx;
    const cookie_options_t not_signed = {.not_signed = true};
    const char *data = ctx_printf(ctx, "%s=%s", name, value);
    if (!data)
        return UV_ENOMEM;
    int index = keygrip_index(context->host->keys, signature, data, strlen(data));
    if (index == UV_ENOENT) {
        ctx_set_cookie(ctx, signature_name, NULL, &not_signed);
        return index;
    }
    if (index < 0)
        return context_no_memory(context);
    if (index > 0 && (signature = sign(context, name, value)))
        ctx_set_cookie(ctx, signature_name, signature, &not_signed);
    return 0;
}

const char *ctx_signed_cookie(ctx_t *ctx, const char *name, int *err) {
    struct context *context = context_of(ctx);
    int ignored;
    err = err ? err : &ignored;
    *err = 0;
    const char *value = find_cookie(context, name);
    const char *signature_name = value ? ctx_printf(ctx, "%s.sig", name) : NULL;
    const char *signature = signature_name ? find_cookie(context, signature_name) : NULL;
    if (!signature || !*signature)
        return NULL;
    if (!context->host->keys) {
        *err = ctx_throw(ctx, 500, "keys are required for signed cookies");
        return NULL;
    }
    return verify(context, name, value, signature_name, signature) ? NULL : value;
}
