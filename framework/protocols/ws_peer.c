#include "protocols/ws_peer.h"

#include "protocols/mask.h"

#include <stdlib.h>
#include <string.h>

#define IN_ARENA 2048 /* a message up to this size lies in its arena; a larger one is malloc'd */
#define CONTROL_MAX 125

/* --- Incoming messages ------------------------------------------------------------------------ */

static struct ws_incoming *incoming_new(struct loop *loop) {
    struct arena arena;
    arena_init(&arena, &loop->arenas);
    struct ws_incoming *in = arena_zalloc(&arena, sizeof *in);
    if (!in)
        return NULL;
    in->arena = arena;
    in->loop = loop;
    loop->counts.messages++;
    return in;
}

void ws_incoming_free(struct ws_incoming *in) {
    if (!in)
        return;
    in->loop->counts.messages--;
    if (in->allocated)
        free(in->data);
    arena_release(&in->arena);
}

/* Room for `n` more bytes and a NUL. What a header announces is not believed before it comes: the
 * room grows with what is there. */
static bool reserve(struct ws_incoming *in, size_t n) {
    size_t needed = in->length + n + 1;
    if (needed <= in->capacity)
        return true;
    size_t capacity = in->length ? needed * 2 : needed;
    char *data;
    if (capacity <= IN_ARENA) {
        data = arena_resize(&in->arena, in->data, in->length, capacity);
    } else {
        data = realloc(in->allocated ? in->data : NULL, capacity);
        if (data && !in->allocated && in->length)
            memcpy(data, in->data, in->length);
        in->allocated = in->allocated || data;
    }
    if (!data)
        return false;
    in->data = data;
    in->capacity = capacity;
    return true;
}

/* --- Ending ----------------------------------------------------------------------------------- */

