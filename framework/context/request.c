/* What the client asked for. */
#include "context/context.h"

#include <string.h>
#include <strings.h>

/* Of these fields node keeps the first and drops the others. */
static bool first_wins(const char *name) {
    static const char *const fields[] = {
        "age",
        "authorization",
        "content-length",
        "content-type",
        "etag",
        "expires",
        "from",
        "host",
        "if-modified-since",
        "if-unmodified-since",
        "last-modified",
        "location",
        "max-forwards",
        "proxy-authorization",
        "referer",
        "retry-after",
        "server",
        "user-agent",
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcasecmp(name, fields[i]) == 0)
            return true;
    return false;
}

static const char *join(struct context *context, const char *a, const char *b, const char *with) {
    const char *joined = ctx_printf(&context->ctx, "%s%s%s", a, with, b);
    return joined ? joined : "";
}

static const char *get(struct context *context, const char *name) {
    const struct headers *headers = &context->exchange->headers;
    size_t length = strlen(name);
    const char *value = NULL;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        if (header->name_length != length || strncasecmp(header->name, name, length) != 0)
            continue;
        if (!value)
            value = header->value;
        else if (first_wins(name))
            break;
        else
            value =
                join(context, value, header->value, strcasecmp(name, "cookie") == 0 ? "; " : ", ");
    }
    return value;
}

const char *ctx_get(ctx_t *ctx, const char *name) {
    struct context *context = context_of(ctx);
    const char *value = get(context, name);
    if (!value && strcasecmp(name, "referrer") == 0)
        value = get(context, "referer");
    else if (!value && strcasecmp(name, "referer") == 0)
        value = get(context, "referrer");
    return value ? value : "";
}

bool ctx_header_at(const ctx_t *ctx, size_t index, const char **name, const char **value) {
    const struct headers *headers = &context_of(ctx)->exchange->headers;
    if (index >= headers->count)
        return false;
    *name = headers->list[index].name;
    *value = headers->list[index].value;
    return true;
}

static const struct query *parsed_query(struct context *context) {
    if (!context->query_parsed) {
        const char *string = context->ctx.querystring;
        if (query_parse(&context->query, context->home.arena, string, strlen(string)))
            context_no_memory(context);
        context->query_parsed = true;
    }
    return &context->query;
}

const char *ctx_query(ctx_t *ctx, const char *name) {
    const struct query *query = parsed_query(context_of(ctx));
    for (size_t i = 0; i < query->count; i++)
        if (strcmp(query->pairs[i].name, name) == 0)
            return query->pairs[i].value;
    return NULL;
}

bool ctx_query_at(ctx_t *ctx, size_t index, const char **name, const char **value) {
    const struct query *query = parsed_query(context_of(ctx));
    if (index >= query->count)
        return false;
    *name = query->pairs[index].name;
    *value = query->pairs[index].value;
    return true;
}

const char *ctx_param(const ctx_t *ctx, const char *name) {
    const struct params *params = &context_of(ctx)->params;
    for (size_t i = 0; i < params->count; i++)
        if (params->list[i].name && strcmp(params->list[i].name, name) == 0)
            return params->list[i].value;
    return NULL;
}

const char *ctx_param_at(const ctx_t *ctx, size_t index) {
    const struct params *params = &context_of(ctx)->params;
    return index < params->count ? params->list[index].value : NULL;
}

const char *ctx_ip(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    char text[64];
    if (!context->ip) {
        context->exchange->ops->peer(context->exchange, text, sizeof text);
        context->ip = arena_copy(context->home.arena, text, strlen(text));
    }
    return context->ip ? context->ip : "";
}

bool ctx_aborted(const ctx_t *ctx) {
    const struct exchange *exchange = context_of(ctx)->exchange;
    return exchange->aborted || exchange->peer_closed;
}
