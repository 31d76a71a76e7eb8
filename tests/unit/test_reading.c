/* What a connection's owner is told of what comes in. */
#include "test_connection.h"

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

/* What is there comes before libuv has looked; what is not, when it has. */
static void test_reading_early(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    assert_int_equal(write(o.peer, "early", 5), 5);
    connection_read_early(c); /* which is not read */
    connection_take_reads(&loop);
    assert_int_equal(o.received, 0);
    connection_read_start(c);
    connection_read_early(c);
    connection_take_reads(&loop);
    assert_int_equal(o.received, 5);
    connection_read_early(c); /* nothing is there */
    connection_take_reads(&loop);
    assert_int_equal(o.received, 5);
    assert_int_equal(write(o.peer, "late", 4), 4);
    TURN_UNTIL(o.received == 9);
    assert_int_equal(write(o.peer, "x", 1), 1);
    connection_read_early(c);
    connection_read_stop(c); /* somebody has changed his mind */
    connection_take_reads(&loop);
    assert_int_equal(o.received, 9);
    connection_read_start(c);
    connection_read_early(c);
    shutdown(o.peer, SHUT_WR);
    TURN_UNTIL(o.ends);
    assert_int_equal(o.received, 10);
    close_pair(&o);

    c = open_pair(&o);
    connection_read_start(c);
    assert_int_equal(write(o.peer, "x", 1), 1);
    connection_read_early(c);
    close_pair(&o);
    assert_int_equal(o.received, 0);
}

/* --- Many in one turn ------------------------------------------------------------------------- */

/* A buffer that is small for the test ends a lot before it is complete. */
enum {
    ROOM = (1 / CACHE_LINE + 1) * CACHE_LINE, /* for a byte */
    FULL = READS_SIZE / ROOM + 1,
    LOT = FULL < READS_TOGETHER ? FULL : READS_TOGETHER,
    MANY = 2 * READS_TOGETHER + 3
};

static struct owner owners[MANY];
static size_t heard; /* by all of them */

static void open_many(void) {
    heard = 0;
    for (size_t i = 0; i < MANY; i++)
        connection_read_start(open_pair(&owners[i]));
    turn();
}

static void close_many(void) {
    for (size_t i = 0; i < MANY; i++)
        close_pair(&owners[i]);
}

/* Each of them, at the same time. */
static void send_to_many(const char *text) {
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(write(owners[i].peer, text, strlen(text)), (ssize_t)strlen(text));
}

static ssize_t came_back(struct owner *o) {
    char buffer[16];
    return read(o->peer, buffer, sizeof buffer);
}

static size_t answered(void) {
    size_t n = 0;
    for (size_t i = 0; i < MANY; i++)
        n += came_back(&owners[i]) > 0;
    return n;
}

/* Nobody has an answer before its lot is dealt with, and everybody of it has one then. */
static void answer_in_lots(struct owner *o) {
    size_t lots = heard++ / LOT;
    connection_write(o->connection, "!", 1);
    if (heard % LOT == 1)
        assert_int_equal(answered(), lots ? LOT : 0);
    else
        assert_int_equal(answered(), 0);
}

static void test_answers_leave_in_lots(void **state) {
    open_many();
    for (size_t i = 0; i < MANY; i++)
        owners[i].then = answer_in_lots;
    send_to_many("x");
    uv_run(&uv, UV_RUN_NOWAIT);
    assert_int_equal(heard, MANY);
    assert_int_equal(answered(), MANY % LOT);
    close_many();
}

/* A lot is complete before the turn ends. */
static void test_early_in_lots(void **state) {
    open_many();
    send_to_many("x");
    for (size_t i = 0; i < MANY; i++) {
        connection_read_early(owners[i].connection);
        size_t taken = (i + 1) / READS_TOGETHER * READS_TOGETHER;
        for (size_t j = 0; j < MANY; j++)
            assert_int_equal(owners[j].received, j < taken);
    }
    uv_run(&uv, UV_RUN_NOWAIT);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(owners[i].received, 1);
    close_many();
}

