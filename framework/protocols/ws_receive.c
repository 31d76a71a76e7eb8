/* What comes in: frames, and the messages that they make up. */
#include "protocols/ws_peer.h"

#include "protocols/mask.h"

#include <stdlib.h>
#include <string.h>

#define RSV1 4
#define PIECE_SIZE 65536   /* what a piece of a message has at most, if it is not compressed */
#define DEFLATE_RATIO 1032 /* no more bytes come out of one */

/* --- Refusing --------------------------------------------------------------------------------- */

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

static bool too_big(struct ws_peer *peer) {
    ws_peer_fail(peer, 1009, CLOSE_WS_TOO_BIG, UV_EMSGSIZE, "a message that is too big");
    return false;
}

static bool cannot_inflate(struct ws_peer *peer, int err) {
    if (err == UV_ENOMEM)
        return no_memory(peer);
    if (err == UV_EMSGSIZE)
        return too_big(peer);
    if (err == UV_ECHARSET)
        return bad_text(peer);
    ws_peer_fail(peer, 1007, CLOSE_WS_DEFLATE, UV_EILSEQ, "compressed data that is none");
    return false;
}

/* --- Control frames --------------------------------------------------------------------------- */

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
    ws_peer_answer_close(peer, code, length ? data + 2 : "", length ? length - 2 : 0);
    return false;
}

static bool receive_control(struct ws_peer *peer, uint8_t opcode, const char *data, size_t length) {
    if (opcode == OPCODE_CLOSE)
        return receive_close(peer, data, length);
    if (opcode == OPCODE_PING) {
        ws_peer_answer_ping(peer, data, length);
        peer->all->events->ping(peer, data, length);
    } else {
        peer->all->events->pong(peer, data, length);
    }
    return true;
}

/* --- Headers ---------------------------------------------------------------------------------- */

static bool is_control(uint8_t opcode) {
    return opcode & 0x8;
}

static bool check_data_frame(struct ws_peer *peer, struct ws_incoming *in) {
    struct ws_reading *reading = &in->reading;
    const struct frame *frame = &reading->frame;
    bool continues = frame->opcode == OPCODE_CONTINUATION;
    if (continues && !reading->in_message)
        return protocol_error(peer, "a continuation of nothing");
    if (!continues && reading->in_message)
        return protocol_error(peer, "a new message within a fragmented one");
    if (!continues) {
        reading->pieces = peer->pieces;
        reading->compressed = frame->rsv == RSV1;
        in->binary = frame->opcode == OPCODE_BINARY;
        in->first = true;
    }
    if (!reading->pieces && frame->length > peer->options->message_size - reading->size)
        return too_big(peer);
    if (++reading->fragments > peer->options->fragment_count) {
        ws_peer_fail(peer, 1008, CLOSE_WS_FRAGMENTS, UV_EMSGSIZE, "too many fragments");
        return false;
    }
    reading->in_message = true;
    reading->size += frame->length;
    return true;
}

static bool check_frame(struct ws_peer *peer, struct ws_incoming *in) {
    const struct frame *frame = &in->reading.frame;
    bool compressed = ws_deflate_is_on(&peer->deflate) && frame->rsv == RSV1 &&
                      (frame->opcode == OPCODE_TEXT || frame->opcode == OPCODE_BINARY);
    if (frame->rsv && !compressed)
        return protocol_error(peer, "a reserved bit");
    if (frame->opcode > OPCODE_BINARY &&
        (frame->opcode < OPCODE_CLOSE || frame->opcode > OPCODE_PONG))
        return protocol_error(peer, "a reserved opcode");
    if (frame->masked == peer->client)
        return protocol_error(peer, frame->masked ? "a masked frame" : "a frame without a mask");
    return is_control(frame->opcode) || check_data_frame(peer, in);
}

/* A header, from what came before and what is there. False if it is incomplete or wrong. */
static bool begin_frame(struct ws_peer *peer, struct ws_incoming *in) {
    struct ws_reading *reading = &in->reading;
    const uint8_t *data = (const uint8_t *)peer->input->at;
    size_t n = peer->input->length, before = reading->small_length;
    if (before) {
        size_t more = n < FRAME_HEADER_MAX - before ? n : FRAME_HEADER_MAX - before;
        memcpy(reading->small + before, data, more);
        data = reading->small;
        n = before + more;
    }
    int size = frame_read_header(peer->all->codec, data, n, &reading->frame);
    if (size == 0) {
        if (!before)
            memcpy(reading->small, data, n);
        reading->small_length = n;
        input_use(peer->input, peer->all->loop, n - before);
        return false;
    }
    if (size == UV_ENOMEM)
        return no_memory(peer);
    if (size < 0)
        return protocol_error(peer, "an invalid frame header");
    reading->small_length = 0;
    reading->in_frame = true;
    reading->frame_done = 0;
    input_use(peer->input, peer->all->loop, (size_t)size - before);
    return check_frame(peer, in);
}

/* --- Payloads --------------------------------------------------------------------------------- */

/* To whoever wants it; `next` is what comes in from now on. */
static void pass_on(struct ws_peer *peer, struct ws_incoming *in, struct ws_incoming *next) {
    in->first = !in->reading.begun;
    in->data[in->length] = '\0';
    peer->incoming = next;
    if (peer->state == WS_PEER_OPEN)
        peer->all->events->message(peer, in);
    else
        ws_incoming_free(in); /* we have said goodbye */
}

