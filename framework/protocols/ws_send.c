/* What goes out: frames, and messages that wait for their turn. */
#include "protocols/ws_peer.h"

#include "protocols/mask.h"
#include "protocols/openssl/random.h"

#include <stdlib.h>
#include <string.h>

#define RSV1 4

/* --- Frames ----------------------------------------------------------------------------------- */

/* Write all of it to where FRAME_HEADER_MAX bytes more than the payload have room. Returns its
 * size, or a negative error. RFC 6455 5.3: a client masks, by a key that nobody can foresee. */
static ssize_t put_frame(const struct ws_peer *peer, char *to, struct frame *frame,
                         const void *data) {
    size_t length = (size_t)frame->length;
    frame->masked = peer->client;
    if (frame->masked && !random_bytes(frame->key, sizeof frame->key))
        return UV_EIO;
    int n = frame_write_header((uint8_t *)to, frame);
    if (n < 0)
        return n;
    if (frame->masked)
        mask_copy(to + n, data, length, frame->key, 0);
    else if (length)
        memcpy(to + n, data, length);
    return n + (ssize_t)length;
}

/* The payload leaves from where it is, if the socket takes it. Not inlined: for the array, which is
 * guarded, small messages would pay. */
static __attribute__((noinline)) int write_big(struct connection *c, const struct frame *frame,
                                               const void *data) {
    uint8_t header[FRAME_HEADER_MAX];
    int n = frame_write_header(header, frame);
    return n < 0 ? n : connection_write_headed(c, header, (size_t)n, data, (size_t)frame->length);
}

static int write_frame(struct ws_peer *peer, struct frame *frame, const void *data) {
    struct connection *c = peer->connection;
    if (frame->length >= CHUNK_SIZE / 2 && !peer->client)
        return write_big(c, frame, data);
    char *room = connection_reserve(c, FRAME_HEADER_MAX + (size_t)frame->length);
    if (!room)
        return c->error == UV_ENOMEM ? UV_ENOMEM : UV_EPIPE;
    ssize_t size = put_frame(peer, room, frame, data);
    if (size < 0)
        return (int)size;
    connection_commit(c, (size_t)size);
    return 0;
}

/* The same as bytes to be held. NULL when there is no memory. */
static struct shared *make_frame(struct ws_peer *peer, struct frame *frame, const void *data) {
    struct shared *shared = shared_new(FRAME_HEADER_MAX + (size_t)frame->length);
    ssize_t size = shared ? put_frame(peer, shared->data, frame, data) : UV_ENOMEM;
    if (size < 0) {
        shared_release(shared);
        return NULL;
    }
    shared->length = (size_t)size;
    return shared;
}

/* The same for many. */
static struct part make_part(struct ws_peer *peer, struct frame *frame, const void *data) {
    struct pile *pile = &peer->all->loop->pile;
    size_t most = FRAME_HEADER_MAX + (size_t)frame->length;
    if (most > PILE_LARGEST)
        return shared_whole(make_frame(peer, frame, data));
    char *room = pile_reserve(pile, most);
    ssize_t size = room ? put_frame(peer, room, frame, data) : UV_ENOMEM;
    return size < 0 ? (struct part){0} : pile_take(pile, (size_t)size);
}

/* A message, or a fragment, as it goes out. */
struct payload {
    struct frame frame;
    const void *data;
};

/* Member by member: gcc 12 puts an initializer together from bytes that it has just written, and
 * waits for them. */
static inline struct payload payload_of(const struct ws_outgoing *out, bool continues) {
    struct payload payload;
    enum opcode opcode = out->binary ? OPCODE_BINARY : OPCODE_TEXT;
    payload.frame.length = out->length;
    payload.frame.opcode = (uint8_t)(continues ? OPCODE_CONTINUATION : opcode);
    payload.frame.rsv = 0;
    payload.frame.fin = !out->fragment || out->last;
    payload.frame.masked = false;
    payload.data = out->data;
    return payload;
}

static void use_compressed(struct payload *payload, const char *data, size_t length,
                           bool continues) {
    payload->frame.length = length;
    payload->frame.rsv = continues ? 0 : RSV1;
    payload->data = data;
}

