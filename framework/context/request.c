/* What the client asked for: its URL, its headers, its query. */
#include "context/context.h"
#include "context/http_date.h"
#include "context/percent.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- Headers ---------------------------------------------------------------------------------- */

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

/* All values of `name`, `size` bytes with separators and a NUL, in one: one after the other in
 * linear time, however many there are. */
static const char *join(struct context *context, const char *name, const char *separator,
                        size_t size) {
    const struct headers *headers = &context->exchange->headers;
    size_t length = strlen(name);
    char *all = arena_alloc(context->scope->arena, size), *at = all;
    const char *between = "";
    if (!all)
        return context_no_memory(context), "";
    for (struct header_walk walk = {0}; headers_next(headers, &walk);) {
        const struct header *header = &walk.header;
        if (header->name_length != length || strncasecmp(header->name, name, length) != 0)
            continue;
        at = stpcpy(at, between);
        between = separator;
        memcpy(at, header->value, header->value_length + 1);
        at += header->value_length;
    }
    return all;
}

static const char *get(struct context *context, const char *name) {
    const struct headers *headers = &context->exchange->headers;
    size_t length = strlen(name), size = 1, count = 0;
    const char *value = NULL;
    for (struct header_walk walk = {0}; headers_next(headers, &walk);) {
        const struct header *header = &walk.header;
        if (header->name_length != length || strncasecmp(header->name, name, length) != 0)
            continue;
        if (!value)
            value = header->value;
        else if (first_wins(name))
            break;
        size += header->value_length + 2;
        count++;
    }
    if (count < 2)
        return value;
    return join(context, name, strcasecmp(name, "cookie") == 0 ? "; " : ", ", size);
}

const char *context_get(struct context *context, const char *name) {
    const char *value = NULL;
    if (strcasecmp(name, "referer") == 0 || strcasecmp(name, "referrer") == 0) {
        value = get(context, "referrer");
        return value && *value ? value : get(context, "referer");
    }
    return get(context, name);
}

const char *ctx_get(ctx_t *ctx, const char *name) {
    const char *value = context_get(context_of(ctx), name);
    return value ? value : "";
}

int64_t ctx_get_date(ctx_t *ctx, const char *name) {
    int64_t seconds;
    return http_date_parse(ctx_get(ctx, name), &seconds) ? seconds : -1;
}

bool ctx_header_at(const ctx_t *ctx, size_t index, const char **name, const char **value) {
    return headers_at(&context_of(ctx)->exchange->headers, index, name, value);
}

const char *ctx_origin(ctx_t *ctx) {
    const char *origin = context_get(context_of(ctx), "Origin");
    return origin && *origin ? origin : NULL;
}

struct asked *context_asked(struct context *context) {
    if (!context->asked)
        context->asked = arena_zalloc(context->home.arena, sizeof *context->asked);
    if (!context->asked)
        context_no_memory(context);
    return context->asked;
}

const char *context_list_at(struct context *context, enum request_list which, list_maker *make,
                            size_t index) {
    static const char *const none[] = {NULL};
    struct asked *asked = context_asked(context);
    if (!asked)
        return NULL;
    const char *const **list = &asked->lists[which];
    if (!*list && make(context, list)) {
        context_no_memory(context);
        *list = none;
    }
    for (size_t i = 0; i < index; i++)
        if (!(*list)[i])
            return NULL;
    return (*list)[index];
}

/* --- The query and the route's parameters ----------------------------------------------------- */

int ctx_decode(ctx_t *ctx, const char *text, const char **decoded) {
    struct context *context = context_of(ctx);
    size_t length = strlen(text);
    char *copy = arena_alloc(context->scope->arena, length + 1);
    *decoded = NULL;
    if (!copy)
        return context_no_memory(context);
    if (!percent_decode_string(copy, text, length))
        return UV_EINVAL;
    *decoded = copy;
    return 0;
}

const struct query *context_query(struct context *context) {
    static const struct query none;
    struct asked *asked = context_asked(context);
    if (!asked)
        return &none;
    if (!asked->query_parsed) {
        const char *string = context->ctx.querystring;
        string += *string == '?'; /* of "/x??a": the constructor of URLSearchParams drops it */
        if (query_parse(&asked->query, context->home.arena, string, strlen(string)))
            context_no_memory(context);
        asked->query_parsed = true;
    }
    return &asked->query;
}

const char *ctx_query(ctx_t *ctx, const char *name) {
    const struct query *query = context_query(context_of(ctx));
    for (size_t i = 0; i < query->count; i++)
        if (strcmp(query->pairs[i].name, name) == 0)
            return query->pairs[i].value;
    return NULL;
}

bool ctx_query_at(ctx_t *ctx, size_t index, const char **name, const char **value) {
    const struct query *query = context_query(context_of(ctx));
    if (index >= query->count)
        return false;
    *name = query->pairs[index].name;
    *value = query->pairs[index].value;
    return true;
}

