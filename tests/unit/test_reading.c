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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_reading_early),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