/* What only becomes longer is sent as it is, unless a deflater counts on it. */
static int compress(struct ws_peer *peer, const struct ws_outgoing *out, struct payload *payload) {
    bool own = peer->options->deflate->own_compressor, continues = peer->sending && out->fragment;
    const char *data;
    size_t length;
    int err = ws_deflate(peer, out, &data, &length);
    if (!err && (own || length < out->length))
        use_compressed(payload, data, length, continues);
    return err;
}

int ws_peer_control(struct ws_peer *peer, enum opcode opcode, const void *data, size_t length) {
    struct frame frame = {.length = length, .opcode = (uint8_t)opcode, .fin = true};
    if (peer->state != WS_PEER_OPEN || !connection_is_open(peer->connection))
        return UV_ENOTCONN;
    int err = write_frame(peer, &frame, data);
    return err == UV_EPIPE ? UV_ENOTCONN : err;
}

/* --- Messages that wait ----------------------------------------------------------------------- */

struct ws_waiting {
    struct ws_waiting *next;
    struct shared *frame;
};

struct ws_outbox {
    struct ws_waiting *first, **end;
    size_t size; /* of the frames */
    bool has_pong;
    uint8_t pong_length, pong[125];
};

size_t ws_peer_waiting(const struct ws_peer *peer) {
    size_t written = peer->connection ? peer->connection->pending : 0;
    return written + (peer->outbox ? peer->outbox->size : 0);
}

static bool has_waiting(const struct ws_peer *peer) {
    return peer->outbox && peer->outbox->first;
}

/* NULL when there is no memory. */
static struct ws_outbox *have_outbox(struct ws_peer *peer) {
    struct ws_outbox *outbox = peer->outbox;
    if (!outbox && (outbox = peer->outbox = calloc(1, sizeof *outbox)))
        outbox->end = &outbox->first;
    return outbox;
}

/* Holds the frame on its own. */
static bool outbox_add(struct ws_peer *peer, struct shared *frame) {
    struct ws_outbox *outbox = have_outbox(peer);
    struct ws_waiting *waiting = outbox ? malloc(sizeof *waiting) : NULL;
    if (!waiting)
        return false;
    *waiting = (struct ws_waiting){NULL, shared_hold(frame)};
    *outbox->end = waiting;
    outbox->end = &waiting->next;
    outbox->size += frame->length;
    return true;
}

/* The first frame, which the caller holds now. */
static struct shared *outbox_take(struct ws_outbox *outbox) {
    struct ws_waiting *waiting = outbox->first;
    struct shared *frame = waiting->frame;
    outbox->first = waiting->next;
    if (!outbox->first)
        outbox->end = &outbox->first;
    outbox->size -= frame->length;
    free(waiting);
    return frame;
}

/* A message is on its way. */
static void count_sent(struct ws_peer *peer) {
    peer->all->loop->counts.messages_sent++;
    peer->active = loop_now(peer->all->loop);
}

static void send_first(struct ws_peer *peer) {
    struct part frame = shared_whole(outbox_take(peer->outbox));
    connection_write_shared(peer->connection, &frame);
    shared_release(frame.of);
    count_sent(peer);
}

static void free_if_empty(struct ws_peer *peer) {
    if (peer->outbox && (peer->outbox->first || peer->outbox->has_pong))
        return;
    free(peer->outbox);
    peer->outbox = NULL;
}

void ws_outbox_empty(struct ws_peer *peer) {
    while (has_waiting(peer) && !peer->sending && connection_is_open(peer->connection))
        send_first(peer);
    free_if_empty(peer);
}

void ws_outbox_drop(struct ws_peer *peer) {
    while (has_waiting(peer))
        shared_release(outbox_take(peer->outbox));
    if (peer->outbox)
        peer->outbox->has_pong = false;
    free_if_empty(peer);
}

