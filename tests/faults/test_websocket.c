#define _GNU_SOURCE /* memmem */
/* Allocations fail, each in turn, while sockets are opened, talk, and are closed: see faults.h. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define LONG 1500 /* bytes: what is so long is shared by its receivers */

static char long_text[LONG + 1];

/* --- The server ------------------------------------------------------------------------------- */

/* From elsewhere: by its id. */
static void say_later(app_t *app, void *arg) {
    ws_id_t id = (ws_id_t)(uintptr_t)arg;
    if (ws_send_id(app, id, (ws_message_t){.data = "by id", .length = 5}) < 0)
        ws_terminate(ws_find(app, id));
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    websocket_t *ws = ctx->websocket;
    if (strcmp(message->data, "later") == 0) {
        ws_id_t id = ws_id(ws);
        return id ? app_post(ctx->app, say_later, (void *)(uintptr_t)id) : UV_ENOMEM;
    }
    if (strcmp(message->data, "publish") == 0) {
        ws_message_t text = {.data = long_text, .length = LONG};
        ws_publish(ctx->app, "room", text, NULL);
        ws_broadcast(ctx->app, (ws_message_t){.data = "short", .length = 5}, NULL);
        return 0;
    }
    if (strcmp(message->data, "pieces") == 0) {
        int err = ws_send_fragment(ws, (ws_message_t){.data = "pie", .length = 3}, false);
        return err < 0 ? err
                       : ws_send_fragment(ws, (ws_message_t){.data = "ces", .length = 3}, true);
    }
    const char *copy = ctx_strdup(ctx, message->data);
    return copy ? ws_sendf(ws, "%s", copy) : UV_ENOMEM;
}

static void on_pong(ctx_t *ctx, const char *data, size_t length) {
}

static int talk(ctx_t *ctx) {
    websocket_t *ws = ctx->websocket;
    int err = ws_join(ws, "room");
    if (!err)
        err = ws_on_pong(ws, on_pong);
    return err ? err : ws_on_message(ws, on_message);
}

static int loop(ctx_t *ctx) {
    ws_message_t message;
    int err = 0;
    while (err >= 0 && ws_recv(ctx->websocket, &message))
        err = ws_send(ctx->websocket, message);
    return err;
}

/* --- … that is a client as well --------------------------------------------------------------- */

static const char *url_of_echo(ctx_t *ctx) {
    char path[64];
    app_address(ctx->app, 0, path, sizeof path);
    return ctx_printf(ctx, "ws+unix:%s:/loop", path);
}

/* By a call that waits. */
static int call(ctx_t *ctx) {
    const char *url = url_of_echo(ctx);
    ws_failure_t failure;
    ws_message_t message;
    websocket_t *ws = url ? ws_connect(ctx->app, url, NULL, &failure) : NULL;
    if (!ws)
        return UV_ENOMEM;
    int err = ws_send_text(ws, long_text);
    if (!err && !ws_recv(ws, &message))
        err = UV_ECONNRESET;
    if (!err)
        err = ctx_textf(ctx, "heard %zu", message.length);
    ws_release(ws);
    return err;
}

/* By a handler, for the answer to wait for. */
static int on_echo(ctx_t *ctx, const ws_message_t *message) {
    future_t **heard = ctx->state;
    if (*heard)
        future_resolve(*heard, (int)message->length, NULL);
    *heard = NULL;
    return ws_close(ctx->websocket, 1000, NULL);
}

static int greet(ctx_t *ctx) {
    int err = ws_on_message(ctx->websocket, on_echo);
    return err ? err : ws_send_text(ctx->websocket, "hello");
}

static void on_failure(app_t *app, const ws_failure_t *failure, void *state) {
    future_t **heard = state;
    if (*heard)
        future_resolve(*heard, failure->error ? failure->error : UV_ECONNRESET, NULL);
    *heard = NULL;
}

static future_t *heard; /* NULL once it is resolved */

