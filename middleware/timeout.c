#include "timeout.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_AFTER 30000

struct timeout {
    timeout_options_t options; /* with defaults filled in */
    char message[];
};

struct rest {
    ctx_t *ctx;
    bool has_begun;
};

static int run_rest(void *arg) {
    struct rest *rest = arg;
    rest->has_begun = true;
    return next(rest->ctx);
}

static int give_up(ctx_t *ctx, const timeout_options_t *options) {
    char seconds[24];
    if (options->on_timeout)
        options->on_timeout(ctx);
    if (options->retry_after > 0) {
        snprintf(seconds, sizeof seconds, "%" PRIu64, options->retry_after);
        ctx_throw_header(ctx, "Retry-After", seconds);
    }
    return ctx_throw_with(ctx, &(throw_options_t){.status = options->status,
                                                  .message = options->message,
                                                  .expose = options->message != NULL});
}

static int run(ctx_t *ctx, void *state) {
    const timeout_options_t *options = &((const struct timeout *)state)->options;
    struct rest rest = {.ctx = ctx};
    await_task_t task = {.fn = run_rest, .arg = &rest};
    size_t winner;
    if (ctx->websocket || (options->skip && options->skip(ctx)))
        return next(ctx);
    int err = await_race(&task, 1, (int)options->after, &winner);
    if (err == UV_ETIMEDOUT && winner == 1) /* nobody: it is not an error of the handler's own */
        return give_up(ctx, options);
    if (err == UV_EAGAIN && !rest.has_begun)
        return ctx_throw(ctx, 503, "too many handlers");
    return err;
}

middleware_t timeout(const timeout_options_t *options) {
    const char *message = options && options->message ? options->message : "";
    struct timeout *state = calloc(1, sizeof *state + strlen(message) + 1);
    if (!state)
        return (middleware_t){.name = "timeout", .error = "out of memory"};
    if (options)
        state->options = *options;
    if (state->options.message)
        state->options.message = strcpy(state->message, message);
    if (!state->options.after)
        state->options.after = DEFAULT_AFTER;
    if (state->options.after > INT_MAX)
        state->options.after = INT_MAX;
    if (!state->options.status)
        state->options.status = 503;
    return (middleware_t){run, state, free, "timeout", NULL};
}
