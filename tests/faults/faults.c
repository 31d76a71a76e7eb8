#define _GNU_SOURCE /* memmem */
#include "faults.h"

#include "../support/failing_allocator.h"

#include "application/application.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zlib.h>

/* --- Failing ---------------------------------------------------------------------------------- */

static atomic_long countdown = -1; /* allocations until one fails; negative: none does */
static atomic_bool armed;          /* the server has its turn */

static bool fails(void) {
    return atomic_load(&armed) && atomic_load(&countdown) >= 0 &&
           atomic_fetch_sub(&countdown, 1) == 0;
}

static void *openssl_malloc(size_t size, const char *file, int line) {
    return __wrap_malloc(size);
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line) {
    return __wrap_realloc(block, size);
}

static void openssl_free(void *block, const char *file, int line) {
    free(block);
}

void faults_begin(void) {
    assert_true(CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free));
    /* Without realloc: libuv aborts when its table of descriptors can't grow. */
    assert_int_equal(uv_replace_allocator(__wrap_malloc, __real_realloc, __wrap_calloc, free), 0);
#ifdef ACACIA_HAVE_JSON
    json_set_alloc_funcs(__wrap_malloc, free);
#endif
}

/* --- Turns ------------------------------------------------------------------------------------ */

static bool moved; /* something has come since the last turn */

void faults_hurry(void) {
    moved = true;
}

void faults_turn(app_t *app) {
    if (!moved)
        poll(NULL, 0, 1); /* for a thread, or a timer */
    moved = false;
    atomic_store(&armed, true);
    uv_run(app->uv, UV_RUN_NOWAIT);
    atomic_store(&armed, false);
}

static void is_at_rest(app_t *app) {
    app_stats_t stats;
    app_stats(app, &stats);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.coroutines, 0);
    assert_int_equal(stats.websockets, 0);
    assert_int_equal(stats.requests_active, 0);
    assert_int_equal(stats.messages_active, 0);
    assert_int_equal(stats.frame_contexts, 0);
    assert_int_equal(stats.read_buffers, 0);
    assert_int_equal(stats.write_buffers, 0);
}

void faults_rest(app_t *app) {
    faults_until(app, !app->loop.counts.connections && !app->loop.coroutines.live_count);
    faults_turn(app); /* the last close handlers */
    is_at_rest(app);
}

const tls_options_t *faults_tls;
long faults_step = 1;

static char right[ANSWER_SIZE]; /* the answer that a script should get */

static void play(app_t *app, script_fn *script, bool failing) {
    script(app, failing);
    faults_rest(app);
}

app_t *faults_listen(app_t *app) {
    static int number;
    char path[64];
    snprintf(path, sizeof path, "/tmp/acacia-faults-%d-%d", (int)getpid(), number++);
    assert_int_equal(app_bind(app, &(listen_options_t){.path = path, .tls = faults_tls}), 0);
    uv_ref((uv_handle_t *)&app->awake); /* as if it served */
    return app;
}

static bool play_with(make_fn *make, script_fn *script, long failing_one) {
    app_t *app = faults_listen(make());
    atomic_store(&countdown, failing_one);
    play(app, script, failing_one >= 0);
    bool has_failed = atomic_exchange(&countdown, -1) < 0;
    play(app, script, false);
    app_free(app);
    return has_failed;
}

long faults_play(make_fn *make, script_fn *script) {
    long n = 0;
    right[0] = '\0';
    play_with(make, script, -1);
    while (play_with(make, script, n))
        assert_true((n += faults_step) < 20000);
    return n;
}

/* --- The client ------------------------------------------------------------------------------- */

struct client *client_new(app_t *app) {
    struct client *client = __real_calloc(1, sizeof *client);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(client);
    assert_int_equal(app_address(app, 0, address.sun_path, sizeof address.sun_path), 0);
    client->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
    moved = true;
    return client;
}

void client_close(struct client *client) {
    close(client->fd);
    free(client);
    moved = true;
}

