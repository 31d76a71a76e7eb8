/*
 * The onion. next() is an ordinary call down the coroutine's stack: code behind it runs when
 * everything below has run, awaits included. Nothing is allocated.
 */
#include "application/application.h"
#include "application/route_index.h"
#include "application/stack_index.h"
#include "route.h"

#include <stdlib.h>
#include <string.h>

/* One pass through a stack; lies on the coroutine's stack. */
struct middleware_run {
    const struct stack *stack;
    size_t position; /* of the layer that runs */
    size_t reached;  /* layers that have been entered: none is entered twice */
    struct middleware_run *outer;
};

static int called_twice(struct context *context) {
    const ctx_error_t error = {
        .code = UV_EALREADY,
        .status = 500,
        .message = "next() called multiple times",
    };
    return context_throw(context, error);
}

static int enter(struct context *context, struct middleware_run *run, size_t position) {
    if (position < run->reached)
        return called_twice(context);
    position = stack_skip_misses(run->stack, &context->ctx, position);
    run->reached = position + 1;
    if (position < run->stack->count) {
        const middleware_t *layer = &run->stack->layers[position];
        context->run = run;
        run->position = position;
        int err = layer->fn(&context->ctx, layer->state);
        if (err < 0)
            context_error(context, err);
        return err;
    }
    if (!run->outer)
        return 0;
    context->run = run->outer;
    return ctx_next(&context->ctx);
}

may_await int ctx_next(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    struct middleware_run *run = context->run;
    const struct params *params = context->params;
    const char *route_path = ctx->route_path;
    if (!run)
        return 0;
    size_t position = run->position;
    int err = enter(context, run, position + 1);
    context->run = run;
    run->position = position;
    if (params) { /* the caller is a route's handler: its parameters are its own */
        context->params = params;
        ctx->route_path = route_path;
    }
    return err;
}

int stack_run(const struct stack *stack, struct context *context) {
    struct middleware_run *outer = context->run;
    struct middleware_run run = {.stack = stack, .outer = outer};
    int err = enter(context, &run, 0);
    context->run = outer;
    return err;
}

/* --- Stacks ----------------------------------------------------------------------------------- */

static void destroy(const middleware_t *middleware) {
    if (middleware->destroy)
        middleware->destroy(middleware->state);
}

int stack_add(struct stack *stack, middleware_t middleware) {
    if (stack->count == stack->capacity) {
        size_t capacity = stack->capacity ? stack->capacity * 2 : 8;
        middleware_t *layers = realloc(stack->layers, capacity * sizeof *layers);
        if (!layers) {
            destroy(&middleware);
            return UV_ENOMEM;
        }
        stack->layers = layers;
        stack->capacity = capacity;
    }
    stack->layers[stack->count] = middleware;
    if (!stack_index_layer(stack)) {
        destroy(&middleware);
        return UV_ENOMEM;
    }
    stack->count++;
    return 0;
}

void stack_free(struct stack *stack) {
    for (size_t i = 0; i < stack->count; i++)
        destroy(&stack->layers[i]);
    route_index_free(stack->index);
    free(stack->layers);
    *stack = (struct stack){0};
}

/* --- A bare function as a middleware ---------------------------------------------------------- */

struct bare {
    middleware_fn *fn;
};

static int run_bare(ctx_t *ctx, void *state) {
    return ((const struct bare *)state)->fn(ctx);
}

middleware_t middleware_of(middleware_fn *fn, const char *name) {
    struct bare *bare = malloc(sizeof *bare);
    if (!bare)
        return (middleware_t){.name = name, .error = "out of memory"};
    if (!fn) {
        free(bare);
        return (middleware_t){.name = name, .error = "middleware must be a function"};
    }
    bare->fn = fn;
    return (middleware_t){run_bare, bare, free, name, NULL};
}

/* --- Several as one --------------------------------------------------------------------------- */

struct composition {
    struct stack stack;
    char *error;
};

static int run_composition(ctx_t *ctx, void *state) {
    return stack_run(&((const struct composition *)state)->stack, context_of(ctx));
}

static void free_composition(void *state) {
    struct composition *composition = state;
    stack_free(&composition->stack);
    free(composition->error);
    free(composition);
}

middleware_t compose_list(const middleware_t *list, size_t count) {
    struct composition *composition = calloc(1, sizeof *composition);
    const char *error = composition ? NULL : "out of memory";
    for (size_t i = 0; i < count; i++) {
        const char *why = list[i].error ? list[i].error : list[i].fn ? NULL : "no middleware";
        if (why && !error) /* the text may go with the state */
            error = (composition->error = strdup(why)) ? composition->error : "out of memory";
        if (!composition || why)
            destroy(&list[i]);
        else if (stack_add(&composition->stack, list[i]) && !error)
            error = "out of memory";
    }
    if (!composition)
        return (middleware_t){.name = "compose", .error = error};
    return (middleware_t){run_composition, composition, free_composition, "compose", error};
}
