#include "ws_frames.h"

#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { TEXT = 1, BINARY = 2, CLOSE = 8 };
enum { FIN = 0x80, COMPRESSED = 0x40, MASKED = 0x80 };

#define MAX_HEAD 14

static const uint8_t mask[4] = {0x5a, 0xc3, 0x1f, 0x96};

/* --- Payloads --------------------------------------------------------------------------------- */

static uint32_t state = 1;

static uint32_t chance(uint32_t n) {
    state = state * 1103515245 + 12345;
    return (state >> 8) % n;
}

/* What a chart gets: objects of the same kind with other values, cut or filled up to `size`. */
static void fill_json(char *to, size_t size) {
    static const char *const names[] = {"temperature", "pressure", "humidity", "voltage"};
    char object[128];
    size_t used = 0;
    to[used++] = '[';
    for (;;) {
        int length =
            snprintf(object, sizeof object,
                     "{\"sensor\":\"%s\",\"id\":%u,\"time\":17637%05u,\"value\":%u.%02u},",
                     names[chance(4)], chance(500), chance(100000), chance(100), chance(100));
        if (used + (size_t)length >= size)
            break;
        memcpy(to + used, object, (size_t)length);
        used += (size_t)length;
    }
    if (to[used - 1] == ',')
        used--;
    memset(to + used, ' ', size - used);
    to[size - 1] = ']';
}

static uint8_t *make_payload(enum payload kind, size_t size) {
    uint8_t *payload = allocate(size + 1, 1);
    if (kind == PAYLOAD_JSON)
        fill_json((char *)payload, size);
    else
        for (size_t i = 0; i < size; i++)
            payload[i] = (uint8_t)(kind == PAYLOAD_TEXT ? ' ' + chance(95) : chance(256));
    return payload;
}

/* --- Frames of a client ----------------------------------------------------------------------- */

/* Writes at `to`, and returns the end. */
static uint8_t *put_frame(uint8_t *to, uint8_t first, const uint8_t *payload, size_t size) {
    int length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    *to++ = first;
    *to++ = (uint8_t)(MASKED | (size < 126 ? size : length_bytes == 2 ? 126 : 127));
    for (int i = length_bytes - 1; i >= 0; i--)
        *to++ = (uint8_t)((uint64_t)size >> 8 * i);
    memcpy(to, mask, sizeof mask);
    to += sizeof mask;
    for (size_t i = 0; i < size; i++)
        *to++ = payload[i] ^ mask[i % 4];
    return to;
}

static size_t deflate_payload(z_stream *deflater, uint8_t *payload, size_t size, uint8_t *to,
                              size_t room) {
    deflater->next_in = payload;
    deflater->avail_in = (uInt)size;
    deflater->next_out = to;
    deflater->avail_out = (uInt)room;
    if (deflate(deflater, Z_SYNC_FLUSH) != Z_OK || deflater->avail_out == 0)
        die("can't compress");
    return room - deflater->avail_out - 4; /* 00 00 ff ff is understood */
}

/*
 * The compressed ones are a stream that begins with nothing before it, so that the first one may
 * come behind the last one as well. They are more than a window of 32 KiB, lest they be compressed
 * to nothing by what was sent a turn before.
 */
