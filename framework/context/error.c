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

/* NULL when there is no memory, which is noted. */
static struct errors *errors_of(struct context *context) {
    if (!context->errors)
        context->errors = arena_zalloc(context->home.arena, sizeof *context->errors);
    if (!context->errors)
        context_no_memory(context);
    return context->errors;
}

/* If there was no memory for it, that is the error. */
static const ctx_error_t *last_error(const struct context *context) {
    static const ctx_error_t no_memory = {
        .code = UV_ENOMEM,
        .status = 500,
        .message = "out of memory",
    };
    return context->errors ? &context->errors->last : &no_memory;
}

int context_throw(struct context *context, ctx_error_t error) {
    struct errors *errors = errors_of(context);
    context->has_error = true;
    if (errors)
        errors->last = error;
    return error.code;
}

static ctx_error_t make_error(int status, const char *message) {
    status = status_to_throw(status);
    return (ctx_error_t){
        .code = -status,
        .status = status_to_answer(status),
        .expose = status < 500,
        .message = message ? message : default_message(status),
    };
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
    return context_throw(context, make_error(status, message));
}

int ctx_assert(ctx_t *ctx, bool holds, int status, const char *format, ...) {
    struct context *context = context_of(ctx);
    va_list args;
    if (holds)
        return 0;
    va_start(args, format);
    const char *message = format_message(context, format, args);
    va_end(args);
    return context_throw(context, make_error(status, message));
}

int ctx_throw_with(ctx_t *ctx, const throw_options_t *options) {
    struct context *context = context_of(ctx);
    const char *message = options->message ? ctx_strdup(ctx, options->message) : NULL;
    ctx_error_t error = make_error(options->status ? options->status : 500, message);
    error.code = options->code < 0 ? options->code : error.code;
    error.expose = (error.expose || options->expose) && !options->hide;
    error.data = options->data;
    return context_throw(context, error);
}

int context_invalid_status(struct context *context) {
    return ctx_throw(&context->ctx, 500, "invalid status code: %d", context->ctx.status);
}

static bool is_of_the_response(const char *name) {
    return strcasecmp(name, "Content-Type") == 0 || strcasecmp(name, "Content-Length") == 0;
}

void ctx_set_error_page(ctx_t *ctx, error_page_fn *page, void *arg) {
    struct errors *errors = errors_of(context_of(ctx));
    if (!errors)
        return;
    errors->page = page;
    errors->page_arg = arg;
}

int ctx_throw_header(ctx_t *ctx, const char *name, const char *value) {
    struct context *context = context_of(ctx);
    struct headers response = context->response->headers;
    if (context->header_sent)
        return UV_EALREADY;
    if (is_of_the_response(name))
        return 0;
    struct errors *errors = errors_of(context);
    if (!errors)
        return UV_ENOMEM;
    context->response->headers = errors->headers;
    int err = ctx_set(ctx, name, value);
    errors->headers = context->response->headers;
    context->response->headers = response;
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
    if (context->has_error && last_error(context)->code == err)
        return last_error(context);
    int status = -err >= 400 && -err <= 599 && status_phrase(-err) ? -err : 500;
    const ctx_error_t error = {
        .code = err,
        .status = status,
        .expose = status < 500,
        .message = status == -err ? status_phrase(status) : describe(context, err),
    };
    context_throw(context, error);
    return last_error(context);
}

void context_report(struct context *context, int err) {
    const ctx_error_t *error = context_error(context, err);
    if (context->errors)
        context->errors->last.header_sent = context->header_sent;
    context->host->error(context->host, context, error);
}

void ctx_report(ctx_t *ctx, const ctx_error_t *error) {
    struct context *context = context_of(ctx);
    context->host->error(context->host, context, error);
}

const ctx_error_t *ctx_error(const ctx_t *ctx) {
    const struct context *context = context_of(ctx);
    return context->has_error ? last_error(context) : NULL;
}

const ctx_error_t *ctx_catch(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    if (!context->has_error)
        return NULL;
    context->has_error = false;
    if (context->errors)
        context->errors->headers.count = 0;
    return last_error(context);
}
