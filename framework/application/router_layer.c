/* The layers of a router. */
#include "application/methods.h"
#include "application/router_parts.h"
#include "application/routing.h"
#include "request.h"

#include <stdlib.h>
#include <string.h>

/* --- Hooks ------------------------------------------------------------------------------------ */

static int run_hook(ctx_t *ctx, void *state) {
    const struct param_hook *hook = state;
    const char *value = ctx_param(ctx, hook->name);
    int first = value ? routing_call_once(context_of(ctx), hook) : 0;
    if (first < 0)
        return first;
    return first ? hook->fn(ctx, value) : next(ctx);
}

/* Which parameter of the pattern it is; SIZE_MAX: none. */
static size_t param_position(const struct layer *layer, const char *name) {
    for (size_t i = 0; i < pattern_params(layer->pattern); i++)
        if (strcmp(pattern_param_name(layer->pattern, i), name) == 0)
            return i;
    return SIZE_MAX;
}

static bool insert_step(struct router *router, struct layer *layer, size_t at, middleware_t step) {
    if (layer->step_count == layer->step_capacity) {
        size_t capacity = layer->step_capacity ? 2 * layer->step_capacity : 1;
        middleware_t *steps =
            arena_resize(&router->arena, layer->steps, layer->step_count * sizeof *steps,
                         capacity * sizeof *steps);
        if (!steps)
            return false;
        layer->steps = steps;
        layer->step_capacity = capacity;
    }
    memmove(&layer->steps[at + 1], &layer->steps[at],
            (layer->step_count - at) * sizeof *layer->steps);
    layer->steps[at] = step;
    layer->step_count++;
    return true;
}

/* In the order of the path, and those of one parameter in the order in which they were added. The
 * handler comes last. */
void layer_add_hook(struct router *router, struct layer *layer, const struct param_hook *hook) {
    size_t position = layer->pattern ? param_position(layer, hook->name) : SIZE_MAX, at = 0;
    if (position == SIZE_MAX || layer->step_count == 0)
        return;
    for (; at + 1 < layer->step_count; at++) {
        const struct param_hook *other = layer->steps[at].state;
        if (other == hook)
            return;
        if (param_position(layer, other->name) > position)
            break;
    }
    middleware_t step = {.fn = run_hook, .state = (void *)hook, .name = hook->name};
    if (!insert_step(router, layer, at, step))
        router_fail(router, "out of memory");
}

/* --- Patterns --------------------------------------------------------------------------------- */

/* `path` behind a prefix. The path "/" is the prefix itself. */
static const char *join(struct router *router, const char *prefix, const char *path, bool strict) {
    if (*prefix && strcmp(path, "/") == 0 && !strict)
        path = "";
    return router_printf(router, "%s%s", prefix, path);
}

void layer_compile(struct router *router, struct layer *layer) {
    char *error = NULL;
    const char *source = join(router, router->options.prefix, layer->path, layer->options.strict);
    pattern_free(layer->pattern);
    layer->pattern = source ? pattern_compile(source, &layer->options, &error) : NULL;
    if (!layer->pattern) {
        router_fail(router, "%s: %s", layer->label, error ? error : "out of memory");
        free(error);
        return;
    }
    for (const struct param_hook *hook = router->hooks; hook; hook = hook->next)
        layer_add_hook(router, layer, hook);
}

/* --- Making one ------------------------------------------------------------------------------- */

static bool append(struct router *router, struct layer *layer) {
    if (router->layer_count == router->layer_capacity) {
        size_t capacity = router->layer_capacity ? 2 * router->layer_capacity : 8;
        struct layer **layers =
            arena_resize(&router->arena, router->layers, router->layer_count * sizeof *layers,
                         capacity * sizeof *layers);
        if (!layers)
            return false;
        router->layers = layers;
        router->layer_capacity = capacity;
    }
    layer->order = router->layer_count;
    router->layers[router->layer_count++] = layer;
    return true;
}

static bool copy_string(struct router *router, const char **string) {
    if (*string)
        *string = router_copy(router, *string);
    else
        return true;
    return *string;
}

static bool copy_method(struct router *router, struct layer *layer) {
    char *method = layer->method ? (char *)router_copy(router, layer->method) : NULL;
    if (method)
        method_capitalize(method);
    bool done = method || !layer->method;
    layer->method = method;
    return done;
}

/* An empty layer of the router that looks like `model`. */
static struct layer *new_layer(struct router *router, const struct layer *model) {
    struct layer *layer = arena_alloc(&router->arena, sizeof *layer);
    if (!layer) {
        router_fail(router, "out of memory");
        return NULL;
    }
    *layer = *model;
    layer->pattern = NULL;
    layer->steps = NULL;
    layer->step_count = layer->step_capacity = 0;
    if (!copy_string(router, &layer->path) || !copy_string(router, &layer->name) ||
        !copy_method(router, layer) || !copy_string(router, &layer->options.delimiter) ||
        !copy_string(router, &layer->options.prefixes) ||
        !copy_string(router, &layer->options.ends_with))
        return NULL;
    const char *what = layer->is_route ? layer->method ? layer->method : "ALL" : "use";
    layer->label = router_printf(router, "%s %s", what, layer->path);
    return layer->label && append(router, layer) ? layer : NULL;
}

static const char *why_not(const struct layer *layer, middleware_t handler) {
    if (handler.error)
        return handler.error;
    if (!handler.fn)
        return layer->is_route ? "a route needs a handler" : "middleware must be a function";
    return layer->method && !is_token(layer->method) ? "a method must be a token" : NULL;
}

void layer_add(struct router *router, const struct layer *model, middleware_t handler) {
    struct layer *layer = new_layer(router, model);
    const char *error = layer ? why_not(layer, handler) : "out of memory";
    if (!error && !insert_step(router, layer, 0, handler))
        error = "out of memory";
    if (!error) {
        layer_compile(router, layer);
        return;
    }
    router_fail(router, "%s: %s", layer ? layer->label : "a route", error);
    if (handler.destroy)
        handler.destroy(handler.state);
}

void layer_borrow(struct router *router, const char *prefix, const struct router *from,
                  const struct layer *source) {
    struct layer model = *source;
    model.is_borrowed = true;
    model.path = join(router, from->options.prefix, source->path, source->options.strict);
    if (model.path)
        model.path = join(router, prefix, model.path, source->options.strict);
    struct layer *layer = model.path ? new_layer(router, &model) : NULL;
    bool done = layer;
    for (size_t i = 0; done && i < source->step_count; i++)
        done = insert_step(router, layer, i, source->steps[i]);
    if (done)
        layer_compile(router, layer);
    else
        router_fail(router, "out of memory");
}

void layer_free(struct layer *layer) {
    pattern_free(layer->pattern);
    if (layer->is_borrowed || layer->step_count == 0)
        return;
    const middleware_t *handler = &layer->steps[layer->step_count - 1];
    if (handler->destroy)
        handler->destroy(handler->state);
}
