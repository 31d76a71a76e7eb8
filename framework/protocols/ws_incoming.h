/*
 * A message of a WebSocket, while it comes in and while a handler has it. Lies in its own arena,
 * where the handler may allocate too.
 */
#ifndef ACACIA_WS_INCOMING_H
#define ACACIA_WS_INCOMING_H

#include "protocols/frame.h"
#include "protocols/utf8.h"
#include "runtime/arena.h"
#include "runtime/loop.h"

#include <stddef.h>

/* How far the reading of a message has come. */
struct ws_reading {
    bool in_message; /* a data frame has begun it */
    bool compressed;
    bool pieces; /* it is delivered piece by piece */
    bool begun;  /* … and the first of them was */
    size_t fragments;
    uint64_t size; /* of the payloads until now, as they came */
    struct utf8 utf8;
    struct frame frame; /* the one that is incomplete, if `in_frame` */
    bool in_frame;
    uint64_t frame_done; /* bytes of its payload so far */
    size_t small_length;
    uint8_t small[128]; /* an incomplete header, or the payload of a control frame; last */
};

/* Most messages have no more bytes. AddressSanitizer is to see where each ends. */
#define WS_INCOMING_ROOM (ARENA_POISONED ? 1 : 512)

struct ws_incoming {
    struct arena arena;
    struct loop *loop;
    char *data; /* NUL-terminated once complete */
    size_t length, capacity;
    bool allocated;            /* by malloc, since it is larger than what an arena should hold */
    struct read_buffer *where; /* it came, and was left; else NULL */
    bool binary;               /* else text */
    bool first, last;          /* of the pieces of a message; a whole one is both */
    struct ws_reading reading;
    _Alignas(max_align_t) char room[WS_INCOMING_ROOM]; /* where `data` begins; last */
};

/* NULL when there is no memory. */
struct ws_incoming *ws_incoming_new(struct loop *loop);
void ws_incoming_free(struct ws_incoming *incoming); /* NULL is fine */

/* Room for `n` more bytes and a NUL. What a header announces is not believed before it comes: the
 * room grows with what is there. False when there is no memory. */
bool ws_incoming_grow(struct ws_incoming *incoming, size_t n);

static inline bool ws_incoming_reserve(struct ws_incoming *incoming, size_t n) {
    return n < incoming->capacity - incoming->length || ws_incoming_grow(incoming, n);
}

/* Its payload lies at `data`, `n` bytes and room for a NUL, as it was delivered: let it stay there,
 * if it is worth that. False if it is not, or cannot. */
bool ws_incoming_stays(struct ws_incoming *incoming, char *data, size_t n);

/* Append bytes of the message: 0, UV_ENOMEM, or UV_ECHARSET for text that is not UTF-8. */
int ws_incoming_add(struct ws_incoming *incoming, const char *data, size_t n);

/* Nothing of it is worth keeping. */
bool ws_incoming_is_blank(const struct ws_incoming *incoming);

#endif