/* What is known of the message stays here, for its next piece. */
static bool deliver_piece(struct ws_peer *peer, struct ws_incoming *in) {
    struct ws_incoming *next = ws_incoming_new(peer->all->loop);
    if (!next)
        return no_memory(peer);
    next->reading = in->reading;
    next->reading.begun = true;
    next->binary = in->binary;
    pass_on(peer, in, next);
    return true;
}

static bool deliver(struct ws_peer *peer, struct ws_incoming *in) {
    if (!in->binary && !utf8_done(&in->reading.utf8))
        return bad_text(peer);
    if (!ws_health_allows(peer))
        return false;
    in->last = true;
    pass_on(peer, in, NULL);
    return true;
}

/* Are the next `n` bytes the whole payload of a message, and nothing follows? */
static bool is_whole(const struct ws_peer *peer, const struct ws_incoming *in, size_t n) {
    const struct frame *frame = &in->reading.frame;
    return n == frame->length && frame->fin && n == peer->input->length;
}

/* Bytes of a message's payload, unmasked into it, or where they lie. */
static bool add_payload(struct ws_peer *peer, struct ws_incoming *in, size_t n) {
    struct ws_reading *reading = &in->reading;
    bool stays = is_whole(peer, in, n) && ws_incoming_stays(in, peer->input->at, n);
    if (!stays && !ws_incoming_reserve(in, n))
        return no_memory(peer);
    char *to = in->data + in->length;
    bool ascii = mask_copy(to, peer->input->at, n, reading->frame.key, (size_t)reading->frame_done);
    in->length += n;
    return in->binary || (ascii && utf8_done(&reading->utf8)) || utf8_feed(&reading->utf8, to, n) ||
           bad_text(peer);
}

/* The same of a compressed message: unmasked where it lies. */
static bool inflate_payload(struct ws_peer *peer, struct ws_incoming *in, size_t n) {
    struct ws_reading *reading = &in->reading;
    const struct frame *frame = &reading->frame;
    char *data = peer->input->at;
    bool fin = frame->fin && reading->frame_done + n == frame->length;
    if (n && !peer->client)
        mask_copy(data, data, n, frame->key, (size_t)reading->frame_done);
    int err = ws_inflate(peer, in, data, n, fin);
    return !err || cannot_inflate(peer, err);
}

static bool receive_data(struct ws_peer *peer, struct ws_incoming *in, size_t n) {
    struct ws_reading *reading = &in->reading;
    size_t most = reading->compressed ? PIECE_SIZE / DEFLATE_RATIO : PIECE_SIZE - in->length;
    if (reading->pieces && n > most)
        n = most;
    if (!(reading->compressed ? inflate_payload(peer, in, n) : add_payload(peer, in, n)))
        return false;
    input_use(peer->input, peer->all->loop, n);
    reading->frame_done += n;
    bool frame_ends = reading->frame_done == reading->frame.length;
    reading->in_frame = !frame_ends;
    if (frame_ends && reading->frame.fin)
        return deliver(peer, in);
    bool is_piece = in->length >= PIECE_SIZE || (in->length > 0 && peer->input->length == 0);
    if (reading->pieces && is_piece)
        return deliver_piece(peer, in);
    return frame_ends || peer->input->length > 0;
}

static bool receive_control_payload(struct ws_peer *peer, struct ws_reading *reading, size_t n) {
    const struct frame *frame = &reading->frame;
    uint8_t *to = reading->small + reading->frame_done;
    mask_copy(to, peer->input->at, n, frame->key, (size_t)reading->frame_done);
    input_use(peer->input, peer->all->loop, n);
    reading->frame_done += n;
    if (reading->frame_done < frame->length)
        return false;
    reading->in_frame = false;
    return receive_control(peer, frame->opcode, (char *)reading->small, (size_t)frame->length);
}

enum ws_peer_wants ws_receive_needs(const struct ws_peer *peer) {
    const struct ws_reading *reading = peer->incoming ? &peer->incoming->reading : NULL;
    if (!peer->input || peer->input->length == 0)
        return WS_WANTS_MESSAGES;
    uint8_t opcode = reading && reading->in_frame       ? reading->frame.opcode
                     : reading && reading->small_length ? reading->small[0]
                                                        : (uint8_t)*peer->input->at;
    if (!is_control(opcode))
        return WS_WANTS_MESSAGES;
    return (opcode & 0xf) == OPCODE_CLOSE ? WS_WANTS_CONTROL : WS_WANTS_PINGS;
}

bool ws_receive(struct ws_peer *peer) {
    struct ws_incoming *in = peer->incoming;
    if (!in && !(in = peer->incoming = ws_incoming_new(peer->all->loop)))
        return no_memory(peer);
    struct ws_reading *reading = &in->reading;
    if (!reading->in_frame && !begin_frame(peer, in))
        return false;
    uint64_t left = reading->frame.length - reading->frame_done;
    size_t n = left < peer->input->length ? (size_t)left : peer->input->length;
    return is_control(reading->frame.opcode) ? receive_control_payload(peer, reading, n)
                                             : receive_data(peer, in, n);
}