/* At most one pong waits: RFC 6455 5.5.3 lets us answer the latest ping only. */
void ws_peer_answer_ping(struct ws_peer *peer, const char *data, size_t length) {
    struct connection *c = peer->connection;
    if (peer->state != WS_PEER_OPEN)
        return;
    if (!c->in_flight && connection_is_high(c))
        connection_flush(c);
    if (!c->in_flight) {
        ws_peer_control(peer, OPCODE_PONG, data, length);
    } else if (have_outbox(peer)) {
        peer->outbox->has_pong = true;
        peer->outbox->pong_length = (uint8_t)length;
        memcpy(peer->outbox->pong, data, length);
    }
}

static void send_late_pong(struct ws_peer *peer) {
    struct ws_outbox *outbox = peer->outbox;
    if (!outbox || !outbox->has_pong || peer->connection->in_flight)
        return;
    outbox->has_pong = false;
    ws_peer_control(peer, OPCODE_PONG, outbox->pong, outbox->pong_length);
}

/* May more be given to the connection? What it has is sent first as far as the system takes it: the
 * rest comes back as `drained`, and nothing is left that nobody would send. */
static bool takes_more(struct connection *c) {
    if (connection_is_high(c))
        connection_flush(c);
    return connection_is_open(c) && !connection_is_high(c);
}

void ws_peer_refill(struct ws_peer *peer) {
    send_late_pong(peer);
    while (has_waiting(peer) && !peer->sending && takes_more(peer->connection))
        send_first(peer);
    free_if_empty(peer);
}

/* --- Too much --------------------------------------------------------------------------------- */

static bool has_room(const struct ws_peer *peer, size_t length) {
    size_t waiting = ws_peer_waiting(peer);
    return waiting == 0 || (waiting <= peer->options->buffered_size &&
                            length <= peer->options->buffered_size - waiting);
}

static int close_slow(struct ws_peer *peer) {
    connection_blame(peer->connection, CLOSE_WS_SLOW);
    ws_peer_note(peer, UV_ENOBUFS, "too much waits to be sent");
    ws_outbox_drop(peer);
    ws_peer_close(peer, 1013, "", 0);
    return UV_ENOBUFS;
}

static void drop_oldest(struct ws_peer *peer, size_t length) {
    while (has_waiting(peer) && !has_room(peer, length)) {
        shared_release(outbox_take(peer->outbox));
        peer->all->loop->counts.messages_dropped++;
    }
}

/* Make room for it, since there is none: 0, WS_DROPPED if it is not to be sent, or UV_ENOBUFS. A
 * fragment can't be left out any more. */
static __attribute__((noinline)) int make_room(struct ws_peer *peer,
                                               const struct ws_outgoing *out) {
    connection_flush(peer->connection);
    if (!connection_is_open(peer->connection))
        return UV_ENOTCONN;
    ws_peer_refill(peer);
    if (peer->options->overflow == WS_OVERFLOW_DROP_OLDEST)
        drop_oldest(peer, out->length);
    if (has_room(peer, out->length))
        return 0;
    if (peer->options->overflow == WS_OVERFLOW_CLOSE || out->fragment)
        return close_slow(peer);
    peer->all->loop->counts.messages_dropped++;
    return WS_DROPPED;
}

/* --- Messages --------------------------------------------------------------------------------- */

/* Where messages may be dropped they wait as such, and not as bytes of the connection. */
static bool must_wait(struct ws_peer *peer) {
    if (peer->sending || has_waiting(peer))
        return true;
    if (peer->options->overflow == WS_OVERFLOW_CLOSE || !connection_is_high(peer->connection))
        return false;
    connection_flush(peer->connection);
    return connection_is_high(peer->connection);
}

static int wait_in_outbox(struct ws_peer *peer, struct shared *frame) {
    bool added = frame && outbox_add(peer, frame);
    shared_release(frame);
    if (!added)
        return UV_ENOMEM;
    ws_peer_refill(peer);
    return ws_peer_waiting(peer) > peer->connection->limits->high_water;
}

/* What has been written, or why not. `whole`: a message, or the last of its fragments. */
static int written(struct ws_peer *peer, int err, bool whole) {
    struct connection *c = peer->connection;
    if (err)
        return err == UV_EPIPE ? UV_ENOTCONN : err;
    if (whole)
        count_sent(peer);
    if (connection_is_high(c))
        connection_flush(c);
    return connection_is_high(c);
}

