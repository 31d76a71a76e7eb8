/* From the first connection to the last byte: serving, signals, draining. */
#include "application/application.h"
#include "runtime/connection.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LAST_PATIENCE 900 /* milliseconds for handlers to end after they have been cut off */

/* --- The end ---------------------------------------------------------------------------------- */

/* The last handle of serving is closed. */
static void has_stopped(struct app *app) {
    void (*stopped)(app_t * app) = app->stopped;
    app->running = app->ending = false;
    uv_unref((uv_handle_t *)&app->awake);
    if (app_owns_loop(app))
        uv_stop(app->uv);
    if (stopped)
        stopped(app);
}

void app_handle_closed(struct app *app) {
    bool was_freed = app->freed; /* while it was serving */
    app->handles--;
    if (!app->ending || app->handles > 1) /* what remains is `awake` */
        return;
    has_stopped(app);
    if (was_freed) {
        app->freed = false;
        app_free(app);
    }
}

static void on_handle_closed(uv_handle_t *handle) {
    app_handle_closed(handle->data);
}

static void end_serving(struct app *app) {
    if (app->ending)
        return;
    app->ending = true;
    app->loop.settled = NULL;
    app_stop_listening(app);
    uv_close((uv_handle_t *)&app->drain, on_handle_closed);
    uv_close((uv_handle_t *)&app->sigterm, on_handle_closed);
    uv_close((uv_handle_t *)&app->sigint, on_handle_closed);
    uv_close((uv_handle_t *)&app->sighup, on_handle_closed);
}

static void end_when_done(struct loop *loop) {
    struct app *app = (struct app *)((char *)loop - offsetof(struct app, loop));
    if (app->draining && !loop->counts.connections && !loop->coroutines.live_count &&
        !app->host.detached)
        end_serving(app);
}

/* --- Draining --------------------------------------------------------------------------------- */

static void on_patience_over(uv_timer_t *timer) {
    struct app *app = timer->data;
    size_t count = app->loop.coroutines.live_count;
    if (!app->options.silent)
        fprintf(stderr, "acacia: %zu handlers did not end when the server stopped\n", count);
    end_serving(app);
}

static void on_drain_timeout(uv_timer_t *timer) {
    app_cut(timer->data);
}

struct closer {
    struct closer *next;
    void (*fn)(app_t *app, void *arg);
    void *arg;
};

int app_on_close(app_t *app, void (*fn)(app_t *app, void *arg), void *arg) {
    struct closer *closer = app ? arena_alloc(&app->arena, sizeof *closer) : NULL;
    if (!closer)
        return UV_ENOMEM;
    if (app->draining)
        return UV_EALREADY;
    struct closer **last = &app->closers;
    while (*last)
        last = &(*last)->next;
    *closer = (struct closer){NULL, fn, arg};
    *last = closer;
    return 0;
}

void app_call_closers(struct app *app) {
    while (app->closers) {
        struct closer *closer = app->closers;
        app->closers = closer->next;
        closer->fn(app, closer->arg);
    }
}

static void begin_to_drain(struct app *app) {
    app->draining = true;
    app_call_closers(app);
    app_stop_listening(app);
    if (!app->running)
        return;
    for (struct connection *c = app->loop.connections, *following; c; c = following) {
        following = c->next;
        if (connection_is_open(c) && c->events->shut_down)
            c->events->shut_down(c);
    }
    uv_timer_start(&app->drain, on_drain_timeout, app->options.drain_timeout, 0);
}

void app_cut(struct app *app) {
    if (app->cut || app->ending)
        return;
    if (!app->draining)
        begin_to_drain(app);
    app->cut = true;
    for (struct connection *c = app->loop.connections, *following; c; c = following) {
        following = c->next;
        connection_close(c, CLOSE_DRAIN_TIMEOUT, UV_ECANCELED);
    }
    context_cut_detached(&app->host);
    loop_tear_down(&app->loop);
    uv_timer_start(&app->drain, on_patience_over, LAST_PATIENCE, 0);
}

static void on_delay_over(uv_timer_t *timer) {
    begin_to_drain(timer->data);
}

void app_close(app_t *app) {
    if (!app || app->closing)
        return;
    app->closing = true;
    if (app->running && app->options.drain_delay > 0)
        uv_timer_start(&app->drain, on_delay_over, app->options.drain_delay, 0);
    else
        begin_to_drain(app);
}

