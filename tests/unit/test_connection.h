/* What the tests of connections share: a connection over a socket pair, and what its owner hears.
 */
#include "runtime/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE 10000 /* milliseconds */

static uv_loop_t uv;
static uv_async_t awake; /* keeps the loop turning, as an app's does */
static struct loop loop;

/* What the owner of a connection has heard. */
struct owner {
    struct connection *connection; /* NULL when it is closed */
    int peer;                      /* the other end, non-blocking */
    size_t received, ends, timeouts, drains, shut_downs, closes, largest;
    close_reason_t reason;
    int error;
    uint64_t timed_out_at;
    bool close_on_data, close_on_end, close_on_timeout, close_on_drained, finish_on_data;
    void (*then)(struct owner *o); /* NULL, or called when data has come */
};

static inline void on_data(struct connection *c, char *data, size_t n) {
    struct owner *o = c->owner;
    o->received += n;
    if (n > o->largest)
        o->largest = n;
    memset(data, '!', n); /* it is ours */
    if (o->close_on_data)
        connection_close(c, CLOSE_BAD_REQUEST, 0);
    if (o->finish_on_data)
        connection_finish(c, true);
    if (o->then)
        o->then(o);
}

static inline void on_end(struct connection *c) {
    struct owner *o = c->owner;
    o->ends++;
    if (o->close_on_end)
        connection_close(c, CONNECTION_DONE, 0);
}

static inline void on_timeout(struct connection *c) {
    struct owner *o = c->owner;
    o->timeouts++;
    o->timed_out_at = uv_hrtime() / 1000000;
    if (o->close_on_timeout)
        connection_close(c, CLOSE_HEAD_TIMEOUT, UV_ETIMEDOUT);
}

static inline void on_drained(struct connection *c) {
    struct owner *o = c->owner;
    assert_false(connection_is_high(c));
    o->drains++;
    if (o->close_on_drained)
        connection_close(c, CLOSE_OVERLOAD, 0);
}

static inline void on_shut_down(struct connection *c) {
    ((struct owner *)c->owner)->shut_downs++;
}

static inline void on_closed(struct connection *c) {
    struct owner *o = c->owner;
    o->closes++;
    o->reason = c->reason;
    o->error = c->error;
    o->connection = NULL;
}

static const struct connection_events events = {
    .data = on_data,
    .end = on_end,
    .timeout = on_timeout,
    .drained = on_drained,
    .shut_down = on_shut_down,
    .closed = on_closed,
};

static inline int setup(void **state) {
    signal(SIGPIPE, SIG_IGN); /* as an app does */
    srand(1);
    return uv_loop_init(&uv) || uv_async_init(&uv, &awake, NULL) ||
           loop_init(&loop, &uv, 65536, 10);
}

static inline int teardown(void **state) {
    assert_int_equal(loop.counts.connections, 0);
    assert_int_equal(loop.counts.write_chunks, 0);
    assert_int_equal(loop.wheel.count, 0);
    loop_close(&loop);
    uv_close((uv_handle_t *)&awake, NULL);
    while (loop.handles_open)
        uv_run(&uv, UV_RUN_NOWAIT);
    loop_destroy(&loop);
    return uv_loop_close(&uv);
}

/* A socket that takes little at once, so that writes are cut. */
static inline struct connection *open_pair(struct owner *o) {
    uv_os_sock_t fds[2];
    int small = 8192;
    memset(o, 0, sizeof *o);
    assert_int_equal(uv_socketpair(SOCK_STREAM, 0, fds, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    struct connection *c = connection_new(&loop, UV_NAMED_PIPE);
    assert_non_null(c);
    assert_int_equal(uv_pipe_open(connection_pipe(c), fds[0]), 0);
    connection_own(c, &events, o);
    o->connection = c;
    o->peer = fds[1];
    return c;
}

/* One turn of the loop, at most a few milliseconds long. */
static inline void turn(void) {
    uv_run(&uv, UV_RUN_NOWAIT);
    usleep(200);
}

static inline bool late(uint64_t since) {
    return uv_hrtime() / 1000000 - since > PATIENCE;
}

#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t since = uv_hrtime() / 1000000;                                                    \
        while (!(condition)) {                                                                     \
            assert_false(late(since));                                                             \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

static inline void turn_for(uint64_t milliseconds) {
    uint64_t since = uv_hrtime() / 1000000;
    while (uv_hrtime() / 1000000 - since < milliseconds)
        turn();
}

static inline void close_pair(struct owner *o) {
    if (o->connection)
        connection_close(o->connection, CONNECTION_DONE, 0);
    TURN_UNTIL(o->closes);
    assert_int_equal(o->closes, 1);
    close(o->peer);
}

/* The bytes of a stream are told by their places. */
static inline unsigned char byte_at(size_t place) {
    return (unsigned char)(place * 31 + (place >> 8) * 7 + (place >> 16));
}

static inline void fill(char *data, size_t n, size_t place) {
    for (size_t i = 0; i < n; i++)
        data[i] = (char)byte_at(place + i);
}

/* What has arrived, checked; -1 at the end of the stream. */
static inline ssize_t take(struct owner *o, size_t *place, size_t most) {
    static char buffer[65536];
    ssize_t n = read(o->peer, buffer, most < sizeof buffer ? most : sizeof buffer);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal((unsigned char)buffer[i], byte_at(*place + (size_t)i));
    *place += (size_t)n;
    return n ? n : -1;
}

static inline void take_until(struct owner *o, size_t *place, size_t end) {
    uint64_t since = uv_hrtime() / 1000000;
    while (*place < end) {
        assert_false(late(since));
        assert_true(take(o, place, SIZE_MAX) >= 0);
        turn();
    }
    assert_int_equal(*place, end);
}
