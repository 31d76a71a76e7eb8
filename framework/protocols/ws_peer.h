/*
 * One end of a WebSocket (RFC 6455) on a connection, a server's or a client's: frames in, whole
 * messages out; pings answered, closes echoed, everything else refused with the right code. It
 * knows nothing of handlers.
 *
 * While no frame is incomplete and nothing waits to be sent it holds nothing but this struct.
 *
 * ws_peer.c is its life, ws_receive.c what comes in, ws_send.c what goes out, ws_health.c how long
 * it may say nothing.
 */
#ifndef ACACIA_WS_PEER_H
#define ACACIA_WS_PEER_H

#include "protocols/ws_deflate.h"
#include "protocols/ws_incoming.h"
#include "runtime/connection.h"
#include "runtime/input.h"

struct ws_outbox;
struct ws_peer;

struct ws_peer_events {
    /* A whole message, or a piece of one: the receiver's to free by ws_incoming_free. */
    void (*message)(struct ws_peer *peer, struct ws_incoming *message);
    void (*ping)(struct ws_peer *peer, const char *data, size_t length);
    void (*pong)(struct ws_peer *peer, const char *data, size_t length);
    /* What was sent has drained to below the high-water mark. */
    void (*drained)(struct ws_peer *peer);
    /* Over: see `code`, `reason`, `error`. The peer must be freed by ws_peer_free. */
    void (*closed)(struct ws_peer *peer, struct connection *connection);
};

/* What all peers of an app have in common. */
struct ws_peers {
    struct loop *loop;
    struct frame_codec *codec;
    struct ws_compressors *compressors;
    const struct ws_peer_events *events;
    size_t read_ahead;
};

enum ws_peer_state { WS_PEER_OPEN, WS_PEER_CLOSING, WS_PEER_CLOSED };

/* How much of what comes in is looked at: as long as nothing stands before it that is not. */
enum ws_peer_wants {
    WS_WANTS_NOTHING,
    WS_WANTS_PINGS,   /* and pongs */
    WS_WANTS_CONTROL, /* closes as well */
    WS_WANTS_MESSAGES /* all */
};

/* Thousands of them may be idle: every byte counts. */
struct ws_peer {
    const struct ws_peers *all;
    struct connection *connection; /* NULL once closed */
    const ws_options_t *options;   /* complete: no zeros but those that mean none */
    struct input *input;           /* NULL while nothing waits to be looked at */
    struct ws_incoming *incoming;  /* NULL while nothing is incomplete */
    struct ws_outbox *outbox;      /* what waits to be sent; NULL: nothing */
    struct ws_flaters *flaters;    /* NULL until something is compressed, or was */
    struct task task;              /* to go on reading; the owner's once it is closed */
    const char *error_text;        /* static; NULL if nothing went wrong */
    char *reason;                  /* of the peer's close frame, or NULL */

    /* ws_health.c: times of the loop */
    uint64_t heard;      /* when anything came */
    uint64_t active;     /* when a message came or went */
    uint32_t rate_began; /* the second that `rate_count` messages came in: its lower 32 bits */
    uint32_t rate_count;

    int16_t error; /* a negative code, 0 if nothing went wrong */
    uint16_t code; /* as the close handler hears it */
    struct ws_deflate deflate;
    enum ws_peer_state state : 3;
    enum ws_peer_wants wants : 3;
    bool client : 1; /* this end: it masks what it sends */
    bool pieces : 1; /* the next message is to be delivered piece by piece */
    bool going_on : 1;
    bool sending : 1;   /* a message in fragments: others wait for its last one */
    bool ping_sent : 1; /* and nothing has been heard since */
    bool ended : 1;     /* the peer sends no more */
    bool close_received : 1;
    bool failed : 1; /* a protocol error: no further byte is looked at */
};

/* What a peer is made of. */
struct ws_peer_setup {
    const struct ws_peers *all;
    struct connection *connection;
    bool client;
    const struct deflate_agreement *agreement; /* NULL: no compression */
    const char *early;                         /* bytes that have been read already */
    size_t early_length;
};

