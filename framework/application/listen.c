/* From listening to the last byte: listeners, signals, draining. */
#include "application/application.h"
#include "protocols/http1.h"
#include "runtime/connection.h"

#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_PATIENCE 900 /* milliseconds for handlers to end after they have been cut off */

/* --- Accepting -------------------------------------------------------------------------------- */

static void on_refused_closed(struct connection *connection) {
}

static const struct connection_events refused_events = {.closed = on_refused_closed};

static void on_connection(uv_stream_t *stream, int status) {
    struct app *app = ((struct listener *)stream)->app;
    struct connection *c = status < 0 ? NULL : connection_new(&app->loop);
    if (!c)
        return; /* libuv accepts, and closes, when we don't */
    uv_tcp_init(&app->uv, &c->uv.tcp);
    c->uv.handle.data = c;
    connection_own(c, &refused_events, NULL);
    int err = uv_accept(stream, &c->uv.stream);
    if (err || app->loop.counts.connections > app->options.connections) {
        connection_close(c, err ? CLOSE_READ_ERROR : CLOSE_OVERLOAD, err);
        app_report_close(app, "http", c);
        return;
    }
#ifndef __linux__
    uv_tcp_nodelay(&c->uv.tcp, 1); /* Linux hands it down from the listener */
#endif
    if (http1_start(c, &app->options.http, &app_http_events, app)) {
        connection_close(c, CLOSE_NO_MEMORY, UV_ENOMEM);
        app_report_close(app, "http", c);
    }
}

/* --- Binding ---------------------------------------------------------------------------------- */

static int bind_address(uv_tcp_t *tcp, const char *host, int port) {
    struct sockaddr_storage address;
    struct sockaddr *any = (struct sockaddr *)&address;
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&address) &&
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)&address))
        return UV_EINVAL;
    return uv_tcp_bind(tcp, any, 0);
}

static int bind_port(uv_tcp_t *tcp, int *port) {
    struct sockaddr_storage address;
    int length = sizeof address;
    int err = uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &length);
    if (!err)
        *port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                    : ((struct sockaddr_in *)&address)->sin_port);
    return err;
}

