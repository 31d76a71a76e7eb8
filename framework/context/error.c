/* Errors: thrown, caught, or made of what a middleware returned. */
#include "context/context.h"
#include "protocols/status.h"

#include <string.h>
#include <strings.h>

/* http-errors: 4xx and 5xx, and whatever else has a name. Others are a 500, and those below 200,
 * too, which are no answer. */
static int status_to_throw(int status) {
    bool is_error = status >= 400 && status <= 599;
    return is_error || (status >= 200 && status_phrase(status)) ? status : 500;
}

/* Koa answers only with what has a name; whether the message shows was decided before. */
static int status_to_answer(int status) {
    return status_phrase(status) ? status : 500;
}

/* Of one that has no name it is that of its class, though it is answered as 500. */
static const char *default_message(int status) {
    const char *phrase = status_phrase(status);
    return phrase ? phrase : status_phrase(status < 500 ? 400 : 500);
}

static int throw_error(struct context *context, int status, const char *message) {
    status = status_to_throw(status);
    context->has_error = true;
    context->error = (ctx_error_t){
        .code = -status,
        .status = status_to_answer(status),
        .expose = status < 500,
        .message = message ? message : default_message(status),
    };
    return -status;
}

static const char *format_message(struct context *context, const char *format, va_list args) {
    return format ? arena_vprintf(context->home.arena, NULL, format, args) : NULL;
}

int ctx_throw(ctx_t *ctx, int status, const char *format, ...) {
    struct context *context = context_of(ctx);
    va_list args;
    va_start(args, format);
    const char *message = format_message(context, format, args);
    va_end(args);
    return throw_error(context, status, message);
}

int ctx_assert(ctx_t *ctx, bool holds, int status, const char *format, ...) {
    struct context *context = context_of(ctx);
    va_list args;
    if (holds)
        return 0;
    va_start(args, format);
    const char *message = format_message(context, format, args);
    va_end(args);
    return throw_error(context, status, message);
}

int ctx_throw_with(ctx_t *ctx, const throw_options_t *options) {
    struct context *context = context_of(ctx);
    const char *message = options->message ? ctx_strdup(ctx, options->message) : NULL;
    int code = throw_error(context, options->status ? options->status : 500, message);
    ctx_error_t *error = &context->error;
    error->code = options->code < 0 ? options->code : code;
    error->expose = (error->expose || options->expose) && !options->hide;
    error->data = options->data;
    return error->code;
}

int context_invalid_status(struct context *context) {
    int code = ctx_throw(&context->ctx, 500, "invalid status code: %d", context->ctx.status);
    context->error.expose = false;
    return code;
}

static bool is_of_the_response(const char *name) {
    return strcasecmp(name, "Content-Type") == 0 || strcasecmp(name, "Content-Length") == 0;
}

void ctx_set_error_page(ctx_t *ctx, error_page_fn *page, void *arg) {
    context_of(ctx)->error_page = page;
    context_of(ctx)->error_page_arg = arg;
}

int ctx_throw_header(ctx_t *ctx, const char *name, const char *value) {
    struct context *context = context_of(ctx);
    struct headers response = context->headers;
    if (is_of_the_response(name))
        return 0;
    context->headers = context->error_headers;
    int err = ctx_set(ctx, name, value);
    context->error_headers = context->headers;
    context->headers = response;
    return err;
}

/* By uv_strerror_r: uv_strerror leaks the text of a code that it does not know. */
static const char *describe(struct context *context, int err) {
    char text[128];
    uv_strerror_r(err, text, sizeof text);
    const char *copy = arena_copy(context->home.arena, text, strlen(text));
    return copy ? copy : "out of memory";
}

const ctx_error_t *context_error(struct context *context, int err) {
    if (context->has_error && context->error.code == err)
        return &context->error;
    int status = -err >= 400 && -err <= 599 && status_phrase(-err) ? -err : 500;
    context->has_error = true;
    context->error = (ctx_error_t){
        .code = err,
        .status = status,
        .expose = status < 500,
        .message = status == -err ? status_phrase(status) : describe(context, err),
    };
    return &context->error;
}

void ctx_report(ctx_t *ctx, const ctx_error_t *error) {
    struct context *context = context_of(ctx);
    context->host->error(context->host, context, error);
}

const ctx_error_t *ctx_error(const ctx_t *ctx) {
    const struct context *context = context_of(ctx);
    return context->has_error ? &context->error : NULL;
}

const ctx_error_t *ctx_catch(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    if (!context->has_error)
        return NULL;
    context->has_error = false;
    context->error_headers.count = 0;
    return &context->error;
}
