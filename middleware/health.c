#include "health.h"

#include "text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_TIMEOUT 1000
#define CACHE_TIME 1000
#define NANOSECONDS 1000000 /* in a millisecond */

struct health;

struct outcome {
    int result;
    uint64_t milliseconds; /* that it took */
};

/* A check; what has come of it last, and what is coming of it now. */
struct check {
    health_check_t check; /* with defaults filled in; the name is a copy */
    app_t *app;
    struct outcome last, next;
};

struct health {
    char *live, *ready;
    uint64_t cache_time;
    bool quiet;
    struct check *checks;
    size_t count;
    await_task_t *tasks; /* as many */
    bool is_known;       /* there are results, of `checked_at` */
    uint64_t checked_at;
    bool is_running;
    future_t **waiting; /* for the results */
    size_t waiting_count, waiting_capacity;
};

/* --- In the background ------------------------------------------------------------------------ */

static int call_check(void *arg) {
    struct check *check = arg;
    return check->check.check(check->app, check->check.arg);
}

static int run_check(void *arg) {
    struct check *check = arg;
    uint64_t began = uv_hrtime();
    check->next.result = await_timeout(call_check, check, (int)check->check.timeout);
    check->next.milliseconds = (uv_hrtime() - began) / NANOSECONDS;
    return 0;
}

static void run_checks(app_t *app, void *arg) {
    struct health *health = arg;
    for (size_t i = 0; i < health->count; i++) {
        health->checks[i].app = app;
        health->checks[i].next = (struct outcome){UV_EAGAIN, 0}; /* if no coroutine is left */
        health->tasks[i] = (await_task_t){.fn = run_check, .arg = &health->checks[i]};
    }
    await_all(health->tasks, health->count);
    for (size_t i = 0; i < health->count; i++)
        health->checks[i].last = health->checks[i].next;
    health->is_known = true;
    health->checked_at = uv_hrtime() / NANOSECONDS;
    health->is_running = false;
    for (size_t i = 0; i < health->waiting_count; i++)
        future_resolve(health->waiting[i], 0, NULL);
    health->waiting_count = 0;
}

/* --- Waiting for it --------------------------------------------------------------------------- */

static bool join_waiting(struct health *health, future_t *future) {
    if (health->waiting_count == health->waiting_capacity) {
        size_t capacity = 2 * health->waiting_capacity + 4;
        future_t **waiting = realloc(health->waiting, capacity * sizeof *waiting);
        if (!waiting)
            return false;
        health->waiting = waiting;
        health->waiting_capacity = capacity;
    }
    health->waiting[health->waiting_count++] = future;
    return true;
}

static int wait_for_results(struct health *health) {
    future_t *future = future_new();
    if (!future)
        return UV_ENOMEM;
    if (!join_waiting(health, future)) {
        future_resolve(future, 0, NULL);
        future_free(future);
        return UV_ENOMEM;
    }
    int err = await_future(future, NULL);
    future_free(future);
    return err;
}

static int know_results(app_t *app, struct health *health) {
    uint64_t now = uv_hrtime() / NANOSECONDS;
    if (health->count == 0 || (health->is_known && now - health->checked_at < health->cache_time))
        return 0;
    if (!health->is_running) {
        int err = app_spawn(app, run_checks, health);
        if (err)
            return err;
        health->is_running = true;
    }
    return wait_for_results(health);
}

/* --- Pages ------------------------------------------------------------------------------------ */

static int send_body(ctx_t *ctx, struct text *text, int status) {
    int err = text->failed ? UV_ENOMEM : ctx_type(ctx, "json");
    if (!err)
        err = ctx_set(ctx, "Cache-Control", "no-store");
    if (!err)
        err = ctx_bytes(ctx, text->data, text->length);
    text_free(text);
    ctx->status = status;
    return err;
}

static int send_status(ctx_t *ctx, int status, const char *word) {
    struct text text = {0};
    text_printf(&text, "{\"status\":\"%s\"}", word);
    return send_body(ctx, &text, status);
}