static void inherit_nodelay(uv_tcp_t *tcp) {
    uv_os_fd_t fd;
    int one = 1;
    if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int listen_on(struct listener *listener, const char *host, const listen_options_t *options) {
    uv_tcp_t *tcp = &listener->tcp;
    int err = bind_address(tcp, host, options->port);
    if (!err)
        err =
            uv_listen((uv_stream_t *)tcp, options->backlog ? options->backlog : 511, on_connection);
    if (!err)
        inherit_nodelay(tcp);
    return err;
}

static void on_listener_closed(uv_handle_t *handle) {
    struct listener *listener = (struct listener *)handle;
    listener->app->handles--;
    free(listener);
}

static int open_listener(struct app *app, const char *host, const listen_options_t *options) {
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return UV_ENOMEM;
    listener->app = app;
    int err = uv_tcp_init(&app->uv, &listener->tcp);
    if (err) {
        free(listener);
        return err;
    }
    app->handles++;
    err = listen_on(listener, host, options);
    if (!err && !app->port)
        err = bind_port(&listener->tcp, &app->port);
    if (err) {
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        return err;
    }
    listener->next = app->listeners;
    app->listeners = listener;
    return 0;
}

/* --- Draining --------------------------------------------------------------------------------- */

static void each_connection(struct app *app, void (*fn)(struct connection *connection)) {
    for (struct connection *c = app->loop.connections, *following; c; c = following) {
        following = c->next;
        if (connection_is_open(c))
            fn(c);
    }
}

static void shut_down(struct connection *connection) {
    if (connection->events->shut_down)
        connection->events->shut_down(connection);
}

static void stop_listening(struct app *app) {
    while (app->listeners) {
        struct listener *listener = app->listeners;
        app->listeners = listener->next;
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
    }
}

static void on_patience_over(uv_timer_t *timer) {
    struct app *app = timer->data;
    size_t count = app->loop.coroutines.live_count;
    if (!app->options.silent)
        fprintf(stderr, "acacia: %zu handlers did not end when the server stopped\n", count);
    uv_stop(&app->uv);
}

/* Whatever is left: connections are closed, waits end, handlers run to their end. */
static void cut(struct app *app) {
    if (app->cut)
        return;
    app->cut = true;
    for (struct connection *c = app->loop.connections, *following; c; c = following) {
        following = c->next;
        connection_close(c, CLOSE_DRAIN_TIMEOUT, UV_ECANCELED);
    }
    loop_tear_down(&app->loop);
    uv_timer_start(&app->drain, on_patience_over, LAST_PATIENCE, 0);
}

static void on_drain_timeout(uv_timer_t *timer) {
    cut(timer->data);
}

void app_close(app_t *app) {
    if (!app || app->draining)
        return;
    app->draining = true;
    stop_listening(app);
    if (!app->running)
        return;
    each_connection(app, shut_down);
    uv_timer_start(&app->drain, on_drain_timeout, app->options.drain_timeout, 0);
}

/* The first signal drains, the second cuts. */
static void on_signal(uv_signal_t *handle, int number) {
    struct app *app = handle->data;
    if (app->draining)
        cut(app);
    else
        app_close(app);
}

static void stop_when_done(struct loop *loop) {
    struct app *app = (struct app *)((char *)loop - offsetof(struct app, loop));
    if (app->draining && !loop->counts.connections && !loop->coroutines.live_count)
        uv_stop(&app->uv);
}

/* --- Running ---------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle) {
    struct app *app = handle->data;
    app->handles--;
}

static void close_handle(struct app *app, uv_handle_t *handle) {
    uv_close(handle, on_handle_closed);
}

static void watch_signal(struct app *app, uv_signal_t *handle, int number, bool wanted) {
    uv_signal_init(&app->uv, handle);
    handle->data = app;
    app->handles++;
    if (wanted)
        uv_signal_start(handle, on_signal, number);
}

int app_bind(app_t *app, const listen_options_t *options) {
    static const listen_options_t defaults;
    if (!app || app->out_of_memory)
        return UV_ENOMEM;
    if (app->setup_error) {
        if (!app->options.silent)
            fprintf(stderr, "acacia: %s\n", app->setup_error);
        return UV_EINVAL;
    }
    options = options ? options : &defaults;
    if (options->host)
        return open_listener(app, options->host, options);
    int err = open_listener(app, "::", options);
    return err == UV_EAFNOSUPPORT || err == UV_EADDRNOTAVAIL
               ? open_listener(app, "0.0.0.0", options)
               : err;
}

static int run(app_t *app, bool signals, bool announce) {
    if (app->setup_error || app->out_of_memory)
        return app->setup_error ? UV_EINVAL : UV_ENOMEM;
    app->running = true;
    uv_timer_init(&app->uv, &app->drain);
    app->drain.data = app;
    app->handles++;
    watch_signal(app, &app->sigterm, SIGTERM, signals);
    watch_signal(app, &app->sigint, SIGINT, signals);
    app->loop.settled = stop_when_done;
    if (announce) /* not before the signals are watched: who reads it may send one at once */
        printf("listening on http://127.0.0.1:%d\n", app_port(app));
    uv_run(&app->uv, UV_RUN_DEFAULT);
    app->loop.settled = NULL;
    stop_listening(app);
    close_handle(app, (uv_handle_t *)&app->drain);
    close_handle(app, (uv_handle_t *)&app->sigterm);
    close_handle(app, (uv_handle_t *)&app->sigint);
    while (app->handles > 1)
        uv_run(&app->uv, UV_RUN_NOWAIT);
    app->running = false;
    return 0;
}

int app_run(app_t *app) {
    return app ? run(app, true, false) : UV_ENOMEM;
}

int app_port(const app_t *app) {
    return app ? app->port : 0;
}

static int bind_and_run(app_t *app, const listen_options_t *options, bool announce) {
    int err = app_bind(app, options);
    if (err && !(app && (app->setup_error || app->options.silent)))
        fprintf(stderr, "acacia: can't listen on port %d: %s\n", options->port, uv_strerror(err));
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
    setvbuf(stdout, NULL, _IOLBF, 0);
    return bind_and_run(app, &(listen_options_t){.port = port}, true);
}
