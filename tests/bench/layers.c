/*
 * What layers cost a request, in nanoseconds of this thread's time: those that only call next, and
 * those of middleware/ that log, count and so on. No network is in it: app_inject. What the log
 * writes goes to /dev/null, by a thread that is not in it either.
 *
 *     meson compile -C build tests/bench/layers && build/tests/bench/layers [BATCHES]
 *
 * In a release build, please.
 */
#include <acacia.h>

#include "middleware/error_page.h"
#include "middleware/favicon.h"
#include "middleware/health.h"
#include "middleware/json_pretty.h"
#include "middleware/logger.h"
#include "middleware/method_override.h"
#include "middleware/metrics.h"
#include "middleware/request_id.h"
#include "middleware/response_time.h"
#include "middleware/timeout.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int batches = 40; /* of which the quickest counts */
#define REQUESTS 2000

static int pass(ctx_t *ctx) {
    return next(ctx);
}

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "Hello, World!");
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void measure(app_t *app, void *arg) {
    double *best = arg;
    for (int batch = 0; batch < batches; batch++) {
        double began = now();
        for (int i = 0; i < REQUESTS; i++)
            app_response_free(app_inject(app, &(app_request_t){.url = "/hello"}));
        double each = (now() - began) / REQUESTS;
        if (batch == 0 || each < *best)
            *best = each;
        await_sleep(1);
    }
    app_close(app);
}

static double time_of(app_t *app) {
    double best = 0;
    app_use(app, route_get("/hello", hello));
    if (app_bind(app, &(listen_options_t){.host = "127.0.0.1"}))
        abort();
    app_spawn(app, measure, &best);
    app_run(app);
    app_free(app);
    return best;
}

static double time_of_layers(int count) {
    app_t *app = app_new();
    for (int i = 0; i < count; i++)
        app_use(app, pass);
    return time_of(app);
}

static void show(const char *name, middleware_t layer, double nothing) {
    app_t *app = app_new();
    app_use_middleware(app, layer, name);
    printf("%-28s %6.0f\n", name, time_of(app) - nothing);
}

int main(int argc, char **argv) {
    if (argc > 1)
        batches = atoi(argv[1]);
    double nothing = time_of_layers(0);
    int fd = open("/dev/null", O_WRONLY);
    printf("%-28s %6.0f\n", "a request without any", nothing);
    printf("%-28s %6.1f\n", "one that only calls next", (time_of_layers(100) - nothing) / 100);
    show("response_time", response_time(NULL), nothing);
    show("request_id", request_id(NULL), nothing);
    show("request_id, ULID", request_id(&(request_id_options_t){.kind = REQUEST_ID_ULID}), nothing);
    show("logger", logger(&(logger_options_t){.fd = fd}), nothing);
    show("logger, common", logger(&(logger_options_t){.fd = fd, .format = LOGGER_COMMON}), nothing);
    show("logger, JSON", logger(&(logger_options_t){.fd = fd, .format = LOGGER_JSON}), nothing);
    show("error_page", error_page(NULL), nothing);
    show("json_pretty, of a text", json_pretty(NULL), nothing);
    show("favicon", favicon(NULL, NULL), nothing);
    show("method_override", method_override(NULL), nothing);
    show("timeout", timeout(NULL), nothing);
    show("metrics", metrics(NULL), nothing);
    show("health", health(NULL), nothing);
    return 0;
}
