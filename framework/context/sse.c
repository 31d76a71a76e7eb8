/* Server-sent events. */
#include "sse.h"

#include "context/context.h"

#include <stdio.h>
#include <string.h>

int sse_begin(ctx_t *ctx) {
    int err = ctx_set(ctx, "Content-Type", "text/event-stream");
    if (!err)
        err = ctx_set(ctx, "Cache-Control", "no-cache, no-transform");
    if (!err)
        err = ctx_set(ctx, "X-Accel-Buffering", "no"); /* nginx would hold the events back */
    ctx_remove(ctx, "Content-Length");
    if (!ctx->status)
        ctx->status = 200;
    if (!err)
        err = ctx_flush_headers(ctx);
    ctx_cancel_on_abort(ctx, true);
    context_of(ctx)->exchange->endless = true;
    return err;
}

static char *put(char *at, const char *text, size_t n) {
    memcpy(at, text, n);
    return at + n;
}

/* "field: text\n", for every line of the text: they end at CR, LF or both. */
static char *put_lines(char *at, const char *field, const char *text) {
    for (;;) {
        size_t n = strcspn(text, "\r\n");
        at = put(at, field, strlen(field));
        at = put(at, text, n);
        *at++ = '\n';
        text += n;
        if (!*text)
            return at;
        text += text[0] == '\r' && text[1] == '\n' ? 2 : 1;
    }
}

static size_t lines_size(const char *field, const char *text) {
    size_t lines = 1;
    for (const char *at = text; *at; at++)
        lines += *at == '\r' || *at == '\n';
    return strlen(text) + lines * (strlen(field) + 1);
}

static bool is_one_line(const char *text) {
    return !text || text[strcspn(text, "\r\n")] == '\0';
}

/* Memory of its own, that goes at once: the stream may go on for days. */
static int write_out(ctx_t *ctx, struct arena *arena, const char *start, const char *end) {
    int err = start ? ctx_write(ctx, start, (size_t)(end - start)) : UV_ENOMEM;
    arena_release(arena);
    return err;
}

may_await int sse_send(ctx_t *ctx, const sse_event_t *event) {
    struct arena arena;
    char retry[24];
    const char *data = event->data ? event->data : "";
    if (!is_one_line(event->event) || !is_one_line(event->id))
        return UV_EINVAL;
    int retry_length = snprintf(retry, sizeof retry, "retry: %u\n", (unsigned)event->retry);
    size_t size = lines_size("data: ", data) + sizeof retry + 1;
    size += event->event ? lines_size("event: ", event->event) : 0;
    size += event->id ? lines_size("id: ", event->id) : 0;
    arena_init(&arena, NULL);
    char *start = arena_alloc(&arena, size), *at = start;
    if (!start)
        return UV_ENOMEM;
    if (event->event)
        at = put_lines(at, "event: ", event->event);
    if (event->id)
        at = put_lines(at, "id: ", event->id);
    if (event->retry)
        at = put(at, retry, (size_t)retry_length);
    at = put_lines(at, "data: ", data);
    *at++ = '\n';
    return write_out(ctx, &arena, start, at);
}

may_await int sse_sendf(ctx_t *ctx, const char *format, ...) {
    struct arena arena;
    va_list args;
    arena_init(&arena, NULL);
    va_start(args, format);
    char *data = arena_vprintf(&arena, NULL, format, args);
    va_end(args);
    int err = data ? sse_send(ctx, &(sse_event_t){.data = data}) : UV_ENOMEM;
    arena_release(&arena);
    return err;
}

may_await int sse_comment(ctx_t *ctx, const char *text) {
    struct arena arena;
    text = text ? text : "";
    arena_init(&arena, NULL);
    char *start = arena_alloc(&arena, lines_size(": ", text) + 1), *at = start;
    if (start) {
        at = put_lines(at, ": ", text);
        *at++ = '\n';
    }
    return write_out(ctx, &arena, start, at);
}
