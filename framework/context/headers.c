/* The headers of the response. */
#include "context/context.h"
#include "context/http_date.h"
#include "context/mime.h"
#include "runtime/decimal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is not inlined is not needed by most answers. */
#define NOT_INLINE __attribute__((noinline))

static void take_out(struct headers *headers, struct header *header) {
    size_t behind = (size_t)(headers->list + headers->count - (header + 1));
    memmove(header, header + 1, behind * sizeof *header);
    headers->count--;
}

static NOT_INLINE int add_header(struct context *context, const char *name, size_t length,
                                 const char *value, size_t value_length) {
    return headers_add(&context->response->headers, context->home.arena, name, length, value,
                       value_length)
               ? context_no_memory(context)
               : 0;
}

/* There may be one of that name: it is replaced, and the others are taken out. */
static NOT_INLINE int replace_header(struct context *context, const char *name, size_t length,
                                     const char *value, size_t value_length) {
    struct headers *headers = &context->response->headers;
    struct header *header = headers_find(headers, name, length);
    if (!header)
        return add_header(context, name, length, value, value_length);
    header->value = value;
    header->value_length = (uint32_t)value_length;
    for (struct header *other = headers->list + headers->count - 1; other > header; other--)
        if (other->name_length == length && strncasecmp(other->name, name, length) == 0)
            take_out(headers, other);
    return 0;
}

int context_put_header(struct context *context, const char *name, size_t length, const char *value,
                       size_t value_length) {
    struct headers *headers = &context->response->headers;
    if (headers->seen & header_bit(name, length))
        return replace_header(context, name, length, value, value_length);
    if (headers->count == headers->capacity)
        return add_header(context, name, length, value, value_length);
    return headers_add(headers, context->home.arena, name, length, value, value_length);
}

int context_set_length(struct context *context, uint64_t length) {
    char *value = arena_alloc(context->home.arena, DECIMAL_MAX + 1);
    if (!value)
        return context_no_memory(context);
    size_t digits = write_decimal(value, length);
    value[digits] = '\0';
    context->response->length_text = value;
    context->response->length = length;
    return context_put_header(context, "Content-Length", 14, value, digits);
}

bool is_token(const char *text) {
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return text && *text && text[strspn(text, token)] == '\0';
}

