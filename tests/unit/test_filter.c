/* A filter on a connection: what goes through it arrives, in records that are full, and so does the
 * end. The one here gives each record its length, and turns the bits of what it seals. */
#include "runtime/connection.h"

#include <errno.h>
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

/* --- The filter ------------------------------------------------------------------------------- */

#define END 0xffff /* in place of a length */

struct toy {
    struct filter filter; /* first */
    size_t records, sealed, ends;
    size_t starts, stops; /* of being busy */
    int err;              /* what `seal` returns */
    char held[FILTER_RECORD + 2];
    size_t held_length;
};

static void turn_bits(char *to, const char *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = (char)~from[i];
}

static void put_length(char *to, size_t n) {
    to[0] = (char)(n >> 8);
    to[1] = (char)n;
}

static size_t get_length(const char *from) {
    return (size_t)(unsigned char)from[0] << 8 | (unsigned char)from[1];
}

/* Bytes that are left are kept until the rest comes. */
static void toy_receive(struct filter *filter, char *data, ssize_t n) {
    struct toy *toy = (struct toy *)filter;
    char *plain = loop.read_buffer->data;
    size_t length = 0;
    bool end = false;
    if (n < 0) {
        connection_deliver(filter->connection, NULL, n);
        return;
    }
    for (ssize_t i = 0; i < n && !end; i++) {
        toy->held[toy->held_length++] = data[i];
        if (toy->held_length < 2)
            continue;
        size_t record = get_length(toy->held);
        end = record == END;
        if (!end && toy->held_length == record + 2) {
            turn_bits(plain + length, toy->held + 2, record);
            length += record;
            toy->held_length = 0;
        }
    }
    if (length)
        connection_deliver(filter->connection, plain, (ssize_t)length);
    if (end)
        filter_exhaust(filter);
}

static int toy_seal(struct filter *filter, const char *data, size_t n) {
    struct toy *toy = (struct toy *)filter;
    static char record[FILTER_RECORD + 2];
    assert_true(n > 0 && n <= FILTER_RECORD);
    if (toy->err)
        return toy->err;
    put_length(record, n);
    turn_bits(record + 2, data, n);
    toy->records++;
    toy->sealed += n;
    return filter_put(filter, record, n + 2) ? 0 : UV_ENOMEM;
}

static void toy_end(struct filter *filter) {
    ((struct toy *)filter)->ends++;
    filter_put(filter, "\xff\xff", 2);
}

static void toy_busy(struct filter *filter, bool busy) {
    struct toy *toy = (struct toy *)filter;
    *(busy ? &toy->starts : &toy->stops) += 1;
}

static void toy_free(struct filter *filter) {
}

static const char *toy_reason(const struct filter *filter) {
    return ((const struct toy *)filter)->err ? "a toy's reason" : NULL;
}

static const struct filter_ops toy_ops = {
    .receive = toy_receive,
    .seal = toy_seal,
    .end = toy_end,
    .busy = toy_busy,
    .free = toy_free,
    .reason = toy_reason,
};

/* --- The owner -------------------------------------------------------------------------------- */

struct owner {
    struct connection *connection; /* NULL when it is closed */
    struct toy toy;
    int peer; /* the other end, non-blocking */
    char *received;
    size_t length, pieces, ends, drains, closes;
    close_reason_t reason;
    int error;
};

static void on_data(struct connection *c, char *data, size_t n) {
    struct owner *o = c->owner;
    o->received = realloc(o->received, o->length + n);
    memcpy(o->received + o->length, data, n);
    o->length += n;
    o->pieces++;
    memset(data, '!', n); /* it is ours */
}

static void on_end(struct connection *c) {
    ((struct owner *)c->owner)->ends++;
}

static void on_timeout(struct connection *c) {
}

static void on_drained(struct connection *c) {
    ((struct owner *)c->owner)->drains++;
}

static void on_closed(struct connection *c) {
    struct owner *o = c->owner;
    o->closes++;
    o->reason = c->reason;
    o->error = c->error;
    if (o->toy.err)
        assert_string_equal(connection_error_text(c), "a toy's reason");
    o->connection = NULL;
}

static const struct connection_events events = {
    .data = on_data,
    .end = on_end,
    .timeout = on_timeout,
    .drained = on_drained,
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
    assert_true(filter_attach(&o->toy.filter, &toy_ops, c));
    o->connection = c;
    o->peer = fds[1];
    return c;
}

static void turn(void) {
    uv_run(&uv, UV_RUN_NOWAIT);
    usleep(200);
}