static int client(ctx_t *ctx) {
    const char *url = url_of_echo(ctx);
    future_t *future = url ? future_new() : NULL;
    if (!future)
        return UV_ENOMEM;
    heard = future;
    const char *const protocols[] = {"a", "b", NULL}, *const headers[] = {"X-Own", "1", NULL};
    int err = ws_client(ctx->app, url, greet,
                        &(ws_client_options_t){.state = &heard,
                                               .on_failure = on_failure,
                                               .ws.deflate = &(ws_deflate_t){.threshold = 1},
                                               .protocols = protocols,
                                               .headers = headers,
                                               .origin = "http://a"});
    if (err) {
        heard = NULL;
        future_resolve(future, err, NULL);
    }
    int result = await_future(future, NULL);
    future_free(future);
    return result < 0 ? result : ctx_textf(ctx, "heard %d", result);
}

static app_t *make_app(void) {
    static const ws_deflate_t deflate = {.threshold = 4};
    app_t *app = app_new_with(&(app_options_t){
        .silent = true, .ws.deflate = &deflate, .ws.sockets_per_ip = 100, .ws.close_timeout = 50});
    app_ws_use(app, route_get("/talk", talk));
    app_ws_use(app, route_get("/loop", loop));
    app_use(app, route_get("/call", call));
    app_use(app, route_get("/client", client));
    return app;
}

/* --- The peers -------------------------------------------------------------------------------- */

#define OFFER "Sec-WebSocket-Extensions: permessage-deflate\r\n"

static struct client *open_socket(app_t *app, const char *path, const char *offer) {
    char request[400];
    struct client *peer = client_new(app);
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
                     "%s\r\n",
                     path, offer);
    client_send(peer, request, (size_t)n);
    faults_until(app, client_has(peer, "\r\n\r\n"));
    const char *text = client_text(peer);
    bool accepted = strncmp(text, "HTTP/1.1 101 ", 13) == 0;
    assert_true(accepted || !*text || strncmp(text, "HTTP/1.1 500 ", 13) == 0 ||
                strncmp(text, "HTTP/1.1 503 ", 13) == 0);
    return peer;
}

/* A frame with the mask 0. */
static void say(struct client *peer, int first, const void *data, size_t length) {
    char frame[8 + LONG] = {(char)first, (char)(0x80 | (length < 126 ? length : 126))};
    size_t head = 2;
    if (length >= 126) {
        frame[2] = (char)(length >> 8);
        frame[3] = (char)length;
        head = 4;
    }
    memcpy(frame + head + 4, data, length);
    client_send(peer, frame, head + 4 + length);
}

/* The same, compressed, if that was agreed on. */
static void say_compressed(struct client *peer, const char *text) {
    char packed[LONG];
    z_stream zlib = {0};
    if (!strstr(peer->answer, "permessage-deflate")) {
        say(peer, 0x81, text, strlen(text));
        return;
    }
    assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, -15, 8, 0), Z_OK);
    zlib.next_in = (Bytef *)text;
    zlib.avail_in = (uInt)strlen(text);
    zlib.next_out = (Bytef *)packed;
    zlib.avail_out = sizeof packed;
    assert_int_equal(deflate(&zlib, Z_SYNC_FLUSH), Z_OK);
    say(peer, 0xc1, packed, zlib.total_out - 4);
    deflateEnd(&zlib);
}

/* What it has heard is what it should, up to where it broke off; `gaps`: or some of that. */
static void check_frames(struct client *peer, const char *const *expected, bool failing,
                         bool gaps) {
    struct seen_frame frame;
    size_t at = 0;
    while (client_frame(peer, &at, &frame)) {
        if (failing && is_failure(&frame))
            return;
        while (failing && gaps && *expected && strcmp(frame.data, *expected))
            expected++;
        assert_non_null(*expected);
        assert_string_equal(frame.data, *expected++);
    }
    if (!failing)
        assert_null(*expected);
}

static const char bye[] = "\x03\xe8";