/* RFC 9110 5.5: visible characters, blanks, and what lies beyond ASCII. */
bool is_field_value(const char *text) {
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
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
    if (!is_token(*name) || !is_field_value(*value))
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

/* Two of them would be none. */
static bool is_single(const char *name) {
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Content-Type") == 0;
}

int ctx_append(ctx_t *ctx, const char *name, const char *value) {
    struct context *context = context_of(ctx);
    int err = prepare(context, &name, &value);
    if (err)
        return err;
    if (is_single(name))
        return context_set_header(context, name, value);
    return headers_add(&context->response->headers, context->home.arena, name, strlen(name), value,
                       strlen(value))
               ? context_no_memory(context)
               : 0;
}

int ctx_remove(ctx_t *ctx, const char *name) {
    struct context *context = context_of(ctx);
    struct header *header;
    if (context->header_sent)
        return UV_EALREADY;
    size_t length = strlen(name);
    while ((header = headers_find(&context->response->headers, name, length)))
        take_out(&context->response->headers, header);
    return 0;
}

const char *ctx_response_get(const ctx_t *ctx, const char *name) {
    return headers_get(&context_of(ctx)->response->headers, name);
}

bool ctx_has(const ctx_t *ctx, const char *name) {
    return ctx_response_get(ctx, name) != NULL;
}

bool ctx_response_header_at(const ctx_t *ctx, size_t index, const char **name, const char **value) {
    return headers_at(&context_of(ctx)->response->headers, index, name, value);
}

bool ctx_header_sent(const ctx_t *ctx) {
    return context_of(ctx)->header_sent;
}

/* --- Content-Type, Content-Length ------------------------------------------------------------- */

int ctx_type(ctx_t *ctx, const char *type) {
    bool is_extension = !strchr(type, '/');
    const char *mime = is_extension ? mime_of_extension(type, strlen(type)) : type;
    if (!mime)
        return ctx_remove(ctx, "Content-Type");
    if (!strstr(mime, "charset") && mime_needs_charset(mime))
        return ctx_setf(ctx, "Content-Type", "%s; charset=utf-8", mime);
    return ctx_set(ctx, "Content-Type", mime);
}

void context_type_by_name(struct context *context, const char *filename) {
    size_t length = strlen(filename);
    while (length > 0 && filename[length - 1] == '/')
        length--;
    const char *name = arena_copy(context->scope->arena, filename, length);
    const char *slash = name ? strrchr(name, '/') : NULL, *base = slash ? slash + 1 : name;
    const char *dot = base ? strrchr(base, '.') : NULL;
    if (!name)
        context_no_memory(context);
    else if (dot && dot > base && !ctx_has(&context->ctx, "Content-Type"))
        ctx_type(&context->ctx, dot);
}

const char *ctx_response_type(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    const char *type = ctx_response_get(ctx, "Content-Type");
    if (!type)
        return "";
    type = arena_copy(context->scope->arena, type, strcspn(type, ";"));
    return type ? type : (context_no_memory(context), "");
}

const char *ctx_response_is_one_of(ctx_t *ctx, const char *const *types) {
    return context_type_is(context_of(ctx), ctx_response_type(ctx), types);
}

int ctx_length(ctx_t *ctx, uint64_t length) {
    struct context *context = context_of(ctx);
    if (context->header_sent)
        return UV_EALREADY;
    return ctx_has(ctx, "Transfer-Encoding") ? 0 : context_set_length(context, length);
}

int64_t ctx_response_length(const ctx_t *ctx) {
    const struct context *context = context_of(ctx);
    const char *text = ctx_response_get(ctx, "Content-Length");
    if (text)
        return strtoll(text, NULL, 10);
    return context->kind == CTX_BODY_BYTES ? (int64_t)context->response->body.length : -1;
}

/* --- What caches look at ---------------------------------------------------------------------- */

/* Is one of the first `length` bytes' comma-separated fields `field`? */
static bool names_field(const char *list, const char *field, size_t length) {
    while (*list) {
        list += strspn(list, ", \t");
        size_t n = strcspn(list, ", \t");
        if (n == length && strncasecmp(list, field, n) == 0)
            return true;
        list += n;
    }
    return false;
}

/* All lines of Vary as one. */
static const char *joined_vary(ctx_t *ctx) {
    const char *name, *value, *all = "";
    for (size_t i = 0; all && ctx_response_header_at(ctx, i, &name, &value); i++)
        if (strcasecmp(name, "Vary") == 0)
            all = *all ? ctx_printf(ctx, "%s, %s", all, value) : value;
    return all;
}

int ctx_vary(ctx_t *ctx, const char *fields) {
    const char *all = joined_vary(ctx);
    if (all && (names_field(all, "*", 1) || names_field(fields, "*", 1)))
        return ctx_set(ctx, "Vary", "*");
    while (all && *fields) {
        fields += strspn(fields, ", \t");
        size_t length = strcspn(fields, ",");
        const char *field = ctx_printf(ctx, "%.*s", (int)strcspn(fields, ", \t"), fields);
        if (field && *field && !is_token(field))
            return UV_EINVAL;
        if (!field)
            return UV_ENOMEM;
        if (*field && !names_field(all, field, strlen(field)))
            all = *all ? ctx_printf(ctx, "%s, %s", all, field) : field;
        fields += length;
    }
    return all && !*all ? 0 : ctx_set(ctx, "Vary", all);
}

int ctx_etag(ctx_t *ctx, const char *tag) {
    const char *opaque = strncmp(tag, "W/", 2) == 0 ? tag + 2 : tag;
    return *opaque == '"' ? ctx_set(ctx, "ETag", tag) : ctx_setf(ctx, "ETag", "\"%s\"", tag);
}

int ctx_last_modified(ctx_t *ctx, int64_t seconds) {
    char text[HTTP_DATE_SIZE];
    http_date_format(text, seconds);
    return ctx_set(ctx, "Last-Modified", text);
}

int64_t ctx_response_last_modified(const ctx_t *ctx) {
    const char *text = ctx_response_get(ctx, "Last-Modified");
    int64_t seconds;
    return text && http_date_parse(text, &seconds) ? seconds : -1;
}