/* May something be sent? Else why not. */
static inline int begin(struct ws_peer *peer, const struct ws_outgoing *out) {
    if (peer->state != WS_PEER_OPEN || !connection_is_open(peer->connection))
        return UV_ENOTCONN;
    return has_room(peer, out->length) ? 0 : make_room(peer, out);
}

/* A fragment is missing: the message can't be ended any more. */
static void close_broken(struct ws_peer *peer) {
    ws_peer_fail(peer, 1011, CLOSE_NO_MEMORY, UV_ENOMEM, "out of memory");
}

static int send_fragment(struct ws_peer *peer, const struct ws_outgoing *out) {
    struct ws_deflate *deflate = &peer->deflate;
    if (!peer->sending) {
        ws_outbox_empty(peer);
        deflate->sending = ws_deflate_wants(peer, out);
    }
    struct payload payload = payload_of(out, peer->sending);
    int err = deflate->sending ? compress(peer, out, &payload) : 0;
    if (err) {
        close_broken(peer);
        return err;
    }
    peer->sending = !out->last;
    deflate->sending = deflate->sending && peer->sending;
    err = written(peer, write_frame(peer, &payload.frame, payload.data), out->last);
    if (out->last && err >= 0)
        ws_peer_refill(peer);
    return err;
}

int ws_peer_send(struct ws_peer *peer, const struct ws_outgoing *out) {
    int err = begin(peer, out);
    if (err)
        return err;
    if (out->fragment)
        return send_fragment(peer, out);
    struct payload payload = payload_of(out, false);
    bool waits = must_wait(peer);
    if (ws_deflate_wants(peer, out) && !(waits && peer->options->deflate->own_compressor))
        err = compress(peer, out, &payload);
    if (err)
        return err;
    if (waits)
        return wait_in_outbox(peer, make_frame(peer, &payload.frame, payload.data));
    err = written(peer, write_frame(peer, &payload.frame, payload.data), true);
    if (err < 0)
        ws_deflate_forget(peer); /* the peer never gets what it counts on */
    return err;
}

/* --- One for many ----------------------------------------------------------------------------- */

static struct part *plain_frame(struct ws_peer *peer, struct ws_publication *publication) {
    if (!publication->plain.of) {
        struct payload payload = payload_of(&publication->out, false);
        publication->plain = make_part(peer, &payload.frame, payload.data);
    }
    return &publication->plain;
}

/* It is compressed once for each size of a window; as a rule there is one. */
static struct part *compressed_frame(struct ws_peer *peer, struct ws_publication *publication) {
    struct part *frame = &publication->compressed[peer->deflate.send_bits - 8];
    struct payload payload = payload_of(&publication->out, false);
    const char *data;
    size_t length;
    if (frame->of || ws_deflate_shared(peer, &publication->out, &data, &length))
        return frame;
    if (length < publication->out.length) {
        use_compressed(&payload, data, length, false);
        *frame = make_part(peer, &payload.frame, payload.data);
    } else if (plain_frame(peer, publication)->of) {
        *frame = publication->plain;
        shared_hold(frame->of);
    }
    return frame;
}

int ws_peer_publish(struct ws_peer *peer, struct ws_publication *publication) {
    const struct ws_outgoing *out = &publication->out;
    if (peer->client)
        return ws_peer_send(peer, out);
    int err = begin(peer, out);
    if (err)
        return err;
    bool waits = must_wait(peer);
    bool compressed =
        ws_deflate_wants(peer, out) && !(waits && peer->options->deflate->own_compressor);
    const struct part *frame =
        compressed ? compressed_frame(peer, publication) : plain_frame(peer, publication);
    if (!frame->of)
        return UV_ENOMEM;
    if (waits)
        return wait_in_outbox(peer, part_alone(frame));
    if (compressed)
        ws_deflate_forget(peer);
    return written(peer, connection_write_shared(peer->connection, frame), true);
}

void ws_publication_end(struct ws_publication *publication) {
    shared_release(publication->plain.of);
    for (size_t i = 0; i < sizeof publication->compressed / sizeof *publication->compressed; i++)
        shared_release(publication->compressed[i].of);
}
