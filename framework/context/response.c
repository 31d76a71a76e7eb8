/* The body of the response, as a value. */
#include "context/context.h"
#include "protocols/status.h"

#include <string.h>

static const char text_plain[] = "text/plain; charset=utf-8";
static const char text_html[] = "text/html; charset=utf-8";

void context_forget_body(struct context *context) {
    body_stream_t *stream = context->response->stream;
    if (context->kind == CTX_BODY_UNSET)
        return;
    context->kind = CTX_BODY_UNSET;
    context->response->body = (bytes_t){"", 0};
    context->response->stream = NULL;
    if (stream && stream->close)
        stream->close(stream->state);
}

/* After ctx_flush_headers a body may still come, but nothing in the head can change. */
static int settle_head(struct context *context, int64_t length, const char *type) {
    if (context->header_sent)
        return 0;
    if (!context->ctx.status)
        context->ctx.status = 200;
    int err = 0;
    if (type && !headers_get(&context->response->headers, "Content-Type"))
        err = context_set_header(context, "Content-Type", type);
    return err || length < 0 ? err : context_set_length(context, (uint64_t)length);
}

int context_set_body(struct context *context, bytes_t body, const char *type) {
    if (context->written)
        return UV_EALREADY;
    context_forget_body(context);
    context->kind = CTX_BODY_BYTES;
    context->response->body = body;
    return settle_head(context, (int64_t)body.length, type);
}

int context_set_stream(struct context *context, body_stream_t stream, int64_t length,
                       const char *type) {
    bool replaces = context->kind != CTX_BODY_UNSET;
    body_stream_t *copy = context->written ? NULL : arena_alloc(context->home.arena, sizeof *copy);
    if (!copy) {
        if (stream.close)
            stream.close(stream.state);
        return context->written ? UV_EALREADY : context_no_memory(context);
    }
    *copy = stream;
    context_forget_body(context);
    if (replaces && length < 0)
        ctx_remove(&context->ctx, "Content-Length");
    context->kind = CTX_BODY_STREAM;
    context->response->stream = copy;
    return settle_head(context, length, type);
}

static int set_copy(ctx_t *ctx, const char *data, size_t length, const char *type) {
    struct context *context = context_of(ctx);
    const char *copy = data ? arena_copy(context->home.arena, data, length) : NULL;
    if (!copy)
        return context_no_memory(context);
    return context_set_body(context, (bytes_t){copy, length}, type);
}

int ctx_text(ctx_t *ctx, const char *text) {
    return set_copy(ctx, text, text ? strlen(text) : 0, text_plain);
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
    return context_set_body(context, (bytes_t){text, length}, text_plain);
}

int ctx_html(ctx_t *ctx, const char *html) {
    return set_copy(ctx, html, html ? strlen(html) : 0, text_html);
}

int ctx_bytes(ctx_t *ctx, const void *data, size_t length) {
    return set_copy(ctx, length ? data : "", length, "application/octet-stream");
}

/* What \s is in JavaScript, in UTF-8. */
static const char *skip_blanks(const char *text) {
    static const char *const blanks[] = {
        " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\u00a0", "\u1680", "\u2000",
        "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009",
        "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff",
    };
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        size_t n = strlen(blanks[i]);
        if (strncmp(text, blanks[i], n) == 0) {
            text += n;
            i = (size_t)-1; /* from the first again */
        }
    }
    return text;
}

int ctx_body(ctx_t *ctx, const char *text) {
    bool is_html = text && *skip_blanks(text) == '<';
    return set_copy(ctx, text, text ? strlen(text) : 0, is_html ? text_html : text_plain);
}

int ctx_empty(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    if (context->written)
        return UV_EALREADY;
    context_forget_body(context);
    if (!status_is_empty(ctx->status) && strcmp(ctx_response_type(ctx), "application/json") == 0) {
        context->kind = CTX_BODY_BYTES;
        context->response->body = (bytes_t){"null", 4};
        return ctx_remove(ctx, "Content-Length");
    }
    context->kind = CTX_BODY_EMPTY;
    if (context->header_sent)
        return 0;
    if (!status_is_empty(ctx->status))
        ctx->status = 204;
    ctx_remove(ctx, "Content-Type");
    ctx_remove(ctx, "Content-Length");
    return ctx_remove(ctx, "Transfer-Encoding");
}

int ctx_stream(ctx_t *ctx, body_stream_t stream) {
    return context_set_stream(context_of(ctx), stream, -1, "application/octet-stream");
}

/* --- Looking at it ---------------------------------------------------------------------------- */

body_kind_t ctx_body_kind(const ctx_t *ctx) {
    return context_of(ctx)->kind;
}

bytes_t ctx_body_bytes(const ctx_t *ctx) {
    const struct context *context = context_of(ctx);
    return context->kind == CTX_BODY_BYTES ? context->response->body : (bytes_t){"", 0};
}

/* A body in memory as a stream; `state` is what is left of it, and lies in the arena. */
static ssize_t read_bytes(ctx_t *ctx, void *state, void *buffer, size_t size) {
    bytes_t *rest = state;
    size_t n = rest->length < size ? rest->length : size;
    memcpy(buffer, rest->data, n);
    rest->data += n;
    rest->length -= n;
    return (ssize_t)n;
}

body_stream_t ctx_take_body(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    body_stream_t stream =
        context->response->stream ? *context->response->stream : (body_stream_t){0};
    if (context->kind == CTX_BODY_UNSET)
        return stream;
    if (context->kind == CTX_BODY_BYTES) {
        bytes_t *rest = arena_alloc(context->home.arena, sizeof *rest);
        if (!rest) {
            context_no_memory(context);
            return (body_stream_t){0};
        }
        *rest = context->response->body;
        stream = (body_stream_t){read_bytes, NULL, rest};
    }
    context->response->stream = NULL;
    context->kind = CTX_BODY_UNSET;
    return stream;
}

/* --- Status ----------------------------------------------------------------------------------- */

int ctx_message(ctx_t *ctx, const char *message) {
    struct context *context = context_of(ctx);
    if (context->header_sent)
        return UV_EALREADY;
    if (!is_field_value(message))
        return UV_EINVAL;
    message = arena_copy(context->home.arena, message, strlen(message));
    if (!message)
        return context_no_memory(context);
    context->response->message = message;
    context->response->message_status = ctx->status;
    return 0;
}

const char *ctx_response_message(const ctx_t *ctx) {
    const struct context *context = context_of(ctx);
    bool is_set = context->response->message && *context->response->message &&
                  context->response->message_status == ctx->status;
    return is_set ? context->response->message : status_phrase(ctx->status ? ctx->status : 404);
}
