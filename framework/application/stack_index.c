#include "application/stack_index.h"

#include "application/route_index.h"
#include "application/route_layer.h"

#include <string.h>

/* Stacks without a route have no index. In one that has, other layers match every path. */
bool stack_index_layer(struct stack *stack) {
    const middleware_t *layers = stack->layers;
    const struct pattern *pattern = route_pattern(&layers[stack->count]);
    if (stack->index || !pattern)
        return !stack->index || route_index_add(stack->index, pattern, (uint32_t)stack->count);
    stack->index = route_index_new();
    bool done = stack->index;
    for (size_t i = 0; done && i <= stack->count; i++)
        done = route_index_add(stack->index, route_pattern(&layers[i]), (uint32_t)i);
    return done;
}

/* The place of the first id that is not less than `least`. */
static uint32_t lower_bound(const struct route_ids *ids, uint32_t least) {
    uint32_t low = 0, high = ids->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ids->list[middle] < least)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool misses(const middleware_t *layer, const ctx_t *ctx) {
    return route_pattern(layer) && route_misses(layer, ctx);
}

/* Is it worth while? One route alone can look for itself. */
static bool begins_row(const struct stack *stack, size_t position) {
    return stack->index && position + 1 < stack->count &&
           route_pattern(&stack->layers[position + 1]);
}

size_t stack_skip_misses(const struct stack *stack, const ctx_t *ctx, size_t position) {
    if (!begins_row(stack, position) || !misses(&stack->layers[position], ctx))
        return position;
    struct route_walk walk;
    size_t first = stack->count;
    route_walk_start(&walk, stack->index, ctx->path, strlen(ctx->path));
    for (const struct route_ids *ids; (ids = route_walk_next(&walk));) {
        for (uint32_t i = lower_bound(ids, (uint32_t)position + 1); i < ids->count; i++) {
            if (ids->list[i] >= first)
                break;
            if (!misses(&stack->layers[ids->list[i]], ctx))
                first = ids->list[i];
        }
    }
    return first;
}
