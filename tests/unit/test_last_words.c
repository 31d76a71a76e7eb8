/* The last bytes of a TCP connection: they arrive, whatever the peer has said meanwhile, and the
 * end comes with them. */
#include "test_connection.h"

#include <netinet/in.h>

static struct connection *open_tcp(struct owner *o) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(o, 0, sizeof *o);
    o->peer = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(o->peer, (struct sockaddr *)&address, length), 0);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    close(listener);
    fcntl(o->peer, F_SETFL, O_NONBLOCK);
    struct connection *c = connection_new(&loop, UV_TCP);
    assert_non_null(c);
    assert_int_equal(uv_tcp_open(&c->uv.tcp, fd), 0);
    connection_own(c, &events, o);
    o->connection = c;
    return c;
}

/* Written as it is filled: by small pieces, which wait in chunks, or at once. */
static void write_all(struct connection *c, size_t n, bool at_once) {
    char *data = malloc(n);
    fill(data, n, 0);
    size_t piece = at_once ? n : 700;
    for (size_t i = 0; i < n; i += piece)
        assert_int_equal(connection_write(c, data + i, n - i < piece ? n - i : piece), 0);
    free(data);
}

static void arrives_with_its_end(bool linger, bool at_once, bool unread, size_t n) {
    struct owner o;
    struct connection *c = open_tcp(&o);
    size_t arrived = 0;
    if (unread) /* with this in its buffer the system ends a connection by a reset */
        assert_int_equal(write(o.peer, "more", 4), 4);
    write_all(c, n, at_once);
    connection_finish(c, linger);
    take_until(&o, &arrived, n);
    uint64_t start = uv_hrtime() / 1000000;
    TURN_UNTIL(take(&o, &arrived, SIZE_MAX) == -1);
    assert_true(uv_hrtime() / 1000000 - start < 900); /* not when a lingering one is given up */
    close_pair(&o);
    assert_int_equal(o.reason, CONNECTION_DONE);
    assert_int_equal(o.received, 0);
}

/* A reset takes with it what has not left yet. Of much that is a part: so there is lingering. */
static void test_last_words_arrive(void **state) {
    static const size_t sizes[] = {1, 1000, CHUNK_SIZE, 100000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int way = 0; way < 8; way++) {
            bool linger = way & 1, at_once = way & 2, unread = way & 4;
            if (linger || !unread || sizes[i] <= 1000)
                arrives_with_its_end(linger, at_once, unread, sizes[i]);
        }
}

#ifdef __linux__
/* That have come to the peer. */
static uint32_t segments(struct owner *o) {
    char info[256]; /* not all C libraries know of tcpi_segs_in */
    socklen_t length = sizeof info;
    uint32_t segments;
    assert_int_equal(getsockopt(o->peer, IPPROTO_TCP, TCP_INFO, info, &length), 0);
    assert_true(length >= 144);
    memcpy(&segments, info + 140, sizeof segments);
    return segments;
}

/* One segment for both: a segment takes longer than all of our own code. */
static void test_end_comes_with_the_last_bytes(void **state) {
    for (int linger = 0; linger < 2; linger++) {
        struct owner o;
        struct connection *c = open_tcp(&o);
        size_t arrived = 0;
        turn_for(5);
        uint32_t before = segments(&o);
        write_all(c, 100, false);
        connection_finish(c, linger);
        take_until(&o, &arrived, 100);
        TURN_UNTIL(take(&o, &arrived, SIZE_MAX) == -1);
        assert_int_equal(segments(&o) - before, 1);
        close_pair(&o);
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_words_arrive),
#ifdef __linux__
        cmocka_unit_test(test_end_comes_with_the_last_bytes),
#endif
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
