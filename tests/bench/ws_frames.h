/*
 * What ws_load sends, and how it looks at what comes back: some different messages, made once, that
 * are sent in turn; frames of the server, however they are cut.
 */
#ifndef BENCH_WS_FRAMES_H
#define BENCH_WS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum payload { PAYLOAD_BINARY, PAYLOAD_TEXT, PAYLOAD_JSON };

/* Message number i of a connection is message i % count of these. */
struct frames {
    size_t count, size; /* how many; bytes of payload in each */
    enum payload payload;
    uint8_t **payloads; /* in the clear */
    uint8_t **starts;   /* of the masked frames, which lie one behind the other; one more, the
                           end of the last one */
};

/* With `deflate` the payloads are compressed, each with the ones before it as context. */
struct frames *frames_new(enum payload payload, size_t size, bool deflate);

size_t frame_length(const struct frames *frames, uint64_t number);

/* The state of a connection. */
struct frame_reader {
    uint8_t head[10];
    size_t head_length;
    uint64_t left; /* of this frame's payload */
    size_t done;   /* of the message, checked */
    bool in_payload, in_message;
    struct z_stream_s *inflater; /* NULL: nothing is compressed */
    size_t deflated_length;
    uint8_t *deflated; /* a message, until it is whole */
};

void frame_reader_init(struct frame_reader *reader, bool deflate);

/* Look at some of `length` bytes, which belong to message `number`. Returns how many; `*whole` if
 * with them the message has come whole, and right. Otherwise the program ends. */
size_t frame_read(struct frame_reader *reader, const struct frames *frames, uint64_t number,
                  const uint8_t *data, size_t length, bool *whole);

#endif
