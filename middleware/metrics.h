/*
 * Numbers for Prometheus (text format 0.0.4), at /metrics:
 *
 *     app_use(app, metrics(&(metrics_options_t){.guard = only_from_inside}));
 *
 *     http_requests_total{method="GET",route="/users/:id",status="200"} 42
 *
 * Requests are counted by method, status and route: the pattern that has matched, never the path,
 * so that a client can't make the page longer. Beside them stand what app_stats knows (connections,
 * sockets, bytes, why connections were closed), and what the program itself counts:
 *
 *     static metric_t *orders;
 *
 *     metrics_t *registry = metrics_new(0);
 *     orders = metrics_counter(registry, "orders_total", "Orders by their kind.",
 *                              METRIC_LABELS("kind"));
 *     app_use(app, metrics(&(metrics_options_t){.registry = registry}));
 *
 *     metric_add(orders, 1, METRIC_LABELS("book")); // in a handler
 *
 * docs/operations.md lists all names, and what to watch.
 */
#ifndef ACACIA_METRICS_H
#define ACACIA_METRICS_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* --- Counting --------------------------------------------------------------------------------- */

/* What is counted, and all of it. They belong to the thread of the app. */
typedef struct metric metric_t;
typedef struct metrics metrics_t;

/*
 * A registry. `series` is how many combinations of values of its labels a metric may have; 0:
 * 1,000. Beyond that it is counted where all labels are "other", so that values that a client can
 * choose (never a good idea) don't fill the memory. NULL when there is none.
 */
metrics_t *metrics_new(size_t series);

/* After app_free. NULL is fine. */
void metrics_free(metrics_t *registry);

/*
 * A number that only grows (its name should end in _total), one that goes up and down, and a
 * distribution. `labels` are the names of labels, NULL at the end; NULL is none. `buckets` are the
 * upper bounds of a histogram, ascending, 0 at the end; NULL: 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
 * 0.5, 1, 2.5, 5, 10, which is for seconds. All is copied.
 *
 * They live as long as the registry. NULL for a name that is none ([a-zA-Z_:][a-zA-Z0-9_:]*, of
 * labels without ':') or is taken, for buckets that don't ascend, and when there is no memory;
 * metrics_error says so, and an app that shows such a registry does not start. The functions below
 * take NULL, and do nothing.
 */
metric_t *metrics_counter(metrics_t *registry, const char *name, const char *help,
                          const char *const *labels);
metric_t *metrics_gauge(metrics_t *registry, const char *name, const char *help,
                        const char *const *labels);
metric_t *metrics_histogram(metrics_t *registry, const char *name, const char *help,
                            const char *const *labels, const double *buckets);

/* What the first of those that failed was refused for; NULL if none was. */
const char *metrics_error(const metrics_t *registry);

/* `values` are those of the labels, in their order; NULL if there are none. A counter takes nothing
 * negative. When there is no memory it isn't counted. */
void metric_add(metric_t *metric, double number, const char *const *values);
void metric_set(metric_t *metric, double number, const char *const *values);     /* a gauge */
void metric_observe(metric_t *metric, double number, const char *const *values); /* a histogram */

#ifndef __cplusplus
#define METRIC_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#endif

/* Call `fn(arg)` before the numbers are shown, to set what is known only then. 0 or UV_ENOMEM. */
int metrics_on_collect(metrics_t *registry, void (*fn)(void *arg), void *arg);

/* The page as text, to be freed by free(); NULL when there is no memory. `*length` may be NULL. */
char *metrics_text(metrics_t *registry, size_t *length);

/* --- The middleware --------------------------------------------------------------------------- */

/* Zero is the default. Strings and lists are copied. */
typedef struct {
    metrics_t *registry; /* the program's; NULL: one of its own */
    const char *path;    /* NULL: "/metrics" */
    bool no_page;        /* another layer, or another app, shows the registry */

    /* Called before the page is shown. Returns 0, or throws: ctx_throw(ctx, 403, NULL). NULL: who
     * can reach the server can read it. May suspend. */
    int (*guard)(ctx_t *ctx);

    const double *buckets; /* of http_request_duration_seconds; NULL: as above */
} metrics_options_t;

/* `options` may be NULL. The first layer of the stack, so that it sees all others. A registry
 * serves one such layer. */
middleware_t metrics(const metrics_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
