/* Listeners: where connections come from. */
#include "application/application.h"
#include "protocols/openssl/tls_server.h"
#include "runtime/connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Milliseconds, until a connection is tried again that there was no memory for. */
#define RETRY_TIME 10

/* New connections, so that a flood of them does not keep the others waiting. */
#define ACCEPTS_IN_A_TURN 256

/* --- Accepting -------------------------------------------------------------------------------- */

static void on_refused_closed(struct connection *connection) {
}

static const struct connection_events refused_events = {.closed = on_refused_closed};

/* libuv holds a connection that is not taken, and accepts no other one until it is. */
static void take_later(struct listener *listener, uint64_t milliseconds) {
    loop_timer_start(&listener->app->loop, &listener->retry, milliseconds);
}

static void on_connection(uv_stream_t *stream, int status) {
    struct listener *listener = (struct listener *)stream;
    struct app *app = listener->app;
    if (status < 0)
        return;
    if (app->loop.accepts == ACCEPTS_IN_A_TURN) {
        take_later(listener, 0);
        return;
    }
    struct connection *c = connection_new(&app->loop, stream->type);
    if (!c) {
        take_later(listener, RETRY_TIME);
        return;
    }
    app->loop.accepts++;
    connection_own(c, &refused_events, NULL);
    int err = uv_accept(stream, &c->uv.stream);
    if (err || app->loop.counts.connections > app->options.connections ||
        app_is_overloaded(&app->host)) {
        connection_close(c, err ? CLOSE_READ_ERROR : CLOSE_OVERLOAD, err);
        app_report_close(app, "http", c);
        return;
    }
#ifndef __linux__
    if (stream->type == UV_TCP)
        uv_tcp_nodelay(&c->uv.tcp, 1); /* Linux hands it down from the listener */
#endif
    if (listener->tls ? !tls_server_accept(listener->tls, c)
                      : http1_start(c, listener->http) != 0) {
        connection_close(c, CLOSE_NO_MEMORY, UV_ENOMEM);
        app_report_close(app, "http", c);
        return;
    }
    connection_read_early(c);
}

static void try_again(struct timer *timer) {
    struct listener *listener =
        (struct listener *)((char *)timer - offsetof(struct listener, retry));
    struct loop *loop = &listener->app->loop;
    on_connection(&listener->uv.stream, 0);
    connection_take_reads(loop); /* this turn's reads have been taken already */
}

/* --- A port ----------------------------------------------------------------------------------- */

static int bind_address(struct listener *listener, const char *host,
                        const listen_options_t *options) {
    struct sockaddr_storage address;
    uv_tcp_t *tcp = &listener->uv.tcp;
    int err = uv_tcp_init(listener->app->uv, tcp);
    if (err)
        return err;
    if (uv_ip4_addr(host, options->port, (struct sockaddr_in *)&address) &&
        uv_ip6_addr(host, options->port, (struct sockaddr_in6 *)&address))
        return UV_EINVAL;
    return uv_tcp_bind(tcp, (struct sockaddr *)&address, options->ipv6_only ? UV_TCP_IPV6ONLY : 0);
}

/* The address and the port that a listener has got. */
static int address_of(const struct listener *listener, char *host, size_t size, int *port) {
    struct sockaddr_storage address;
    int length = sizeof address;
    int err = uv_tcp_getsockname(&listener->uv.tcp, (struct sockaddr *)&address, &length);
    if (err)
        return err;
    if (address.ss_family == AF_INET6) {
        *port = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
        return uv_ip6_name((struct sockaddr_in6 *)&address, host, size);
    }
    *port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    return uv_ip4_name((struct sockaddr_in *)&address, host, size);
}

