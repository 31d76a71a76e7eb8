/* The end of a request: Koa's respond, and its onerror. */
#include "context/context.h"
#include "protocols/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 65536 /* of a stream */

/* What is not inlined is not needed by most answers. */
#define NOT_INLINE __attribute__((noinline))

/* A status below 200 is no answer: the client would wait for another. */
static bool status_is_valid(int status) {
    return status == 0 || (status >= 200 && status <= 999);
}

static int status_of(const struct context *context) {
    int status = context->ctx.status;
    return status ? status : 404;
}

/* As the client has asked, whatever ctx_set_method has made of it: the client knows by its own
 * method whether a body follows. */
static bool is_head(const struct context *context) {
    const char *method = context->exchange->method;
    return *method == 'H' && strcmp(method, "HEAD") == 0;
}

/* --- The head --------------------------------------------------------------------------------- */

/* Is Content-Length still the one that we have made? As a rule it is, and need not be read. */
static bool has_own_length(const struct context *context) {
    const struct headers *headers = &context->response->headers;
    for (uint32_t i = headers->count; i-- > 0;)
        if (headers->list[i].value == context->response->length_text)
            return true;
    return false;
}

/* What a header says that somebody has set. */
static NOT_INLINE bool read_length(const struct context *context, uint64_t *length) {
    const char *text = headers_get(&context->response->headers, "Content-Length");
    size_t digits = 0;
    for (*length = 0; text && text[digits] >= '0' && text[digits] <= '9' && digits < 19; digits++)
        *length = *length * 10 + (uint64_t)(text[digits] - '0');
    return digits > 0 && !text[digits];
}

/* The length that is announced, if it is one. */
static bool announced_length(const struct context *context, uint64_t *length) {
    if (!has_own_length(context))
        return read_length(context, length);
    *length = context->response->length;
    return true;
}

/* Where the body ends is not for a header to say that somebody has set: a client that believed it
 * would take what is left for the next response. */
static int settle_framing(struct context *context, enum body_kind kind, uint64_t length) {
    uint64_t announced;
    bool valid = announced_length(context, &announced);
    if (headers_get(&context->response->headers, "Transfer-Encoding"))
        ctx_remove(&context->ctx, "Transfer-Encoding");
    if (kind == BODY_STREAM || !(valid || kind == BODY_LENGTH))
        return ctx_remove(&context->ctx, "Content-Length");
    if (kind == BODY_NONE || (valid && announced == length))
        return 0;
    return context_set_length(context, length);
}

/* What was left unset is known from now on. */
static void settle_status(struct context *context) {
    int status = status_of(context);
    if (context->response->message_status == context->ctx.status)
        context->response->message_status = status;
    context->ctx.status = status;
}

int context_send_head(struct context *context, enum body_kind kind, uint64_t length) {
    struct exchange *exchange = context->exchange;
    int err = settle_framing(context, kind, length);
    if (err)
        return err;
    settle_status(context);
    const char *phrase = ctx_response_message(&context->ctx);
    struct response_head head = {
        .status = context->ctx.status,
        .message = phrase ? phrase : "unknown",
        .headers = &context->response->headers,
        .kind = kind,
        .length = length,
    };
    context->header_sent = true;
    context->response->body_announced = kind == BODY_LENGTH ? length : 0;
    return exchange->ops->head(exchange, &head);
}

static NOT_INLINE void drop_body_headers(struct context *context) {
    ctx_remove(&context->ctx, "Content-Type");
    ctx_remove(&context->ctx, "Content-Length");
    ctx_remove(&context->ctx, "Transfer-Encoding");
}

/* 204, 205 and 304 have no body; of these 205 says so (RFC 9110 15.3.6). */
static NOT_INLINE void forbid_body(struct context *context) {
    drop_body_headers(context);
    if (status_of(context) == 205)
        context_set_header(context, "Content-Length", "0");
}

/* The head, before the body is known: it is chunked unless its length is. */
static int begin(struct context *context) {
    enum body_kind kind = BODY_STREAM;
    uint64_t length = 0;
    if (!status_is_valid(context->ctx.status))
        return UV_EINVAL;
    context->head_only = is_head(context) || status_is_empty(status_of(context));
    if (status_is_empty(status_of(context)))
        forbid_body(context);
    if (announced_length(context, &length))
        kind = BODY_LENGTH;
    if (context->no_memory)
        return UV_ENOMEM;
    return context_send_head(context, context->head_only ? BODY_NONE : kind, length);
}

