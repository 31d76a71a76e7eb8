/* What stands behind an app_t. */
#ifndef ACACIA_APPLICATION_H
#define ACACIA_APPLICATION_H

#include "app.h"
#include "context/context.h"
#include "runtime/loop.h"

struct stack {
    middleware_t *layers;
    size_t count, capacity;
};

struct listener {
    uv_tcp_t tcp; /* first */
    struct app *app;
    struct listener *next;
};

struct app {
    struct context_host host; /* first */
    app_options_t options;
    struct stack http, ws;
    char *setup_error;  /* why it can't start, or NULL */
    bool out_of_memory; /* … and there was not even memory to say so */
    bool running;
    error_listener_t *on_error;
    void *data;
    app_stats_t stats;
    bool trace_http, trace_ws; /* DEBUG in the environment */

    uv_loop_t uv;
    struct loop loop;
    uv_async_t awake; /* keeps uv_run running */
    uv_signal_t sigterm, sigint;
    uv_timer_t drain;
    struct listener *listeners;
    int port;
    int handles; /* of ours, not closed yet */
    bool draining, cut;
    struct app *next_abandoned;
};

/* --- compose.c -------------------------------------------------------------------------------- */

/* Append; takes `middleware` over in any case. 0 or UV_ENOMEM. */
int stack_add(struct stack *stack, middleware_t middleware);

/* Destroy the layers, in order. */
void stack_free(struct stack *stack);

/* Run a whole stack for `context`; behind its last layer it goes on with the one that is running.
 */
int stack_run(const struct stack *stack, struct context *context);

/* --- serve.c ---------------------------------------------------------------------------------- */

struct http1_events;
extern const struct http1_events app_http_events;

/* --- report.c --------------------------------------------------------------------------------- */

void app_report_error(struct context_host *host, struct context *context, const ctx_error_t *error);
void app_report_close(struct app *app, const char *protocol, const struct connection *connection);
void app_read_debug(struct app *app);

/* Make the app unable to start, for this reason; the first one stays. */
void app_fail_setup(struct app *app, const char *format, ...) ACACIA_PRINTF(2, 3);

#endif
