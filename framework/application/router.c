/* Routers: how they are made. */
#include "router.h"

#include "application/route_index.h"
#include "application/route_layer.h"
#include "application/router_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Errors ----------------------------------------------------------------------------------- */

void router_fail(struct router *router, const char *format, ...) {
    va_list args;
    if (router->error && !router->complete)
        return;
    va_start(args, format);
    const char *text = arena_vprintf(&router->arena, NULL, format, args);
    va_end(args);
    router->error = text ? text : "out of memory";
    if (router->complete) /* the app may run already: it can't be kept from starting */
        fprintf(stderr, "acacia: router: %s\n", router->error);
}

const char *router_copy(struct router *router, const char *string) {
    const char *copy = arena_copy(&router->arena, string, strlen(string));
    if (!copy)
        router_fail(router, "out of memory");
    return copy;
}

const char *router_printf(struct router *router, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(&router->arena, NULL, format, args);
    va_end(args);
    if (!text)
        router_fail(router, "out of memory");
    return text;
}

bool router_is_open(struct router *router) {
    if (router && router->complete)
        router_fail(router, "it is in use already, nothing can be added");
    return router && !router->complete;
}

/* --- Options ---------------------------------------------------------------------------------- */

/* A trailing '/' is none of a prefix: it comes with the patterns. */
static const char *copy_prefix(struct router *router, const char *prefix) {
    size_t length = prefix ? strlen(prefix) : 0;
    if (length > 0 && prefix[length - 1] == '/')
        length--;
    return router_printf(router, "%.*s", (int)length, prefix ? prefix : "");
}

static const char *const *copy_list(struct router *router, const char *const *list) {
    size_t count = 0;
    while (list[count])
        count++;
    const char **copy = arena_zalloc(&router->arena, (count + 1) * sizeof *copy);
    for (size_t i = 0; copy && i < count; i++)
        if (!(copy[i] = router_copy(router, list[i])))
            return NULL;
    return copy;
}

/* A pattern for names like "a.example.org". What is wrong with it is noted. */
static void set_host_pattern(struct router *router, const char *source) {
    const struct pattern_options options = {.delimiter = "."};
    char *error;
    router->host_pattern = pattern_compile(source, &options, &error);
    if (router->host_pattern)
        return;
    router_fail(router, "host %s: %s", source, error ? error : "out of memory");
    free(error);
}

/* False when there is no memory. */
static bool set_options(struct router *router, const router_options_t *given) {
    static const char *const methods[] = {"HEAD",  "OPTIONS", "GET",    "PUT",
                                          "PATCH", "POST",    "DELETE", NULL};
    router_options_t *options = &router->options;
    if (given)
        *options = *given;
    if (options->host_pattern)
        set_host_pattern(router, options->host_pattern);
    return (options->prefix = copy_prefix(router, options->prefix)) &&
           (options->methods = copy_list(router, options->methods ? options->methods : methods)) &&
           (!options->host || (options->host = router_copy(router, options->host))) &&
           (!options->hosts || (options->hosts = copy_list(router, options->hosts)));
}

router_t *router_new(const router_options_t *options) {
    struct router *router = calloc(1, sizeof *router);
    if (!router)
        return NULL;
    arena_init(&router->arena, NULL);
    router->references = 1;
    router->last_hook = &router->hooks;
    if (set_options(router, options))
        return router;
    router_free(router);
    return NULL;
}

void router_free(router_t *router) {
    if (!router || --router->references > 0)
        return;
    for (size_t i = 0; i < router->layer_count; i++)
        layer_free(router->layers[i]);
    for (struct nested *nested = router->nested; nested; nested = nested->next)
        router_free(nested->router);
    stack_free(&router->not_found);
    route_index_free(router->index);
    pattern_free(router->host_pattern);
    arena_release(&router->arena);
    free(router);
}

router_t *router_prefix(router_t *router, const char *prefix) {
    if (!router_is_open(router))
        return router;
    const char *copy = copy_prefix(router, prefix);
    if (!copy)
        return router;
    router->options.prefix = copy;
    for (size_t i = 0; i < router->layer_count; i++)
        layer_compile(router, router->layers[i]);
    return router;
}

/* --- Layers ----------------------------------------------------------------------------------- */

static void destroy(middleware_t middleware) {
    if (middleware.destroy)
        middleware.destroy(middleware.state);
}

