/* A connection over a socket pair: what is written arrives, whole and in order; then the end. */
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
};

static void on_data(struct connection *c, char *data, size_t n) {
    struct owner *o = c->owner;
    o->received += n;
    if (n > o->largest)
        o->largest = n;
    memset(data, '!', n); /* it is ours */
    if (o->close_on_data)
        connection_close(c, CLOSE_BAD_REQUEST, 0);
    if (o->finish_on_data)
        connection_finish(c, true);
}

static void on_end(struct connection *c) {
    struct owner *o = c->owner;
    o->ends++;
    if (o->close_on_end)
        connection_close(c, CONNECTION_DONE, 0);
}

static void on_timeout(struct connection *c) {
    struct owner *o = c->owner;
    o->timeouts++;
    o->timed_out_at = uv_hrtime() / 1000000;
    if (o->close_on_timeout)
        connection_close(c, CLOSE_HEAD_TIMEOUT, UV_ETIMEDOUT);
}

static void on_drained(struct connection *c) {
    struct owner *o = c->owner;
    assert_false(connection_is_high(c));
    o->drains++;
    if (o->close_on_drained)
        connection_close(c, CLOSE_OVERLOAD, 0);
}

static void on_shut_down(struct connection *c) {
    ((struct owner *)c->owner)->shut_downs++;
}

