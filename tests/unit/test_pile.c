/* Small bytes for many: made one behind the other, held by whoever has not sent them, and sent to
 * each in the order in which they were written to it, whatever else was. */
#include "runtime/pile.h"

#include "runtime/connection.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RECEIVERS 5
#define ROUNDS 4000
#define MUCH (16u << 20)

static uv_loop_t uv;
static struct loop loop;

static int setup(void **state) {
    signal(SIGPIPE, SIG_IGN);
    srand(1);
    return uv_loop_init(&uv) || loop_init(&loop, &uv, 65536, 10);
}

static int teardown(void **state) {
    assert_int_equal(loop.counts.connections, 0);
    assert_int_equal(loop.counts.write_chunks, 0);
    loop_close(&loop);
    while (loop.handles_open)
        uv_run(&uv, UV_RUN_NOWAIT);
    loop_destroy(&loop);
    assert_null(loop.pile.bytes);
    return uv_loop_close(&uv);
}

/* --- By itself -------------------------------------------------------------------------------- */

static struct part make(struct pile *pile, const char *text) {
    size_t n = strlen(text);
    char *room = pile_reserve(pile, n + 10);
    assert_non_null(room);
    memcpy(room, text, n);
    return pile_take(pile, n);
}

static void assert_part(const struct part *part, const char *text) {
    assert_int_equal(part->length, strlen(text));
    assert_memory_equal(part->data, text, part->length);
}

static void test_one_behind_the_other(void **state) {
    struct pile pile = {0};
    struct part one = make(&pile, "one"), two = make(&pile, "two");
    assert_part(&one, "one");
    assert_part(&two, "two");
    assert_ptr_equal(one.of, two.of);
    assert_ptr_equal(one.data + 3, two.data);
    shared_release(one.of);
    struct part three = make(&pile, "three"); /* two is still held */
    assert_ptr_equal(two.data + 3, three.data);
    assert_part(&two, "two");
    shared_release(two.of);
    pile_trim(&pile);
    assert_non_null(pile.bytes);
    shared_release(three.of);
    struct part first = make(&pile, "first"); /* nobody holds anything: from the beginning */
    assert_ptr_equal(first.data, one.data);
    shared_release(first.of);
    pile_trim(&pile);
    assert_null(pile.bytes);
    pile_trim(&pile);
}

static void test_a_full_one(void **state) {
    struct pile pile = {0};
    struct part first = make(&pile, "first"), last = {0};
    size_t count = 1;
    do {
        shared_release(last.of);
        assert_non_null(pile_reserve(&pile, PILE_LARGEST));
        last = pile_take(&pile, PILE_LARGEST);
        count++;
    } while (last.of == first.of);
    assert_true(count > PILE_SIZE / PILE_LARGEST);
    assert_part(&first, "first"); /* the former goes with who holds it */
    shared_release(first.of);
    shared_release(last.of);
    pile_trim(&pile);
}

static void test_alone(void **state) {
    struct pile pile = {0};
    struct part one = make(&pile, "one");
    struct shared *alone = part_alone(&one), *whole = shared_new(4);
    shared_release(one.of);
    pile_trim(&pile);
    assert_null(pile.bytes); /* it does not keep the others */
    assert_int_equal(alone->length, 3);
    assert_memory_equal(alone->data, "one", 3);
    shared_release(alone);
    struct part all = shared_whole(whole);
    assert_ptr_equal(part_alone(&all), whole);
    assert_int_equal(whole->references, 2);
    shared_release(whole);
    shared_release(whole);
}

/* --- Sent ------------------------------------------------------------------------------------- */

struct receiver {
    struct connection *connection;
    int peer;
    char *expected;
    size_t length, arrived;
    bool closed;
};

static void on_closed(struct connection *c) {
    ((struct receiver *)c->owner)->closed = true;
}

static const struct connection_events events = {.closed = on_closed};

