/* The body of the request. */
#include "context/context.h"

#include <string.h>

static int throw_read_error(struct context *context, int err) {
    ctx_t *ctx = &context->ctx;
    if (err == UV_EPROTO)
        err = ctx_throw(ctx, 400, "the request body is incomplete or malformed");
    else if (err == UV_ETIMEDOUT)
        err = ctx_throw(ctx, 408, NULL);
    else if (err == UV_ENOMEM)
        context_no_memory(context);
    context->asked->read_error = err;
    return err;
}

may_await ssize_t ctx_read(ctx_t *ctx, void *buffer, size_t size) {
    struct context *context = context_of(ctx);
    struct exchange *exchange = context->exchange;
    struct asked *asked = context_asked(context);
    if (!asked)
        return UV_ENOMEM;
    if (asked->read_error)
        return asked->read_error;
    ssize_t n = exchange->ops->read(exchange, buffer, size);
    return n < 0 ? throw_read_error(context, (int)n) : n;
}

/* Read to the end into `body`, which grows, but not beyond `limit`. */
static int read_all(struct context *context, size_t limit) {
    struct arena *arena = context->home.arena;
    int64_t announced = context->exchange->content_length;
    size_t capacity = announced >= 0 ? (size_t)announced + 1 : 4096, length = 0;
    char *data = arena_alloc(arena, capacity);
    for (;;) {
        if (!data)
            return throw_read_error(context, UV_ENOMEM);
        ssize_t n = ctx_read(&context->ctx, data + length, capacity - length);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        length += (size_t)n;
        if (length > limit)
            return context->asked->read_error = ctx_throw(&context->ctx, 413, NULL);
        if (length == capacity) {
            data = arena_resize(arena, data, capacity, capacity * 2);
            capacity *= 2;
        }
    }
    data[length] = '\0'; /* there is room: a full buffer has been doubled */
    context->asked->body = (bytes_t){data, length};
    context->asked->body_read = true;
    return 0;
}

may_await int ctx_read_body_up_to(ctx_t *ctx, bytes_t *body, size_t limit) {
    struct context *context = context_of(ctx);
    int64_t announced = context->exchange->content_length;
    struct asked *asked = context_asked(context);
    *body = (bytes_t){"", 0};
    if (!asked)
        return UV_ENOMEM;
    int err = asked->read_error;
    if (!asked->body_read && !err) {
        if (announced > 0 && (uint64_t)announced > limit)
            err = asked->read_error = ctx_throw(ctx, 413, NULL);
        else
            err = read_all(context, limit);
    }
    if (!err && asked->body.length > limit)
        err = ctx_throw(ctx, 413, NULL);
    if (!err)
        *body = asked->body;
    return err;
}

may_await int ctx_read_body(ctx_t *ctx, bytes_t *body) {
    return ctx_read_body_up_to(ctx, body, context_of(ctx)->host->options->http.body_size);
}

bool ctx_has_body(const ctx_t *ctx) {
    const struct headers *headers = &context_of(ctx)->exchange->headers;
    return headers_get(headers, "Transfer-Encoding") || headers_get(headers, "Content-Length");
}
