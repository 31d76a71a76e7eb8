/* koa-route: a method and a pattern before a handler. */
#include "route.h"

#include "application/methods.h"
#include "application/route_build.h"
#include "application/route_layer.h"
#include "application/route_params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct route {
    char *method; /* NULL: any */
    struct pattern *pattern;
    middleware_t handler;
    char *name;
    char *error;
};

static may_await int handle(ctx_t *ctx, const struct route *route) {
    ctx->route_path = pattern_source(route->pattern);
    return route->handler.fn(ctx, route->handler.state);
}

/* Not inlined: the captures take half a KiB of the stack. */
static __attribute__((noinline)) int match_and_handle(ctx_t *ctx, const struct route *route) {
    struct capture captures[PATTERN_PARAMS_MAX];
    int matches = pattern_match(route->pattern, ctx->path, strlen(ctx->path), captures);
    if (matches == 0)
        return next(ctx);
    if (matches < 0)
        return route_throw_unmatched(context_of(ctx), matches);
    int err = route_set_params(context_of(ctx), route->pattern, captures, false);
    return err ? err : handle(ctx, route);
}

static int run_route(ctx_t *ctx, void *state) {
    const struct route *route = state;
    if (!method_serves(route->method, ctx->method))
        return next(ctx);
    if (!pattern_is_path(route->pattern, ctx->path, strlen(ctx->path)))
        return match_and_handle(ctx, route);
    context_of(ctx)->params = NULL;
    return handle(ctx, route);
}

const struct pattern *route_pattern(const middleware_t *layer) {
    return layer->fn == run_route ? ((const struct route *)layer->state)->pattern : NULL;
}

bool route_misses(const middleware_t *layer, const ctx_t *ctx) {
    const struct route *route = layer->state;
    struct capture captures[PATTERN_PARAMS_MAX];
    return !method_serves(route->method, ctx->method) ||
           pattern_match(route->pattern, ctx->path, strlen(ctx->path), captures) == 0;
}

/* --- Making one ------------------------------------------------------------------------------- */

static void free_route(void *state) {
    struct route *route = state;
    if (route->handler.destroy)
        route->handler.destroy(route->handler.state);
    pattern_free(route->pattern);
    free(route->method);
    free(route->name);
    free(route->error);
    free(route);
}

static middleware_t failure(struct route *route, const char *error) {
    return (middleware_t){run_route, route, free_route, "route", error};
}

/* "GET /users/:id", or for an error "route /a(: Unexpected …". */
static char *describe(const char *before, const char *pattern, const char *between,
                      const char *behind) {
    size_t size = strlen(before) + strlen(pattern) + strlen(between) + strlen(behind) + 2;
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "%s %s%s%s", before, pattern, between, behind);
    return text;
}

struct pattern_options route_pattern_options(const route_options_t *options) {
    if (!options)
        return (struct pattern_options){0};
    return (struct pattern_options){
        .sensitive = options->sensitive,
        .strict = options->strict,
        .no_end = options->no_end,
        .no_start = options->no_start,
        .delimiter = options->delimiter,
        .prefixes = options->prefixes,
        .ends_with = options->ends_with,
    };
}

static bool set_method(struct route *route, const char *method, const char *pattern) {
    if (method && !(route->method = strdup(method)))
        return false;
    if (method)
        method_capitalize(route->method);
    route->name = describe(method ? route->method : "ALL", pattern, "", "");
    return route->name;
}

middleware_t route_with_middleware(const char *method, const char *pattern, middleware_t handler,
                                   const route_options_t *options) {
    static const char no_memory[] = "out of memory";
    struct pattern_options how = route_pattern_options(options);
    struct route *route = calloc(1, sizeof *route);
    char *error = NULL;
    if (!route) {
        if (handler.destroy)
            handler.destroy(handler.state);
        return (middleware_t){.name = "route", .error = no_memory};
    }
    route->handler = handler;
    if (handler.error || !handler.fn)
        return failure(route, handler.error ? handler.error : "a route needs a handler");
    if (method && !is_token(method))
        return failure(route, "a route's method must be a token");
    if (!set_method(route, method, pattern))
        return failure(route, no_memory);
    route->pattern = pattern_compile(pattern, &how, &error);
    if (!route->pattern) {
        route->error = error ? describe("route", pattern, ": ", error) : NULL;
        free(error);
        return failure(route, route->error ? route->error : no_memory);
    }
    return (middleware_t){run_route, route, free_route, route->name, NULL};
}

middleware_t route_with_fn(const char *method, const char *pattern, middleware_fn *handler,
                           const route_options_t *options) {
    return route_with_middleware(method, pattern, middleware_of(handler, "handler"), options);
}

middleware_t route_middleware(const char *method, const char *pattern, middleware_t handler) {
    return route_with_middleware(method, pattern, handler, NULL);
}

middleware_t route_fn(const char *method, const char *pattern, middleware_fn *handler) {
    return route_with_fn(method, pattern, handler, NULL);
}

/* --- The other way round ---------------------------------------------------------------------- */

char *route_path_of(ctx_t *ctx, const char *pattern, const char *const *params) {
    char *error;
    struct pattern *compiled = pattern_compile(pattern, NULL, &error);
    if (!compiled) {
        route_throw_unbuilt(context_of(ctx), pattern, error);
        free(error);
        return NULL;
    }
    char *path = route_build(context_of(ctx), compiled, params);
    pattern_free(compiled);
    return path;
}
