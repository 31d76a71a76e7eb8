/*
 * A server's session of TLS from inside: when it keeps OpenSSL's buffers and when not, and that
 * errors of OpenSSL's that others have left mean nothing to it. Its owner sends back what comes.
 */
#include "protocols/openssl/tls_server.h"
#include "protocols/openssl/tls_session.h"
#include "runtime/connection.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

/* --- OpenSSL's memory: how many blocks are as large as a buffer for records --------------------
 */

#define LARGE 16384

static size_t large;

union block {
    size_t size;
    max_align_t align;
};

static void *allocate(size_t size, const char *file, int line) {
    union block *block = malloc(sizeof *block + size);
    if (!block)
        return NULL;
    block->size = size;
    large += size >= LARGE;
    return block + 1;
}

static void release(void *at, const char *file, int line) {
    union block *block = at ? (union block *)at - 1 : NULL;
    large -= block && block->size >= LARGE;
    free(block);
}

static void *resize(void *at, size_t size, const char *file, int line) {
    void *larger = allocate(size, file, line);
    if (!larger || !at)
        return larger;
    size_t before = ((union block *)at - 1)->size;
    memcpy(larger, at, before < size ? before : size);
    release(at, file, line);
    return larger;
}

/* --- The server ------------------------------------------------------------------------------- */

static uv_loop_t uv;
static struct loop loop;
static struct tls_server *server;
static tls_options_t options;
static char cert[64], key[64];
static SSL_CTX *context; /* the client's */

static struct {
    size_t length; /* of what has come */
    bool ready, ended, closed;
    bool leaves_errors;
    close_reason_t reason;
    char text[256];
} owner;

/* What a handler may do that uses OpenSSL itself. */
static void leave_errors(void) {
    ERR_raise(ERR_LIB_EVP, EVP_R_BAD_DECRYPT);
    ERR_raise(ERR_LIB_RSA, ERR_R_INTERNAL_ERROR);
}

static void on_data(struct connection *c, char *data, size_t n) {
    owner.length += n;
    if (owner.leaves_errors)
        leave_errors();
    assert_int_equal(connection_write(c, data, n), 0);
    connection_flush(c);
}

static void on_end(struct connection *c) {
    owner.ended = true;
    connection_finish(c, false);
}

static void on_timeout(struct connection *c) {
}

static void on_closed(struct connection *c) {
    const char *text = connection_error_text(c);
    owner.closed = true;
    owner.reason = c->reason;
    snprintf(owner.text, sizeof owner.text, "%s", text ? text : "");
}

static const struct connection_events events = {
    .data = on_data,
    .end = on_end,
    .timeout = on_timeout,
    .closed = on_closed,
};

static void on_ready(void *state, struct connection *c) {
    owner.ready = true;
    connection_own(c, &events, NULL);
}

static void on_failure(void *state, struct connection *c) {
    fail();
}

static const struct tls_server_events server_events = {.ready = on_ready, .closed = on_failure};

static int setup(void **state) {
    static const char *const names[] = {"localhost", NULL};
    char why[TLS_WHY] = "";
    const struct tls_why to = {why, sizeof why};
    signal(SIGPIPE, SIG_IGN);
    snprintf(cert, sizeof cert, "/tmp/acacia-session-%d.pem", (int)getpid());
    snprintf(key, sizeof key, "/tmp/acacia-session-%d.key", (int)getpid());
    options = (tls_options_t){.cert_file = cert, .key_file = key};
    tls_options_complete(&options);
    if (tls_make_self_signed(cert, key, names, 1) || uv_loop_init(&uv) ||
        loop_init(&loop, &uv, 65536, 10))
        return -1;
    server = tls_server_new(&options, &loop, &server_events, NULL, &to, &to);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    return !server || unlink(cert) || unlink(key);
}

static int teardown(void **state) {
    SSL_CTX_free(context);
    tls_server_free(server);
    assert_int_equal(loop.counts.connections, 0);
    assert_int_equal(loop.counts.write_chunks, 0);
    assert_null(loop.busy_filters);
    assert_int_equal(loop.busy_filter_count, 0);
    loop_close(&loop);
    while (loop.handles_open)
        uv_run(&uv, UV_RUN_NOWAIT);
    loop_destroy(&loop);
    return uv_loop_close(&uv);
}

/* --- A client, whose records are carried by hand -----------------------------------------------
 */

struct client {
    SSL *ssl;
    int fd;
};

static void turn(void) {
    uv_run(&uv, UV_RUN_NOWAIT);
}

/* What the client has to say, or the first `most` bytes of it. */
static void carry(struct client *client, size_t most) {
    char bytes[4096];
    int n = BIO_read(SSL_get_wbio(client->ssl), bytes,
                     (int)(most < sizeof bytes ? most : sizeof bytes));
    if (n > 0)
        assert_int_equal(write(client->fd, bytes, (size_t)n), n);
    for (int i = 0; i < 4; i++)
        turn();
    while ((n = (int)read(client->fd, bytes, sizeof bytes)) > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(client->ssl), bytes, n), n);
}

