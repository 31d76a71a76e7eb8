/* Requests are counted, and what the app counts itself is shown beside them. */
#include "metrics_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What app_stats says, as numbers that are set when somebody asks. */
enum app_number {
    REQUESTS,
    ERRORS,
    RECEIVED,
    SENT,
    CONNECTIONS,
    WEBSOCKETS,
    MESSAGES_RECEIVED,
    MESSAGES_SENT,
    MESSAGES_DROPPED,
    HANDSHAKES_REFUSED,
    HANDLERS,
    TIMERS,
    WRITE_BUFFERS,
    DRAINING,
    CPU_SECONDS,
    MEMORY,
    START_TIME,
    APP_NUMBERS
};

struct layer {
    metrics_t *registry;
    bool is_own, no_page;
    char *path;
    int (*guard)(ctx_t *ctx);
    app_t *app; /* whose page is shown */
    double start_time;
    size_t in_flight;
    metric_t *requests, *durations, *flying, *aborted, *closed;
    metric_t *numbers[APP_NUMBERS];
    uint64_t seen_closed[CLOSE_REASONS];
};

/* A request that is on its way; in the memory of its ctx. */
struct counted {
    struct layer *layer;
    uint64_t began;
};

/* --- Counting requests ------------------------------------------------------------------------ */

/* A client may invent methods. */
static const char *method_label(const char *method) {
    static const char *const known[] = {"GET",   "HEAD",   "POST",    "PUT",
                                        "PATCH", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(method, known[i]) == 0)
            return known[i];
    return "other";
}

static void on_finish(ctx_t *ctx, bool complete, void *arg) {
    const struct counted *counted = arg;
    struct layer *layer = counted->layer;
    const char *method = method_label(ctx->method);
    const char *route = ctx->route_path ? ctx->route_path : "none";
    char status[12];
    /* nginx's 499: the client has gone before there was an answer */
    snprintf(status, sizeof status, "%d", ctx_header_sent(ctx) ? ctx->status : 499);
    layer->in_flight--;
    metric_add(layer->requests, 1, METRIC_LABELS(method, route, status));
    metric_observe(layer->durations, (double)(uv_hrtime() - counted->began) / 1e9,
                   METRIC_LABELS(method, route));
    if (!complete)
        metric_add(layer->aborted, 1, NULL);
}

static int count(ctx_t *ctx, struct layer *layer) {
    struct counted *counted = ctx_new(ctx, struct counted);
    if (!counted)
        return UV_ENOMEM;
    *counted = (struct counted){layer, uv_hrtime()};
    int err = ctx_on_finish(ctx, on_finish, counted);
    layer->in_flight += !err;
    return err;
}

/* --- What others count ------------------------------------------------------------------------ */

