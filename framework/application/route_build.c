#include "application/route_build.h"

#include "application/pattern.h"
#include "application/pattern_build.h"
#include "context/context.h"

char *route_build(struct context *context, const struct pattern *pattern,
                  const char *const *params) {
    char *error;
    char *path = pattern_build(pattern, context->home.arena, params, NULL, &error);
    if (!path)
        route_throw_unbuilt(context, pattern_source(pattern), error);
    return path;
}

void route_throw_unbuilt(struct context *context, const char *what, const char *reason) {
    ctx_t *ctx = &context->ctx;
    const char *message = reason ? ctx_printf(ctx, "no path for %s: %s", what, reason) : NULL;
    if (message)
        ctx_throw_with(ctx, &(throw_options_t){.message = message, .code = UV_EINVAL});
    else
        context_no_memory(context);
}