void client_send(struct client *client, const void *data, size_t length) {
    ssize_t sent = send(client->fd, data, length, MSG_NOSIGNAL);
    assert_true(sent == (ssize_t)length || errno == EPIPE || errno == ECONNRESET);
    moved = true;
}

void client_read(struct client *client) {
    ssize_t n = 1;
    while (!client->over && n > 0) {
        n = recv(client->fd, client->answer + client->length,
                 sizeof client->answer - 1 - client->length, MSG_DONTWAIT);
        if (n > 0) {
            client->length += (size_t)n;
            moved = true;
        }
        client->over = n == 0 || (n < 0 && errno != EAGAIN);
    }
}

bool client_has(struct client *client, const char *text) {
    client_read(client);
    return client->over || memmem(client->answer, client->length, text, strlen(text));
}

bool client_is_over(struct client *client) {
    client_read(client);
    return client->over;
}

const char *client_text(struct client *client) {
    for (char *date = client->answer; (date = strstr(date, "\r\nDate: ")); date++)
        if (strlen(date) > 37)
            memset(date + 8, '-', 29);
    return client->answer;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

void check_answer(struct client *client, const char *end, bool failing) {
    const char *text = client_text(client);
    if (!failing && !right[0] && ends_with(text, end))
        strcpy(right, text);
    if (!failing) {
        assert_string_equal(text, right);
        return;
    }
    size_t same = 0, length = strlen(text);
    while (text[same] && text[same] == right[same])
        same++;
    if (same == length)
        return;
    /* Another one: it begins where the line that differs does. */
    while (same > 0 && strncmp(text + same, "HTTP/1.1 50", 11))
        same--;
    if (strncmp(text + same, "HTTP/1.1 500 ", 13) && strncmp(text + same, "HTTP/1.1 503 ", 13))
        fail_msg("%s\n--- in place of ---\n%s", text, right);
}

/* --- Frames ----------------------------------------------------------------------------------- */

static void inflate_frame(struct seen_frame *frame) {
    char packed[sizeof frame->data + 4];
    z_stream zlib = {0};
    memcpy(packed, frame->data, frame->length);
    memcpy(packed + frame->length, "\0\0\xff\xff", 4);
    zlib.next_in = (Bytef *)packed;
    zlib.avail_in = (uInt)frame->length + 4;
    zlib.next_out = (Bytef *)frame->data;
    zlib.avail_out = sizeof frame->data - 1;
    assert_int_equal(inflateInit2(&zlib, -15), Z_OK);
    assert_int_equal(inflate(&zlib, Z_SYNC_FLUSH), Z_OK);
    frame->length = zlib.total_out;
    inflateEnd(&zlib);
}

bool client_frame(struct client *client, size_t *at, struct seen_frame *frame) {
    const char *head = memmem(client->answer, client->length, "\r\n\r\n", 4);
    if (!head)
        return false;
    const unsigned char *data = (const unsigned char *)head + 4 + *at;
    size_t left = client->length - (size_t)((const char *)data - client->answer), skip = 2;
    if (left < 2)
        return false;
    size_t length = data[1];
    assert_true(length < 127); /* the server doesn't mask, and nothing is so long here */
    if (length == 126 && left >= 4) {
        length = data[2] * 256u + data[3];
        skip = 4;
    }
    if (left < skip + length)
        return false; /* cut off in the middle */
    *frame = (struct seen_frame){data[0] & 15, data[0] & 0x40, length, ""};
    assert_true(length < sizeof frame->data);
    memcpy(frame->data, data + skip, length);
    if (frame->compressed)
        inflate_frame(frame);
    frame->data[frame->length] = '\0';
    *at += skip + length;
    return true;
}

bool is_failure(const struct seen_frame *frame) {
    int code = (unsigned char)frame->data[0] * 256 + (unsigned char)frame->data[1];
    return frame->opcode == 8 && frame->length >= 2 && (code == 1011 || code == 1013);
}
