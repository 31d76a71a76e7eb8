/* A ctx comes, gives memory, and goes. */
#include "context/context.h"

#include <string.h>

/* "/users/7?full=1#top" is path "/users/7" and query "full=1". An absolute URL (RFC 9112 3.2.2)
 * loses its scheme and host. */
int context_split_url(struct context *context) {
    struct arena *arena = context->home.arena;
    const char *url = context->ctx.url, *path = url;
    if (*url != '/' && *url != '*') {
        const char *authority = strstr(url, "://");
        path = authority ? authority + 3 + strcspn(authority + 3, "/?#") : url;
    }
    size_t length = 0;
    while (path[length] && path[length] != '?' && path[length] != '#')
        length++;
    const char *query = path[length] == '?' ? path + length + 1 : "";
    size_t query_length = strcspn(query, "#");
    bool is_whole = path[length] == '\0'; /* no copy needs to be cut off */
    context->ctx.path = !length ? "/" : is_whole ? path : arena_copy(arena, path, length);
    context->ctx.querystring = query_length ? arena_copy(arena, query, query_length) : "";
    if (context->asked)
        context->asked->query_parsed = false;
    if (context->ctx.path && context->ctx.querystring)
        return 0;
    context->ctx.path = context->ctx.querystring = "";
    return UV_ENOMEM;
}

static struct context *make(struct context_host *host, struct exchange *exchange, size_t size,
                            size_t zeroed) {
    struct context *context = arena_alloc(&exchange->arena, size);
    if (!context)
        return NULL;
    memset(context, 0, zeroed);
    context->host = host;
    context->exchange = exchange;
    context->home.arena = &exchange->arena;
    context->scope = &context->home;
    context->ctx.app = host->app;
    context->ctx.method = exchange->method;
    context->ctx.url = context->ctx.original_url = exchange->url;
    if (context_split_url(context))
        return NULL;
    exchange->ctx = context;
    return context;
}

struct context *context_new(struct context_host *host, struct exchange *exchange) {
    struct request_context *request = (struct request_context *)make(
        host, exchange, sizeof *request, offsetof(struct request_context, fields));
    if (!request)
        return NULL;
    request->context.response = &request->response;
    request->response.headers.list = request->fields;
    request->response.headers.capacity = sizeof request->fields / sizeof *request->fields;
    return &request->context;
}

struct context *context_new_for_socket(struct context_host *host, struct exchange *exchange,
                                       struct response *response) {
    struct context *context = make(host, exchange, sizeof *context, sizeof *context);
    if (context && response)
        context->response = response;
    else if (context)
        context_forget_response(context);
    return context;
}

void context_forget_response(struct context *context) {
    static const struct response none; /* for all: who would write to it looks at header_sent */
    context->header_sent = context->written = true;
    context->response = (struct response *)&none;
}

void context_enter(struct context *context) {
    context->handler = coroutine_self();
    coroutine_set_local(context->handler, context);
}

void context_leave(struct context *context) {
    context->handler = NULL;
    context->exchange->cancel = NULL;
}

void context_end(struct context *context, bool complete) {
    if (context->finishers)
        context_call_finishers(context, complete);
    context_forget_body(context);
    scope_end(&context->home);
    value_destroy_all(&context->values);
}

ctx_t *ctx_current(void) {
    struct coroutine *co = coroutine_self();
    struct context *context = co ? coroutine_get_local(co) : NULL;
    return context ? &context->ctx : NULL;
}

int context_no_memory(struct context *context) {
    context->no_memory = true;
    return UV_ENOMEM;
}

/* --- Memory ----------------------------------------------------------------------------------- */

void *ctx_alloc(ctx_t *ctx, size_t size) {
    struct context *context = context_of(ctx);
    void *block = arena_zalloc(context->scope->arena, size);
    if (!block)
        context_no_memory(context);
    return block;
}

char *ctx_strdup(ctx_t *ctx, const char *string) {
    struct context *context = context_of(ctx);
    char *copy = string ? arena_copy(context->scope->arena, string, strlen(string)) : NULL;
    if (!copy)
        context_no_memory(context);
    return copy;
}

char *ctx_printf(ctx_t *ctx, const char *format, ...) {
    struct context *context = context_of(ctx);
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(context->scope->arena, NULL, format, args);
    va_end(args);
    if (!text)
        context_no_memory(context);
    return text;
}

int ctx_defer(ctx_t *ctx, void (*fn)(void *arg), void *arg) {
    struct context *context = context_of(ctx);
    struct deferred *deferred = arena_alloc(context->scope->arena, sizeof *deferred);
    if (!deferred) {
        fn(arg);
        return context_no_memory(context);
    }
    *deferred = (struct deferred){context->scope->deferred, fn, arg};
    context->scope->deferred = deferred;
    return 0;
}

void scope_end(struct scope *scope) {
    while (scope->deferred) {
        struct deferred *deferred = scope->deferred;
        scope->deferred = deferred->next;
        deferred->fn(deferred->arg);
    }
}

/* --- Values ----------------------------------------------------------------------------------- */

int ctx_set_value(ctx_t *ctx, const char *name, void *value, void (*destroy)(void *value)) {
    struct context *context = context_of(ctx);
    int err = value_set(&context->values, context->home.arena, name, value, destroy);
    return err ? context_no_memory(context) : 0;
}

void *ctx_value(const ctx_t *ctx, const char *name) {
    const struct context *context = context_of(ctx);
    void *value = value_get(context->values, name);
    return value ? value : value_get(context->host->values, name);
}
