#include "protocols/frame.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <wslay/wslay.h>

struct frame_codec {
    wslay_frame_context_ptr wslay; /* between two frames, outside of our functions */
    const uint8_t *in;             /* the header that wslay is to read */
    size_t in_length;
    uint64_t in_payload; /* bytes of payload that it is told have come */
    bool in_use;
};

static uint64_t big_endian(const uint8_t *bytes, size_t n) {
    uint64_t number = 0;
    for (size_t i = 0; i < n; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* Of a long payload wslay, which is to be taken past it, is told the least length that takes `n`
 * bytes to say. One that should have been said in fewer, or is none, it gets to see. */
static void shorten(uint8_t *bytes, size_t n) {
    uint64_t length = big_endian(bytes, n), least = n == 2 ? 126 : 65536;
    if (length < least || length >> 63)
        return;
    for (size_t i = n; i > 0; i--, least >>= 8)
        bytes[i - 1] = (uint8_t)least;
}

/* wslay asks for bytes. It gets the header; of the payload it is only told that it came: it looks
 * at unmasked payload no closer than to count it. */
static ssize_t give(uint8_t *buffer, size_t length, int flags, void *user) {
    struct frame_codec *codec = user;
    size_t n = codec->in_length, payload = codec->in_payload;
    if (n > 0) {
        memcpy(buffer, codec->in, n);
        buffer[1] &= 0x7f; /* the mask is our affair */
        shorten(buffer + 2, n - 2);
        codec->in_length = 0;
    }
    if (payload > length - n)
        payload = length - n;
    codec->in_payload -= payload;
    return n + payload > 0 ? (ssize_t)(n + payload) : -1;
}

static void drop_context(struct frame_codec *codec) {
    if (codec->wslay)
        wslay_frame_context_free(codec->wslay);
    codec->wslay = NULL;
}

/* A context that is between two frames. */
static bool have_context(struct frame_codec *codec) {
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = give};
    if (codec->wslay)
        return true;
    return wslay_frame_context_init(&codec->wslay, &callbacks, codec) == 0;
}

struct frame_codec *frame_codec_new(void) {
    struct frame_codec *codec = calloc(1, sizeof *codec);
    if (codec && !have_context(codec)) {
        free(codec);
        return NULL;
    }
    return codec;
}

void frame_codec_free(struct frame_codec *codec) {
    if (!codec)
        return;
    drop_context(codec);
    free(codec);
}

/* Let wslay read a header, and take it past the payload: that is at least as long as the seven bits
 * of its length say, of which 126 and 127 stand for more. False if it is no header. */
static bool read_frame(struct frame_codec *codec, const uint8_t *header, size_t size,
                       struct frame *frame) {
    struct wslay_frame_iocb iocb, rest;
    uint64_t short_length = header[1] & 0x7f;
    frame->length = size == 2 ? short_length : big_endian(header + 2, size - 2);
    codec->in = header;
    codec->in_length = size;
    codec->in_payload = short_length;
    ssize_t got = wslay_frame_recv(codec->wslay, &iocb);
    if (got < 0)
        return false;
    uint64_t left = codec->in_payload = iocb.payload_length - (uint64_t)got;
    for (; left > 0; left -= (uint64_t)got)
        if ((got = wslay_frame_recv(codec->wslay, &rest)) <= 0)
            return false;
    frame->opcode = iocb.opcode;
    frame->rsv = iocb.rsv;
    frame->fin = iocb.fin;
    return true;
}

int frame_read_header(struct frame_codec *codec, const uint8_t *data, size_t n,
                      struct frame *frame) {
    static const uint8_t extra[128] = {[126] = 2, [127] = 8};
    if (n < 2)
        return 0;
    size_t size = 2 + (size_t)extra[data[1] & 0x7f];
    frame->masked = data[1] & 0x80;
    if (n < size + (frame->masked ? sizeof frame->key : 0))
        return 0;
    if (!have_context(codec))
        return UV_ENOMEM;
    codec->in_use = true;
    bool ok = read_frame(codec, data, size, frame);
    codec->in_use = false;
    if (!ok) {
        drop_context(codec); /* it is in the middle of something */
        return UV_EPROTO;
    }
    if (!frame->masked) {
        memset(frame->key, 0, sizeof frame->key);
        return (int)size;
    }
    memcpy(frame->key, data + size, sizeof frame->key);
    return (int)(size + sizeof frame->key);
}

int frame_write_header(uint8_t header[FRAME_HEADER_MAX], const struct frame *frame) {
    uint64_t length = frame->length;
    int extra = length < 126 ? 0 : length < 65536 ? 2 : 8, n = 2;
    if (length >> 63 || (frame->opcode >= OPCODE_CLOSE && extra))
        return UV_EINVAL;
    header[0] = (uint8_t)(frame->fin << 7 | frame->rsv << 4 | frame->opcode);
    header[1] = (uint8_t)(extra == 0 ? length : extra == 2 ? 126 : 127);
    for (int bits = 8 * extra; bits > 0; bits -= 8)
        header[n++] = (uint8_t)(length >> (bits - 8));
    if (!frame->masked)
        return n;
    header[1] |= 0x80;
    memcpy(header + n, frame->key, sizeof frame->key);
    return n + (int)sizeof frame->key;
}

size_t frame_contexts_in_use(const struct frame_codec *codec) {
    return codec->in_use;
}