static void close_all_others(struct owner *o) {
    heard++;
    for (size_t i = 0; i < MANY; i++)
        if (&owners[i] != o)
            connection_close(owners[i].connection, CLOSE_OVERLOAD, 0);
}

/* Who is closed hears no more, though it was read already. */
static void test_closed_by_another(void **state) {
    open_many();
    for (size_t i = 0; i < MANY; i++)
        owners[i].then = close_all_others;
    send_to_many("x");
    turn_for(5);
    assert_int_equal(heard, 1);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(owners[i].received + owners[i].closes, 1);
    close_many();
}

static void stop_all(struct owner *o) {
    heard++;
    for (size_t i = 0; i < MANY; i++)
        connection_read_stop(owners[i].connection);
}

/* Who is stopped gets what was read, and the end when it goes on. */
static void test_stopped_by_another(void **state) {
    open_many();
    for (size_t i = 0; i < MANY; i++)
        owners[i].then = stop_all;
    send_to_many("x");
    uv_run(&uv, UV_RUN_NOWAIT);
    assert_in_range(heard, 1, READS_TOGETHER);
    size_t read_before = heard;
    turn_for(5);
    assert_int_equal(heard, read_before);
    for (size_t i = 0; i < MANY; i++)
        connection_read_start(owners[i].connection);
    for (size_t i = 0; i < MANY; i++)
        owners[i].then = NULL;
    for (size_t i = 0; i < MANY; i++)
        TURN_UNTIL(owners[i].received == 1);

    owners[0].then = stop_all;
    assert_int_equal(write(owners[0].peer, "y", 1), 1);
    for (size_t i = 1; i < MANY; i++)
        shutdown(owners[i].peer, SHUT_WR);
    uv_run(&uv, UV_RUN_NOWAIT);
    size_t ended = 0;
    for (size_t i = 1; i < MANY; i++)
        ended += owners[i].ends;
    assert_true(ended < MANY - 1);
    turn_for(5);
    for (size_t i = 1; i < MANY; i++)
        if (!owners[i].ends)
            connection_read_start(owners[i].connection);
    for (size_t i = 1; i < MANY; i++) {
        TURN_UNTIL(owners[i].ends);
        assert_int_equal(owners[i].ends, 1);
        assert_int_equal(owners[i].received, 1);
    }
    close_many();
}

static char large[70000];

/* What is read lies apart from what waits: each gets its own bytes. */
static void check_bytes(struct connection *c, char *data, size_t n) {
    struct owner *o = c->owner;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(data[i], (char)(o - owners + 1));
    memset(data, '!', n);
    o->received += n;
}

/* To each another amount; returns what will have come from all. */
static size_t send_large_ones(const struct connection_events *checking) {
    size_t sent = 0;
    for (size_t i = 0; i < MANY; i++) {
        connection_own(owners[i].connection, checking, &owners[i]);
        memset(large, (int)(i + 1), sizeof large);
        ssize_t n = write(owners[i].peer, large, i % 3 ? sizeof large : 10);
        assert_true(n > 0);
        sent += (size_t)n;
    }
    return sent;
}

static size_t received_by_all(void) {
    size_t n = 0;
    for (size_t i = 0; i < MANY; i++)
        n += owners[i].received;
    return n;
}

static void test_large_ones_share_the_buffer(void **state) {
    struct connection_events checking = events;
    checking.data = check_bytes;
    for (int early = 0; early < 2; early++) {
        open_many();
        size_t sent = send_large_ones(&checking);
        for (size_t i = 0; early && i < MANY; i++)
            connection_read_early(owners[i].connection);
        TURN_UNTIL(received_by_all() == sent);
        turn_for(5);
        assert_int_equal(received_by_all(), sent);
        assert_int_equal(loop.arrived, 0);
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(owners[i].ends + owners[i].closes, 0);
        close_many();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_reading_early),
        cmocka_unit_test(test_answers_leave_in_lots),
        cmocka_unit_test(test_early_in_lots),
        cmocka_unit_test(test_closed_by_another),
        cmocka_unit_test(test_stopped_by_another),
        cmocka_unit_test(test_large_ones_share_the_buffer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
