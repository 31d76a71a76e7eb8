/* The response, as the middleware makes it: status, headers, body. */
#include "context/context.h"
#include "context/mime.h"
#include "protocols/status.h"
#include "runtime/fs.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- Headers ---------------------------------------------------------------------------------- */

static struct header *find(const struct headers *headers, const char *name, size_t length) {
    for (uint32_t i = 0; i < headers->count; i++)
        if (headers->list[i].name_length == length &&
            strncasecmp(headers->list[i].name, name, length) == 0)
            return &headers->list[i];
    return NULL;
}

static void take_out(struct headers *headers, struct header *header) {
    size_t behind = (size_t)(headers->list + headers->count - (header + 1));
    memmove(header, header + 1, behind * sizeof *header);
    headers->count--;
}

int context_set_header(struct context *context, const char *name, const char *value) {
    struct headers *headers = &context->headers;
    size_t length = strlen(name), value_length = strlen(value);
    struct header *header = find(headers, name, length);
    if (!header)
        return headers_add(headers, context->home.arena, name, length, value, value_length)
                   ? context_no_memory(context)
                   : 0;
    header->value = value;
    header->value_length = (uint32_t)value_length;
    for (struct header *other = headers->list + headers->count - 1; other > header; other--)
        if (other->name_length == length && strncasecmp(other->name, name, length) == 0)
            take_out(headers, other);
    return 0;
}

static bool name_is_valid(const char *name) {
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return name && *name && name[strspn(name, token)] == '\0';
}

/* RFC 9110 5.5: visible characters, blanks, and what lies beyond ASCII. */
static bool value_is_valid(const char *value) {
    for (; *value; value++)
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
            return false;
    return true;
}

/* May the head still be changed, and by this? Copies both. */
static int prepare(struct context *context, const char **name, const char **value) {
    struct arena *arena = context->home.arena;
    if (context->header_sent)
        return UV_EALREADY;
    if (!*value)
        return context_no_memory(context);
    if (!name_is_valid(*name) || !value_is_valid(*value))
        return UV_EINVAL;
    *name = arena_copy(arena, *name, strlen(*name));
    *value = arena_copy(arena, *value, strlen(*value));
    return *name && *value ? 0 : context_no_memory(context);
}

int ctx_set(ctx_t *ctx, const char *name, const char *value) {
    struct context *context = context_of(ctx);
    int err = prepare(context, &name, &value);
    return err ? err : context_set_header(context, name, value);
}

int ctx_setf(ctx_t *ctx, const char *name, const char *format, ...) {
    struct context *context = context_of(ctx);
    va_list args;
    va_start(args, format);
    const char *value = arena_vprintf(context->scope->arena, NULL, format, args);
    va_end(args);
    return ctx_set(ctx, name, value);
}

int ctx_append(ctx_t *ctx, const char *name, const char *value) {
    struct context *context = context_of(ctx);
    int err = prepare(context, &name, &value);
    if (err)
        return err;
    if (strcasecmp(name, "Content-Length") == 0) /* two of them would be none */
        return context_set_header(context, name, value);
    return headers_add(&context->headers, context->home.arena, name, strlen(name), value,
                       strlen(value))
               ? context_no_memory(context)
               : 0;
}

int ctx_remove(ctx_t *ctx, const char *name) {
    struct context *context = context_of(ctx);
    struct header *header;
    if (context->header_sent)
        return UV_EALREADY;
    while ((header = find(&context->headers, name, strlen(name))))
        take_out(&context->headers, header);
    return 0;
}

const char *ctx_response_get(const ctx_t *ctx, const char *name) {
    return headers_get(&context_of(ctx)->headers, name);
}

bool ctx_header_sent(const ctx_t *ctx) {
    return context_of(ctx)->header_sent;
}

