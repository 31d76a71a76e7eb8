/* Allocations fail, each in turn, OpenSSL's as well, while a client of TLS asks for a page: see
 * faults.h. What it gets is right, up to where it breaks off. */
#include "faults.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <unistd.h>

static char cert[64], key[64];

static int page(ctx_t *ctx) {
    const tls_info_t *info = ctx_tls(ctx);
    return ctx_textf(ctx, "by %s, %0*d", info ? info->version : "?", 5000, 7);
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int talk(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, on_message);
}

static app_t *make_app(void) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, page);
    app_ws_use(app, talk);
    return app;
}

/* --- The client ------------------------------------------------------------------------------- */

static SSL_CTX *context;
static char answer[10000];
static size_t length;

/* One step further; false at the end. */
static bool step(SSL *ssl, const char *request) {
    faults_hurry();
    if (!SSL_is_init_finished(ssl)) {
        int result = SSL_do_handshake(ssl);
        if (result == 1)
            SSL_write(ssl, request, (int)strlen(request));
        return result == 1 || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
    }
    int n = SSL_read(ssl, answer + length, (int)(sizeof answer - 1 - length));
    if (n > 0)
        length += (size_t)n;
    return n > 0 || SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
}

static void ask(app_t *app, bool failing, const char *request, const char *begin, const char *end) {
    struct client *client = client_new(app);
    SSL *ssl = SSL_new(context);
    length = 0;
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    assert_int_equal(SSL_set_fd(ssl, client->fd), 1);
    SSL_set_connect_state(ssl);
    faults_until(app, !step(ssl, request));
    answer[length] = '\0';
    bool failed =
        strncmp(answer, "HTTP/1.1 500 ", 13) == 0 || strncmp(answer, "HTTP/1.1 503 ", 13) == 0;
    size_t n = length < strlen(begin) ? length : strlen(begin);
    assert_true(failing || (length > strlen(end) && !failed));
    if (!failed)
        assert_memory_equal(answer, begin, n);
    if (!failing)
        assert_non_null(strstr(answer, end));
    SSL_free(ssl);
    client_close(client);
}

static void play_page(app_t *app, bool failing) {
    ask(app, failing, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\n", "0007");
}

static void play_socket(app_t *app, bool failing) {
    ask(app, failing,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x81\x85xxxx\x10\x1d\x14\x14\x17\x88\x80xxxx",
        "HTTP/1.1 101 Switching Protocols\r\n", "\x81\x05hello\x88");
}

static void test_page(void **state) {
    long count = faults_play(make_app, play_page);
    print_message("%ld allocations\n", count);
    assert_true(count > 100);
}

static void test_socket(void **state) {
    faults_step = 7; /* its handshake is the same */
    long count = faults_play(make_app, play_socket);
    print_message("%ld allocations\n", count);
    assert_true(count > 100);
}

static int make_certificate(void **state) {
    static tls_options_t tls = {.cert_file = cert, .key_file = key};
    const char *const names[] = {"localhost", NULL};
    snprintf(cert, sizeof cert, "/tmp/acacia-faults-%d.pem", (int)getpid());
    snprintf(key, sizeof key, "/tmp/acacia-faults-%d.key", (int)getpid());
    faults_tls = &tls;
    context = SSL_CTX_new(TLS_client_method());
    return tls_make_self_signed(cert, key, names, 1);
}

static int remove_certificate(void **state) {
    SSL_CTX_free(context);
    return unlink(cert) || unlink(key);
}

int main(void) {
    faults_begin();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page), cmocka_unit_test(test_socket)};
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
