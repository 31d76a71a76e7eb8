/*
 * Two clients of the real server, over socket pairs, who do what the input says: requests one
 * behind the other, upgrades, frames that are right or not, compressed ones, breaking off. What the
 * server sends on a WebSocket must be frames that a server may send; at the end it must come to
 * rest.
 *
 * The input is a list of steps: a byte that says which, and what that needs. See play.
 */
#define _GNU_SOURCE /* memmem */
#include <acacia.h>

#include "application/application.h"
#include "protocols/http1.h"
#include "runtime/connection.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

/* --- The server ------------------------------------------------------------------------------- */

static void close_one(websocket_t *ws, void *arg) {
    ws_close(ws, 1001, "all");
}

static void close_all(app_t *app, void *arg) {
    await_sleep(0);
    ws_each(app, close_one, NULL);
}

/* The first letter says what it does; then it answers. */
static int obey(websocket_t *ws, const char *data, size_t length, bool binary) {
    ctx_t *ctx = ws_ctx(ws);
    ws_message_t message = {.data = data, .length = length, .binary = binary};
    switch (length ? data[0] : 0) {
    case 'a':
        app_spawn(ctx->app, close_all, NULL);
        break;
    case 'b':
        ws_broadcast(ctx->app, message, NULL);
        break;
    case 'c':
        ws_close(ws, 4000, "c");
        break;
    case 'd':
        ws_on_message(ws, NULL);
        break;
    case 'e':
        return ctx_throw(ctx, 400, "e");
    case 'f':
        ws_send_fragment(ws, message, length % 2);
        break;
    case 'g':
        ws_ping(ws, data, length < 125 ? length : 125);
        break;
    case 'i':
        ws_send_id(ctx->app, ws_id(ws), message);
        break;
    case 'j':
        ws_leave(ws, "room");
        break;
    case 'p':
        ws_publish(ctx->app, "room", message, length % 2 ? ws : NULL);
        break;
    case 's':
        await_sleep(0);
        break;
    case 't':
        ws_terminate(ws);
        break;
    case 'w':
        ws_pause(ws);
        await_sleep(0);
        ws_resume(ws);
        break;
    default:
        break;
    }
    return ws_send(ws, message);
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    return obey(ctx->websocket, message->data, message->length, message->binary);
}

static int on_part(ctx_t *ctx, const ws_part_t *part) {
    return part->last ? obey(ctx->websocket, part->data, part->length, true) : 0;
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    ws_publish(ctx->app, "room", (ws_message_t){.data = reason, .length = strlen(reason)}, NULL);
    ws_close(ctx->websocket, 1000, NULL);
    await_sleep(0);
    ws_terminate(ctx->websocket);
}

static int talk(ctx_t *ctx) {
    ws_on_close(ctx->websocket, on_close);
    ws_join(ctx->websocket, "room");
    return ws_on_message(ctx->websocket, on_message);
}

static int parts(ctx_t *ctx) {
    ws_join(ctx->websocket, "room");
    return ws_on_part(ctx->websocket, on_part);
}

static int loop(ctx_t *ctx) {
    ws_message_t message;
    ws_part_t part;
    int err = 0;
    while (err >= 0 && ws_recv(ctx->websocket, &message)) {
        err = obey(ctx->websocket, message.data, message.length, message.binary);
        if (message.length % 3 == 0 && !ws_recv_part(ctx->websocket, &part))
            break;
    }
    return err;
}

static int echo(ctx_t *ctx) {
    char piece[50];
    ssize_t n;
    while ((n = ctx_read(ctx, piece, sizeof piece)) > 0)
        if (ctx_write(ctx, piece, (size_t)n) < 0)
            return UV_ECANCELED;
    return (int)n;
}

static int wait(ctx_t *ctx) {
    ctx_cancel_on_abort(ctx, ctx->querystring[0]);
    int err = await_sleep(1);
    return err ? err : ctx_text(ctx, "waited");
}

static int page(ctx_t *ctx) {
    return ctx_text(ctx, ctx->path);
}

static app_t *app;