int ctx_flush_headers(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    return context->header_sent ? 0 : begin(context);
}

/* --- Writing at once -------------------------------------------------------------------------- */

int context_begin_stream(struct context *context) {
    if (context->header_sent)
        return 0;
    if (!context->ctx.status)
        context->ctx.status = 200;
    if (!headers_get(&context->response->headers, "Content-Type"))
        context_set_header(context, "Content-Type", "application/octet-stream");
    return begin(context);
}

may_await int ctx_write(ctx_t *ctx, const void *data, size_t length) {
    struct context *context = context_of(ctx);
    context_forget_body(context);
    int err = context_begin_stream(context);
    context->written = true;
    if (err || context->head_only)
        return err;
    return context_write_body(context, data, length);
}

may_await int ctx_writef(ctx_t *ctx, const char *format, ...) {
    size_t length;
    struct arena arena; /* of its own: a stream may go on for days */
    va_list args;
    arena_init(&arena, NULL);
    va_start(args, format);
    char *text = arena_vprintf(&arena, &length, format, args);
    va_end(args);
    int err = text ? ctx_write(ctx, text, length) : context_no_memory(context_of(ctx));
    arena_release(&arena);
    return err;
}

/* --- The body that was set -------------------------------------------------------------------- */

/* Nobody has set a body: it is the reason phrase, or the number of a status that has none. */
static NOT_INLINE int set_default_body(struct context *context) {
    const char *phrase = ctx_response_message(&context->ctx);
    if (!phrase)
        phrase = ctx_printf(&context->ctx, "%d", status_of(context));
    if (!phrase)
        return UV_ENOMEM;
    context->kind = CTX_BODY_BYTES;
    context->response->body = (bytes_t){phrase, strlen(phrase)};
    if (context->header_sent)
        return 0;
    drop_body_headers(context);
    context_set_header(context, "Content-Type", "text/plain; charset=utf-8");
    return context_set_length(context, context->response->body.length);
}

static void settle_body(struct context *context) {
    if (status_is_empty(status_of(context))) {
        context_forget_body(context);
        context->kind = CTX_BODY_EMPTY;
        forbid_body(context);
    } else if (is_head(context)) {
        if (context->kind == CTX_BODY_BYTES &&
            !headers_get(&context->response->headers, "Content-Length"))
            context_set_length(context, context->response->body.length);
    } else if (context->kind == CTX_BODY_UNSET) {
        set_default_body(context);
    } else if (context->kind == CTX_BODY_EMPTY) {
        drop_body_headers(context);
        context_set_header(context, "Content-Length", "0");
    }
}

static ssize_t read_piece(struct context *context, void *buffer, size_t size) {
    const body_stream_t *stream = context->response->stream;
    return stream->read(&context->ctx, stream->state, buffer, size);
}

/* The first piece is there before the head is sent: until then an error can still be answered. */
static NOT_INLINE int send_stream(struct context *context) {
    uint64_t length;
    bool is_short = announced_length(context, &length) && length > 0 && length < PIECE;
    size_t size = is_short ? (size_t)length : PIECE;
    char *buffer = malloc(size);
    if (!buffer)
        return context_no_memory(context);
    ssize_t n = read_piece(context, buffer, size);
    int err = n < 0 ? (int)n : context->no_memory ? UV_ENOMEM : 0;
    if (!err && !context->header_sent) {
        bool announced = announced_length(context, &length);
        err = context_send_head(context, announced ? BODY_LENGTH : BODY_STREAM, length);
    }
    while (!err && n > 0) {
        err = context_write_body(context, buffer, (size_t)n);
        if (err > 0)
            err = 0; /* the client is slow: known already */
        n = err ? 0 : read_piece(context, buffer, size);
    }
    free(buffer);
    return err ? err : n < 0 ? (int)n : 0;
}

static int send_body(struct context *context) {
    bool is_sent = !is_head(context) && !status_is_empty(status_of(context));
    if (is_sent && context->kind == CTX_BODY_STREAM)
        return send_stream(context);
    is_sent = is_sent && context->kind == CTX_BODY_BYTES;
    int err = 0;
    if (!context->header_sent)
        err = context_send_head(context, is_sent ? BODY_LENGTH : BODY_NONE,
                                context->response->body.length);
    if (err || !is_sent)
        return err;
    return context_write_body(context, context->response->body.data,
                              context->response->body.length);
}

