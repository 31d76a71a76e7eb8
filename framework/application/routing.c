#include "application/routing.h"

#include "context/context.h"

struct routing *routing_of(struct context *context) {
    if (!context->routing)
        context->routing = arena_zalloc(context->home.arena, sizeof *context->routing);
    if (!context->routing)
        context_no_memory(context);
    return context->routing;
}

/* Room for one more pointer. */
static void *grow(struct context *context, void *list, size_t count, size_t *capacity) {
    if (count < *capacity)
        return list;
    size_t wanted = *capacity ? 2 * *capacity : 4;
    list = arena_resize(context->home.arena, list, count * sizeof(void *), wanted * sizeof(void *));
    if (list)
        *capacity = wanted;
    else
        context_no_memory(context);
    return list;
}

int routing_add_matched(struct context *context, const struct layer *layer) {
    struct routing *routing = context->routing;
    const struct layer **list =
        grow(context, routing->matched, routing->matched_count, &routing->matched_capacity);
    if (!list)
        return UV_ENOMEM;
    routing->matched = list;
    routing->matched[routing->matched_count++] = layer;
    return 0;
}

int routing_call_once(struct context *context, const struct param_hook *hook) {
    struct routing *routing = context->routing;
    for (size_t i = 0; i < routing->called_count; i++)
        if (routing->called[i] == hook)
            return 0;
    const struct param_hook **list =
        grow(context, routing->called, routing->called_count, &routing->called_capacity);
    if (!list)
        return UV_ENOMEM;
    routing->called = list;
    routing->called[routing->called_count++] = hook;
    return 1;
}