static void start(void) {
    static const ws_deflate_t deflate = {.threshold = 8, .level = 1, .memory_level = 1};
    app = app_new_with(&(app_options_t){.silent = true,
                                        .http.body_size = 100,
                                        .http.drain_size = 100,
                                        .http.read_ahead = 300,
                                        .http.head_size = 700,
                                        .ws.message_size = 500,
                                        .ws.fragment_count = 8,
                                        .ws.close_timeout = 1,
                                        .ws.deflate = &deflate});
    app_ws_use(app, route_get("/talk", talk));
    app_ws_use(app, route_get("/parts", parts));
    app_ws_use(app, route_get("/loop", loop));
    app_use(app, route_post("/echo", echo));
    app_use(app, route_get("/wait", wait));
    app_use(app, page);
    uv_ref((uv_handle_t *)&app->awake); /* the loop goes on, as if the app served */
}

/* --- The clients ------------------------------------------------------------------------------ */

struct client {
    int fd; /* -1: gone */
    size_t length;
    unsigned char heard[1 << 16];
};

static struct client clients[2], *now;

static void connect_client(struct client *client) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    client->fd = ends[0];
    client->length = 0;
    struct connection *c = connection_new(&app->loop, UV_NAMED_PIPE);
    uv_pipe_open(connection_pipe(c), ends[1]);
    if (http1_start(c, &app->http_server))
        abort();
}

static void hear(struct client *client) {
    ssize_t n;
    while (client->fd >= 0 && client->length < sizeof client->heard &&
           (n = recv(client->fd, client->heard + client->length,
                     sizeof client->heard - client->length, MSG_DONTWAIT)) > 0)
        client->length += (size_t)n;
}

static void turn(void) {
    uv_run(app->uv, UV_RUN_NOWAIT);
    hear(&clients[0]);
    hear(&clients[1]);
}