/* --- Errors ----------------------------------------------------------------------------------- */

/* Koa's onerror: what was set so far is forgotten; the error's own headers and text remain. */
static void set_error_response(struct context *context, const ctx_error_t *error) {
    const char *text = error->expose ? error->message : status_phrase(error->status);
    context_forget_body(context);
    context->response->headers = context->errors ? context->errors->headers : (struct headers){0};
    context->response->message = NULL;
    context->no_memory = context->written = false;
    context->ctx.status = error->status;
    context->kind = CTX_BODY_BYTES;
    context->response->body = (bytes_t){text, strlen(text)};
    context_set_header(context, "Content-Type", "text/plain; charset=utf-8");
    context_set_length(context, context->response->body.length);
}

/* Every way to have run out of memory ends in this answer, which needs none. */
static int send_no_memory(struct context *context) {
    static struct header no_body[] = {{"Content-Length", "0", 14, 1}};
    context->response->headers = (struct headers){
        .list = no_body, .count = 1, .capacity = 1, .seen = header_bit("Content-Length", 14)};
    context->response->message = NULL;
    context->ctx.status = 500;
    return context_send_head(context, BODY_NONE, 0);
}

/* That the client is gone, or that we are going, is no error. */
static bool is_abort(const struct context *context, int err) {
    const struct exchange *exchange = context->exchange;
    return exchange->aborted || context->host->loop->torn_down ||
           (err == UV_ECANCELED && exchange->peer_closed);
}

/* What is set, in the end. */
static int send_response(struct context *context) {
    if (context->written || (context->header_sent && context->head_only))
        return 0;
    if (!context->header_sent)
        settle_body(context);
    else if (context->kind == CTX_BODY_UNSET)
        set_default_body(context);
    return context->no_memory ? UV_ENOMEM : send_body(context);
}

static struct headers copy_headers(struct context *context, const struct headers *headers) {
    struct headers copy = {0};
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        headers_add(&copy, context->home.arena, header->name, header->name_length, header->value,
                    header->value_length);
    }
    return copy;
}

/* Answer as the error page has it. If that fails as well, what it has set is forgotten. */
static int send_error_page(struct context *context, const ctx_error_t *error) {
    struct headers headers = copy_headers(context, &context->errors->headers);
    set_error_response(context, error);
    int err = context->errors->page(&context->ctx, error, context->errors->page_arg);
    if (err >= 0 && !context->header_sent && !status_is_valid(context->ctx.status))
        err = UV_EINVAL;
    if (err >= 0)
        err = send_response(context);
    context->errors->headers = headers;
    return err;
}

static NOT_INLINE int fail(struct context *context, int err) {
    if (is_abort(context, err))
        return err;
    context_report(context, err);
    if (context->header_sent)
        return err;
    const ctx_error_t error = *context_error(context, err); /* the page may throw another */
    if (context->errors && context->errors->page) {
        err = send_error_page(context, &error);
        if (err >= 0 || context->header_sent)
            return err;
    }
    set_error_response(context, &error);
    err = send_response(context);
    return err == UV_ENOMEM && !context->header_sent ? send_no_memory(context) : err;
}

static int respond(struct context *context, int err) {
    if (err == UV_ECANCELED && context->exchange->endless && context->header_sent)
        err = 0; /* that is how it ends */
    if (context->no_memory && err >= 0)
        err = UV_ENOMEM;
    if (err >= 0 && !context->header_sent && !status_is_valid(context->ctx.status))
        err = context_invalid_status(context);
    if (err >= 0)
        err = send_response(context);
    return err < 0 ? fail(context, err) : 0;
}

static bool is_complete(const struct context *context) {
    return !context->exchange->aborted &&
           context->response->body_sent >= context->response->body_announced;
}

void context_finish(struct context *context, int err) {
    struct exchange *exchange = context->exchange;
    exchange->detached = false;
    err = respond(context, err);
    context_end(context, err >= 0 && is_complete(context));
    exchange->ops->end(exchange, err < 0);
}

void context_chain_done(struct context *context, int err) {
    context_leave(context); /* what follows is ours, and ends by itself */
    if (!context_park(context, err))
        context_finish(context, err);
}