#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t since = uv_hrtime() / 1000000;                                                    \
        while (!(condition)) {                                                                     \
            assert_true(uv_hrtime() / 1000000 - since < PATIENCE);                                 \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

static void close_pair(struct owner *o) {
    if (o->connection)
        connection_close(o->connection, CONNECTION_DONE, 0);
    TURN_UNTIL(o->closes);
    assert_int_equal(o->closes, 1);
    close(o->peer);
    free(o->received);
}

/* --- The peer --------------------------------------------------------------------------------- */

static unsigned char byte_at(size_t place) {
    return (unsigned char)(place * 31 + (place >> 8) * 7 + (place >> 16));
}

static void fill(char *data, size_t n, size_t place) {
    for (size_t i = 0; i < n; i++)
        data[i] = (char)byte_at(place + i);
}

/* What has come to the peer: records are opened, and their bytes checked. */
struct peer {
    char held[FILTER_RECORD + 2];
    size_t length, place, records, fullest;
    bool said_end, ended;
};

static void check_record(struct peer *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        assert_int_equal((unsigned char)~p->held[2 + i], byte_at(p->place + i));
    p->place += n;
    p->records++;
    p->fullest = n > p->fullest ? n : p->fullest;
    p->length = 0;
}

static void take(struct owner *o, struct peer *p, size_t most) {
    char buffer[4096];
    ssize_t n = read(o->peer, buffer, most < sizeof buffer ? most : sizeof buffer);
    p->ended = n == 0;
    for (ssize_t i = 0; i < n; i++) {
        assert_false(p->said_end);
        p->held[p->length++] = buffer[i];
        size_t record = p->length < 2 ? FILTER_RECORD : get_length(p->held);
        p->said_end = record == END;
        if (!p->said_end && p->length == record + 2)
            check_record(p, record);
    }
}

static void take_until(struct owner *o, struct peer *p, size_t end) {
    uint64_t since = uv_hrtime() / 1000000;
    while (p->place < end) {
        assert_true(uv_hrtime() / 1000000 - since < PATIENCE);
        take(o, p, SIZE_MAX);
        uv_run(&uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(p->place, end);
}

static void put(struct owner *o, const char *text) {
    char record[100];
    size_t n = strlen(text);
    put_length(record, n);
    turn_bits(record + 2, text, n);
    for (size_t i = 0; i < n + 2; i++) { /* each byte on its own */
        assert_int_equal(write(o->peer, record + i, 1), 1);
        turn();
    }
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void test_any_sizes(void **state) {
    static const size_t sizes[] = {1, 2, 100, 4096, 16384, 16385, 33333, 70000, 1024 * 1024};
    struct owner o;
    struct peer p = {0};
    struct connection *c = open_pair(&o);
    char *data = malloc(1024 * 1024);
    size_t written = 0;
    c->limits = &(http_options_t){.high_water = 65536};
    for (int round = 0; round < 300; round++) {
        size_t n = sizes[(size_t)rand() % (sizeof sizes / sizeof *sizes)];
        if (rand() % 8 && n > 100000)
            n = 10;
        fill(data, n, written);
        if (rand() % 3 == 0) {
            struct shared *shared = shared_new(n);
            assert_non_null(shared);
            memcpy(shared->data, data, n);
            struct part part = shared_whole(shared);
            assert_int_equal(connection_write_shared(c, &part), 0);
            shared_release(shared);
        } else {
            assert_int_equal(connection_write(c, data, n), 0);
        }
        memset(data, '?', n); /* it is the caller's again */
        written += n;
        if (rand() % 4 == 0)
            connection_flush(c);
        if (rand() % 2)
            turn();
        for (int reads = rand() % 16; reads > 0; reads--)
            take(&o, &p, 1 + (size_t)rand() % 4096);
    }
    take_until(&o, &p, written);
    TURN_UNTIL(c->pending == 0);
    assert_int_equal(o.toy.filter.waiting, 0);
    assert_true(o.drains > 0);
    assert_int_equal(o.toy.sealed, written);
    assert_int_equal(loop.counts.write_chunks, 0);
    free(data);
    close_pair(&o);
}

static void test_records_fill_up(void **state) {
    struct owner o;
    struct peer p = {0};
    struct connection *c = open_pair(&o);
    char byte;
    for (size_t i = 0; i < 3000; i++) {
        fill(&byte, 1, i);
        assert_int_equal(connection_write(c, &byte, 1), 0);
    }
    assert_int_equal(o.toy.records, 0); /* not before the turn ends */
    take_until(&o, &p, 3000);
    assert_true(p.records <= 1 + 3000 / (32 * (CHUNK_SIZE / 2))); /* the chunks may be small */

    struct shared *shared = shared_new(2000); /* what others hold, too, is joined as well */
    struct part part = shared_whole(shared);
    for (size_t i = 0; i < 8; i++) {
        fill(shared->data, 2000, 3000);
        assert_int_equal(connection_write_shared(c, &part), 0);
    }
    o.toy.records = 0;
    connection_flush(c);
    assert_int_equal(o.toy.records, 1);
    shared_release(shared);
    close_pair(&o);
}

/* What waits behind a slow socket waits unsealed. */
static void test_little_is_sealed_ahead(void **state) {
    struct owner o;
    struct peer p = {0};
    struct connection *c = open_pair(&o);
    char *data = malloc(4 << 20);
    fill(data, 4 << 20, 0);
    assert_int_equal(connection_write(c, data, 4 << 20), 0);
    for (int i = 0; i < 20; i++)
        turn();
    assert_true(o.toy.sealed <= 1 << 20);
    assert_true(c->pending > 3 << 20);
    take_until(&o, &p, 4 << 20);
    assert_int_equal(p.fullest, FILTER_RECORD);
    free(data);
    close_pair(&o);
}

static void test_the_end_is_said(void **state) {
    for (int linger = 0; linger < 2; linger++) {
        struct owner o;
        struct peer p = {0};
        struct connection *c = open_pair(&o);
        char data[50000];
        fill(data, sizeof data, 0);
        connection_write(c, data, sizeof data);
        connection_finish(c, linger);
        assert_int_equal(connection_write(c, data, 1), UV_EPIPE);
        take_until(&o, &p, sizeof data);
        while (!p.ended) {
            take(&o, &p, SIZE_MAX);
            turn();
        }
        assert_true(p.said_end);
        assert_int_equal(o.toy.ends, 1);
        close_pair(&o);
        assert_int_equal(o.reason, CONNECTION_DONE);
    }
}

static void test_an_end_by_force_is_not_said(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    connection_write(c, "abc", 3);
    connection_close(c, CLOSE_HANDLER_FAILED, 0);
    close_pair(&o);
    assert_int_equal(o.toy.ends, 0);
}

static void test_reading(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    connection_read_start(c);
    put(&o, "hello");
    put(&o, ", world");
    TURN_UNTIL(o.length == 12);
    assert_memory_equal(o.received, "hello, world", 12);
    assert_int_equal(o.pieces, 2);
    assert_int_equal(o.ends, 0);
    assert_int_equal(write(o.peer, "\xff\xff", 2), 2);
    TURN_UNTIL(o.ends == 1);
    turn();
    assert_int_equal(o.ends, 1);
    assert_false(c->reading);
    for (size_t i = 2; i < 5; i++) { /* whoever reads again hears of it again */
        connection_read_start(c);
        assert_int_equal(o.ends, i - 1);
        TURN_UNTIL(o.ends == i);
    }
    connection_read_start(c);
    connection_read_stop(c);
    turn();
    assert_int_equal(o.ends, 4);
    close_pair(&o);
}

/* Nothing follows from the peer: there is nothing to wait for after our last words. */
static void test_no_lingering_after_the_end(void **state) {
    struct owner o;
    struct connection *c = open_pair(&o);
    connection_read_start(c);
    assert_int_equal(write(o.peer, "\xff\xff", 2), 2);
    TURN_UNTIL(o.ends == 1);
    connection_finish(c, true);
    turn();
    turn();
    assert_int_equal(o.closes, 1);
    close_pair(&o);
}

static void test_sealing_fails(void **state) {
    static const int errors[] = {UV_ENOMEM, UV_EPROTO};
    for (size_t i = 0; i < 4; i++) {
        struct owner o;
        struct connection *c = open_pair(&o);
        char data[20000] = "";
        o.toy.err = errors[i / 2];
        int err = connection_write(c, data, i % 2 ? 10 : sizeof data);
        assert_int_equal(err, i % 2 ? 0 : UV_EPIPE);
        TURN_UNTIL(o.closes);
        assert_int_equal(o.reason, i / 2 ? CLOSE_WRITE_ERROR : CLOSE_NO_MEMORY);
        assert_int_equal(o.error, errors[i / 2]);
        close_pair(&o);
    }
}

/* --- Who is busy ------------------------------------------------------------------------------ */

static void let_time_pass(void) {
    uint64_t now = loop_now(&loop), wheel = loop.wheel.now;
    timer_wheel_advance(&loop.wheel, (now > wheel ? now : wheel) + FILTER_BUSY_TIME);
}

static void use(struct owner *o, int times) {
    for (int i = 0; i < times; i++) {
        char record[3];
        connection_write(o->connection, "a", 1);
        connection_flush(o->connection);
        assert_int_equal(read(o->peer, record, sizeof record), sizeof record);
    }
}

static void test_busy_until_it_is_quiet(void **state) {
    struct owner o;
    open_pair(&o);
    use(&o, FILTER_BUSY_USES - 1);
    assert_int_equal(o.toy.starts, 0);
    for (size_t round = 1; round < 4; round++) {
        use(&o, FILTER_BUSY_USES);
        assert_int_equal(o.toy.starts, round);
        let_time_pass();
        use(&o, 1);
        let_time_pass();
        assert_int_equal(o.toy.stops, round - 1);
        let_time_pass();
        assert_int_equal(o.toy.stops, round);
        use(&o, FILTER_BUSY_USES - 1);
        assert_int_equal(o.toy.starts, round);
        let_time_pass();
        assert_int_equal(o.toy.stops, round);
    }
    use(&o, FILTER_BUSY_USES);
    close_pair(&o);
    assert_null(loop.busy_filters);
    let_time_pass();
    let_time_pass();
    assert_int_equal(o.toy.stops, 3);
}

static void test_not_all_are_busy(void **state) {
    enum { MORE = FILTER_BUSY_MAX + 3 };
    struct owner *owners = calloc(MORE, sizeof *owners);
    for (size_t i = 0; i < MORE; i++) {
        open_pair(&owners[i]);
        use(&owners[i], FILTER_BUSY_USES);
        assert_int_equal(owners[i].toy.starts, i < FILTER_BUSY_MAX);
    }
    assert_int_equal(loop.busy_filter_count, FILTER_BUSY_MAX);
    close_pair(&owners[1]); /* there is room for one */
    for (size_t i = FILTER_BUSY_MAX; i < MORE; i++)
        use(&owners[i], 1);
    assert_int_equal(owners[FILTER_BUSY_MAX].toy.starts, 1);
    assert_int_equal(owners[FILTER_BUSY_MAX + 1].toy.starts, 0);
    let_time_pass();
    let_time_pass();
    assert_int_equal(loop.busy_filter_count, 0);
    for (size_t i = 0; i < MORE; i++) {
        if (i == 1)
            continue;
        assert_int_equal(owners[i].toy.stops, owners[i].toy.starts);
        close_pair(&owners[i]);
    }
    free(owners);
}

/* --- Who keeps what came through it ----------------------------------------------------------- */

#define KEPT 20

static struct read_buffer *kept;
static char *kept_at;

static void keep(struct connection *c, char *data, size_t n) {
    on_data(c, data, n);
    assert_int_equal(n, KEPT);
    kept = read_buffer_hold(&loop, data);
    assert_non_null(kept);
    kept_at = memset(data, '#', n);
}

static void send_text(struct owner *o, bool sealed) {
    char record[2 + KEPT];
    put_length(record, KEPT);
    memset(record + 2, 'x', KEPT);
    assert_int_equal(write(o->peer, record, sealed ? 2 + KEPT : KEPT), sealed ? 2 + KEPT : KEPT);
}

/* Others that are read behind it, in the same turn and in later ones, with a filter or without,
 * leave it alone. */
static void test_kept(void **state) {
    static const struct connection_events keeping = {
        .data = keep, .end = on_end, .timeout = on_timeout, .closed = on_closed};
    for (int sealed = 0; sealed < 2; sealed++) {
        struct owner *owners = calloc(2, sizeof *owners), *keeper = owners, *other = owners + 1;
        connection_own(open_pair(keeper), &keeping, keeper);
        struct connection *c = open_pair(other);
        if (!sealed)
            c->filter = NULL;
        connection_read_start(keeper->connection);
        connection_read_start(c);
        turn();
        send_text(keeper, true);
        send_text(other, sealed);
        TURN_UNTIL(keeper->length && other->length);
        send_text(other, sealed);
        TURN_UNTIL(other->length == 2 * KEPT);
        for (size_t i = 0; i < KEPT; i++)
            assert_int_equal(kept_at[i], '#');
        memset(kept_at, '?', KEPT);
        read_buffer_release(&loop, kept);
        close_pair(keeper);
        close_pair(other);
        free(owners);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_any_sizes),
        test(test_records_fill_up),
        test(test_little_is_sealed_ahead),
        test(test_the_end_is_said),
        test(test_an_end_by_force_is_not_said),
        test(test_reading),
        test(test_no_lingering_after_the_end),
        test(test_sealing_fails),
        test(test_busy_until_it_is_quiet),
        test(test_not_all_are_busy),
        test(test_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
