/* The end of a request: Koa's respond, and its onerror. */
#include "context/context.h"
#include "protocols/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A status below 200 is no answer: the client would wait for another. */
static int status_of(const struct context *context) {
    int status = context->ctx.status;
    return status >= 200 && status <= 999 ? status : status ? 500 : 404;
}

static bool is_head(const struct context *context) {
    return strcmp(context->ctx.method, "HEAD") == 0;
}

/* The length that is announced, if it is one. */
static bool announced_length(const struct context *context, uint64_t *length) {
    const char *text = headers_get(&context->headers, "Content-Length");
    size_t digits = 0;
    for (*length = 0; text && text[digits] >= '0' && text[digits] <= '9' && digits < 19; digits++)
        *length = *length * 10 + (uint64_t)(text[digits] - '0');
    return digits > 0 && !text[digits];
}

/* Where the body ends is not for a header to say that somebody has set: a client that believed it
 * would take what is left for the next response. */
static int settle_framing(struct context *context, enum body_kind kind, uint64_t length) {
    uint64_t announced;
    char digits[24];
    bool valid = announced_length(context, &announced);
    ctx_remove(&context->ctx, "Transfer-Encoding");
    if (kind == BODY_STREAM || !(valid || kind == BODY_LENGTH))
        return ctx_remove(&context->ctx, "Content-Length");
    if (kind == BODY_NONE || (valid && announced == length))
        return 0;
    int n = snprintf(digits, sizeof digits, "%" PRIu64, length);
    const char *value = arena_copy(context->home.arena, digits, (size_t)n);
    return value ? context_set_header(context, "Content-Length", value)
                 : context_no_memory(context);
}

int context_send_head(struct context *context, enum body_kind kind, uint64_t length) {
    struct exchange *exchange = context->exchange;
    int status = status_of(context);
    int err = settle_framing(context, kind, length);
    if (err)
        return err;
    const char *phrase = status_phrase(status);
    struct response_head head = {
        .status = status,
        .message = phrase ? phrase : "unknown",
        .headers = &context->headers,
        .kind = kind,
        .length = length,
    };
    context->header_sent = true;
    return exchange->ops->head(exchange, &head);
}

static void drop_body_headers(struct context *context) {
    ctx_remove(&context->ctx, "Content-Type");
    ctx_remove(&context->ctx, "Content-Length");
    ctx_remove(&context->ctx, "Transfer-Encoding");
}

static void set_text(struct context *context, const char *text) {
    context_set_body(context, BODY_MEMORY, (bytes_t){text, strlen(text)}, NULL);
    context_set_header(context, "Content-Type", "text/plain; charset=utf-8");
}

/* Nobody has set a body: it is the reason phrase, or the number of a status that has none. */
static void set_default_body(struct context *context) {
    int status = status_of(context);
    const char *phrase = status_phrase(status);
    if (!phrase) {
        char *number = arena_alloc(context->home.arena, 12);
        if (number)
            snprintf(number, 12, "%d", status);
        phrase = number ? number : "";
    }
    ctx_remove(&context->ctx, "Content-Type");
    ctx_remove(&context->ctx, "Content-Length");
    context->ctx.status = status;
    context_set_header(context, "Content-Type", "text/plain; charset=utf-8");
    set_text(context, phrase);
}

static bool has_body(const struct context *context) {
    return context->source == BODY_MEMORY || context->source == BODY_FILE;
}

static void settle_body(struct context *context) {
    int status = status_of(context);
    if (status_is_empty(status)) {
        drop_body_headers(context);
        context->source = BODY_NULL;
        if (status == 205) /* RFC 9110 15.3.6: it says so */
            context_set_header(context, "Content-Length", "0");
    } else if (is_head(context) && !has_body(context)) {
        return; /* Koa says nothing of a body then */
    } else if (context->source == BODY_UNSET) {
        set_default_body(context);
    } else if (context->source == BODY_NULL) {
        drop_body_headers(context);
        context_set_header(context, "Content-Length", "0");
    }
}

static int send_body(struct context *context) {
    struct exchange *exchange = context->exchange;
    bool is_sent = has_body(context) && !is_head(context);
    int err = context_send_head(context, is_sent ? BODY_LENGTH : BODY_NONE, context->body.length);
    if (err || !is_sent)
        return err;
    if (context->source == BODY_FILE)
        return context_send_file(context);
    return exchange->ops->write(exchange, context->body.data, context->body.length);
}

/* Koa's onerror: what was set so far is forgotten; the error's own headers and text remain. */
static void set_error_response(struct context *context, const ctx_error_t *error) {
    const char *phrase = status_phrase(error->status);
    context->headers = context->error_headers;
    context->no_memory = false;
    context->ctx.status = error->status;
    context_set_header(context, "Content-Type", "text/plain; charset=utf-8");
    set_text(context, error->expose ? error->message : phrase);
}

/* Every way to have run out of memory ends in this answer, which needs none. */
static int send_no_memory(struct context *context) {
    static struct header no_body[] = {{"Content-Length", "0", 14, 1}};
    context->headers = (struct headers){no_body, 1, 1};
    context->ctx.status = 500;
    return context_send_head(context, BODY_NONE, 0);
}

/* Tell the listener; but that the client is gone, or that we are going, is no error. */
static bool report(struct context *context, int err) {
    struct exchange *exchange = context->exchange;
    if (exchange->aborted || exchange->loop->torn_down)
        return false;
    const ctx_error_t *error = context_error(context, err);
    context->error.header_sent = context->header_sent;
    context->host->error(context->host, context, error);
    return true;
}

static int respond(struct context *context, int err) {
    if (context->no_memory && err >= 0)
        err = UV_ENOMEM;
    if (err < 0) {
        if (!report(context, err) || context->header_sent)
            return err;
        set_error_response(context, &context->error);
    } else if (context->header_sent) {
        return 0;
    } else {
        settle_body(context);
    }
    err = context->no_memory ? UV_ENOMEM : send_body(context);
    if (err == UV_ENOMEM && !context->header_sent)
        return send_no_memory(context);
    if (err < 0)
        report(context, err);
    return err;
}

void context_finish(struct context *context, int err) {
    struct exchange *exchange = context->exchange;
    err = respond(context, err);
    scope_end(&context->home);
    exchange->ops->end(exchange, err < 0);
}

/* --- Streaming -------------------------------------------------------------------------------- */

static int begin_stream(struct context *context) {
    enum body_kind kind = BODY_STREAM;
    uint64_t length = 0;
    if (!context->ctx.status)
        context->ctx.status = 200;
    context->head_only = is_head(context) || status_is_empty(context->ctx.status);
    if (status_is_empty(context->ctx.status))
        drop_body_headers(context);
    else if (!headers_get(&context->headers, "Content-Type"))
        context_set_header(context, "Content-Type", "application/octet-stream");
    if (announced_length(context, &length))
        kind = BODY_LENGTH;
    if (context->no_memory)
        return UV_ENOMEM;
    return context_send_head(context, context->head_only ? BODY_NONE : kind, length);
}

may_await int ctx_write(ctx_t *ctx, const void *data, size_t length) {
    struct context *context = context_of(ctx);
    struct exchange *exchange = context->exchange;
    int err = context->header_sent ? 0 : begin_stream(context);
    if (err || context->head_only)
        return err;
    return exchange->ops->write(exchange, data, length);
}