static void inherit_nodelay(uv_handle_t *handle) {
    uv_os_fd_t fd;
    int one = 1;
    if (handle->type == UV_TCP && uv_fileno(handle, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* --- A unix socket ---------------------------------------------------------------------------- */

/* A socket that its server has left behind: nobody answers there. */
static bool is_abandoned(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat stat;
    if (strlen(path) >= sizeof address.sun_path || lstat(path, &stat) || !S_ISSOCK(stat.st_mode))
        return false;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool refused = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

static int bind_path(struct listener *listener, const listen_options_t *options) {
    int err = uv_pipe_init(listener->app->uv, &listener->uv.pipe, 0);
    if (err)
        return err;
    if (strlen(options->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return UV_ENAMETOOLONG; /* libuv would cut it short */
    err = uv_pipe_bind(&listener->uv.pipe, options->path);
    if (err == UV_EADDRINUSE && is_abandoned(options->path) && unlink(options->path) == 0)
        err = uv_pipe_bind(&listener->uv.pipe, options->path);
    if (!err && options->mode && chmod(options->path, (mode_t)options->mode))
        err = uv_translate_sys_error(errno);
    return err;
}

/* --- A socket that listens already ------------------------------------------------------------ */

static int adopt(struct listener *listener, int fd) {
    uv_loop_t *uv = listener->app->uv;
    int err;
    if (uv_guess_handle(fd) == UV_NAMED_PIPE) {
        err = uv_pipe_init(uv, &listener->uv.pipe, 0);
        return err ? err : uv_pipe_open(&listener->uv.pipe, fd);
    }
    err = uv_tcp_init(uv, &listener->uv.tcp);
    return err ? err : uv_tcp_open(&listener->uv.tcp, fd);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static void on_listener_closed(uv_handle_t *handle) {
    struct listener *listener = (struct listener *)handle;
    struct app *app = listener->app;
    free(listener);
    app_handle_closed(app);
}

static int open_on(struct listener *listener, const char *host, const listen_options_t *options) {
    if (options->path)
        return bind_path(listener, options);
    if (options->fd)
        return adopt(listener, options->fd);
    return bind_address(listener, host, options);
}

static int open_listener(struct app *app, const char *host, const listen_options_t *options,
                         struct tls_server *tls, const struct http1_server *http) {
    struct listener *listener = calloc(1, sizeof *listener), **last = &app->listeners;
    char name[INET6_ADDRSTRLEN];
    if (!listener)
        return UV_ENOMEM;
    listener->app = app;
    listener->tls = tls;
    listener->http = http;
    listener->retry.fn = try_again;
    int err = open_on(listener, host, options);
    if (listener->uv.handle.type == UV_UNKNOWN_HANDLE) { /* it was not even initialised */
        free(listener);
        return err;
    }
    app->handles++;
    if (!err)
        err = uv_listen(&listener->uv.stream, options->backlog ? options->backlog : 511,
                        on_connection);
    if (err) {
        uv_close(&listener->uv.handle, on_listener_closed);
        return err;
    }
    inherit_nodelay(&listener->uv.handle);
    if (!app->port && listener->uv.handle.type == UV_TCP)
        address_of(listener, name, sizeof name, &app->port);
    while (*last)
        last = &(*last)->next;
    *last = listener;
    return 0;
}

int app_bind(app_t *app, const listen_options_t *options) {
    static const listen_options_t defaults;
    struct tls_server *tls = NULL;
    const struct http1_server *http;
    if (!app)
        return UV_ENOMEM;
    int err = app_check_setup(app);
    if (err)
        return err;
    options = options ? options : &defaults;
    if (options->https_port < 0 || options->https_port > 65535 ||
        (options->https_port && options->tls))
        return UV_EINVAL;
    if (options->tls && (err = app_open_tls(app, options->tls, &tls)))
        return err;
    http = options->https_port ? app_https_redirector(app, options->https_port) : &app->http_server;
    if (!http)
        return UV_ENOMEM;
    if (options->host || options->path || options->fd)
        return open_listener(app, options->host, options, tls, http);
    err = open_listener(app, "::", options, tls, http);
    return err == UV_EAFNOSUPPORT || err == UV_EADDRNOTAVAIL
               ? open_listener(app, "0.0.0.0", options, tls, http)
               : err;
}

void app_stop_listening(struct app *app) {
    while (app->listeners) {
        struct listener *listener = app->listeners;
        app->listeners = listener->next;
        loop_timer_stop(&app->loop, &listener->retry);
        uv_close(&listener->uv.handle, on_listener_closed);
    }
}

/* --- Where ------------------------------------------------------------------------------------ */

int app_port(const app_t *app) {
    return app ? app->port : 0;
}

int app_address(const app_t *app, size_t index, char *text, size_t size) {
    const struct listener *listener = app ? app->listeners : NULL;
    char host[INET6_ADDRSTRLEN];
    int port, err;
    while (listener && index-- > 0)
        listener = listener->next;
    if (!listener)
        return UV_ENOENT;
    if (listener->uv.handle.type == UV_NAMED_PIPE) {
        size_t length = size;
        err = uv_pipe_getsockname(&listener->uv.pipe, text, &length);
        if (!err && length >= size)
            return UV_ENOBUFS;
        if (!err)
            text[length] = '\0';
        return err;
    }
    err = address_of(listener, host, sizeof host, &port);
    if (err)
        return err;
    const char *format = strchr(host, ':') ? "[%s]:%d" : "%s:%d";
    return (size_t)snprintf(text, size, format, host, port) < size ? 0 : UV_ENOBUFS;
}
