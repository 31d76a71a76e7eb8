/* koa-route: a method and a pattern before a handler. */
#include "route.h"

#include "application/pattern.h"
#include "context/context.h"
#include "context/percent.h"

#include <errno.h>
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

static bool method_matches(const struct route *route, const char *method) {
    if (!route->method || strcmp(route->method, method) == 0)
        return true;
    return strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0;
}

/* The captures as parameters, decoded into the arena. */
static int set_params(struct context *context, const struct pattern *pattern,
                      const struct capture *captures) {
    size_t count = pattern_params(pattern);
    struct param *list = arena_alloc(context->home.arena, count * sizeof *list);
    if (!list)
        return context_no_memory(context);
    for (size_t i = 0; i < count; i++) {
        size_t length = captures[i].length;
        list[i] = (struct param){pattern_param_name(pattern, i), NULL};
        if (length == 0) /* as in koa-route, an empty one is as good as none */
            continue;
        char *value = arena_alloc(context->home.arena, length + 1);
        if (!value)
            return context_no_memory(context);
        if (!percent_decode_string(value, captures[i].start, length))
            return ctx_throw(&context->ctx, 400, "malformed percent-encoding in the path");
        list[i].value = value;
    }
    context->params = (struct params){list, count};
    context->ctx.route_path = pattern_source(pattern);
    return 0;
}

static int run_route(ctx_t *ctx, void *state) {
    const struct route *route = state;
    struct capture captures[PATTERN_PARAMS_MAX];
    if (!method_matches(route, ctx->method))
        return next(ctx);
    int matches = pattern_match(route->pattern, ctx->path, strlen(ctx->path), captures);
    if (matches == 0)
        return next(ctx);
    if (matches == -ENOMEM)
        return context_no_memory(context_of(ctx));
    if (matches < 0)
        return ctx_throw(ctx, 414, "the path takes too long to match");
    int err = set_params(context_of(ctx), route->pattern, captures);
    return err ? err : route->handler.fn(ctx, route->handler.state);
}

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

middleware_t route_middleware(const char *method, const char *pattern, middleware_t handler) {
    static const char no_memory[] = "out of memory";
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
    if ((method && !(route->method = strdup(method))) ||
        !(route->name = describe(method ? method : "ALL", pattern, "", "")))
        return failure(route, no_memory);
    route->pattern = pattern_compile(pattern, NULL, &error);
    if (!route->pattern) {
        route->error = error ? describe("route", pattern, ": ", error) : NULL;
        free(error);
        return failure(route, route->error ? route->error : no_memory);
    }
    return (middleware_t){run_route, route, free_route, route->name, NULL};
}

middleware_t route_fn(const char *method, const char *pattern, middleware_fn *handler) {
    return route_middleware(method, pattern, middleware_of(handler, "handler"));
}