static void add_check(struct text *text, const struct check *check) {
    char error[128];
    text_add_char(text, '"');
    text_add_escaped(text, check->check.name, ESCAPE_JSON);
    text_printf(text, "\":{\"status\":\"%s\",\"ms\":%" PRIu64,
                check->last.result < 0 ? "failed" : "ok", check->last.milliseconds);
    if (check->last.result < 0) {
        text_add(text, ",\"error\":\"");
        text_add_escaped(text, uv_strerror_r(check->last.result, error, sizeof error), ESCAPE_JSON);
        text_add_char(text, '"');
    }
    text_add_char(text, '}');
}

static bool all_are_well(const struct health *health) {
    for (size_t i = 0; i < health->count; i++)
        if (health->checks[i].last.result < 0)
            return false;
    return true;
}

static int send_ready(ctx_t *ctx, struct health *health) {
    if (app_draining(ctx->app))
        return send_status(ctx, 503, "draining");
    int err = know_results(ctx->app, health);
    if (err == UV_EAGAIN)
        return send_status(ctx, 503, "overloaded");
    if (err)
        return err;
    bool is_well = all_are_well(health);
    const char *word = is_well ? "ok" : "failed";
    if (health->quiet || health->count == 0)
        return send_status(ctx, is_well ? 200 : 503, word);
    struct text text = {0};
    text_printf(&text, "{\"status\":\"%s\",\"checks\":{", word);
    for (size_t i = 0; i < health->count; i++) {
        text_add(&text, i > 0 ? "," : "");
        add_check(&text, &health->checks[i]);
    }
    text_add(&text, "}}");
    return send_body(ctx, &text, is_well ? 200 : 503);
}

static int run(ctx_t *ctx, void *state) {
    struct health *health = state;
    bool is_live = strcmp(ctx->path, health->live) == 0;
    if (ctx->websocket || (!is_live && strcmp(ctx->path, health->ready) != 0))
        return next(ctx);
    if (strcmp(ctx->method, "GET") != 0 && strcmp(ctx->method, "HEAD") != 0) {
        ctx->status = 405;
        return ctx_set(ctx, "Allow", "GET, HEAD");
    }
    return is_live ? send_status(ctx, 200, "ok") : send_ready(ctx, health);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void destroy(void *state) {
    struct health *health = state;
    for (size_t i = 0; health->checks && i < health->count; i++)
        free((char *)health->checks[i].check.name);
    free(health->live);
    free(health->ready);
    free(health->checks);
    free(health->tasks);
    free(health->waiting);
    free(health);
}

static bool copy_checks(struct health *health, const health_check_t *checks) {
    while (checks && checks[health->count].name)
        health->count++;
    health->checks = calloc(health->count + 1, sizeof *health->checks);
    health->tasks = calloc(health->count + 1, sizeof *health->tasks);
    if (!health->checks || !health->tasks)
        return false;
    for (size_t i = 0; i < health->count; i++) {
        health_check_t *check = &health->checks[i].check;
        *check = checks[i];
        check->name = strdup(checks[i].name);
        if (!check->name)
            return false;
        if (!check->timeout)
            check->timeout = CHECK_TIMEOUT;
        if (check->timeout > INT_MAX)
            check->timeout = INT_MAX;
    }
    return true;
}

/* Why these checks can't be, or NULL. */
static const char *check_checks(const struct health *health) {
    for (size_t i = 0; i < health->count; i++)
        if (!health->checks[i].check.check)
            return "a check needs a function";
    return NULL;
}

middleware_t health(const health_options_t *options) {
    static const health_options_t defaults;
    struct health *health = calloc(1, sizeof *health);
    if (!options)
        options = &defaults;
    if (!health)
        return (middleware_t){.name = "health", .error = "out of memory"};
    health->live = strdup(options->live ? options->live : "/healthz");
    health->ready = strdup(options->ready ? options->ready : "/readyz");
    health->cache_time = options->cache_time ? options->cache_time : CACHE_TIME;
    health->quiet = options->quiet;
    bool is_whole = copy_checks(health, options->checks) && health->live && health->ready;
    return (middleware_t){run, health, destroy, "health",
                          is_whole ? check_checks(health) : "out of memory"};
}
