/*
 * WebSocket frame headers (RFC 6455 5.2). They are read by wslay: the only file that knows it is
 * frame.c. Payloads never pass through wslay, which would copy them by way of a small buffer and
 * unmask them byte by byte; so one wslay context, borrowed for the length of a call, serves a whole
 * loop.
 */
#ifndef ACACIA_FRAME_H
#define ACACIA_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_MAX 14

enum opcode {
    OPCODE_CONTINUATION = 0x0,
    OPCODE_TEXT = 0x1,
    OPCODE_BINARY = 0x2,
    OPCODE_CLOSE = 0x8,
    OPCODE_PING = 0x9,
    OPCODE_PONG = 0xa
};

struct frame {
    uint64_t length;
    uint8_t opcode;
    uint8_t rsv;
    bool fin;
    bool masked;
    uint8_t key[4]; /* zeros if it is not masked */
};

struct frame_codec;

/* NULL when there is no memory. */
struct frame_codec *frame_codec_new(void);
void frame_codec_free(struct frame_codec *codec);

/*
 * Read a header from the `n` bytes at `data`. Returns its size (2 to 14), 0 when it is incomplete,
 * or a negative error: UV_EPROTO when it is none (a control frame that is long or fragmented, a
 * length that is not the shortest encoding, or too large), UV_ENOMEM.
 */
int frame_read_header(struct frame_codec *codec, const uint8_t *data, size_t n,
                      struct frame *frame);

/* Write a header. Returns its size, or UV_EINVAL for a control frame that is long, or a length
 * beyond 63 bits. */
int frame_write_header(uint8_t header[FRAME_HEADER_MAX], const struct frame *frame);

/* 1 while the context is borrowed. */
size_t frame_contexts_in_use(const struct frame_codec *codec);

#endif