static void open_pair(struct receiver *r) {
    static const http_options_t limits = {.high_water = SIZE_MAX};
    uv_os_sock_t fds[2];
    int small = 8192;
    assert_int_equal(uv_socketpair(SOCK_STREAM, 0, fds, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    struct connection *c = connection_new(&loop, UV_NAMED_PIPE);
    assert_non_null(c);
    assert_int_equal(uv_pipe_open(connection_pipe(c), fds[0]), 0);
    connection_own(c, &events, r);
    c->limits = &limits;
    *r = (struct receiver){.connection = c, .peer = fds[1], .expected = malloc(MUCH)};
    assert_non_null(r->expected);
}

static void expect(struct receiver *r, const char *data, size_t n) {
    assert_true(r->length + n <= MUCH);
    memcpy(r->expected + r->length, data, n);
    r->length += n;
}

static bool receive(struct receiver *r, size_t most) {
    char buffer[20000];
    ssize_t n = read(r->peer, buffer, most < sizeof buffer ? most : sizeof buffer);
    if (n <= 0)
        return false;
    assert_true(r->arrived + (size_t)n <= r->length);
    assert_memory_equal(buffer, r->expected + r->arrived, (size_t)n);
    r->arrived += (size_t)n;
    return true;
}

static void close_pair(struct receiver *r) {
    if (!r->closed)
        connection_close(r->connection, CONNECTION_DONE, 0);
    while (!r->closed)
        uv_run(&uv, UV_RUN_NOWAIT);
    close(r->peer);
    free(r->expected);
}

static struct part make_random(size_t n) {
    struct shared *shared = n > PILE_LARGEST ? shared_new(n) : NULL;
    char *room = shared ? shared->data : pile_reserve(&loop.pile, n);
    assert_non_null(room);
    for (size_t i = 0; i < n; i++)
        room[i] = (char)rand();
    return shared ? shared_whole(shared) : pile_take(&loop.pile, n);
}

/* Something for most of them, which then is theirs alone. */
static void publish(struct receiver *receivers) {
    static const size_t sizes[] = {1, 66, 66, 66, 300, PILE_LARGEST, PILE_LARGEST + 1, 5000};
    struct part part = make_random(sizes[(size_t)rand() % (sizeof sizes / sizeof *sizes)]);
    for (int i = 0; i < RECEIVERS; i++) {
        if (rand() % 8 == 0)
            continue;
        assert_int_equal(connection_write_shared(receivers[i].connection, &part), 0);
        expect(&receivers[i], part.data, part.length);
    }
    shared_release(part.of);
}

static void write_one(struct receiver *r) {
    char data[200];
    size_t n = (size_t)rand() % sizeof data;
    memset(data, rand(), n);
    assert_int_equal(connection_write(r->connection, data, n), 0);
    expect(r, data, n);
}

static void test_in_order(void **state) {
    struct receiver receivers[RECEIVERS];
    for (int i = 0; i < RECEIVERS; i++)
        open_pair(&receivers[i]);
    for (int round = 0; round < ROUNDS; round++) {
        struct receiver *r = &receivers[(size_t)rand() % RECEIVERS];
        publish(receivers);
        if (rand() % 8 == 0)
            write_one(r);
        if (rand() % 8 == 0)
            connection_flush(r->connection);
        if (rand() % 4 == 0)
            uv_run(&uv, UV_RUN_NOWAIT);
        receive(r, 1 + (size_t)rand() % 20000); /* more than comes, and now and then less */
    }
    for (int i = 0; i < RECEIVERS; i++) {
        while (receivers[i].arrived < receivers[i].length)
            if (!receive(&receivers[i], SIZE_MAX))
                uv_run(&uv, UV_RUN_NOWAIT);
        assert_int_equal(receivers[i].connection->pending, 0);
    }
    assert_int_equal(loop.counts.write_chunks, 0);
    assert_int_equal(loop.pile.bytes->references, 1);
    for (int i = 0; i < RECEIVERS; i++)
        close_pair(&receivers[i]);
}

/* What a turn publishes is one piece for each, and nothing of it is copied. */
static void test_one_piece(void **state) {
    struct receiver receivers[2];
    for (int i = 0; i < 2; i++)
        open_pair(&receivers[i]);
    for (int message = 0; message < 20; message++) {
        struct part part = make_random(66);
        for (int i = 0; i < 2; i++) {
            connection_write_shared(receivers[i].connection, &part);
            expect(&receivers[i], part.data, part.length);
        }
        shared_release(part.of);
    }
    assert_int_equal(loop.counts.write_chunks, 2);
    assert_int_equal(loop.pile.bytes->references, 3);
    connection_flush(receivers[0].connection);
    connection_close(receivers[1].connection, CLOSE_OVERLOAD, 0); /* unsent */
    while (receive(&receivers[0], SIZE_MAX))
        ;
    assert_int_equal(receivers[0].arrived, 20 * 66);
    for (int i = 0; i < 2; i++)
        close_pair(&receivers[i]);
    assert_int_equal(loop.pile.bytes->references, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_behind_the_other),
        cmocka_unit_test(test_a_full_one),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_one_piece),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