static void finish(app_t *app, struct client *peer) {
    say(peer, 0x88, bye, 2);
    faults_until(app, client_is_over(peer));
}

/* --- What they do ----------------------------------------------------------------------------- */

static void play_talk(app_t *app, bool failing) {
    static const char *const expected[] = {"hello", "abc", "ping",  "in short", long_text,
                                           "pie",   "ces", "by id", bye,        NULL};
    struct client *peer = open_socket(app, "/talk", OFFER);
    say(peer, 0x81, "hello", 5);
    say(peer, 0x01, "a", 1);
    say(peer, 0x00, "b", 1);
    say(peer, 0x80, "c", 1);
    faults_turn(app);
    say(peer, 0x89, "ping", 4);
    say(peer, 0x8a, "pong", 4);
    say_compressed(peer, "in short");
    say_compressed(peer, long_text);
    say(peer, 0x01, "pie", 3);
    faults_turn(app);
    say(peer, 0x80, "ces", 3);
    say(peer, 0x81, "later", 5);
    faults_until(app, client_is_over(peer) || memmem(peer->answer, peer->length, "by id", 5));
    finish(app, peer);
    check_frames(peer, expected, failing, false);
    client_close(peer);
}

static void play_loop(app_t *app, bool failing) {
    static const char *const expected[] = {"one", long_text, bye, NULL};
    struct client *peer = open_socket(app, "/loop", "");
    say(peer, 0x81, "one", 3);
    say(peer, 0x81, long_text, LONG);
    finish(app, peer);
    check_frames(peer, expected, failing, false);
    client_close(peer);
}

/* One who speaks, two who listen, of whom one does not read. */
static void play_room(app_t *app, bool failing) {
    static const char *const expected[] = {long_text, "short", long_text, "short", bye, NULL};
    struct client *peers[] = {open_socket(app, "/talk", ""), open_socket(app, "/talk", OFFER),
                              open_socket(app, "/talk", OFFER)};
    for (int i = 0; i < 2; i++) {
        say(peers[0], 0x81, "publish", 7);
        for (int turns = 0; turns < 3; turns++)
            faults_turn(app);
    }
    for (int i = 0; i < 3; i++) {
        finish(app, peers[i]);
        check_frames(peers[i], expected, failing, true);
        client_close(peers[i]);
    }
}

/* Gone in the middle of a message, and in the middle of a broadcast. */
static void play_abort(app_t *app, bool failing) {
    struct client *listener = open_socket(app, "/talk", OFFER);
    struct client *peer = open_socket(app, "/talk", "");
    client_send(peer, "\x81\xfe\x05\xdc\0\0\0\0half", 12);
    faults_turn(app);
    client_close(peer);
    faults_turn(app);
    say(listener, 0x81, "publish", 7);
    client_close(listener);
}

static void ask(app_t *app, bool failing, const char *request, const char *end) {
    struct client *asker = client_new(app);
    client_send(asker, request, strlen(request));
    faults_until(app, client_is_over(asker));
    check_answer(asker, end, failing);
    client_close(asker);
}

static void play_call(app_t *app, bool failing) {
    ask(app, failing, "GET /call HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "heard 1500");
}

static void play_client(app_t *app, bool failing) {
    ask(app, failing, "GET /client HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "heard 5");
}

#define PLAY(name, least)                                                                          \
    static void test_##name(void **state) {                                                        \
        long count = faults_play(make_app, play_##name);                                           \
        print_message("%ld allocations\n", count);                                                 \
        assert_true(count > (least));                                                              \
    }

PLAY(talk, 20)
PLAY(loop, 10)
PLAY(room, 20)
PLAY(abort, 10)
PLAY(call, 20)
PLAY(client, 20)

int main(void) {
    faults_begin();
    for (int i = 0; i < LONG; i++)
        long_text[i] = (char)('a' + i * i % 23);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talk),  cmocka_unit_test(test_loop), cmocka_unit_test(test_room),
        cmocka_unit_test(test_abort), cmocka_unit_test(test_call), cmocka_unit_test(test_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