static void on_closed(struct connection *c) {
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

static int setup(void **state) {
    signal(SIGPIPE, SIG_IGN); /* as an app does */
    srand(1);
    return uv_loop_init(&uv) || uv_async_init(&uv, &awake, NULL) ||
           loop_init(&loop, &uv, 65536, 10);
}

static int teardown(void **state) {
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
static struct connection *open_pair(struct owner *o) {
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
static void turn(void) {
    uv_run(&uv, UV_RUN_NOWAIT);
    usleep(200);
}

static bool late(uint64_t since) {
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

static void turn_for(uint64_t milliseconds) {
    uint64_t since = uv_hrtime() / 1000000;
    while (uv_hrtime() / 1000000 - since < milliseconds)
        turn();
}

static void close_pair(struct owner *o) {
    if (o->connection)
        connection_close(o->connection, CONNECTION_DONE, 0);
    TURN_UNTIL(o->closes);
    assert_int_equal(o->closes, 1);
    close(o->peer);
}

/* The bytes of a stream are told by their places. */
static unsigned char byte_at(size_t place) {
    return (unsigned char)(place * 31 + (place >> 8) * 7 + (place >> 16));
}

static void fill(char *data, size_t n, size_t place) {
    for (size_t i = 0; i < n; i++)
        data[i] = (char)byte_at(place + i);
}

/* What has arrived, checked; -1 at the end of the stream. */
static ssize_t take(struct owner *o, size_t *place, size_t most) {
    static char buffer[65536];
    ssize_t n = read(o->peer, buffer, most < sizeof buffer ? most : sizeof buffer);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal((unsigned char)buffer[i], byte_at(*place + (size_t)i));
    *place += (size_t)n;
    return n ? n : -1;
}

static void take_until(struct owner *o, size_t *place, size_t end) {
    uint64_t since = uv_hrtime() / 1000000;
    while (*place < end) {
        assert_false(late(since));
        assert_true(take(o, place, SIZE_MAX) >= 0);
        turn();
    }
    assert_int_equal(*place, end);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void test_any_sizes(void **state) {
    static const size_t sizes[] = {
        0,          1,     2,     100,   4096,       CHUNK_SIZE - 64, CHUNK_SIZE - 1,
        CHUNK_SIZE, 70000, 16385, 33333, 1024 * 1024};
    struct owner o;
    struct connection *c = open_pair(&o);
    char *data = malloc(1024 * 1024);
    size_t written = 0, arrived = 0;
    c->limits = &(http_options_t){.high_water = 65536};
    for (int round = 0; round < 400; round++) {
        size_t n = sizes[(size_t)rand() % (sizeof sizes / sizeof *sizes)];
        if (rand() % 8 && n > 100000)
            n = 10;
        fill(data, n, written);
        if (rand() % 3 || n == 0) {
            assert_int_equal(connection_write(c, data, n), 0);
        } else {
            char *room = connection_reserve(c, n);
            assert_non_null(room);
            memcpy(room, data, n);
            connection_commit(c, n);
        }
        memset(data, '?', n); /* it is the caller's again */
        written += n;
        if (rand() % 4 == 0)
            connection_flush(c);
        if (rand() % 2)
            turn();
        for (int reads = rand() % 4; reads > 0; reads--)
            take(&o, &arrived, 1 + (size_t)rand() % 50000);
    }
    take_until(&o, &arrived, written);
    TURN_UNTIL(c->pending == 0);
    assert_true(o.drains > 0);
    assert_int_equal(loop.counts.write_chunks, 0);
    free(data);
    close_pair(&o);
    assert_int_equal(o.reason, CONNECTION_DONE);
}

static void test_many_small_ones_leave_together(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    size_t arrived = 0;
    char byte;
    for (size_t i = 0; i < 3000; i++) {
        fill(&byte, 1, i);
        assert_int_equal(connection_write(c, &byte, 1), 0);
    }
    assert_int_equal(c->pending, 3000);
    assert_int_equal(take(&o, &arrived, SIZE_MAX), 0); /* not before the turn ends */
    uv_run(&uv, UV_RUN_NOWAIT);
    assert_int_equal(take(&o, &arrived, SIZE_MAX), 3000);
    close_pair(&o);
}

static void test_drained_below_the_mark(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    char *data = malloc(200000);
    size_t arrived = 0;
    c->limits = &(http_options_t){.high_water = 50000};
    fill(data, 200000, 0);
    connection_write(c, data, 200000);
    turn_for(20);
    assert_int_equal(o.drains, 0);
    assert_true(c->pending > 50000);
    take_until(&o, &arrived, 200000);
    TURN_UNTIL(o.drains > 0);
    free(data);
    close_pair(&o);
}

static void test_write_timeout(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    char *data = calloc(1, 500000);
    uint64_t start = uv_hrtime() / 1000000;
    c->limits = &(http_options_t){.high_water = SIZE_MAX, .write_timeout = 100};
    connection_write(c, data, 500000);
    TURN_UNTIL(o.closes);
    assert_true(uv_hrtime() / 1000000 - start >= 80);
    assert_int_equal(o.reason, CLOSE_WRITE_TIMEOUT);
    assert_int_equal(o.error, UV_ETIMEDOUT);
    close_pair(&o);

    c = open_pair(&o); /* who takes some of it now and then has as long again */
    fill(data, 500000, 0);
    c->limits = &(http_options_t){.high_water = SIZE_MAX, .write_timeout = 150};
    connection_write(c, data, 500000);
    size_t arrived = 0;
    for (int i = 0; i < 12; i++) {
        assert_true(take(&o, &arrived, 20000) > 0);
        turn_for(50);
    }
    assert_int_equal(o.closes, 0);
    take_until(&o, &arrived, 500000);
    turn_for(250); /* nothing waits any more: no deadline */
    assert_int_equal(o.closes, 0);
    free(data);
    close_pair(&o);
}

static void test_peer_is_gone(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    close(o.peer);
    assert_int_equal(connection_write(c, "a", 1), 0);
    turn();
    TURN_UNTIL(o.closes);
    assert_int_equal(o.reason, CLOSE_WRITE_ERROR);
    assert_int_equal(o.error, UV_EPIPE);

    c = open_pair(&o); /* and with something in flight */
    char *data = calloc(1, 500000);
    connection_write(c, data, 500000);
    turn();
    close(o.peer);
    TURN_UNTIL(o.closes);
    assert_int_equal(o.reason, CLOSE_WRITE_ERROR);
    free(data);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void test_reading(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    assert_int_equal(write(o.peer, "0123456789", 10), 10);
    turn_for(5);
    assert_int_equal(o.received, 0);
    c->read_limit = 3;
    connection_read_start(c);
    connection_read_start(c);
    TURN_UNTIL(o.received == 10);
    assert_true(o.largest <= 3);
    connection_read_stop(c);
    assert_int_equal(write(o.peer, "more", 4), 4);
    turn_for(5);
    assert_int_equal(o.received, 10);
    c->read_limit = 0;
    connection_read_start(c);
    shutdown(o.peer, SHUT_WR);
    TURN_UNTIL(o.ends);
    assert_int_equal(o.received, 14);
    turn_for(5);
    assert_int_equal(o.ends, 1);
    assert_int_equal(o.closes, 0); /* the other direction is still open */
    connection_write(c, "", 0);
    char byte;
    fill(&byte, 1, 0);
    connection_write(c, &byte, 1);
    size_t arrived = 0;
    take_until(&o, &arrived, 1);
    close_pair(&o);
}

/* What is there comes at once; what is not, the end, and what a flood brings, by the loop. */
static void test_reading_early(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    assert_int_equal(write(o.peer, "early", 5), 5);
    connection_read_early(c); /* which is not read */
    assert_int_equal(o.received, 0);
    connection_read_start(c);
    connection_read_early(c);
    assert_int_equal(o.received, 5);
    connection_read_early(c);
    assert_int_equal(o.received, 5);
    turn();
    for (int i = 0; i < EARLY_READS + 10; i++) {
        assert_int_equal(write(o.peer, "x", 1), 1);
        connection_read_early(c);
        assert_int_equal(o.received, 5 + (i < EARLY_READS ? i + 1 : EARLY_READS));
    }
    TURN_UNTIL(o.received == 5 + EARLY_READS + 10);
    o.close_on_data = true;
    assert_int_equal(write(o.peer, "x", 1), 1);
    connection_read_early(c);
    assert_int_equal(o.received, 5 + EARLY_READS + 11);
    TURN_UNTIL(o.closes);
    close(o.peer);

    c = open_pair(&o);
    connection_read_start(c);
    close(o.peer);
    connection_read_early(c);
    assert_int_equal(o.ends, 0);
    TURN_UNTIL(o.ends);
    connection_close(c, CONNECTION_DONE, 0);
    TURN_UNTIL(o.closes);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void test_finish_sends_everything(void **state) {
    for (int linger = 0; linger < 2; linger++) {
        struct owner o;
        struct connection *c = open_pair(&o);
        char *data = malloc(300000);
        size_t arrived = 0;
        fill(data, 300000, 0);
        connection_write(c, data, 300000);
        connection_finish(c, linger);
        assert_false(connection_is_open(c));
        assert_int_equal(connection_write(c, "x", 1), UV_EPIPE);
        assert_null(connection_reserve(c, 1));
        turn_for(5);
        assert_int_equal(o.closes, 0);
        take_until(&o, &arrived, 300000);
        TURN_UNTIL(take(&o, &arrived, SIZE_MAX) == -1);
        if (linger) { /* what the peer still says is dropped, until it closes */
            assert_int_equal(write(o.peer, "late", 4), 4);
            turn_for(20);
            assert_int_equal(o.closes, 0);
            close(o.peer);
        }
        TURN_UNTIL(o.closes);
        assert_int_equal(o.received, 0);
        assert_int_equal(o.ends, 0);
        assert_int_equal(o.reason, CONNECTION_DONE);
        if (!linger)
            close(o.peer);
        free(data);
    }
}

static void test_lingering_ends(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    connection_blame(c, CLOSE_BAD_REQUEST);
    connection_blame(c, CLOSE_OVERLOAD);
    connection_finish(c, true);
    TURN_UNTIL(o.closes);
    assert_int_equal(o.reason, CLOSE_BAD_REQUEST); /* the first one stays */
    close(o.peer);
}

static void test_finish_with_nothing_to_send(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    connection_finish(c, false);
    connection_finish(c, true);
    assert_int_equal(o.closes, 0); /* not from inside the call */
    TURN_UNTIL(o.closes);
    close_pair(&o);
}

static void test_close_from_anywhere(void **state) {
    for (int where = 0; where < 5; where++) {
        struct owner o;
        struct connection *c = open_pair(&o);
        char *data = calloc(1, 100000);
        size_t n = 100000;
        o.close_on_data = where == 0;
        o.close_on_end = where == 1;
        o.close_on_timeout = where == 2;
        o.close_on_drained = where == 3;
        connection_read_start(c);
        connection_write(c, data, n);
        if (where == 0)
            assert_int_equal(write(o.peer, "a", 1), 1);
        if (where == 1)
            shutdown(o.peer, SHUT_WR);
        if (where == 2)
            connection_set_deadline(c, 5);
        if (where == 4)
            connection_close(c, CLOSE_DRAIN_TIMEOUT, UV_ECANCELED);
        while (!o.closes) {
            if (where == 3)
                assert_true(read(o.peer, data, n) != 0);
            turn();
        }
        static const close_reason_t reasons[] = {CLOSE_BAD_REQUEST, CONNECTION_DONE,
                                                 CLOSE_HEAD_TIMEOUT, CLOSE_OVERLOAD,
                                                 CLOSE_DRAIN_TIMEOUT};
        assert_int_equal(o.reason, reasons[where]);
        free(data);
        close_pair(&o);
    }
}

static void test_close_twice(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    connection_write(c, "lost", 4);
    connection_close(c, CLOSE_OVERLOAD, UV_EBUSY);
    connection_close(c, CLOSE_BAD_REQUEST, 0);
    connection_finish(c, true);
    connection_flush(c);
    connection_read_start(c);
    connection_set_deadline(c, 1);
    assert_int_equal(connection_write(c, "x", 1), UV_EPIPE);
    assert_int_equal(o.closes, 0);
    turn_for(5);
    assert_int_equal(o.closes, 1);
    assert_int_equal(o.reason, CLOSE_OVERLOAD);
    assert_int_equal(o.error, UV_EBUSY);
    assert_int_equal(o.timeouts, 0);
    close_pair(&o);
}

static void test_finish_while_reading(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    o.finish_on_data = true;
    connection_read_start(c);
    assert_int_equal(write(o.peer, "a", 1), 1);
    TURN_UNTIL(o.received == 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(write(o.peer, "b", 1), 1);
        turn();
    }
    assert_int_equal(o.received, 1);
    close(o.peer);
    TURN_UNTIL(o.closes);
    assert_int_equal(o.reason, CONNECTION_DONE);
}

/* --- Deadlines -------------------------------------------------------------------------------- */

static void test_deadlines(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    uv_update_time(&uv);
    uint64_t start = uv_hrtime() / 1000000;
    connection_set_deadline(c, 40);
    TURN_UNTIL(o.timeouts);
    assert_true(o.timed_out_at - start >= 38);
    turn_for(60);
    assert_int_equal(o.timeouts, 1); /* once */

    uv_update_time(&uv);
    start = uv_hrtime() / 1000000;
    connection_set_deadline(c, 20);
    connection_set_deadline(c, 80); /* moved away: the timer stays, and looks again */
    TURN_UNTIL(o.timeouts == 2);
    assert_true(o.timed_out_at - start >= 78);

    uv_update_time(&uv);
    start = uv_hrtime() / 1000000;
    connection_set_deadline(c, 5000);
    connection_set_deadline(c, 30); /* moved here */
    TURN_UNTIL(o.timeouts == 3);
    assert_true(o.timed_out_at - start < 2000);

    connection_set_deadline(c, 20);
    connection_set_deadline(c, 0); /* taken away */
    turn_for(60);
    assert_int_equal(o.timeouts, 3);
    close_pair(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_sizes),
        cmocka_unit_test(test_many_small_ones_leave_together),
        cmocka_unit_test(test_drained_below_the_mark),
        cmocka_unit_test(test_write_timeout),
        cmocka_unit_test(test_peer_is_gone),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_reading_early),
        cmocka_unit_test(test_finish_sends_everything),
        cmocka_unit_test(test_lingering_ends),
        cmocka_unit_test(test_finish_with_nothing_to_send),
        cmocka_unit_test(test_close_from_anywhere),
        cmocka_unit_test(test_close_twice),
        cmocka_unit_test(test_finish_while_reading),
        cmocka_unit_test(test_deadlines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
