/* What stands behind an app_t. */
#ifndef ACACIA_APPLICATION_H
#define ACACIA_APPLICATION_H

#include "app.h"
#include "context/context.h"
#include "protocols/http1.h"
#include "protocols/ws_peer.h"
#include "runtime/loop.h"
#include "tls.h"

struct stack {
    middleware_t *layers;
    size_t count, capacity;
    struct route_index *index; /* of the routes among them: see stack_index.h; NULL: none */
};

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv; /* first */
    struct app *app;
    struct tls_server *tls;          /* NULL: no TLS */
    const struct http1_server *http; /* what is spoken: the app's, or a redirector's */
    struct timer retry;              /* a connection waits to be taken */
    struct listener *next;
};

/* What other threads ask for: see post.c. */
struct post_queue {
    uv_mutex_t lock;
    struct post *first, **end;
};

struct app {
    struct context_host host; /* first */
    app_options_t options;    /* complete: no zeros; strings and lists are in the arena */
    struct http1_server http_server;
    struct ws_peers peers;
    struct arena arena;
    struct stack http, ws;
    char *setup_error;  /* why it can't start, or NULL */
    bool out_of_memory; /* … and there was not even memory to say so */
    error_listener_t *on_error;
    app_stats_t stats;
    bool trace_app, trace_http, trace_ws, trace_tls; /* DEBUG in the environment */

    uv_loop_t *uv; /* the program's, or own_uv */
    uv_loop_t own_uv;
    struct loop loop;
    uv_async_t awake; /* for app_post; keeps the loop running while the app serves */
    struct post_queue posts;
    size_t jobs_waiting; /* of app_spawn, that have not begun */
    uv_signal_t sigterm, sigint, sighup;
    uv_timer_t drain;
    struct ws_client *clients;
    struct closer *closers;         /* of app_on_close, in their order */
    struct listener *listeners;     /* in the order of binding */
    struct tls_listener *tls;       /* one for each listener that speaks it */
    char tls_error[256];            /* of the last reload */
    struct tls_client *tls_clients; /* the last one used first: see ws_tls.h */
    int port;
    int handles; /* of ours, not closed yet */
    bool running, cut, ending;
    bool closing, draining;    /* app_close was called; drain_delay is over, too */
    bool overloaded;           /* more than options.memory is used, */
    uint64_t memory_looked_at; /* as of then */
    bool freed;                /* app_free was called; the memory goes with the last handle */
    void (*stopped)(app_t *app);
    struct app *next_abandoned;
};

static inline bool app_owns_loop(const struct app *app) {
    return app->uv == &app->own_uv;
}

/* --- settings.c ------------------------------------------------------------------------------- */

/* Copy the options and fill in the defaults. What can't be right keeps the app from starting. */
void app_read_settings(struct app *app, const app_options_t *options);

/* --- compose.c -------------------------------------------------------------------------------- */

/* Append; takes `middleware` over in any case. 0 or UV_ENOMEM. */
int stack_add(struct stack *stack, middleware_t middleware);

/* Destroy the layers, in order. */
void stack_free(struct stack *stack);

/* Run a whole stack for `context`; behind its last layer it goes on with the one that is running.
 */
int stack_run(const struct stack *stack, struct context *context);

/* --- serve.c ---------------------------------------------------------------------------------- */

extern const struct http1_events app_http_events;

/* Answer on a coroutine of its own. UV_EAGAIN, UV_ENOMEM. */
int app_start_request(struct app *app, struct exchange *exchange);

/* Is more memory used than it may be? Looked at twenty times in a second at most. */
bool app_is_overloaded(struct context_host *host);

/* --- upgrade.c -------------------------------------------------------------------------------- */

/* The same for a request that asks for a WebSocket. */
int app_start_upgrade(struct app *app, struct exchange *exchange);

/* What that allocates in the arena of the exchange. */
size_t app_upgrade_memory(struct exchange *exchange);

/* --- listen.c --------------------------------------------------------------------------------- */

void app_stop_listening(struct app *app);

/* --- tls.c ------------------------------------------------------------------------------------ */

/* A server of TLS for a listener. 0; or UV_EINVAL or UV_ENOMEM: the app can't start. */
int app_open_tls(struct app *app, const tls_options_t *options, struct tls_server **server);
void app_free_tls(struct app *app);
void app_tls_stats(const struct app *app, app_stats_t *stats);

/* --- https.c ---------------------------------------------------------------------------------- */

/* What answers every request by a redirect to https on `port`. NULL when there is no memory. */
const struct http1_server *app_https_redirector(struct app *app, int port);

/* --- run.c ------------------------------------------------------------------------------------ */

/* A handle of the app's is closed; the last one ends serving. */
void app_handle_closed(struct app *app);

/* Cut whatever is left: connections are closed, waits end, handlers run to their end. */
void app_cut(struct app *app);

/* Call what app_on_close has been given; once. */
void app_call_closers(struct app *app);

/* --- post.c ----------------------------------------------------------------------------------- */

int app_open_posts(struct app *app);
void app_run_posts(struct app *app);

/* --- ws_client.c ------------------------------------------------------------------------------ */

void app_client_gone(struct context_host *host, struct websocket *ws);
void app_free_clients(struct app *app);

/* --- ws_tls.c --------------------------------------------------------------------------------- */

/* What clients have read is read anew. */
void app_forget_tls_clients(struct app *app);

/* --- report.c --------------------------------------------------------------------------------- */

void app_report_error(struct context_host *host, struct context *context, const ctx_error_t *error);
void app_report_close(struct app *app, const char *protocol, const struct connection *connection);
void app_read_debug(struct app *app);

/* Make the app unable to start, for this reason; the first one stays. */
void app_fail_setup(struct app *app, const char *format, ...) ACACIA_PRINTF(2, 3);

/* Can the app start? 0, or the error, told on stderr. */
int app_check_setup(const struct app *app);

#endif
