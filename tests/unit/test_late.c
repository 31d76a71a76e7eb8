/* Large messages that go on from where they were read, when all of the lot have been dealt with: in
 * order with what is written by other ways, and nobody keeps a buffer. */
#include "test_connection.h"

#include "../support/countdown.h"

#define COUNT 40

/* What it writes is told by its places, as test_connection.h has it. */
struct echoer {
    struct owner o; /* first: on_closed is its */
    size_t written, arrived, heard, sent, received;
    bool finishes, closes;
    struct echoer *others; /* to whom it goes, or NULL: back */
};

static struct echoer echoers[COUNT];
static bool scarce; /* memory is */

/* Written, or it can't be: then it is being closed. */
static void count(struct echoer *e, int err, size_t n) {
    assert_true(err == 0 || scarce || !connection_is_open(e->o.connection));
    e->written += err ? 0 : n;
}

static void write_late(struct echoer *e, char *data, size_t n) {
    struct connection *c = e->o.connection;
    char head[LATE_HEAD];
    size_t length = (size_t)rand() % (sizeof head + 1);
    bool flies = c->in_flight;
    fill(head, length, e->written);
    fill(data, n, e->written + length); /* it is ours */
    int err = connection_write_headed(c, head, length, data, n);
    count(e, err, length + n);
    if (c->late)
        assert_true(c->pending >= length + n);
    else
        assert_true(flies || err || scarce || loop.late_count == READS_TOGETHER);
}

static int write_somehow(struct connection *c, const char *data, size_t n) {
    int way = rand() % 3;
    if (way == 0)
        return connection_write(c, data, n);
    if (way == 1) {
        char *room = connection_reserve(c, n);
        if (!room)
            return UV_EPIPE;
        memcpy(room, data, n);
        connection_commit(c, n);
        return 0;
    }
    struct shared *shared = shared_new(n);
    if (!shared)
        return UV_ENOMEM;
    memcpy(shared->data, data, n);
    struct part part = shared_whole(shared);
    int err = connection_write_shared(c, &part);
    shared_release(shared);
    return err;
}

static void write_other(struct echoer *e) {
    char data[CHUNK_SIZE + 100];
    size_t n = rand() % 4 ? 1 + (size_t)rand() % 100 : sizeof data;
    fill(data, n, e->written);
    int err = write_somehow(e->o.connection, data, n);
    count(e, err, n);
    if (!err)
        assert_false(e->o.connection->late);
}

/* One or two of them, and others before, between and behind. */
static void answer(struct echoer *e, char *data, size_t n) {
    size_t first = rand() % 3 ? n : n / 2;
    if (rand() % 3 == 0)
        write_other(e);
    write_late(e, data, first);
    if (rand() % 3 == 0) {
        connection_flush(e->o.connection);
        assert_false(e->o.connection->late);
    }
    if (rand() % 3 == 0)
        write_other(e);
    if (first < n)
        write_late(e, data + first, n - first);
    if (rand() % 3 == 0)
        write_other(e);
}

static void hand_out(struct echoer *others, char *data, size_t n) {
    size_t each = n / COUNT;
    for (size_t i = 0; i < COUNT && each > 0; i++)
        write_late(&others[i], data + i * each, each);
}

static void on_message(struct connection *c, char *data, size_t n) {
    struct echoer *e = c->owner;
    e->heard++;
    e->received += n;
    if (e->others)
        hand_out(e->others, data, n);
    else
        answer(e, data, n);
    if (e->finishes)
        connection_finish(c, false);
    if (e->closes)
        connection_close(c, CLOSE_OVERLOAD, 0);
}

static struct connection_events echoing;

static void open_echoer(struct echoer *e) {
    struct connection *c = open_pair(&e->o);
    memset(&e->written, 0, sizeof *e - offsetof(struct echoer, written));
    connection_own(c, &echoing, e);
    connection_read_start(c);
}

static int open_all(void **state) {
    echoing = events;
    echoing.data = on_message;
    for (size_t i = 0; i < COUNT; i++)
        open_echoer(&echoers[i]);
    return 0;
}

static int close_all(void **state) {
    for (size_t i = 0; i < COUNT; i++)
        close_pair(&echoers[i].o);
    assert_int_equal(loop.late_count, 0);
    assert_int_equal(loop.read_buffer->holders, 0);
    read_buffers_trim(&loop);
    assert_int_equal(loop.read_buffers, 1);
    return 0;
}