static struct client connect_client(int version) {
    struct client client = {.ssl = SSL_new(context)};
    uv_os_sock_t fds[2];
    memset(&owner, 0, sizeof owner);
    assert_int_equal(uv_socketpair(SOCK_STREAM, 0, fds, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), 0);
    client.fd = fds[1];
    SSL_set_bio(client.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_max_proto_version(client.ssl, version);
    SSL_set_connect_state(client.ssl);
    struct connection *c = connection_new(&loop, UV_NAMED_PIPE);
    assert_int_equal(uv_pipe_open(connection_pipe(c), fds[0]), 0);
    assert_true(tls_server_accept(server, c));
    for (int i = 0; i < 10 && !(SSL_is_init_finished(client.ssl) && owner.ready); i++) {
        SSL_do_handshake(client.ssl);
        carry(&client, SIZE_MAX);
    }
    assert_true(owner.ready);
    return client;
}

static void hear(struct client *client, const char *text) {
    char answer[256];
    size_t length = 0, wanted = strlen(text);
    for (int i = 0; i < 100 && length < wanted; i++) {
        int n = SSL_read(client->ssl, answer + length, (int)(sizeof answer - length));
        length += n > 0 ? (size_t)n : 0;
        carry(client, SIZE_MAX);
    }
    assert_int_equal(length, wanted);
    assert_memory_equal(answer, text, wanted);
}

static void say(struct client *client, const char *text) {
    assert_int_equal(SSL_write(client->ssl, text, (int)strlen(text)), strlen(text));
}

static void talk(struct client *client, int times) {
    for (int i = 0; i < times; i++) {
        say(client, "hello");
        carry(client, SIZE_MAX);
        hear(client, "hello");
    }
}

static void leave(struct client *client) {
    SSL_free(client->ssl);
    close(client->fd);
    for (int i = 0; i < 100 && !owner.closed; i++)
        turn();
    assert_true(owner.closed);
}

/* --- Buffers ---------------------------------------------------------------------------------- */

/* As long as from one look at what is busy to the next. */
static void let_time_pass(void) {
    uint64_t now = loop_now(&loop), wheel = loop.wheel.now;
    timer_wheel_advance(&loop.wheel, (now > wheel ? now : wheel) + FILTER_BUSY_TIME);
}

static void test_buffers_while_it_is_busy(void **state) {
    static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
    for (size_t i = 0; i < 2; i++) {
        struct client client = connect_client(versions[i]);
        assert_int_equal(large, 0);
        talk(&client, FILTER_BUSY_USES / 2 - 1);
        assert_int_equal(large, 0);
        for (int round = 0; round < 2; round++) {
            talk(&client, FILTER_BUSY_USES / 2 + 1);
            assert_int_equal(large, 2);
            let_time_pass();
            assert_int_equal(large, 2);
            let_time_pass();
            assert_int_equal(large, 0);
            talk(&client, 1);
            assert_int_equal(large, 0);
        }
        leave(&client);
    }
}

/* The first half of a record, a header without its body, half a header. */
static void test_half_a_record_stays(void **state) {
    static const size_t cuts[] = {20, 5, 3};
    for (size_t i = 0; i < 3; i++) {
        struct client client = connect_client(TLS1_3_VERSION);
        talk(&client, FILTER_BUSY_USES);
        say(&client, "half of it");
        carry(&client, cuts[i]);
        let_time_pass();
        let_time_pass();
        assert_null(loop.busy_filters);
        assert_true(large > 0);
        carry(&client, SIZE_MAX);
        hear(&client, "half of it");
        assert_int_equal(large, 0);
        talk(&client, 3);
        leave(&client);
    }
}

static void test_it_goes_while_it_is_busy(void **state) {
    struct client client = connect_client(TLS1_3_VERSION);
    talk(&client, FILTER_BUSY_USES);
    assert_int_equal(loop.busy_filter_count, 1);
    leave(&client);
    assert_int_equal(loop.busy_filter_count, 0);
    assert_int_equal(large, 0);
    let_time_pass();
    let_time_pass();
}

/* --- Errors ----------------------------------------------------------------------------------- */

static void test_errors_of_others(void **state) {
    leave_errors();
    struct client client = connect_client(TLS1_3_VERSION);
    owner.leaves_errors = true;
    for (int i = 0; i < 5; i++) {
        leave_errors();
        say(&client, "in pieces");
        carry(&client, 7);
        leave_errors();
        carry(&client, SIZE_MAX);
        hear(&client, "in pieces");
    }
    leave_errors();
    SSL_shutdown(client.ssl);
    carry(&client, SIZE_MAX);
    leave(&client);
    assert_true(owner.ended);
    assert_int_equal(owner.reason, CONNECTION_DONE);
    assert_string_equal(owner.text, "");
    ERR_clear_error();
}

/* A record that was changed, with a good one before it, whose owner uses OpenSSL. */
static void test_a_broken_record(void **state) {
    for (int good = 0; good < 2; good++) {
        struct client client = connect_client(TLS1_3_VERSION);
        char bytes[256];
        if (good)
            say(&client, "good");
        say(&client, "broken");
        int n = BIO_read(SSL_get_wbio(client.ssl), bytes, sizeof bytes);
        bytes[n - 1] ^= 1;
        assert_int_equal(BIO_write(SSL_get_wbio(client.ssl), bytes, n), n);
        owner.leaves_errors = true;
        leave_errors();
        carry(&client, SIZE_MAX);
        leave(&client);
        assert_int_equal(owner.length, good ? 4 : 0);
        assert_int_equal(owner.reason, CLOSE_TLS_RECORD);
        assert_string_equal(owner.text, "decryption failed or bad record mac");
        ERR_clear_error();
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_buffers_while_it_is_busy), test(test_half_a_record_stays),
        test(test_it_goes_while_it_is_busy), test(test_errors_of_others),
        test(test_a_broken_record),
    };
    if (CRYPTO_set_mem_functions(allocate, resize, release) != 1)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