struct frames *frames_new(enum payload kind, size_t size, bool compress) {
    struct frames *frames = allocate(1, sizeof *frames);
    z_stream deflater = {0};
    size_t count = 128 * 1024 / size, room = size + size / 8 + 64;
    frames->count = count < 2 ? 2 : count > 128 ? 128 : count;
    frames->size = size;
    frames->payload = kind;
    frames->payloads = allocate(frames->count, sizeof *frames->payloads);
    frames->starts = allocate(frames->count + 1, sizeof *frames->starts);
    uint8_t *end = allocate(frames->count, MAX_HEAD + room), *deflated = allocate(1, room);
    uint8_t first = FIN | (kind == PAYLOAD_BINARY ? BINARY : TEXT);
    if (compress && deflateInit2(&deflater, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        die("no memory");
    for (size_t i = 0; i < frames->count; i++) {
        frames->payloads[i] = make_payload(kind, size);
        frames->starts[i] = end;
        if (compress)
            end = put_frame(end, first | COMPRESSED, deflated,
                            deflate_payload(&deflater, frames->payloads[i], size, deflated, room));
        else
            end = put_frame(end, first, frames->payloads[i], size);
    }
    frames->starts[frames->count] = end;
    deflateEnd(&deflater);
    free(deflated);
    return frames;
}

size_t frame_length(const struct frames *frames, uint64_t number) {
    size_t i = number % frames->count;
    return (size_t)(frames->starts[i + 1] - frames->starts[i]);
}

/* --- Frames of the server --------------------------------------------------------------------- */

void frame_reader_init(struct frame_reader *reader, bool compressed) {
    *reader = (struct frame_reader){0};
    if (!compressed)
        return;
    reader->inflater = allocate(1, sizeof *reader->inflater);
    if (inflateInit2(reader->inflater, -15) != Z_OK)
        die("no memory");
}

static size_t head_length(const struct frame_reader *reader) {
    if (reader->head_length < 2)
        return 2;
    return reader->head[1] == 126 ? 4 : reader->head[1] == 127 ? 10 : 2;
}

static void on_head(struct frame_reader *reader, const struct frames *frames) {
    const uint8_t *head = reader->head;
    uint8_t opcode = head[0] & 15;
    size_t length = head_length(reader);
    reader->left = head[1];
    if (length > 2)
        reader->left = 0;
    for (size_t i = 2; i < length; i++)
        reader->left = reader->left << 8 | head[i];
    reader->in_payload = true;
    if (opcode == CLOSE)
        die("the server closes a socket");
    if (opcode > CLOSE)
        return; /* a ping: it can wait for longer than this takes */
    uint8_t expected = reader->in_message ? 0 : frames->payload == PAYLOAD_BINARY ? BINARY : TEXT;
    if (opcode != expected || (head[0] & 0x30) || (head[0] & COMPRESSED && !reader->inflater))
        die("a frame that was not expected: %02x %02x", head[0], head[1]);
    if (!reader->in_message && reader->inflater && !(head[0] & COMPRESSED))
        die("a message is not compressed");
    reader->in_message = true;
}

static void check(struct frame_reader *reader, const struct frames *frames, uint64_t number,
                  const uint8_t *data, size_t length) {
    if (length > frames->size - reader->done ||
        memcmp(frames->payloads[number % frames->count] + reader->done, data, length) != 0)
        die("a message is not what was sent");
    reader->done += length;
}

static void collect(struct frame_reader *reader, const uint8_t *data, size_t length) {
    size_t room = reader->deflated_length + length + 4;
    reader->deflated = realloc(reader->deflated, room);
    if (!reader->deflated)
        die("no memory");
    memcpy(reader->deflated + reader->deflated_length, data, length);
    reader->deflated_length += length;
}

static void inflate_message(struct frame_reader *reader, const struct frames *frames,
                            uint64_t number) {
    static uint8_t message[1 << 20];
    collect(reader, (const uint8_t[]){0, 0, 0xff, 0xff}, 4);
    reader->inflater->next_in = reader->deflated;
    reader->inflater->avail_in = (uInt)reader->deflated_length;
    reader->inflater->next_out = message;
    reader->inflater->avail_out = sizeof message;
    if (inflate(reader->inflater, Z_SYNC_FLUSH) != Z_OK || reader->inflater->avail_in > 0)
        die("a message can't be decompressed");
    check(reader, frames, number, message, sizeof message - reader->inflater->avail_out);
    reader->deflated_length = 0;
}

/* A frame has come whole; was it the end of a message? */
static bool on_frame(struct frame_reader *reader, const struct frames *frames, uint64_t number) {
    bool is_control = reader->head[0] & CLOSE, is_last = reader->head[0] & FIN;
    reader->in_payload = false;
    reader->head_length = 0;
    if (is_control || !is_last)
        return false;
    if (reader->inflater)
        inflate_message(reader, frames, number);
    if (reader->done != frames->size)
        die("a message is shorter than what was sent");
    reader->done = 0;
    reader->in_message = false;
    return true;
}

size_t frame_read(struct frame_reader *reader, const struct frames *frames, uint64_t number,
                  const uint8_t *data, size_t length, bool *whole) {
    size_t used = 0;
    *whole = false;
    if (!reader->in_payload) {
        while (used < length && reader->head_length < head_length(reader))
            reader->head[reader->head_length++] = data[used++];
        if (reader->head_length < head_length(reader))
            return used;
        on_head(reader, frames);
    }
    size_t part = length - used < reader->left ? length - used : (size_t)reader->left;
    if (reader->head[0] & CLOSE)
        ;
    else if (reader->inflater)
        collect(reader, data + used, part);
    else
        check(reader, frames, number, data + used, part);
    reader->left -= part;
    if (reader->left == 0)
        *whole = on_frame(reader, frames, number);
    return used + part;
}