/* Speak WebSocket. The peer is the caller's memory, zeroed but for its options, and must live until
 * `closed`. Nothing is parsed before ws_peer_want. False when there is no memory. */
bool ws_peer_start(struct ws_peer *peer, const struct ws_peer_setup *setup);

/* After `closed`. */
void ws_peer_free(struct ws_peer *peer);

/* While messages are not wanted the socket is not read beyond read_ahead bytes. What waits is
 * looked at later in this turn, not from within. */
void ws_peer_want(struct ws_peer *peer, enum ws_peer_wants wants);

/* Begin the closing handshake; code 0 is an empty close frame. The reason is at most 123 bytes. */
void ws_peer_close(struct ws_peer *peer, int code, const char *reason, size_t length);

/* Fail it: `code` to the peer, 1006 and `error` to us. */
void ws_peer_fail(struct ws_peer *peer, int code, close_reason_t blame, int error,
                  const char *text);

/* Note an error that ended it, unless it has ended well or there was one before. */
void ws_peer_note(struct ws_peer *peer, int error, const char *text);

/* A close frame has come in. */
void ws_peer_answer_close(struct ws_peer *peer, int code, const char *reason, size_t length);

/* Cut it. */
void ws_peer_terminate(struct ws_peer *peer, close_reason_t blame);

/* May this code be sent in a close frame (RFC 6455 7.4)? */
bool ws_close_code_is_valid(int code);

/* --- ws_receive.c ----------------------------------------------------------------------------- */

/* Look at the input: a header or some of a payload. False if it can't go on. There is some. */
bool ws_receive(struct ws_peer *peer);

/* What must be wanted for that. */
enum ws_peer_wants ws_receive_needs(const struct ws_peer *peer);

/* --- ws_send.c -------------------------------------------------------------------------------- */

/* A message, or a fragment of one. */
struct ws_outgoing {
    const void *data;
    size_t length;
    bool binary;
    bool fragment; /* of a message; the first one says what it is */
    bool last;     /* of the fragments */
    bool plain;    /* not to be compressed */
};

#define WS_DROPPED 2

/* Send it. 0; 1 when more than the high-water mark waits now; WS_DROPPED as options->overflow says;
 * UV_ENOTCONN when it is not open; UV_ENOBUFS when too much waits: then it is being closed;
 * UV_ENOMEM. A whole message waits for the fragments of another to end. */
int ws_peer_send(struct ws_peer *peer, const struct ws_outgoing *out);

/* A message that goes to several peers. */
struct ws_publication {
    struct ws_outgoing out;
    struct part plain;         /* as a frame, once it is needed */
    struct part compressed[8]; /* the same for windows of 8 to 15 bits */
};

int ws_peer_publish(struct ws_peer *peer, struct ws_publication *publication);
void ws_publication_end(struct ws_publication *publication);

/* Send a control frame, ahead of messages that wait: 0, UV_ENOTCONN, UV_ENOMEM. */
int ws_peer_control(struct ws_peer *peer, enum opcode opcode, const void *data, size_t length);

/* A ping has come in. */
void ws_peer_answer_ping(struct ws_peer *peer, const char *data, size_t length);

/* The connection takes output again: what waits may go. */
void ws_peer_refill(struct ws_peer *peer);

/* Bytes that wait. */
size_t ws_peer_waiting(const struct ws_peer *peer);

/* All messages that wait go to the connection; or all that waits, nowhere. */
void ws_outbox_empty(struct ws_peer *peer);
void ws_outbox_drop(struct ws_peer *peer);

/* --- ws_health.c ------------------------------------------------------------------------------ */

void ws_health_start(struct ws_peer *peer);

/* The time has come to look. */
void ws_health_check(struct ws_peer *peer);

/* A message has come: false, and the peer has failed, if they are too many. */
bool ws_health_allows(struct ws_peer *peer);

#endif
