/* The app: its life and its layers. */
#include "application/application.h"
#include "context/crowd.h"
#include "context/forwarded.h"
#include "context/keygrip.h"
#include "context/rooms.h"
#include "context/socket.h"
#include "protocols/frame.h"
#include "protocols/ws_deflate.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool open_loop(struct app *app, uv_loop_t *given) {
    const app_options_t *options = &app->options;
    app->uv = given ? given : &app->own_uv;
    if (!given && uv_loop_init(&app->own_uv))
        return false;
    int err = loop_init(&app->loop, app->uv, options->stack_size, options->coroutines);
    if (!err && (err = app_open_posts(app)))
        read_buffers_free(&app->loop);
    if (err && !given)
        uv_loop_close(&app->own_uv);
    return !err;
}

app_t *app_new_with(const app_options_t *options) {
    struct app *app = calloc(1, sizeof *app);
    if (!app)
        return NULL;
    arena_init(&app->arena, NULL);
    app->host.app = app;
    app->host.options = &app->options;
    app->host.loop = &app->loop;
    app->host.error = app_report_error;
    app->host.socket_closed = on_socket_closed;
    app->host.overloaded = app_is_overloaded;
    app->host.client_gone = app_client_gone;
    app_read_settings(app, options);
    http1_server_init(&app->http_server, &app->options.http, &app_http_events, app);
    app->peers.loop = &app->loop;
    app->peers.events = &socket_events;
    app->peers.read_ahead = app->options.http.read_ahead;
    app->host.peers = &app->peers;
    app->peers.codec = frame_codec_new();
    if (!(app->peers.compressors = ws_compressors_new()))
        app->out_of_memory = true;
    if (app->options.ws.sockets_per_ip != SIZE_MAX && !(app->host.crowd = crowd_new()))
        app->out_of_memory = true;
    if (!app->peers.codec || !open_loop(app, app->options.loop)) {
        frame_codec_free(app->peers.codec);
        crowd_free(app->host.crowd);
        ws_compressors_free(app->peers.compressors);
        proxies_free(app->host.trusted);
        keygrip_free(app->host.keys);
        arena_release(&app->arena);
        free(app->setup_error);
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

/* --- Its end ---------------------------------------------------------------------------------- */

/* All handles are closed. */
static void release(struct app *app) {
    app_free_clients(app);
    app_free_tls(app);
    loop_destroy(&app->loop);
    if (app_owns_loop(app))
        uv_loop_close(&app->own_uv);
    uv_mutex_destroy(&app->posts.lock);
    frame_codec_free(app->peers.codec);
    crowd_free(app->host.crowd);
    ws_compressors_free(app->peers.compressors);
    rooms_free(app->host.rooms);
    free(app->host.ids);
    stack_free(&app->http);
    stack_free(&app->ws);
    value_destroy_all(&app->host.values);
    proxies_free(app->host.trusted);
    keygrip_free(app->host.keys);
    arena_release(&app->arena);
    free(app->setup_error);
    free(app);
}

static void release_foreign(struct loop *loop) {
    struct app *app = (struct app *)((char *)loop - offsetof(struct app, loop));
    release(app);
}

static void on_awake_closed(uv_handle_t *handle) {
    struct app *app = handle->data;
    app->handles--;
    loop_close(&app->loop); /* its handles are the last */
}

/* A handler that did not end may still be at work, on a thread even: what it uses can't be freed.
 * Kept here, so that nobody takes it for forgotten. */
static struct app *abandoned;

/* What was posted and never begun runs now, and is told that there is no time left. */
static void finish_jobs(struct app *app) {
    loop_tear_down(&app->loop);
    app_run_posts(app);
    loop_settle(&app->loop);
    while (app->loop.coroutines.live_count && app_owns_loop(app))
        uv_run(app->uv, UV_RUN_ONCE);
}

void app_free(app_t *app) {
    if (!app || app->freed)
        return;
    if (app->running) { /* on a loop of the program's: app_run has not returned on our own */
        app->freed = true;
        app_close(app);
        app_cut(app);
        return;
    }
    app->freed = true;
    if (app->loop.coroutines.live_count && (app->cut || !app_owns_loop(app))) {
        app->next_abandoned = abandoned;
        abandoned = app;
        return;
    }
    app_call_closers(app);
    finish_jobs(app);
    app_stop_listening(app);
    uv_close((uv_handle_t *)&app->awake, on_awake_closed);
    if (!app_owns_loop(app)) {
        app->loop.closed = release_foreign;
        return;
    }
    while (app->handles > 0 || app->loop.handles_open > 0)
        uv_run(app->uv, UV_RUN_NOWAIT);
    release(app);
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
    if (app->trace_app)
        fprintf(stderr, "app: %suse %s\n", stack == &app->ws ? "ws " : "", middleware.name);
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
