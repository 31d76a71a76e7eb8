/*
 * How long it takes to find a route among 10, 100, 1,000 and 10,000: in a router, in a row of
 * app_use(app, route_get(…)), and by trying one after the other.
 *
 *     meson compile -C build tests/bench/routes && build/tests/bench/routes
 *
 * In a release build, please. tests/bench/routes.mjs does the same with Koa's.
 */
#include "application/route_layer.h"
#include "application/router_parts.h"
#include "application/stack_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECONDS 100 /* for each number in the table */

static const struct {
    const char *name, *pattern, *path; /* with the number of the route */
} kinds[] = {
    {"static", "/resource%zu/list", "/resource%zu/list"},
    {":param", "/resource%zu/:id", "/resource%zu/12345"},
    {"nested", "/resource%zu/:id/items/:item", "/resource%zu/12345/items/67890"},
    {"one root", "/:tenant/resource%zu/:id", "/acme/resource%zu/12345"},
};

static const size_t counts[] = {10, 100, 1000, 10000};

struct bench {
    size_t count;
    router_t *router;
    struct stack stack; /* the same routes */
    struct arena_pool pool;
    struct context context;
};

static int handler(ctx_t *ctx) {
    return 0;
}

static void set_up(struct bench *bench, const char *format, size_t count) {
    *bench = (struct bench){.count = count, .router = router_new(NULL)};
    for (size_t i = 0; i < count; i++) {
        char pattern[64];
        snprintf(pattern, sizeof pattern, format, i);
        router_get(bench->router, pattern, handler);
        if (stack_add(&bench->stack, route_get(pattern, handler)))
            abort();
    }
    router_complete(bench->router);
    if (bench->router->error) {
        fprintf(stderr, "%s\n", bench->router->error);
        exit(1);
    }
    arena_pool_init(&bench->pool, 4);
    bench->context.ctx.method = "GET";
}

static void tear_down(struct bench *bench) {
    router_free(bench->router);
    stack_free(&bench->stack);
    arena_pool_destroy(&bench->pool);
}

/* --- Three ways to look for a path; each tells whether it has found a route --------------------
 */

static bool by_router(struct bench *bench, const char *path) {
    struct arena arena;
    struct matches matches;
    arena_init(&arena, &bench->pool);
    if (router_match(bench->router, &arena, path, &matches))
        abort();
    arena_release(&arena);
    return matches.count > 0;
}

static bool by_stack(struct bench *bench, const char *path) {
    bench->context.ctx.path = path;
    return stack_skip_misses(&bench->stack, &bench->context.ctx, 0) < bench->stack.count;
}

static bool by_walk(struct bench *bench, const char *path) {
    size_t i = 0;
    bench->context.ctx.path = path;
    while (i < bench->stack.count && route_misses(&bench->stack.layers[i], &bench->context.ctx))
        i++;
    return i < bench->stack.count;
}

/* --- The table -------------------------------------------------------------------------------- */

typedef bool lookup(struct bench *bench, const char *path);

/* Nanoseconds. */
static double measure(struct bench *bench, lookup *look_up, const char *format, size_t number,
                      bool expected) {
    char path[64];
    size_t rounds = 0, batch = look_up == by_walk ? 1 : 256;
    snprintf(path, sizeof path, format, number);
    uint64_t start = uv_hrtime(), now = start;
    while (now - start < MILLISECONDS * 1000000ull) {
        for (size_t i = 0; i < batch; i++)
            if (look_up(bench, path) != expected)
                abort();
        rounds += batch;
        now = uv_hrtime();
    }
    return (double)(now - start) / (double)rounds;
}

static void print_rows(const char *name, lookup *look_up) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            struct bench bench;
            set_up(&bench, kinds[k].pattern, counts[i]);
            double first = measure(&bench, look_up, kinds[k].path, 0, true);
            double last = measure(&bench, look_up, kinds[k].path, counts[i] - 1, true);
            double miss = measure(&bench, look_up, kinds[k].path, counts[i], false);
            printf("%-14s %-9s %6zu %10.0f %10.0f %10.0f\n", name, kinds[k].name, counts[i], first,
                   last, miss);
            fflush(stdout);
            tear_down(&bench);
        }
    }
}

int main(void) {
    printf("%-14s %-9s %6s %10s %10s %10s   (ns)\n", "", "", "routes", "first", "last", "miss");
    print_rows("router", by_router);
    print_rows("row of routes", by_stack);
    print_rows("one by one", by_walk);
    return 0;
}
