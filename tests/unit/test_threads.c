/*
 * Threads that know sockets only by their ids, while these come and go: they send, close and post
 * until the app closes, as one of them wishes. tests/run builds it with ThreadSanitizer, too.
 */
#include <acacia.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 4
#define CLIENTS 4
#define SLOTS 16
#define VISITS 40 /* of each client */

static app_t *app;
static atomic_uint_fast64_t ids[SLOTS]; /* of the sockets that opened last */
static atomic_bool stopping;
static atomic_long posted, heard, done; /* done: clients */
static long called;                     /* on the app's thread */

/* --- The server ------------------------------------------------------------------------------- */

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    int err = await_sleep(0);
    return err ? err : ws_send(ctx->websocket, *message);
}

static int talk(ctx_t *ctx) {
    static unsigned next_slot;
    atomic_store(&ids[next_slot++ % SLOTS], ws_id(ctx->websocket));
    return ws_on_message(ctx->websocket, on_message);
}

static void work(void *arg) {
    atomic_fetch_add((atomic_long *)arg, 1);
}

static int page(ctx_t *ctx) {
    static atomic_long worked;
    int err = await_work(work, &worked);
    return err ? err : ctx_text(ctx, "hello");
}

/* --- Threads ---------------------------------------------------------------------------------- */

static void call(app_t *which, void *arg) {
    ws_broadcast(which, (ws_message_t){.data = "all", .length = 3}, NULL);
    called++;
    free(arg);
}

static void *run_worker(void *arg) {
    unsigned chance = (unsigned)(uintptr_t)arg;
    char text[32];
    for (long i = 0; !atomic_load(&stopping); i++) {
        chance = chance * 1103515245 + 12345;
        ws_id_t id = atomic_load(&ids[chance >> 16 & (SLOTS - 1)]);
        int n = snprintf(text, sizeof text, "%u %ld", (unsigned)(uintptr_t)arg, i);
        int err = ws_send_id(app, id, (ws_message_t){.data = text, .length = (size_t)n});
        if (!err && i % 16 == 0)
            err = ws_close_id(app, id, 4000, "enough");
        if (i % 8 == 0 && app_post(app, call, malloc(8)) == 0)
            atomic_fetch_add(&posted, 1);
        if (err || i % 64 == 63)
            usleep(500);
    }
    return NULL;
}

static pthread_t workers[WORKERS];

/* Before it is gone nobody may be at it any more. */
static void stop_workers(app_t *which, void *arg) {
    atomic_store(&stopping, true);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
}

/* --- Clients ---------------------------------------------------------------------------------- */

static int dial(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)app_port(app)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        abort();
    return fd;
}

static void visit(int number) {
    static const char upgrade[] =
        "GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x81\x85\0\0\0\0hello";
    static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    char buffer[4096];
    int fd = dial();
    bool socket = number % 4;
    ssize_t n = socket ? (ssize_t)sizeof upgrade - 1 : (ssize_t)sizeof get - 1;
    if (send(fd, socket ? upgrade : get, (size_t)n, MSG_NOSIGNAL) != n)
        abort();
    for (int reads = 0; reads < 1 + number % 7 && (n = recv(fd, buffer, sizeof buffer, 0)) > 0;
         reads++)
        atomic_fetch_add(&heard, n);
    close(fd);
}

static void close_app(app_t *which, void *arg) {
    app_close(which);
}

/* The last one to be done ends the app, which is freed at once: perhaps before app_post returns. */
static void *run_client(void *arg) {
    for (int i = 0; i < VISITS; i++)
        visit(i + (int)(uintptr_t)arg);
    if (atomic_fetch_add(&done, 1) == CLIENTS - 1)
        app_post(app, close_app, NULL);
    return NULL;
}

/* --- All of them ------------------------------------------------------------------------------ */

static void play(void) {
    pthread_t clients[CLIENTS];
    app = app_new_with(&(app_options_t){.silent = true, .ws.close_timeout = 100});
    app_ws_use(app, talk);
    app_use(app, page);
    assert_int_equal(app_on_close(app, stop_workers, NULL), 0);
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    atomic_store(&stopping, false);
    atomic_store(&done, 0);
    for (uintptr_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, run_worker, (void *)i), 0);
    for (uintptr_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, run_client, (void *)i), 0);
    assert_int_equal(app_run(app), 0);
    app_free(app);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    assert_int_equal(called, atomic_load(&posted));
}

static void test_threads_that_hold_ids(void **state) {
    for (int i = 0; i < 3; i++)
        play();
    assert_true(atomic_load(&posted) > 0);
    assert_true(atomic_load(&heard) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_that_hold_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