int ctx_parse_form(ctx_t *ctx, bytes_t text, form_pair_t **pairs, size_t *count) {
    struct context *context = context_of(ctx);
    struct query query;
    int err = query_parse(&query, context->scope->arena, text.data, text.length);
    *pairs = query.pairs;
    *count = query.count;
    return err ? context_no_memory(context) : 0;
}

const char *ctx_search(ctx_t *ctx) {
    const char *search = *ctx->querystring ? ctx_printf(ctx, "?%s", ctx->querystring) : "";
    return search ? search : "";
}

const char *ctx_param(const ctx_t *ctx, const char *name) {
    const struct params *params = context_of(ctx)->params;
    for (size_t i = 0; params && i < params->count; i++)
        if (params->list[i].name && strcmp(params->list[i].name, name) == 0)
            return params->list[i].value;
    return NULL;
}

const char *ctx_param_at(const ctx_t *ctx, size_t index) {
    const struct params *params = context_of(ctx)->params;
    return params && index < params->count ? params->list[index].value : NULL;
}

/* --- Rewriting -------------------------------------------------------------------------------- */

int ctx_set_method(ctx_t *ctx, const char *method) {
    struct context *context = context_of(ctx);
    if (!is_token(method))
        return UV_EINVAL;
    method = arena_copy(context->home.arena, method, strlen(method));
    if (!method)
        return context_no_memory(context);
    ctx->method = method;
    return 0;
}

int ctx_set_url(ctx_t *ctx, const char *url) {
    struct context *context = context_of(ctx);
    url = arena_copy(context->home.arena, url, strlen(url));
    if (!url)
        return context_no_memory(context);
    ctx->url = url;
    return context_split_url(context) ? context_no_memory(context) : 0;
}

/* The parts of ctx->url: what comes before the path ("http://host", or nothing), and the hash. */
static size_t origin_length(const char *url) {
    const char *authority = *url == '/' || *url == '*' ? NULL : strstr(url, "://");
    if (!authority)
        return 0;
    authority += 3;
    return (size_t)(authority - url) + strcspn(authority, "/?#");
}

/* `text` with every byte of `special` percent-encoded, and nothing else. */
static const char *escape(struct context *context, const char *text, const char *special) {
    size_t size = 3 * strlen(text) + 1;
    char *escaped = arena_alloc(context->scope->arena, size), *to = escaped;
    if (!escaped)
        return NULL;
    for (; *text; text++) {
        if (strchr(special, *text))
            to += snprintf(to, 4, "%%%02X", (unsigned char)*text); /* of 3 * strlen + 1 */
        else
            *to++ = *text;
    }
    *to = '\0';
    return escaped;
}

/* `mark` tells whether a '?' comes before the query, which may be empty all the same. */
static int rewrite(struct context *context, const char *path, bool mark, const char *query) {
    ctx_t *ctx = &context->ctx;
    size_t origin = origin_length(ctx->url);
    const char *hash = strchr(ctx->url, '#');
    if (!path || !query)
        return context_no_memory(context);
    const char *slash = origin && *path != '/' ? "/" : "";
    const char *url = ctx_printf(ctx, "%.*s%s%s%s%s%s", (int)origin, ctx->url, slash, path,
                                 mark ? "?" : "", query, hash ? hash : "");
    return url ? ctx_set_url(ctx, url) : UV_ENOMEM;
}

int ctx_set_path(ctx_t *ctx, const char *path) {
    struct context *context = context_of(ctx);
    if (strcmp(path, ctx->path) == 0)
        return 0;
    bool mark = ctx->url[strcspn(ctx->url, "?#")] == '?';
    return rewrite(context, escape(context, path, "?#"), mark, ctx->querystring);
}

int ctx_set_querystring(ctx_t *ctx, const char *querystring) {
    struct context *context = context_of(ctx);
    if (*querystring == '?')
        querystring++;
    if (strcmp(querystring, ctx->querystring) == 0)
        return 0;
    return rewrite(context, ctx->path, *querystring, escape(context, querystring, "#"));
}

int ctx_set_query(ctx_t *ctx, const char *const *pairs) {
    struct context *context = context_of(ctx);
    const char *string = query_format(context->home.arena, pairs);
    return string ? ctx_set_querystring(ctx, string) : context_no_memory(context);
}

/* --- Its end ---------------------------------------------------------------------------------- */

bool ctx_aborted(const ctx_t *ctx) {
    const struct exchange *exchange = context_of(ctx)->exchange;
    return exchange->aborted || exchange->peer_closed;
}

bool ctx_writable(const ctx_t *ctx) {
    return !context_of(ctx)->exchange->aborted;
}

void ctx_cancel_on_abort(ctx_t *ctx, bool cancel) {
    struct context *context = context_of(ctx);
    context->exchange->cancel = cancel ? context->handler : NULL;
    if (cancel && context->handler && ctx_aborted(ctx))
        coroutine_cancel(context->handler);
}

const char *ctx_http_version(const ctx_t *ctx) {
    return context_of(ctx)->exchange->http_1_0 ? "1.0" : "1.1";
}

bool ctx_idempotent(const ctx_t *ctx) {
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(ctx->method, methods[i]) == 0)
            return true;
    return false;
}
