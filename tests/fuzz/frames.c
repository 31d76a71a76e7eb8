/*
 * Frames against the real server, compressed ones too, over a socket pair. The first byte says by
 * which offer and to which handler, the second one in which pieces; then come frames: the first
 * byte as it is sent, one with the length and whether the payload shall be compressed, the payload.
 * A length of 127 announces more than comes.
 */
#include "protocols/deflate.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

/* --- The server ------------------------------------------------------------------------------- */

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    if (strlen(message->data) > message->length)
        abort();
    if (message->length == 3)
        await_sleep(0);
    if (message->length == 5)
        ws_send_fragment(ctx->websocket, *message, false);
    return ws_send(ctx->websocket, *message);
}

static int on_part(ctx_t *ctx, const ws_part_t *part) {
    return part->last ? ws_send_text(ctx->websocket, "all of it") : 0;
}

static int whole(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, on_message);
}

static int parts(ctx_t *ctx) {
    return ws_on_part(ctx->websocket, on_part);
}

static int loop(ctx_t *ctx) {
    ws_message_t message;
    while (ws_recv(ctx->websocket, &message))
        if (ws_broadcast(ctx->app, message, NULL) == 7)
            abort();
    return 0;
}

/* Only sends, and is told when the peer has had enough. */
static int send_only(ctx_t *ctx) {
    int err = 0;
    for (int i = 0; i < 4 && !err; i++)
        if (!(err = ws_send_text(ctx->websocket, "again and again and again")))
            err = await_sleep(0);
    return err;
}

static app_t *app;

static void start(void) {
    app = app_new_with(&(app_options_t){
        .silent = true,
        .http.read_ahead = 300,
        .ws = {.message_size = 3000, .fragment_count = 8, .buffered_size = 20000},
        .ws.deflate = &(ws_deflate_t){.threshold = 10, .own_compressor = true},
    });
    app_ws_use(app, route_get("/0", whole));
    app_ws_use(app, route_get("/1", parts));
    app_ws_use(app, route_get("/2", loop));
    app_ws_use(app, route_get("/3", send_only));
    uv_ref((uv_handle_t *)&app->awake); /* the loop goes on, as if the app served */
}

/* --- The client ------------------------------------------------------------------------------- */

static int fd;
static size_t piece;

static void say(const void *data, size_t size) {
    for (const char *at = data; size > 0;) {
        size_t n = size < piece ? size : piece;
        if (send(fd, at, n, MSG_NOSIGNAL) < 0)
            return;
        turn(app, fd);
        at += n;
        size -= n;
    }
}

static void shake_hands(uint8_t how) {
    static const char *const offers[] = {"foo", "permessage-deflate",
                                         "permessage-deflate; client_no_context_takeover",
                                         "permessage-deflate; server_max_window_bits=9"};
    char text[400];
    snprintf(text, sizeof text,
             "GET /%d HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Extensions: %s\r\n\r\n",
             how & 3, offers[how >> 2 & 3]);
    say(text, strlen(text));
}

static void send_frame(uint8_t first, size_t length, size_t announced, const char *payload) {
    uint8_t frame[2 + 8 + 4 + 1000] = {first};
    size_t size = announced < 126 ? 2 : 4;
    frame[1] = 0x80 | (announced < 126 ? (uint8_t)announced : 126);
    if (size == 4) {
        frame[2] = (uint8_t)(announced >> 8);
        frame[3] = (uint8_t)announced;
    }
    memcpy(frame + size + 4, payload, length); /* the mask is zero */
    say(frame, size + 4 + length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct deflater deflater;
    struct deflate_buffer packed = {0};
    int ends[2];
    if (size < 3 || size > 4096)
        return 0;
    if (!app)
        start();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    accept_from(app, ends[1]);
    fd = ends[0];
    piece = data[1] ? data[1] : 4096;
    shake_hands(data[0]);
    deflater_init(&deflater, &(struct deflater_options){.no_context_takeover = data[0] & 8});
    for (size_t at = 2; at + 2 <= size;) {
        uint8_t first = data[at];
        size_t length = data[at + 1] & 127, left = size - at - 2;
        bool pack = data[at + 1] & 128;
        const char *payload = (const char *)data + at + 2;
        at += 2 + length;
        if (length > left)
            length = left;
        packed.length = 0;
        if (pack && deflater_feed(&deflater, payload, length, true, deflate_buffer_take, &packed))
            abort();
        if (pack)
            send_frame(first, packed.length, packed.length, packed.data);
        else
            send_frame(first, length, length == 127 ? 5000 : length, payload);
    }
    deflater_release(&deflater);
    deflate_buffer_free(&packed);
    come_to_rest(app, fd);
    return 0;
}
