/* A connection over a socket pair: what is written arrives, whole and in order; then the end. */
#include "test_connection.h"

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
        size_t head = (size_t)rand() % 14;
        int way = n < head ? 0 : rand() % 4;
        if (way == 0 || n == 0) {
            assert_int_equal(connection_write(c, data, n), 0);
        } else if (way < 3) {
            assert_int_equal(connection_write_headed(c, data, head, data + head, n - head), 0);
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