static void send_to(struct echoer *e, size_t n) {
    char *data = calloc(1, n);
    assert_int_equal(write(e->o.peer, data, n), n);
    e->sent += n;
    free(data);
}

static void all_arrives(struct echoer *e) {
    TURN_UNTIL(e->received == e->sent || e->o.closes);
    take_until(&e->o, &e->arrived, e->written);
    if (e->o.connection)
        TURN_UNTIL(e->o.connection->pending == 0);
}

/* --- The tests -------------------------------------------------------------------------------- */

static void test_lots(void **state) {
    for (int round = 0; round < 60; round++) {
        for (size_t i = 0; i < COUNT; i++)
            if (rand() % 4)
                send_to(&echoers[i], 2 + (size_t)rand() % (LOOP_READ_BUFFER < 100 ? 500 : 20000));
        turn_for(2);
        assert_int_equal(loop.late_count, 0);
        assert_int_equal(loop.read_buffer->holders, 0);
        for (size_t i = 0; i < COUNT; i++)
            if (rand() % 2)
                take(&echoers[i].o, &echoers[i].arrived, (size_t)rand() % 5000);
            else
                all_arrives(&echoers[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(echoers[i].heard > 10);
        all_arrives(&echoers[i]);
    }
}

/* More of them than wait at once. */
static void test_to_many(void **state) {
    struct echoer source;
    open_echoer(&source);
    source.others = echoers;
    for (int round = 0; round < 20; round++) {
        send_to(&source, COUNT * 100);
        TURN_UNTIL(source.received == source.sent);
        for (size_t i = 0; i < COUNT; i++)
            all_arrives(&echoers[i]);
    }
    close_pair(&source.o);
}

static void test_then_finished(void **state) {
    for (size_t i = 0; i < COUNT; i++) {
        echoers[i].finishes = true;
        send_to(&echoers[i], LOOP_READ_BUFFER < 100 ? 20 : 6000);
    }
    for (size_t i = 0; i < COUNT; i++) {
        all_arrives(&echoers[i]);
        TURN_UNTIL(take(&echoers[i].o, &echoers[i].arrived, SIZE_MAX) == -1);
        assert_int_equal(echoers[i].arrived, echoers[i].written);
        TURN_UNTIL(echoers[i].o.closes);
        assert_int_equal(echoers[i].o.reason, CONNECTION_DONE);
    }
}

static void test_then_closed(void **state) {
    for (size_t i = 0; i < COUNT; i++) {
        echoers[i].closes = true;
        send_to(&echoers[i], 20);
    }
    for (size_t i = 0; i < COUNT; i++) {
        TURN_UNTIL(echoers[i].o.closes);
        assert_int_equal(echoers[i].o.reason, CLOSE_OVERLOAD);
    }
}

/* It has asked, and is gone before it gets the answer. */
static void test_peer_is_gone(void **state) {
    for (size_t i = 0; i < COUNT; i += 2) {
        send_to(&echoers[i], 500);
        close(echoers[i].o.peer);
        send_to(&echoers[i + 1], 500);
    }
    for (size_t i = 0; i < COUNT; i += 2) {
        TURN_UNTIL(echoers[i].o.closes);
        assert_int_equal(echoers[i].o.reason, CLOSE_WRITE_ERROR);
        echoers[i].o.peer = dup(0);
        all_arrives(&echoers[i + 1]);
    }
}

/* What the system does not take is copied, or else the stream is broken. */
static void test_no_memory(void **state) {
    struct echoer *e = &echoers[0];
    if (LOOP_READ_BUFFER < 100)
        skip(); /* a build in which there is nothing large */
    scarce = true;
    for (int i = 0; !e->o.closes; i++) {
        size_t heard = e->heard;
        assert_true(i < 100);
        send_to(e, 100000);
        countdown = i % 5;
        TURN_UNTIL(e->heard > heard || e->o.closes);
        turn();
        countdown = -1;
        if (!e->o.closes)
            all_arrives(e);
    }
    scarce = false;
    assert_int_equal(e->o.reason, CLOSE_NO_MEMORY);
    assert_int_equal(e->o.error, UV_ENOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lots, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_to_many, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_then_finished, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_then_closed, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_peer_is_gone, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_no_memory, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
