/* From names to paths. */
#include "application/pattern_build.h"
#include "application/route_build.h"
#include "application/router_parts.h"
#include "context/query.h"
#include "response.h"

#include <stdlib.h>
#include <string.h>

/* --- Names ------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b) {
    const struct layer *first = *(const struct layer *const *)a;
    const struct layer *second = *(const struct layer *const *)b;
    int order = strcmp(first->name, second->name);
    return order ? order : first->order < second->order ? -1 : 1;
}

bool router_sort_names(struct router *router) {
    router->names = arena_alloc(&router->arena, router->layer_count * sizeof *router->names);
    if (!router->names)
        return false;
    for (size_t i = 0; i < router->layer_count; i++)
        if (router->layers[i]->name)
            router->names[router->name_count++] = router->layers[i];
    qsort(router->names, router->name_count, sizeof *router->names, by_name);
    return true;
}

static const struct layer *find_sorted(const struct router *router, const char *name) {
    size_t low = 0, high = router->name_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(router->names[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < router->name_count && strcmp(router->names[low]->name, name) == 0;
    return found ? router->names[low] : NULL;
}

const struct layer *router_find(const struct router *router, const char *name) {
    if (router->names)
        return find_sorted(router, name);
    for (size_t i = 0; i < router->layer_count; i++)
        if (router->layers[i]->name && strcmp(router->layers[i]->name, name) == 0)
            return router->layers[i];
    return NULL;
}

char *router_url_of(ctx_t *ctx, const router_t *router, const char *name, const char *const *params,
                    const char *const *query) {
    struct context *context = context_of(ctx);
    const struct layer *layer = router ? router_find(router, name) : NULL;
    if (!layer || !layer->pattern) {
        route_throw_unbuilt(context, name, "no route has this name");
        return NULL;
    }
    char *path = route_build(context, layer->pattern, params);
    if (!path || !query || !*query)
        return path;
    const char *string = query_format(context->home.arena, query);
    if (!string)
        context_no_memory(context);
    return string ? ctx_printf(ctx, "%s?%s", path, string) : NULL;
}

/* --- Redirects -------------------------------------------------------------------------------- */

struct redirect {
    const char *url;
    int status;
};

static int run_redirect(ctx_t *ctx, void *state) {
    const struct redirect *redirect = state;
    int err = ctx_redirect(ctx, redirect->url);
    if (!err)
        ctx->status = redirect->status;
    return err;
}

static const struct layer *find(struct router *router, const char *name) {
    const struct layer *layer = router_find(router, name);
    if (layer && layer->pattern)
        return layer;
    router_fail(router, "redirect: no route has the name %s", name);
    return NULL;
}

/* The path of the route of that name. */
static const char *url_of(struct router *router, const char *name) {
    static const char *const none[] = {NULL};
    const struct layer *layer = find(router, name);
    if (!layer)
        return NULL;
    char *error;
    const char *url = pattern_build(layer->pattern, &router->arena, none, NULL, &error);
    if (!url)
        router_fail(router, "redirect to %s: %s", name, error ? error : "out of memory");
    return url;
}

router_t *router_redirect(router_t *router, const char *source, const char *destination,
                          int status) {
    if (!router_is_open(router))
        return router;
    const struct layer *layer = *source == '/' ? NULL : find(router, source);
    struct redirect *redirect = arena_alloc(&router->arena, sizeof *redirect);
    bool is_url = *destination == '/' || strstr(destination, "://");
    const char *url = is_url ? router_copy(router, destination) : url_of(router, destination);
    if (!redirect)
        router_fail(router, "out of memory");
    if (!redirect || !url || (!layer && *source != '/'))
        return router;
    *redirect = (struct redirect){url, status ? status : 301};
    middleware_t handler = {.fn = run_redirect, .state = redirect, .name = "redirect"};
    return router_add_middleware(router, NULL, layer ? layer->path : source, handler, NULL);
}
