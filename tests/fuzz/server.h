/* For fuzzers of whole connections: a server at one end of a socket pair. */
#ifndef TESTS_FUZZ_SERVER_H
#define TESTS_FUZZ_SERVER_H

#include <acacia.h>

#include "application/application.h"
#include "protocols/http1.h"
#include "runtime/connection.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void accept_from(app_t *app, int fd) {
    struct connection *c = connection_new(&app->loop, UV_NAMED_PIPE);
    uv_pipe_open(connection_pipe(c), fd);
    if (http1_start(c, &app->http_server))
        abort();
}

/* What the server answers is read away. */
static void drain(int fd) {
    char buffer[65536];
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0)
        ;
}

static void turn(app_t *app, int fd) {
    uv_run(app->uv, UV_RUN_NOWAIT);
    drain(fd);
}

/* The client has closed its side: nothing must be left over. */
static void come_to_rest(app_t *app, int fd) {
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 20 && app->loop.counts.connections; i++)
        turn(app, fd);
    close(fd);
    app_stats_t stats;
    for (int i = 0; i < 1000; i++) {
        uv_run(app->uv, UV_RUN_NOWAIT);
        app_stats(app, &stats);
        if (!stats.connections && !stats.coroutines)
            break;
        if (i > 20)
            usleep(1000);
    }
    if (stats.connections || stats.coroutines || stats.websockets || stats.requests_active ||
        stats.messages_active || stats.read_buffers || stats.write_buffers)
        abort();
}

#endif
