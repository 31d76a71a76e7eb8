/* Errors: thrown, caught, or made of what a middleware returned. */
#include "context/context.h"
#include "protocols/status.h"

#include <string.h>

static bool is_error_status(int status) {
    return status >= 400 && status <= 599 && status_phrase(status);
}

int ctx_throw(ctx_t *ctx, int status, const char *format, ...) {
    struct context *context = context_of(ctx);
    const char *message = NULL;
    if (!is_error_status(status))
        status = 500;
    if (format) {
        va_list args;
        va_start(args, format);
        message = arena_vprintf(context->home.arena, NULL, format, args);
        va_end(args);
    }
    context->has_error = true;
    context->error = (ctx_error_t){
        .code = -status,
        .status = status,
        .expose = status < 500,
        .message = message ? message : status_phrase(status),
    };
    return -status;
}

int ctx_throw_header(ctx_t *ctx, const char *name, const char *value) {
    struct context *context = context_of(ctx);
    struct headers response = context->headers;
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
    int status = is_error_status(-err) ? -err : 500;
    context->has_error = true;
    context->error = (ctx_error_t){
        .code = err,
        .status = status,
        .expose = status < 500,
        .message = status == -err ? status_phrase(status) : describe(context, err),
    };
    return &context->error;
}

const ctx_error_t *ctx_catch(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    if (!context->has_error)
        return NULL;
    context->has_error = false;
    context->error_headers.count = 0;
    return &context->error;
}