static void say(const void *data, size_t length) {
    if (now->fd >= 0 && length)
        (void)!send(now->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hang_up(struct client *client) {
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

/* --- What they say ---------------------------------------------------------------------------- */

#define UPGRADE(path, more)                                                                        \
    "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n" more "\r\n"
#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate"

static const char *const requests[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /wait?cancel HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /x HTTP/1.0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 300\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n",
    UPGRADE("/talk", ""),
    UPGRADE("/loop", ""),
    UPGRADE("/parts", ""),
    UPGRADE("/talk", DEFLATE "\r\n"),
    UPGRADE("/loop", DEFLATE "; client_max_window_bits=9\r\n"),
    UPGRADE("/parts", DEFLATE "; server_no_context_takeover; client_no_context_takeover\r\n"),
    UPGRADE("/talk", DEFLATE "; server_max_window_bits=10\r\n"),
    UPGRADE("/nowhere", ""),
};

/* A frame with a mask, its length as short as can be, as the first byte wants it. */
static void say_frame(uint8_t first, const uint8_t *payload, size_t length) {
    static const uint8_t mask[] = {0x13, 0x57, 0x9b, 0xdf};
    uint8_t frame[8 + 4096] = {first, (uint8_t)(0x80 | (length < 126 ? length : 126))};
    size_t at = 2;
    if (length >= 126) {
        frame[at++] = (uint8_t)(length >> 8);
        frame[at++] = (uint8_t)length;
    }
    memcpy(frame + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < length; i++)
        frame[at + i] = payload[i] ^ mask[i % 4];
    say(frame, at + length);
}

static void say_compressed(uint8_t first, const uint8_t *payload, size_t length) {
    static z_stream zlib;
    static bool ready;
    uint8_t packed[4096];
    if (!ready && deflateInit2(&zlib, 1, Z_DEFLATED, -9, 1, 0) != Z_OK)
        abort();
    ready = true;
    deflateReset(&zlib);
    zlib.next_in = (uint8_t *)payload;
    zlib.avail_in = (uInt)length;
    zlib.next_out = packed;
    zlib.avail_out = sizeof packed;
    deflate(&zlib, Z_SYNC_FLUSH);
    say_frame(first | 0x40, packed, zlib.total_out - 4);
}

/* A byte of the input: three bits what, five how many bytes come with it. */
static void play(const uint8_t *data, size_t size) {
    while (size-- > 0) {
        uint8_t step = *data++;
        size_t n = (step & 31) * ((step & 31) < 28 ? 1u : 20u);
        if (n > size)
            n = size;
        switch (step >> 5) {
        case 0: /* as it is */
            say(data, n);
            break;
        case 1:
            say(requests[step & 15], strlen(requests[step & 15]));
            n = 0;
            break;
        case 2:
        case 3: /* the first byte is the frame's */
            if (n)
                say_frame(*data, data + 1, n - 1);
            break;
        case 4:
            if (n)
                say_compressed(*data, data + 1, n - 1);
            break;
        case 5:
            turn();
            n = 0;
            break;
        case 6:
            now = &clients[now == clients];
            n = 0;
            break;
        default: /* the end of what it says, or of everything, or a new beginning */
            n = 0;
            if (step & 1 && now->fd >= 0)
                shutdown(now->fd, SHUT_WR);
            else if (step & 2)
                hang_up(now);
            else if (now->fd < 0)
                connect_client(now);
            break;
        }
        data += n;
        size -= n;
    }
}

/* --- What they hear --------------------------------------------------------------------------- */

static void check_frames(const unsigned char *at, size_t left, bool compressed) {
    bool open = false; /* a message in fragments is */
    while (left >= 2) {
        unsigned opcode = at[0] & 15, length = at[1], skip = 2;
        bool last = at[0] & 0x80, control = opcode >= 8;
        if (length == 126 && left >= 4) {
            length = at[2] * 256u + at[3];
            skip = 4;
            if (length < 126)
                abort();
        }
        if (at[1] > 126 || at[0] & 0x30 || (at[0] & 0x40 && !compressed))
            abort();
        if (opcode > 10 || (opcode > 2 && opcode < 8) || (control && (!last || length > 125)))
            abort();
        if (!control && open != (opcode == 0))
            abort();
        if (!control)
            open = !last;
        if (left < skip + length)
            return;
        at += skip + length;
        left -= skip + length;
        if (opcode == 8 && left)
            abort(); /* nothing comes behind it */
    }
}

/* Answers; and if the last of them is a 101, frames. */
static void check(const struct client *client) {
    static const char accepted[] = "HTTP/1.1 101 ";
    const unsigned char *heard = client->heard;
    if (client->length >= 9 && memcmp(heard, "HTTP/1.1 ", 9))
        abort();
    const unsigned char *head = memmem(heard, client->length, accepted, sizeof accepted - 1);
    if (!head || client->length == sizeof client->heard)
        return;
    size_t left = client->length - (size_t)(head - heard);
    const unsigned char *end = memmem(head, left, "\r\n\r\n", 4);
    if (end)
        check_frames(end + 4, left - (size_t)(end + 4 - head),
                     memmem(head, (size_t)(end - head), "permessage-deflate", 18));
}

static bool is_at_rest(void) {
    app_stats_t stats;
    app_stats(app, &stats);
    return !stats.connections && !stats.coroutines && !stats.websockets && !stats.requests_active &&
           !stats.messages_active && !stats.read_buffers && !stats.write_buffers &&
           !stats.frame_contexts && !ws_room_count(app, "room");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 2048)
        return 0;
    if (!app)
        start();
    connect_client(&clients[0]);
    connect_client(&clients[1]);
    now = clients;
    play(data, size);
    turn();
    for (int i = 0; i < 2; i++)
        if (clients[i].fd >= 0)
            shutdown(clients[i].fd, SHUT_WR);
    for (int i = 0; i < 20 && app->loop.counts.connections; i++)
        turn();
    for (int i = 0; i < 2; i++) {
        check(&clients[i]);
        hang_up(&clients[i]);
    }
    for (int i = 0; i < 2000 && !is_at_rest(); i++) {
        uv_run(app->uv, UV_RUN_NOWAIT);
        if (i > 20)
            usleep(1000);
    }
    if (!is_at_rest())
        abort();
    return 0;
}
