/* A request comes to a router. */
#include "application/methods.h"
#include "application/route_index.h"
#include "application/route_params.h"
#include "application/router_parts.h"
#include "application/routing.h"
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- What matches ----------------------------------------------------------------------------- */

static int add_match(struct matches *matches, struct arena *arena, const struct layer *layer,
                     const struct capture *captures) {
    size_t size = pattern_params(layer->pattern) * sizeof *captures;
    struct capture *copy = arena_alloc(arena, size);
    if (matches->count == matches->capacity) {
        size_t capacity = matches->capacity ? 2 * matches->capacity : 4;
        struct match *list = arena_resize(arena, matches->list, matches->count * sizeof *list,
                                          capacity * sizeof *list);
        if (!list)
            return -ENOMEM;
        matches->list = list;
        matches->capacity = capacity;
    }
    if (!copy)
        return -ENOMEM;
    memcpy(copy, captures, size);
    if (matches->count > 0 && layer->order < matches->list[matches->count - 1].layer->order)
        matches->unordered = true;
    matches->list[matches->count++] = (struct match){layer, NULL, copy};
    return 0;
}

static int by_order(const void *a, const void *b) {
    const struct match *first = a, *second = b;
    return first->layer->order < second->layer->order ? -1 : 1;
}

int router_match(const struct router *router, struct arena *arena, const char *path,
                 struct matches *matches) {
    size_t length = strlen(path);
    struct capture captures[PATTERN_PARAMS_MAX];
    struct route_walk walk;
    *matches = (struct matches){0};
    route_walk_start(&walk, router->index, path, length);
    for (const struct route_ids *ids; (ids = route_walk_next(&walk));) {
        for (uint32_t i = 0; i < ids->count; i++) {
            const struct layer *layer = router->layers[ids->list[i]];
            int matched = pattern_match(layer->pattern, path, length, captures);
            if (matched > 0)
                matched = add_match(matches, arena, layer, captures);
            if (matched < 0)
                return matched;
        }
    }
    if (matches->unordered)
        qsort(matches->list, matches->count, sizeof *matches->list, by_order);
    return 0;
}

/* Does it come to one of the hosts? 1 or 0, or an error. */
static int matches_host(const struct router *router, ctx_t *ctx) {
    const router_options_t *options = &router->options;
    if (!options->host && !options->hosts && !options->host_pattern)
        return 1;
    const char *host = ctx_host(ctx);
    if (options->host && strcasecmp(host, options->host) == 0)
        return 1;
    for (const char *const *one = options->hosts; one && *one; one++)
        if (strcasecmp(host, *one) == 0)
            return 1;
    if (!options->host_pattern)
        return 0;
    struct capture captures[PATTERN_PARAMS_MAX];
    const char *name = ctx_hostname(ctx);
    int matched = pattern_match(router->host_pattern, name, strlen(name), captures);
    if (matched < 0)
        return route_throw_unmatched(context_of(ctx), matched);
    if (matched > 0) {
        int err = route_set_params(context_of(ctx), router->host_pattern, captures, true);
        return err ? err : 1;
    }
    return 0;
}

/* --- What runs -------------------------------------------------------------------------------- */

static int run_match(ctx_t *ctx, void *state) {
    const struct match *match = state;
    const struct layer *layer = match->layer;
    struct context *context = context_of(ctx);
    if (layer->is_route || pattern_params(layer->pattern) > 0) {
        int err = route_set_params(context, layer->pattern, match->captures, true);
        if (err)
            return err;
    }
    ctx->route_path = pattern_source(match->route->pattern);
    context->routing->route_name = match->route->name;
    if (layer->step_count == 1)
        return layer->steps[0].fn(ctx, layer->steps[0].state);
    struct stack steps = {.layers = layer->steps, .count = layer->step_count};
    return stack_run(&steps, context);
}

static bool is_better(const struct router *router, const struct layer *one,
                      const struct layer *other) {
    if (!other || router->options.exclusive == ROUTER_LAST)
        return true;
    return pattern_params(one->pattern) < pattern_params(other->pattern);
}

/* The route that is to run, or NULL: the best if there can only be one, else the last. */
static const struct layer *choose(const struct router *router, const char *method,
                                  const struct matches *matches) {
    const struct layer *chosen = NULL;
    bool exclusive = router->options.exclusive != ROUTER_ALL;
    for (size_t i = 0; i < matches->count; i++) {
        const struct layer *layer = matches->list[i].layer;
        if (layer->is_route && method_serves(layer->method, method) &&
            (!exclusive || is_better(router, layer, chosen)))
            chosen = layer;
    }
    return chosen;
}

/* Leave what runs: middleware, which is shown the route that was chosen, and that, or all routes
 * for this method. */
static void reduce(const struct router *router, const char *method, const struct layer *chosen,
                   struct matches *matches) {
    bool exclusive = router->options.exclusive != ROUTER_ALL;
    size_t count = 0;
    for (size_t i = 0; i < matches->count; i++) {
        struct match match = matches->list[i];
        match.route = match.layer->is_route ? match.layer : chosen;
        if (exclusive ? match.route == chosen : method_serves(match.layer->method, method))
            matches->list[count++] = match;
    }
    matches->count = count;
}

static int run_matches(struct context *context, const struct matches *matches) {
    struct match *list = matches->list;
    if (matches->count == 1)
        return run_match(&context->ctx, list);
    middleware_t *layers = arena_alloc(context->home.arena, matches->count * sizeof *layers);
    if (!layers)
        return context_no_memory(context);
    for (size_t i = 0; i < matches->count; i++)
        layers[i] =
            (middleware_t){.fn = run_match, .state = &list[i], .name = list[i].layer->label};
    struct stack stack = {.layers = layers, .count = matches->count};
    return stack_run(&stack, context);
}

static int note_matches(struct context *context, const struct router *router,
                        const struct matches *matches) {
    struct routing *routing = routing_of(context);
    if (!routing)
        return UV_ENOMEM;
    routing->router = router;
    int err = 0;
    for (size_t i = 0; i < matches->count && !err; i++)
        if (matches->list[i].layer->is_route)
            err = routing_add_matched(context, matches->list[i].layer);
    return err;
}

int router_run(ctx_t *ctx, void *state) {
    const struct router *router = state;
    struct context *context = context_of(ctx);
    struct matches matches;
    if (router->error)
        return ctx_throw(ctx, 500, "router: %s", router->error);
    int host = matches_host(router, ctx);
    if (host <= 0)
        return host ? host : next(ctx);
    int err = router_match(router, context->home.arena, ctx->path, &matches);
    if (err)
        return route_throw_unmatched(context, err);
    if ((err = note_matches(context, router, &matches)))
        return err;
    const struct layer *route = choose(router, ctx->method, &matches);
    if (!route)
        return stack_run(&router->not_found, context);
    reduce(router, ctx->method, route, &matches);
    return run_matches(context, &matches);
}

const router_t *ctx_router(const ctx_t *ctx) {
    const struct routing *routing = context_of(ctx)->routing;
    return routing ? routing->router : NULL;
}

const char *ctx_route_name(const ctx_t *ctx) {
    const struct routing *routing = context_of(ctx)->routing;
    return routing ? routing->route_name : NULL;
}
