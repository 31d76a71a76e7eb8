/*
 * The server's side of a WebSocket (RFC 6455) on a connection: frames in, whole messages out; pings
 * answered, closes echoed, everything else refused with the right code. It knows nothing of
 * handlers.
 *
 * While no frame is incomplete it holds nothing but this struct.
 */
#ifndef ACACIA_WS_PEER_H
#define ACACIA_WS_PEER_H

#include "protocols/frame.h"
#include "protocols/utf8.h"
#include "runtime/arena.h"
#include "runtime/connection.h"
#include "runtime/input.h"

struct ws_peer;

/* A message, while it comes in and while a handler has it. Lies in its own arena, where the handler
 * may allocate too. */
struct ws_incoming {
    struct arena arena;
    struct loop *loop;
    char *data; /* NUL-terminated once complete */
    size_t length, capacity;
    bool allocated;  /* by malloc, since it is larger than what an arena should hold */
    bool in_message; /* a data frame has begun it */
    bool binary;
    size_t fragments;
    struct utf8 utf8;
    struct frame frame; /* the one that is incomplete, if `in_frame` */
    bool in_frame;
    uint64_t frame_done; /* bytes of its payload so far */
    uint8_t small[128];  /* an incomplete header, or the payload of a control frame */
    size_t small_length;
};

void ws_incoming_free(struct ws_incoming *incoming);

struct ws_peer_events {
    /* A whole message: the receiver's to free by ws_incoming_free. */
    void (*message)(void *owner, struct ws_incoming *message);
    void (*ping)(void *owner, const char *data, size_t length);
    void (*pong)(void *owner, const char *data, size_t length);
    /* What was sent has drained to below the high-water mark. */
    void (*drained)(void *owner);
    /* Over: see `code`, `reason`, `error`. The peer must be freed by ws_peer_free. */
    void (*closed)(void *owner, struct connection *connection);
};

enum ws_peer_state { WS_PEER_OPEN, WS_PEER_CLOSING, WS_PEER_CLOSED };

struct ws_peer {
    struct connection *connection; /* NULL once closed */
    struct loop *loop;
    struct frame_codec *codec;
    const ws_options_t *options;
    size_t read_ahead;
    const struct ws_peer_events *events;
    void *owner;
    struct input input;
    struct ws_incoming *incoming; /* NULL while nothing is incomplete */
    char *late_pong;              /* the last ping's payload, while the socket takes no output */
    struct task go_on;
    const char *error_text; /* static; NULL if nothing went wrong */
    int error;              /* a negative code, 0 if nothing went wrong */
    uint16_t code;          /* as the close handler hears it */
    uint8_t late_pong_length;
    enum ws_peer_state state : 3;
    bool wanted : 1; /* messages are: without that nothing is parsed */
    bool going_on : 1;
    bool ended : 1; /* the peer sends no more */
    bool close_received : 1;
    bool failed : 1; /* a protocol error: no further byte is looked at */
    char *reason;    /* of the peer's close frame, or NULL */
};

/* Speak WebSocket on `connection`, of which `early` bytes have been read already. The peer is the
 * caller's memory, zeroed, and must live until `closed`. Nothing is parsed before ws_peer_want.
 * False when there is no memory. */
bool ws_peer_start(struct ws_peer *peer, struct connection *connection, struct frame_codec *codec,
                   const ws_options_t *options, size_t read_ahead,
                   const struct ws_peer_events *events, void *owner, const char *early,
                   size_t early_length);

/* After `closed`. */
void ws_peer_free(struct ws_peer *peer);

/* Are messages wanted? If not the socket is not read beyond read_ahead bytes. Those that wait are
 * delivered later in this turn, not from within. */
void ws_peer_want(struct ws_peer *peer, bool wanted);

/* Send a frame. 0; 1 when more than the high-water mark waits now; UV_ENOTCONN when it is not open;
 * UV_ENOBUFS when too much waits: then it is being closed; UV_ENOMEM. */
int ws_peer_send(struct ws_peer *peer, enum opcode opcode, bool fin, const void *data,
                 size_t length);

/* Begin the closing handshake; code 0 is an empty close frame. The reason is at most 123 bytes. */
void ws_peer_close(struct ws_peer *peer, int code, const char *reason, size_t length);

/* Fail it: `code` to the peer, 1006 and `error` to us. */
void ws_peer_fail(struct ws_peer *peer, int code, close_reason_t blame, int error,
                  const char *text);

/* Cut it. */
void ws_peer_terminate(struct ws_peer *peer, close_reason_t blame);

/* May this code be sent in a close frame (RFC 6455 7.4)? */
bool ws_close_code_is_valid(int code);

#endif