int ctx_type(ctx_t *ctx, const char *type) {
    bool is_extension = !strchr(type, '/');
    if (is_extension && *type == '.')
        type++;
    const char *mime = is_extension ? mime_of_extension(type, strlen(type)) : type;
    if (!mime)
        return ctx_remove(ctx, "Content-Type");
    if (!strstr(mime, "charset") && mime_needs_charset(mime))
        return ctx_setf(ctx, "Content-Type", "%s; charset=utf-8", mime);
    return ctx_set(ctx, "Content-Type", mime);
}

/* --- The body --------------------------------------------------------------------------------- */

static void forget_file(struct context *context) {
    if (context->file >= 0)
        fs_close(context->file);
    context->file = -1;
}

static int set_length(struct context *context, size_t length) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%zu", length);
    const char *value = arena_copy(context->home.arena, digits, (size_t)n);
    return value ? context_set_header(context, "Content-Length", value)
                 : context_no_memory(context);
}

int context_set_body(struct context *context, enum body_source source, bytes_t body,
                     const char *type) {
    if (context->header_sent)
        return UV_EALREADY;
    if (source != BODY_FILE)
        forget_file(context);
    context->source = source;
    context->body = body;
    if (!context->ctx.status)
        context->ctx.status = 200;
    int err = 0;
    if (type && !headers_get(&context->headers, "Content-Type"))
        err = context_set_header(context, "Content-Type", type);
    return err ? err : set_length(context, body.length);
}

static int set_copy(ctx_t *ctx, const char *data, size_t length, const char *type) {
    struct context *context = context_of(ctx);
    const char *copy = data ? arena_copy(context->home.arena, data, length) : NULL;
    if (!copy)
        return context_no_memory(context);
    return context_set_body(context, BODY_MEMORY, (bytes_t){copy, length}, type);
}

int ctx_text(ctx_t *ctx, const char *text) {
    return set_copy(ctx, text, text ? strlen(text) : 0, "text/plain; charset=utf-8");
}

int ctx_textf(ctx_t *ctx, const char *format, ...) {
    struct context *context = context_of(ctx);
    size_t length = 0;
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(context->home.arena, &length, format, args);
    va_end(args);
    if (!text)
        return context_no_memory(context);
    return context_set_body(context, BODY_MEMORY, (bytes_t){text, length},
                            "text/plain; charset=utf-8");
}

int ctx_html(ctx_t *ctx, const char *html) {
    return set_copy(ctx, html, html ? strlen(html) : 0, "text/html; charset=utf-8");
}

int ctx_bytes(ctx_t *ctx, const void *data, size_t length) {
    return set_copy(ctx, length ? data : "", length, "application/octet-stream");
}

int ctx_empty(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    if (context->header_sent)
        return UV_EALREADY;
    forget_file(context);
    context->source = BODY_NULL;
    if (!status_is_empty(ctx->status))
        ctx->status = 204;
    ctx_remove(ctx, "Content-Type");
    ctx_remove(ctx, "Content-Length");
    return ctx_remove(ctx, "Transfer-Encoding");
}

/* What may stand in a Location as it is (Koa's encodeurl): the rest is percent-encoded. */
static bool is_url_character(unsigned char c) {
    return c > ' ' && c < 0x7f && !strchr("\"<>\\^`{|}", c);
}

int ctx_redirect(ctx_t *ctx, const char *url) {
    struct context *context = context_of(ctx);
    char *location = ctx_alloc(ctx, strlen(url) * 3 + 1), *at = location;
    if (!location)
        return UV_ENOMEM;
    for (; *url; url++)
        if (is_url_character((unsigned char)*url))
            *at++ = *url;
        else
            at += snprintf(at, 4, "%%%02X", (unsigned char)*url);
    int err = ctx_set(ctx, "Location", location);
    if (err)
        return err;
    if (!status_is_redirect(ctx->status))
        ctx->status = 302;
    context_set_header(context, "Content-Type", "text/plain; charset=utf-8");
    return ctx_textf(ctx, "Redirecting to %s.", location);
}