router_t *router_add_middleware(router_t *router, const char *method, const char *pattern,
                                middleware_t handler, const route_options_t *options) {
    if (!router_is_open(router)) {
        destroy(handler);
        return router;
    }
    struct layer model = {
        .path = pattern,
        .method = method,
        .name = options ? options->name : NULL,
        .options = route_pattern_options(options),
        .is_route = true,
    };
    model.options.sensitive |= router->options.sensitive;
    model.options.strict |= router->options.strict;
    layer_add(router, &model, handler);
    return router;
}

router_t *router_add_fn(router_t *router, const char *method, const char *pattern,
                        middleware_fn *handler, const route_options_t *options) {
    return router_add_middleware(router, method, pattern, middleware_of(handler, "handler"),
                                 options);
}

/* Copies of its layers become ours, with `path` before them. Their handlers stay its own. */
static void nest(struct router *router, const char *path, struct router *inner) {
    struct nested *nested = arena_alloc(&router->arena, sizeof *nested);
    const char *prefix = copy_prefix(router, path);
    if (!nested || !prefix) {
        router_fail(router, "out of memory");
        return;
    }
    inner->references++;
    *nested = (struct nested){router->nested, inner};
    router->nested = nested;
    if (inner->error)
        router_fail(router, "%s", inner->error);
    if (inner->options.host || inner->options.hosts || inner->options.host_pattern)
        router_fail(router, "one that is for certain hosts can't be part of another");
    for (size_t i = 0; i < inner->layer_count && !router->error; i++)
        layer_borrow(router, prefix, inner, inner->layers[i]);
}

router_t *router_use_middleware(router_t *router, const char *path, middleware_t middleware) {
    bool is_open = router_is_open(router), is_router = middleware.fn == router_run;
    if (is_open && is_router)
        nest(router, path ? path : "", middleware.state);
    if (!is_open || is_router) {
        destroy(middleware);
        return router;
    }
    struct layer model = {
        .path = path ? path : "",
        .options = {.sensitive = router->options.sensitive, .strict = router->options.strict},
    };
    model.options.no_end = strcmp(model.path, "/") != 0;
    layer_add(router, &model, middleware);
    return router;
}

router_t *router_use_fn(router_t *router, const char *path, middleware_fn *fn) {
    return router_use_middleware(router, path, middleware_of(fn, "middleware"));
}

router_t *router_param(router_t *router, const char *name, router_param_fn *fn) {
    if (!router_is_open(router))
        return router;
    struct param_hook *hook = arena_zalloc(&router->arena, sizeof *hook);
    const char *copy = hook ? router_copy(router, name) : NULL;
    if (!copy || !fn) {
        router_fail(router, "param %s: %s", name, fn ? "out of memory" : "it needs a function");
        return router;
    }
    *hook = (struct param_hook){NULL, copy, fn};
    *router->last_hook = hook;
    router->last_hook = &hook->next;
    for (size_t i = 0; i < router->layer_count; i++)
        layer_add_hook(router, router->layers[i], hook);
    return router;
}

router_t *router_not_found_middleware(router_t *router, middleware_t middleware) {
    if (!router_is_open(router)) {
        destroy(middleware);
    } else if (middleware.error || !middleware.fn) {
        router_fail(router, "not found: %s", middleware.error ? middleware.error : "no middleware");
        destroy(middleware);
    } else if (stack_add(&router->not_found, middleware)) {
        router_fail(router, "out of memory");
    }
    return router;
}

router_t *router_not_found_fn(router_t *router, middleware_fn *fn) {
    return router_not_found_middleware(router, middleware_of(fn, "not found"));
}

/* --- Using it --------------------------------------------------------------------------------- */

void router_complete(struct router *router) {
    if (router->complete || router->error)
        return;
    router->index = route_index_new();
    bool done = router->index && router_sort_names(router);
    for (size_t i = 0; done && i < router->layer_count; i++)
        done = route_index_add(router->index, router->layers[i]->pattern, (uint32_t)i);
    if (!done)
        router_fail(router, "out of memory");
    router->complete = true;
}

static void release(void *state) {
    router_free(state);
}

middleware_t router_routes(router_t *router) {
    if (!router)
        return (middleware_t){.name = "router", .error = "out of memory"};
    router_complete(router);
    router->references++;
    return (middleware_t){router_run, router, release, "router", router->error};
}
