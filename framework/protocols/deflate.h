/*
 * Messages, compressed and inflated (RFC 7692 7.2) by zlib: the only file that knows it is
 * deflate.c. What two peers agree on about it is in extension.h.
 *
 *     struct deflater deflater;
 *     deflater_init(&deflater, &(struct deflater_options){.window_bits = 15});
 *     struct deflate_buffer out = {0};
 *     int err = deflater_feed(&deflater, "Hello", 5, true, deflate_buffer_take, &out);
 *     // f2 48 cd c9 c9 07 00: the payload of a frame with RSV1
 *     deflate_buffer_free(&out);
 *     deflater_free(&deflater);
 *
 * Memory. Either holds nothing but its struct before it is used for the first time, and again after
 * _release. Between, a deflater holds 2^(window bits + 2) + 2^(memory level + 9) bytes and about
 * 6 KiB, an inflater 2^window bits and about 7 KiB. In KiB, with zlib 1.2.13 on 64 bits:
 *
 *     window bits, memory level   15, 8  15, 1  14, 7  13, 6  12, 5  11, 4  10, 3   9, 1
 *     deflater                      262    135    134     70     38     22     14      9
 *     inflater                       39     39     23     15     11      9      8      8
 *
 * That is much for a server with many sockets. To release costs about a microsecond: less than to
 * compress 100 bytes. So what has no context takeover should be released after each message, or one
 * deflater serve all sockets (see deflater_feed); what has it, when the socket is idle.
 *
 * Without zlib the functions are there, deflate_is_available() is false, and what needs zlib
 * returns UV_ENOSYS. Nothing here may suspend. Any thread, but one at a time for one struct.
 */
#ifndef ACACIA_DEFLATE_H
#define ACACIA_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zlib_stream;

bool deflate_is_available(void);

/* --- Where the output goes -------------------------------------------------------------------- */

/*
 * Takes the next bytes that come out, `n` > 0 of them, which are gone after the call: they lie on
 * the stack. 0, or a negative error: then the function that has called it stops and returns that.
 */
typedef int deflate_take_t(void *owner, const char *data, size_t n);

/* Memory that grows with what is put into it. Zero at its start. */
struct deflate_buffer {
    char *data; /* by malloc; NULL while it is empty */
    size_t length, capacity;
};

/* A deflate_take_t; `owner` is a struct deflate_buffer. UV_ENOMEM leaves it as it is. */
int deflate_buffer_take(void *owner, const char *data, size_t n);

void deflate_buffer_free(struct deflate_buffer *buffer);

/* --- Compressing ------------------------------------------------------------------------------ */

struct deflater_options {
    /* 8–15; 0: 15. Less than was agreed on is fine for every peer. For 8 zlib takes a window of 9
     * bits, but does not refer further back than 256 bytes. */
    int window_bits;

    int level;        /* 1 (quick) – 9 (small); 0: 6 */
    int memory_level; /* 1–9; 0: 8 */
    bool no_context_takeover;
};

struct deflater {
    struct zlib_stream *zlib; /* NULL while it holds nothing */
    uint8_t window_bits, level, memory_level;
    bool no_context_takeover;
};

void deflater_init(struct deflater *deflater, const struct deflater_options *options);

/*
 * Compress the next `n` bytes of a message, or all of it: what comes out is the payload of one
 * frame. `fin` is set for the last piece, where the four bytes 00 00 FF FF of RFC 7692 7.2.1 are
 * left out. An empty message is the byte 00, and costs no memory.
 *
 * Without context takeover one deflater may serve any number of sockets, one message after the
 * other (each from its first piece to its last), and one message that it has compressed may be sent
 * to all of them whose peers have agreed to a window that is not smaller.
 *
 * Trap: a peer with context takeover counts every compressed message into its window. If a socket
 * has a deflater of its own and is sent a message that another deflater has compressed, its own one
 * must forget what it knows: deflater_reset. Messages that are not compressed don't matter.
 *
 * Returns 0; UV_ENOMEM; UV_ENOSYS without zlib; or what `take` has returned. After an error the
 * deflater has forgotten its window, and the next message is a good one, provided that nothing of
 * this message is sent.
 */
int deflater_feed(struct deflater *deflater, const void *data, size_t n, bool fin,
                  deflate_take_t *take, void *owner);

/* Forget the window, between two messages. No peer minds; it keeps the memory. */
void deflater_reset(struct deflater *deflater);

/* The same, and give the memory back; it is taken again when it is needed. */
void deflater_release(struct deflater *deflater);
void deflater_free(struct deflater *deflater);

/* The bytes that it holds now, besides the struct. */
size_t deflater_memory(const struct deflater *deflater);

/* --- Inflating -------------------------------------------------------------------------------- */

struct inflater {
    struct zlib_stream *zlib; /* NULL while it holds nothing */
    char *window;             /* of one that was released: what it must remember */
    uint32_t window_length;
    uint8_t window_bits;
    bool no_context_takeover;
    bool in_message;
    bool ended;    /* by a block that says it is the last one */
    size_t length; /* of this message, inflated */
};

/* `window_bits` (0: 15) and `no_context_takeover` are what the peer that sends has agreed to. */
void inflater_init(struct inflater *inflater, int window_bits, bool no_context_takeover);

/*
 * Inflate the next `n` bytes of a message, however it is cut, and pass on what they give. `fin` is
 * set for the last ones; then the message is over, and the next call begins another.
 *
 * A message may be `limit` bytes long when inflated. `take` never gets more of it, and no work is
 * done beyond: a bomb costs what a message of that length costs.
 *
 * A block with BFINAL (7.2.3.4) does not end a message: what follows is inflated too. A message
 * without any byte is taken for an empty one. A peer that refers further back than it has agreed to
 * is refused, unless that is still at hand.
 *
 * Returns 0; UV_EMSGSIZE at the limit (close with 1009); UV_EILSEQ for what is no DEFLATE data, or
 * ends in the middle of it (1007); UV_ENOMEM (1011); UV_ENOSYS without zlib; or what `take` has
 * returned. After an error it must not be fed again, only freed.
 */
int inflater_feed(struct inflater *inflater, const void *data, size_t n, bool fin, size_t limit,
                  deflate_take_t *take, void *owner);

/*
 * Give zlib's memory back, between two messages; within one nothing happens. Without context
 * takeover nothing remains. With it the window must be remembered: a block of malloc with as many
 * bytes as it has (what was inflated so far, 2^window_bits at most), from which the next message
 * goes on. UV_ENOMEM if that can't be had, and nothing has changed; else 0.
 */
int inflater_release(struct inflater *inflater);
void inflater_free(struct inflater *inflater);

/* The bytes that it holds now, besides the struct. */
size_t inflater_memory(const struct inflater *inflater);

#endif
