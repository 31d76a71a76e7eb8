/*
 * What an await costs a request, in nanoseconds of this thread's time, when others have something
 * to do meanwhile: 64 requests at a time by app_inject, whose handler returns at once, sleeps for
 * nothing, or waits for a future that is resolved later in the same turn.
 *
 *     meson compile -C build tests/bench/awaits && build/tests/bench/awaits [BATCHES]
 *
 * In a release build, please.
 */
#include <acacia.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int batches = 30; /* of which the quickest counts */
#define CLIENTS 64
#define REQUESTS 100 /* of each client in a batch */

static int at_once(ctx_t *ctx) {
    return ctx_text(ctx, "Hello, World!");
}

static int after_sleep(ctx_t *ctx) {
    int err = await_sleep(0);
    return err ? err : ctx_text(ctx, "Hello, World!");
}

/* Each resolves what the one before it waits for; nobody comes after the last one of a batch. */
static int after_future(ctx_t *ctx) {
    static future_t *previous;
    static size_t count;
    future_t *own = future_new();
    if (!own)
        return UV_ENOMEM;
    if (previous)
        future_resolve(previous, 0, NULL);
    previous = own;
    if (++count % (CLIENTS * REQUESTS) == 0) {
        future_resolve(own, 0, NULL);
        previous = NULL;
    }
    int err = await_future(own, NULL);
    future_free(own);
    return err ? err : ctx_text(ctx, "Hello, World!");
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int be_a_client(void *arg) {
    for (int i = 0; i < REQUESTS; i++)
        app_response_free(app_inject(arg, &(app_request_t){.url = "/"}));
    return 0;
}

static void measure(app_t *app, void *arg) {
    double *best = arg;
    await_task_t clients[CLIENTS];
    for (int batch = 0; batch < batches; batch++) {
        for (int i = 0; i < CLIENTS; i++)
            clients[i] = (await_task_t){.fn = be_a_client, .arg = app};
        double began = now();
        if (await_all(clients, CLIENTS))
            abort();
        double each = (now() - began) / (CLIENTS * REQUESTS);
        if (batch == 0 || each < *best)
            *best = each;
    }
    app_close(app);
}

static double time_of(middleware_fn *handler) {
    double best = 0;
    app_t *app = app_new();
    app_use(app, handler);
    if (app_bind(app, &(listen_options_t){.host = "127.0.0.1"}))
        abort();
    app_spawn(app, measure, &best);
    app_run(app);
    app_free(app);
    return best;
}

int main(int argc, char **argv) {
    if (argc > 1)
        batches = atoi(argv[1]);
    double nothing = time_of(at_once);
    printf("%-28s %6.0f\n", "a request that waits not", nothing);
    printf("%-28s %6.0f\n", "await_sleep(0)", time_of(after_sleep) - nothing);
    printf("%-28s %6.0f\n", "await_future", time_of(after_future) - nothing);
    return 0;
}