bool ws_close_code_is_valid(int code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static int send_frame(struct ws_peer *peer, enum opcode opcode, bool fin, const void *data,
                      size_t length) {
    struct frame frame = {.length = length, .opcode = opcode, .fin = fin};
    struct connection *c = peer->connection;
    uint8_t header[FRAME_HEADER_MAX];
    int n = frame_write_header(peer->codec, header, &frame);
    if (n < 0)
        return n;
    if (length >=
        CHUNK_SIZE / 2) { /* the payload leaves from where it is, if the socket takes it */
        int err = connection_write(c, header, (size_t)n);
        return err ? err : connection_write(c, data, length);
    }
    char *room = connection_reserve(c, (size_t)n + length);
    if (!room)
        return c->error == UV_ENOMEM ? UV_ENOMEM : UV_EPIPE;
    memcpy(room, header, (size_t)n);
    if (length)
        memcpy(room + n, data, length);
    connection_commit(c, (size_t)n + length);
    return 0;
}

static void send_close(struct ws_peer *peer, int code, const char *reason, size_t length) {
    char payload[CONTROL_MAX];
    size_t n = 0;
    if (code) {
        payload[n++] = (char)(code >> 8);
        payload[n++] = (char)code;
        memcpy(payload + n, reason, length);
        n += length;
    }
    send_frame(peer, OPCODE_CLOSE, true, payload, n);
}

void ws_peer_close(struct ws_peer *peer, int code, const char *reason, size_t length) {
    if (peer->state != WS_PEER_OPEN)
        return;
    peer->state = WS_PEER_CLOSING;
    send_close(peer, code, reason ? reason : "", length);
    connection_set_deadline(peer->connection, peer->options->close_timeout);
    connection_read_start(peer->connection);
    if (!peer->going_on)
        loop_post(peer->loop, &peer->go_on);
}

void ws_peer_fail(struct ws_peer *peer, int code, close_reason_t blame, int error,
                  const char *text) {
    if (peer->failed || peer->state == WS_PEER_CLOSED || peer->close_received)
        return;
    if (peer->state == WS_PEER_OPEN)
        send_close(peer, code, "", 0);
    peer->state = WS_PEER_CLOSING;
    peer->failed = true;
    peer->code = 1006;
    peer->error = error;
    peer->error_text = text;
    connection_blame(peer->connection, blame);
    input_drop(&peer->input, peer->loop);
    connection_finish(peer->connection, true);
}

void ws_peer_terminate(struct ws_peer *peer, close_reason_t blame) {
    if (peer->connection)
        connection_close(peer->connection, blame, 0);
}

static bool protocol_error(struct ws_peer *peer, const char *text) {
    ws_peer_fail(peer, 1002, CLOSE_WS_PROTOCOL, UV_EPROTO, text);
    return false;
}

static bool bad_text(struct ws_peer *peer) {
    ws_peer_fail(peer, 1007, CLOSE_WS_UTF8, UV_EILSEQ, "invalid UTF-8");
    return false;
}

static bool no_memory(struct ws_peer *peer) {
    ws_peer_fail(peer, 1011, CLOSE_NO_MEMORY, UV_ENOMEM, "out of memory");
    return false;
}

/* --- Control frames --------------------------------------------------------------------------- */

/* At most one pong waits: RFC 6455 5.5.3 lets us answer the latest ping only. */
static void answer_ping(struct ws_peer *peer, const char *data, size_t length) {
    if (peer->state != WS_PEER_OPEN)
        return;
    if (!peer->connection->in_flight && peer->connection->pending > peer->connection->high_water)
        connection_flush(peer->connection);
    if (!peer->connection->in_flight) {
        send_frame(peer, OPCODE_PONG, true, data, length);
        return;
    }
    if (!peer->late_pong && !(peer->late_pong = malloc(CONTROL_MAX + 1)))
        return;
    memcpy(peer->late_pong, data, length);
    peer->late_pong[CONTROL_MAX] = 1;
    peer->late_pong_length = (uint8_t)length;
}

static bool receive_close(struct ws_peer *peer, const char *data, size_t length) {
    int code = length ? (uint8_t)data[0] << 8 | (uint8_t)(length > 1 ? data[1] : 0) : 0;
    if (length == 1)
        return protocol_error(peer, "a close frame with one byte");
    if (length && !ws_close_code_is_valid(code))
        return protocol_error(peer, "an invalid close code");
    if (length && !utf8_valid(data + 2, length - 2))
        return bad_text(peer);
    if (length > 2 && (peer->reason = malloc(length - 1))) {
        memcpy(peer->reason, data + 2, length - 2);
        peer->reason[length - 2] = '\0';
    }
    peer->close_received = true;
    peer->code = (uint16_t)(code ? code : 1005);
    if (peer->state == WS_PEER_OPEN)
        send_close(peer, code, length ? data + 2 : "", length ? length - 2 : 0);
    peer->state = WS_PEER_CLOSING;
    connection_finish(peer->connection, true);
    return false;
}

static bool receive_control(struct ws_peer *peer, uint8_t opcode, const char *data, size_t length) {
    if (opcode == OPCODE_CLOSE)
        return receive_close(peer, data, length);
    if (opcode == OPCODE_PING) {
        answer_ping(peer, data, length);
        peer->events->ping(peer->owner, data, length);
    } else {
        peer->events->pong(peer->owner, data, length);
    }
    return true;
}

/* --- Frames ----------------------------------------------------------------------------------- */

static bool is_control(uint8_t opcode) {
    return opcode & 0x8;
}

static bool check_data_frame(struct ws_peer *peer, struct ws_incoming *in) {
    const struct frame *frame = &in->frame;
    bool continues = frame->opcode == OPCODE_CONTINUATION;
    if (continues && !in->in_message)
        return protocol_error(peer, "a continuation of nothing");
    if (!continues && in->in_message)
        return protocol_error(peer, "a new message within a fragmented one");
    if (frame->length > peer->options->message_size - in->length) {
        ws_peer_fail(peer, 1009, CLOSE_WS_TOO_BIG, UV_EMSGSIZE, "a message that is too big");
        return false;
    }
    if (++in->fragments > peer->options->fragment_count) {
        ws_peer_fail(peer, 1008, CLOSE_WS_FRAGMENTS, UV_EMSGSIZE, "too many fragments");
        return false;
    }
    if (!continues) {
        in->in_message = true;
        in->binary = frame->opcode == OPCODE_BINARY;
    }
    return true;
}

static bool check_frame(struct ws_peer *peer, struct ws_incoming *in) {
    const struct frame *frame = &in->frame;
    if (frame->rsv)
        return protocol_error(peer, "a reserved bit");
    if (frame->opcode > OPCODE_BINARY &&
        (frame->opcode < OPCODE_CLOSE || frame->opcode > OPCODE_PONG))
        return protocol_error(peer, "a reserved opcode");
    if (!frame->masked)
        return protocol_error(peer, "a frame without a mask");
    return is_control(frame->opcode) || check_data_frame(peer, in);
}

/* A header, from what came before and what is there. False if it is incomplete or wrong. */
static bool begin_frame(struct ws_peer *peer, struct ws_incoming *in) {
    const uint8_t *data = (const uint8_t *)peer->input.at;
    size_t n = peer->input.length, before = in->small_length;
    if (before) {
        size_t more = n < FRAME_HEADER_MAX - before ? n : FRAME_HEADER_MAX - before;
        memcpy(in->small + before, data, more);
        data = in->small;
        n = before + more;
    }
    int size = frame_read_header(peer->codec, data, n, &in->frame);
    if (size == 0) {
        if (!before)
            memcpy(in->small, data, n);
        in->small_length = n;
        input_use(&peer->input, peer->loop, n - before);
        return false;
    }
    if (size == UV_ENOMEM)
        return no_memory(peer);
    if (size < 0)
        return protocol_error(peer, "an invalid frame header");
    in->small_length = 0;
    in->in_frame = true;
    in->frame_done = 0;
    input_use(&peer->input, peer->loop, (size_t)size - before);
    return check_frame(peer, in);
}

static bool deliver(struct ws_peer *peer, struct ws_incoming *in) {
    if (!in->binary && !utf8_done(&in->utf8))
        return bad_text(peer);
    if (!reserve(in, 0))
        return no_memory(peer);
    in->data[in->length] = '\0';
    peer->incoming = NULL;
    if (peer->state == WS_PEER_OPEN)
        peer->events->message(peer->owner, in);
    else
        ws_incoming_free(in); /* we have said goodbye */
    return true;
}

/* Some of a frame's payload, perhaps none. False to stop. */
static bool receive_payload(struct ws_peer *peer, struct ws_incoming *in) {
    struct frame *frame = &in->frame;
    uint64_t left = frame->length - in->frame_done;
    size_t n = left < peer->input.length ? (size_t)left : peer->input.length;
    bool control = is_control(frame->opcode);
    char *to;
    if (control) {
        to = (char *)in->small + in->frame_done;
    } else {
        if (!reserve(in, n))
            return no_memory(peer);
        to = in->data + in->length;
        in->length += n;
    }
    if (n) {
        mask_copy(to, peer->input.at, n, frame->key, (size_t)in->frame_done);
        input_use(&peer->input, peer->loop, n);
        in->frame_done += n;
    }
    if (!control && !in->binary && !utf8_feed(&in->utf8, to, n))
        return bad_text(peer);
    if (in->frame_done < frame->length)
        return false;
    in->in_frame = false;
    if (control)
        return receive_control(peer, frame->opcode, (char *)in->small, (size_t)frame->length);
    return !frame->fin || deliver(peer, in);
}

/* Nothing of it is worth keeping. */
static bool is_blank(const struct ws_incoming *in) {
    return !in->in_message && !in->in_frame && !in->small_length;
}

static bool step(struct ws_peer *peer) {
    struct ws_incoming *in = peer->incoming;
    if (!in && !(in = peer->incoming = incoming_new(peer->loop)))
        return no_memory(peer);
    if (!in->in_frame && !begin_frame(peer, in))
        return false;
    return receive_payload(peer, in);
}

static bool may_parse(const struct ws_peer *peer) {
    return peer->connection && connection_is_open(peer->connection) &&
           (peer->wanted || peer->state == WS_PEER_CLOSING) && !peer->failed;
}

static void control_flow(struct ws_peer *peer) {
    struct connection *c = peer->connection;
    size_t length = peer->input.length;
    if (peer->ended)
        return;
    if (may_parse(peer)) {
        c->read_limit = 0;
        connection_read_start(c);
    } else if (length < peer->read_ahead) {
        c->read_limit = peer->read_ahead - length;
        connection_read_start(c);
    } else {
        connection_read_stop(c);
    }
}

static void abnormal(struct ws_peer *peer, int error, const char *text) {
    if (peer->error || peer->close_received)
        return;
    peer->error = error;
    peer->error_text = text;
}

/* The peer sends no more, and all that it sent has been looked at. */
static void end_if_through(struct ws_peer *peer) {
    if (!peer->ended || peer->input.length > 0 || !connection_is_open(peer->connection))
        return;
    abnormal(peer, UV_EOF, "the peer has gone without a close frame");
    connection_flush(peer->connection); /* it may have closed its own side only */
    connection_close(peer->connection, CLOSE_WS_ABNORMAL, UV_EOF);
}

static void go_on(struct ws_peer *peer) {
    peer->going_on = true;
    while (peer->input.length > 0 && may_parse(peer) && step(peer))
        ;
    peer->going_on = false;
    if (peer->incoming && is_blank(peer->incoming)) {
        ws_incoming_free(peer->incoming);
        peer->incoming = NULL;
    }
    end_if_through(peer);
}

static void go_on_later(struct task *task) {
    struct ws_peer *peer = (struct ws_peer *)((char *)task - offsetof(struct ws_peer, go_on));
    if (!peer->connection)
        return;
    go_on(peer);
    if (connection_is_open(peer->connection))
        control_flow(peer);
}

/* --- The connection's events ------------------------------------------------------------------ */

static void on_data(struct connection *c, char *data, size_t n) {
    struct ws_peer *peer = c->owner;
    if (!input_add(&peer->input, c->loop, data, n)) {
        no_memory(peer);
        return;
    }
    go_on(peer);
    if (!connection_is_open(c))
        input_drop(&peer->input, c->loop);
    else if (!input_keep(&peer->input, c->loop))
        no_memory(peer);
    else
        control_flow(peer);
}

static void on_end(struct connection *c) {
    struct ws_peer *peer = c->owner;
    peer->ended = true;
    end_if_through(peer);
}

static void on_timeout(struct connection *c) {
    struct ws_peer *peer = c->owner;
    abnormal(peer, UV_ETIMEDOUT, "the peer did not answer the close frame");
    connection_close(c, CLOSE_WS_NO_ANSWER, UV_ETIMEDOUT);
}

static void on_drained(struct connection *c) {
    struct ws_peer *peer = c->owner;
    if (peer->late_pong && peer->late_pong[CONTROL_MAX]) {
        peer->late_pong[CONTROL_MAX] = 0;
        if (peer->state == WS_PEER_OPEN)
            send_frame(peer, OPCODE_PONG, true, peer->late_pong, peer->late_pong_length);
        free(peer->late_pong);
        peer->late_pong = NULL;
    }
    peer->events->drained(peer->owner);
}

static void on_shut_down(struct connection *c) {
    ws_peer_close(c->owner, 1001, "", 0);
}

static void on_closed(struct connection *c) {
    struct ws_peer *peer = c->owner;
    if (!peer->code)
        peer->code = 1006;
    if (c->error && !peer->close_received)
        abnormal(peer, c->error, uv_strerror(c->error));
    if (c->reason == CLOSE_READ_ERROR && peer->close_received)
        c->reason = CONNECTION_DONE; /* reset after the closing handshake: it was over anyway */
    peer->state = WS_PEER_CLOSED;
    input_drop(&peer->input, peer->loop);
    peer->connection = NULL;
    peer->events->closed(peer->owner, c);
}

static const struct connection_events ws_connection_events = {
    .data = on_data,
    .end = on_end,
    .timeout = on_timeout,
    .drained = on_drained,
    .shut_down = on_shut_down,
    .closed = on_closed,
};

/* --- The interface ---------------------------------------------------------------------------- */

bool ws_peer_start(struct ws_peer *peer, struct connection *connection, struct frame_codec *codec,
                   const ws_options_t *options, size_t read_ahead,
                   const struct ws_peer_events *events, void *owner, const char *early,
                   size_t early_length) {
    peer->connection = connection;
    peer->loop = connection->loop;
    peer->codec = codec;
    peer->options = options;
    peer->read_ahead = read_ahead;
    peer->events = events;
    peer->owner = owner;
    peer->go_on.run = go_on_later;
    connection_own(connection, &ws_connection_events, peer);
    connection_read_stop(connection);
    if (early_length == 0)
        return true;
    peer->input.at = (char *)early;
    peer->input.length = early_length;
    return input_keep(&peer->input, peer->loop);
}

void ws_peer_free(struct ws_peer *peer) {
    loop_unpost(peer->loop, &peer->go_on);
    ws_incoming_free(peer->incoming);
    peer->incoming = NULL;
    free(peer->late_pong);
    free(peer->reason);
    peer->late_pong = peer->reason = NULL;
}

void ws_peer_want(struct ws_peer *peer, bool wanted) {
    if (peer->wanted == wanted)
        return;
    peer->wanted = wanted;
    if (wanted && peer->connection && !peer->going_on)
        loop_post(peer->loop, &peer->go_on);
}

int ws_peer_send(struct ws_peer *peer, enum opcode opcode, bool fin, const void *data,
                 size_t length) {
    struct connection *c = peer->connection;
    if (peer->state != WS_PEER_OPEN || !connection_is_open(c))
        return UV_ENOTCONN;
    if (c->pending + length > peer->options->buffered_size) {
        connection_flush(c);
        if (c->pending + length > peer->options->buffered_size && c->pending > 0) {
            connection_blame(c, CLOSE_WS_SLOW);
            peer->error = UV_ENOBUFS;
            peer->error_text = "too much waits to be sent";
            ws_peer_close(peer, 1013, "", 0);
            return UV_ENOBUFS;
        }
    }
    int err = send_frame(peer, opcode, fin, data, length);
    if (err)
        return err == UV_EPIPE ? UV_ENOTCONN : err;
    if (c->pending > c->high_water)
        connection_flush(c);
    return c->pending > c->high_water;
}