static double cpu_seconds(void) {
    uv_rusage_t usage;
    if (uv_getrusage(&usage))
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double resident_memory(void) {
    size_t bytes;
    return uv_resident_set_memory(&bytes) ? 0 : (double)bytes;
}

/* These are counters, too, which only their owner sets. */
static void set(metric_t *metric, double number) {
    if (metric)
        metric->first->number = number;
}

static void collect_closed(struct layer *layer, const app_stats_t *stats) {
    for (int i = 0; i < CLOSE_REASONS; i++) {
        const char *const *reason = METRIC_LABELS(close_reason_name((close_reason_t)i));
        metric_add(layer->closed, (double)(stats->closed[i] - layer->seen_closed[i]), reason);
        layer->seen_closed[i] = stats->closed[i];
    }
}

static void collect(void *arg) {
    struct layer *layer = arg;
    app_stats_t stats;
    if (!layer->app)
        return; /* not one request so far */
    app_stats(layer->app, &stats);
    const double numbers[APP_NUMBERS] = {
        [REQUESTS] = (double)stats.requests,
        [ERRORS] = (double)stats.errors,
        [RECEIVED] = (double)stats.bytes_received,
        [SENT] = (double)stats.bytes_sent,
        [CONNECTIONS] = (double)stats.connections,
        [WEBSOCKETS] = (double)stats.websockets,
        [MESSAGES_RECEIVED] = (double)stats.messages_received,
        [MESSAGES_SENT] = (double)stats.messages_sent,
        [MESSAGES_DROPPED] = (double)stats.messages_dropped,
        [HANDSHAKES_REFUSED] = (double)stats.handshakes_refused,
        [HANDLERS] = (double)stats.coroutines,
        [TIMERS] = (double)stats.timers,
        [WRITE_BUFFERS] = (double)stats.write_buffers,
        [DRAINING] = app_draining(layer->app),
        [CPU_SECONDS] = cpu_seconds(),
        [MEMORY] = resident_memory(),
        [START_TIME] = layer->start_time,
    };
    for (int i = 0; i < APP_NUMBERS; i++)
        set(layer->numbers[i], numbers[i]);
    set(layer->flying, (double)layer->in_flight);
    collect_closed(layer, &stats);
}

/* --- The page --------------------------------------------------------------------------------- */

static int show(ctx_t *ctx, struct layer *layer) {
    size_t length;
    int err = layer->guard ? layer->guard(ctx) : 0;
    if (err < 0)
        return err;
    if (strcmp(ctx->method, "GET") != 0 && strcmp(ctx->method, "HEAD") != 0) {
        ctx->status = 405;
        return ctx_set(ctx, "Allow", "GET, HEAD");
    }
    char *text = metrics_text(layer->registry, &length);
    if (!text)
        return UV_ENOMEM;
    err = ctx_set(ctx, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    if (!err)
        err = ctx_bytes(ctx, text, length);
    free(text);
    return err;
}

static int run(ctx_t *ctx, void *state) {
    struct layer *layer = state;
    if (ctx->websocket)
        return next(ctx);
    layer->app = ctx->app;
    int err = count(ctx, layer);
    if (err)
        return err;
    if (layer->no_page || strcmp(ctx->path, layer->path) != 0)
        return next(ctx);
    return show(ctx, layer);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void register_requests(struct layer *layer, const double *buckets) {
    metrics_t *r = layer->registry;
    layer->requests = metrics_counter(r, "http_requests_total", "Requests that were answered.",
                                      METRIC_LABELS("method", "route", "status"));
    layer->durations = metrics_histogram(r, "http_request_duration_seconds",
                                         "From the first layer to the end of the answer.",
                                         METRIC_LABELS("method", "route"), buckets);
    layer->flying =
        metrics_gauge(r, "http_requests_in_flight", "Requests that are being answered.", NULL);
    layer->aborted = metrics_counter(r, "http_requests_aborted_total",
                                     "Requests whose client has not got all of the answer.", NULL);
}

static void register_app(struct layer *layer) {
    static const struct {
        const char *name, *help;
    } counters[] =
        {
            [REQUESTS] = {"acacia_requests_total", "Requests begun, upgrades included."},
            [ERRORS] = {"acacia_errors_total", "Errors told to the error listener."},
            [RECEIVED] = {"acacia_received_bytes_total", "Bytes received over all connections."},
            [SENT] = {"acacia_sent_bytes_total", "Bytes sent over all connections."},
            [MESSAGES_RECEIVED] = {"acacia_websocket_messages_received_total",
                                   "Messages received."},
            [MESSAGES_SENT] = {"acacia_websocket_messages_sent_total", "Messages sent."},
            [MESSAGES_DROPPED] = {"acacia_websocket_messages_dropped_total",
                                  "Messages not sent, since too much waited for the socket."},
            [HANDSHAKES_REFUSED] = {"acacia_websocket_handshakes_refused_total",
                                    "Handshakes refused for their origin, or by a limit."},
            [CPU_SECONDS] = {"process_cpu_seconds_total", "User and system time."},
        },
      gauges[] = {
          [CONNECTIONS] = {"acacia_connections", "Connections open, WebSockets included."},
          [WEBSOCKETS] = {"acacia_websockets", "WebSockets open."},
          [HANDLERS] = {"acacia_handlers", "Handlers and tasks that run or wait."},
          [TIMERS] = {"acacia_timers", "Deadlines and sleeps pending."},
          [WRITE_BUFFERS] = {"acacia_write_buffers", "Chunks of output that wait to be sent."},
          [DRAINING] = {"acacia_draining", "1 when the server is about to stop."},
          [MEMORY] = {"process_resident_memory_bytes", "Memory that is resident."},
          [START_TIME] = {"process_start_time_seconds", "When the app was made, since 1970."},
      };
    metrics_t *r = layer->registry;
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        if (counters[i].name)
            layer->numbers[i] = metrics_counter(r, counters[i].name, counters[i].help, NULL);
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        if (gauges[i].name)
            layer->numbers[i] = metrics_gauge(r, gauges[i].name, gauges[i].help, NULL);
    layer->closed = metrics_counter(r, "acacia_connections_closed_total",
                                    "Connections that did not end well, by the reason.",
                                    METRIC_LABELS("reason"));
    metric_set(metrics_gauge(r, "acacia_info", "The version of Acacia.", METRIC_LABELS("version")),
               1, METRIC_LABELS(ACACIA_VERSION));
}

static void destroy(void *state) {
    struct layer *layer = state;
    if (layer->is_own)
        metrics_free(layer->registry);
    else
        metrics_forget_collector(layer->registry, layer);
    free(layer->path);
    free(layer);
}

middleware_t metrics(const metrics_options_t *options) {
    static const metrics_options_t defaults;
    struct layer *layer = calloc(1, sizeof *layer);
    if (!options)
        options = &defaults;
    if (!layer)
        return (middleware_t){.name = "metrics", .error = "out of memory"};
    layer->is_own = !options->registry;
    layer->registry = layer->is_own ? metrics_new(0) : options->registry;
    layer->no_page = options->no_page;
    layer->guard = options->guard;
    layer->path = strdup(options->path ? options->path : "/metrics");
    layer->start_time = (double)time(NULL);
    register_requests(layer, options->buckets);
    register_app(layer);
    const char *error = metrics_error(layer->registry);
    if (!error && (!layer->path || metrics_on_collect(layer->registry, collect, layer)))
        error = "out of memory";
    return (middleware_t){run, layer, destroy, "metrics", error};
}
