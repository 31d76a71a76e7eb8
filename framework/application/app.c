/* The app: its options, its stacks, its sockets. */
#include "application/application.h"
#include "context/socket.h"
#include "protocols/frame.h"
#include "websocket.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define SECOND ((uint64_t)1000)

#define DEFAULT(field, value)                                                                      \
    do                                                                                             \
        if (!(field))                                                                              \
            (field) = (value);                                                                     \
    while (0)

static void fill_in_defaults(app_options_t *options) {
    DEFAULT(options->http.head_size, 16 * KIB);
    DEFAULT(options->http.header_count, 100);
    DEFAULT(options->http.body_size, MIB);
    DEFAULT(options->http.drain_size, MIB);
    DEFAULT(options->http.read_ahead, 64 * KIB);
    DEFAULT(options->http.head_timeout, 10 * SECOND);
    DEFAULT(options->http.request_timeout, 300 * SECOND);
    DEFAULT(options->http.keep_alive_timeout, 5 * SECOND);
    DEFAULT(options->http.write_timeout, 60 * SECOND);
    DEFAULT(options->http.high_water, 64 * KIB);
    DEFAULT(options->ws.message_size, MIB);
    DEFAULT(options->ws.fragment_count, 16384);
    DEFAULT(options->ws.buffered_size, 16 * MIB);
    DEFAULT(options->ws.close_timeout, 30 * SECOND);
    DEFAULT(options->connections, SIZE_MAX);
    DEFAULT(options->coroutines, 10000);
    DEFAULT(options->stack_size, 256 * KIB);
    DEFAULT(options->drain_timeout, 3 * SECOND);
}

/* A write to a socket that was reset must be an error, and not the end of the process. */
static void ignore_sigpipe(void) {
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, NULL);
    }
}

static void on_socket_closed(struct context_host *host, struct connection *connection) {
    app_report_close((struct app *)host, "ws", connection);
}

static void on_awake(uv_async_t *handle) {
}

static bool open_loop(struct app *app) {
    if (uv_loop_init(&app->uv))
        return false;
    if (loop_init(&app->loop, &app->uv, app->options.stack_size, app->options.coroutines) ||
        uv_async_init(&app->uv, &app->awake, on_awake)) {
        free(app->loop.read_buffer);
        uv_loop_close(&app->uv);
        return false;
    }
    app->handles = 1;
    return true;
}

app_t *app_new_with(const app_options_t *options) {
    struct app *app = calloc(1, sizeof *app);
    if (!app)
        return NULL;
    if (options)
        app->options = *options;
    fill_in_defaults(&app->options);
    app->host.app = app;
    app->host.options = &app->options;
    app->host.loop = &app->loop;
    app->host.error = app_report_error;
    app->host.socket_closed = on_socket_closed;
    app->host.codec = frame_codec_new();
    if (!app->host.codec || !open_loop(app)) {
        frame_codec_free(app->host.codec);
        free(app);
        return NULL;
    }
    ignore_sigpipe();
    app_read_debug(app);
    return app;
}

app_t *app_new(void) {
    return app_new_with(NULL);
}

static void on_awake_closed(uv_handle_t *handle) {
    struct app *app = handle->data;
    app->handles--;
}

/* A handler that did not end may still be at work, on a thread even: what it uses can't be freed.
 * Kept here, so that nobody takes it for forgotten. */
static struct app *abandoned;

void app_free(app_t *app) {
    if (!app)
        return;
    if (app->loop.coroutines.live_count) {
        app->next_abandoned = abandoned;
        abandoned = app;
        return;
    }
    app->awake.data = app;
    uv_close((uv_handle_t *)&app->awake, on_awake_closed);
    loop_close(&app->loop);
    while (app->handles > 0 || app->loop.handles_open > 0)
        uv_run(&app->uv, UV_RUN_NOWAIT);
    loop_destroy(&app->loop);
    uv_loop_close(&app->uv);
    frame_codec_free(app->host.codec);
    stack_free(&app->http);
    stack_free(&app->ws);
    free(app->setup_error);
    free(app);
}

/* --- Layers ----------------------------------------------------------------------------------- */

static app_t *add_layer(struct app *app, struct stack *stack, middleware_t middleware,
                        const char *name) {
    const char *error = middleware.error;
    if (!error && !middleware.fn)
        error = "middleware must be a function";
    if (!error && app->running)
        error = "the app is listening already";
    if (!middleware.name)
        middleware.name = name;
    if (error) {
        app_fail_setup(app, "%s: %s", name, error);
        if (middleware.destroy)
            middleware.destroy(middleware.state);
    } else if (stack_add(stack, middleware)) {
        app_fail_setup(app, "%s: out of memory", name);
    }
    return app;
}

/* There is no app to add it to: app_new failed, and app_listen will say so. */
static app_t *drop(middleware_t middleware) {
    if (middleware.destroy)
        middleware.destroy(middleware.state);
    return NULL;
}

app_t *app_use_middleware(app_t *app, middleware_t middleware, const char *name) {
    return app ? add_layer(app, &app->http, middleware, name) : drop(middleware);
}

app_t *app_ws_use_middleware(app_t *app, middleware_t middleware, const char *name) {
    return app ? add_layer(app, &app->ws, middleware, name) : drop(middleware);
}

app_t *app_use_fn(app_t *app, middleware_fn *fn, const char *name) {
    return app_use_middleware(app, middleware_of(fn, name), name);
}

app_t *app_ws_use_fn(app_t *app, middleware_fn *fn, const char *name) {
    return app_ws_use_middleware(app, middleware_of(fn, name), name);
}

/* --- Settings --------------------------------------------------------------------------------- */

void app_set_data(app_t *app, void *data) {
    if (app)
        app->data = data;
}

void *app_data(const app_t *app) {
    return app ? app->data : NULL;
}

void app_on_error(app_t *app, error_listener_t *listener) {
    if (app)
        app->on_error = listener;
}

struct uv_loop_s *app_loop(app_t *app) {
    return app ? &app->uv : NULL;
}

/* --- Its sockets ------------------------------------------------------------------------------ */

size_t ws_count(const app_t *app) {
    return app->host.socket_count;
}

/* Sending may close a socket, but never takes it out of the set before the loop runs again. */
void ws_each(app_t *app, void (*fn)(websocket_t *ws, void *arg), void *arg) {
    bool nested = app->host.sends_never_wait;
    app->host.sends_never_wait = true;
    for (struct websocket *ws = app->host.sockets, *following; ws; ws = following) {
        following = ws->next;
        fn(ws, arg);
    }
    app->host.sends_never_wait = nested;
}

struct broadcast {
    ws_message_t message;
    const websocket_t *except;
    size_t count;
};

static void send_one(websocket_t *ws, void *arg) {
    struct broadcast *broadcast = arg;
    if (ws != broadcast->except && ws_send(ws, broadcast->message) >= 0)
        broadcast->count++;
}

size_t ws_broadcast(app_t *app, ws_message_t message, const websocket_t *except) {
    struct broadcast broadcast = {message, except, 0};
    ws_each(app, send_one, &broadcast);
    return broadcast.count;
}