bool app_draining(const app_t *app) {
    return app && app->closing;
}

/* The first signal drains, the second cuts. What was read before it came is dealt with first. */
static void on_signal(uv_signal_t *handle, int number) {
    struct app *app = handle->data;
    connection_take_reads(&app->loop);
    if (app->closing)
        app_cut(app);
    else
        app_close(app);
}

static void on_sighup(uv_signal_t *handle, int number) {
    tls_reload(handle->data);
}

/* --- Serving ---------------------------------------------------------------------------------- */

static void watch_signal(struct app *app, uv_signal_t *handle, uv_signal_cb fn, int number,
                         bool wanted) {
    uv_signal_init(app->uv, handle);
    handle->data = app;
    app->handles++;
    if (wanted)
        uv_signal_start(handle, fn, number);
}

static int begin_serving(struct app *app, bool signals) {
    int err = app_check_setup(app);
    if (err)
        return err;
    if (app->running)
        return UV_EALREADY;
    app->running = true;
    uv_timer_init(app->uv, &app->drain);
    app->drain.data = app;
    app->handles++;
    watch_signal(app, &app->sigterm, on_signal, SIGTERM, signals);
    watch_signal(app, &app->sigint, on_signal, SIGINT, signals);
    watch_signal(app, &app->sighup, on_sighup, SIGHUP, signals && app->tls);
    app->loop.settled = end_when_done;
    uv_ref((uv_handle_t *)&app->awake);
    return 0;
}

int app_start(app_t *app, void (*stopped)(app_t *app)) {
    if (!app)
        return UV_ENOMEM;
    if (app_owns_loop(app))
        return UV_EINVAL; /* nobody would run it */
    app->stopped = stopped;
    return begin_serving(app, false);
}

static int run(app_t *app, bool signals, bool announce) {
    if (!app_owns_loop(app))
        return UV_EINVAL; /* it is the program's to run */
    int err = begin_serving(app, signals);
    if (err)
        return err;
    if (announce) /* not before the signals are watched: who reads it may send one at once */
        printf("listening on %s://127.0.0.1:%d\n", app->tls ? "https" : "http", app_port(app));
    uv_run(app->uv, UV_RUN_DEFAULT);
    return 0;
}

int app_run(app_t *app) {
    return app ? run(app, true, false) : UV_ENOMEM;
}

/* --- All of it -------------------------------------------------------------------------------- */

static void complain(const listen_options_t *options, int err) {
    const char *why = uv_strerror(err);
    if (options->path)
        fprintf(stderr, "acacia: can't listen on %s: %s\n", options->path, why);
    else
        fprintf(stderr, "acacia: can't listen on port %d: %s\n", options->port, why);
}

static int bind_and_run(app_t *app, const listen_options_t *options, bool announce) {
    int err = app_bind(app, options);
    if (err && !(app && (app->setup_error || app->options.silent)))
        complain(options, err);
    if (!err)
        err = run(app, !options->no_signals, announce);
    if (app && app->loop.coroutines.live_count) {
        fflush(NULL); /* exit() would wait for a thread that a handler is stuck on */
        _exit(EXIT_SUCCESS);
    }
    app_free(app);
    return err;
}

int app_listen_with(app_t *app, const listen_options_t *options) {
    static const listen_options_t defaults;
    return bind_and_run(app, options ? options : &defaults, false);
}

/* PORT, if it is a port. */
static bool port_from_environment(int *port) {
    const char *text = getenv("PORT");
    char *end;
    if (!text || !*text)
        return true;
    long number = strtol(text, &end, 10);
    if (*end || number < 0 || number > 65535) {
        fprintf(stderr, "acacia: PORT is not a port: %s\n", text);
        return false;
    }
    *port = (int)number;
    return true;
}

int app_listen(app_t *app, int port) {
    if (!port_from_environment(&port)) {
        app_free(app);
        return UV_EINVAL;
    }
    const tls_options_t tls = {
        .cert_file = getenv("ACACIA_TLS_CERT"),
        .key_file = getenv("ACACIA_TLS_KEY"),
    };
    bool secure = tls.cert_file && *tls.cert_file;
    setvbuf(stdout, NULL, _IOLBF, 0);
    return bind_and_run(app, &(listen_options_t){.port = port, .tls = secure ? &tls : NULL}, true);
}
