#include "protocols/deflate.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* --- A buffer --------------------------------------------------------------------------------- */

int deflate_buffer_take(void *owner, const char *data, size_t n) {
    struct deflate_buffer *buffer = owner;
    size_t needed = buffer->length + n;
    if (needed > buffer->capacity) {
        size_t capacity = buffer->length ? needed * 2 : needed;
        char *larger = realloc(buffer->data, capacity);
        if (!larger)
            return UV_ENOMEM;
        buffer->data = larger;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->length, data, n);
    buffer->length = needed;
    return 0;
}

void deflate_buffer_free(struct deflate_buffer *buffer) {
    free(buffer->data);
    *buffer = (struct deflate_buffer){0};
}

/* --- What does not need zlib ------------------------------------------------------------------ */

void deflater_init(struct deflater *deflater, const struct deflater_options *options) {
    int bits = options->window_bits ? options->window_bits : 15;
    *deflater = (struct deflater){
        /* zlib has no deflater for a window of 256 bytes: it refuses raw data with 8 bits, since
         * 1.2.9, and took 9 before that. Nine is right for us: with 512 bytes it never refers to
         * more than 250 bytes back, since it keeps 262 for what it looks ahead. */
        .window_bits = (uint8_t)(bits > 9 ? bits : 9),
        .level = (uint8_t)(options->level ? options->level : 6),
        .memory_level = (uint8_t)(options->memory_level ? options->memory_level : 8),
        .no_context_takeover = options->no_context_takeover,
    };
}

void inflater_init(struct inflater *inflater, int window_bits, bool no_context_takeover) {
    *inflater = (struct inflater){
        .window_bits = (uint8_t)(window_bits ? window_bits : 15),
        .no_context_takeover = no_context_takeover,
    };
}

void deflater_free(struct deflater *deflater) {
    deflater_release(deflater);
}

#ifdef ACACIA_ZLIB

#include <zlib.h>

/* What comes out passes through a buffer of this size on the stack, which may be a coroutine's. */
#ifndef DEFLATE_CHUNK
#define DEFLATE_CHUNK 4096 /* a build for tests makes it smaller */
#endif

/* zlib counts input by unsigned int. */
#ifndef DEFLATE_INPUT
#define DEFLATE_INPUT (1 << 30) /* likewise */
#endif

/* What a flush leaves at the end: the rest of an empty stored block, after its three bits. */
static const char tail[4] = {0x00, 0x00, (char)0xff, (char)0xff};

bool deflate_is_available(void) {
    return true;
}

/* --- Streams of zlib -------------------------------------------------------------------------- */

struct zlib_stream {
    z_stream z;
    size_t held;
};

/* zlib takes all of it when a stream begins, or the window when there is something to keep, and
 * gives nothing back before the end. */
static void *take_memory(void *owner, unsigned items, unsigned size) {
    struct zlib_stream *stream = owner;
    void *block = malloc((size_t)items * size);
    if (block)
        stream->held += (size_t)items * size;
    return block;
}

static void give_memory(void *owner, void *block) {
    free(block);
}

static struct zlib_stream *stream_new(void) {
    struct zlib_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->held = sizeof *stream;
    stream->z.zalloc = take_memory;
    stream->z.zfree = give_memory;
    stream->z.opaque = stream;
    return stream;
}

static void set_input(z_stream *z, const void *data, size_t n) {
    z->next_in = (Bytef *)data; /* which zlib only reads */
    z->avail_in = (uInt)n;
}

/* --- Compressing ------------------------------------------------------------------------------ */

static bool open_deflater(struct deflater *deflater) {
    if (deflater->zlib)
        return true;
    struct zlib_stream *stream = stream_new();
    if (!stream)
        return false;
    if (deflateInit2(&stream->z, deflater->level, Z_DEFLATED, -deflater->window_bits,
                     deflater->memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        return false;
    }
    deflater->zlib = stream;
    return true;
}

/*
 * Compress the input, and flush it if `flush` says so. The last bytes of all that comes out are
 * dropped, `dropped` of them; since nobody knows which ones these are, as many are always held
 * back.
 *
 * If a flush ends just where the chunk does zlib is asked for more, and may add another empty
 * block, which does no harm.
 */
static int deflate_input(z_stream *z, int flush, size_t dropped, deflate_take_t *take,
                         void *owner) {
    char chunk[DEFLATE_CHUNK];
    size_t held = 0;
    do {
        z->next_out = (Bytef *)chunk + held;
        z->avail_out = (uInt)(sizeof chunk - held);
        deflate(z, flush); /* can only fail for want of input or room, which is no failure */
        size_t n = sizeof chunk - z->avail_out - dropped;
        int err = n ? take(owner, chunk, n) : 0;
        if (err)
            return err;
        memmove(chunk, chunk + n, dropped);
        held = dropped;
    } while (z->avail_out == 0);
    return 0;
}

int deflater_feed(struct deflater *deflater, const void *data, size_t n, bool fin,
                  deflate_take_t *take, void *owner) {
    static const char empty[1 + sizeof tail] = {0x00, 0x00, 0x00, (char)0xff, (char)0xff};
    const char *at = data;
    int err = 0;
    if (n == 0)
        err = take(owner, empty, fin ? 1 : sizeof empty);
    else if (!open_deflater(deflater))
        return UV_ENOMEM;
    for (size_t piece; n > 0 && !err; at += piece, n -= piece) {
        piece = n < DEFLATE_INPUT ? n : DEFLATE_INPUT;
        set_input(&deflater->zlib->z, at, piece);
        err = deflate_input(&deflater->zlib->z, piece < n ? Z_NO_FLUSH : Z_SYNC_FLUSH,
                            fin && piece == n ? sizeof tail : 0, take, owner);
    }
    if (err || (fin && deflater->no_context_takeover))
        deflater_reset(deflater);
    return err;
}

void deflater_reset(struct deflater *deflater) {
    if (deflater->zlib)
        deflateReset(&deflater->zlib->z);
}

void deflater_release(struct deflater *deflater) {
    if (!deflater->zlib)
        return;
    deflateEnd(&deflater->zlib->z);
    free(deflater->zlib);
    deflater->zlib = NULL;
}

size_t deflater_memory(const struct deflater *deflater) {
    return deflater->zlib ? deflater->zlib->held : 0;
}

/* --- Inflating -------------------------------------------------------------------------------- */

static bool open_inflater(struct inflater *inflater) {
    if (inflater->zlib)
        return true;
    struct zlib_stream *stream = stream_new();
    if (!stream)
        return false;
    z_stream *z = &stream->z;
    int result = inflateInit2(z, -inflater->window_bits);
    if (result == Z_OK && inflater->window) {
        result = inflateSetDictionary(z, (Bytef *)inflater->window, inflater->window_length);
        if (result != Z_OK)
            inflateEnd(z);
    }
    if (result != Z_OK) {
        free(stream);
        return false;
    }
    free(inflater->window);
    inflater->window = NULL;
    inflater->zlib = stream;
    return true;
}

/* Go on behind a block that was the last one, as it said. What came before it is still in the
 * window (RFC 7692 7.2.2), which inflateReset would forget. */
static void go_on(struct inflater *inflater) {
    if (inflater->ended)
        inflateResetKeep(&inflater->zlib->z);
    inflater->ended = false;
}

static int inflate_input(struct inflater *inflater, const void *data, size_t n, size_t limit,
                         deflate_take_t *take, void *owner) {
    char chunk[DEFLATE_CHUNK];
    z_stream *z = &inflater->zlib->z;
    set_input(z, data, n);
    do {
        go_on(inflater);
        z->next_out = (Bytef *)chunk;
        z->avail_out = sizeof chunk;
        int result = inflate(z, Z_SYNC_FLUSH);
        if (result == Z_MEM_ERROR)
            return UV_ENOMEM;
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return UV_EILSEQ;
        size_t got = sizeof chunk - z->avail_out;
        if (inflater->length > limit || got > limit - inflater->length)
            return UV_EMSGSIZE;
        inflater->length += got;
        int err = got ? take(owner, chunk, got) : 0;
        if (err)
            return err;
        inflater->ended = result == Z_STREAM_END;
    } while (z->avail_in > 0 || (z->avail_out == 0 && !inflater->ended));
    return 0;
}

/* Between two blocks, and two bytes. zlib tells it in `data_type`. */
static bool is_between_blocks(const z_stream *z) {
    return z->data_type == 128;
}

/* What the peer has left out at the end comes back. A message that has ended by itself needs none
 * of it. */
static int end_message(struct inflater *inflater, size_t limit, deflate_take_t *take, void *owner) {
    z_stream *z = &inflater->zlib->z;
    int err = 0;
    if (!inflater->ended)
        err = inflate_input(inflater, tail, sizeof tail, limit, take, owner);
    if (!err && !inflater->ended && !is_between_blocks(z))
        err = UV_EILSEQ;
    if (err)
        return err;
    go_on(inflater);
    if (inflater->no_context_takeover)
        inflateReset(z);
    inflater->in_message = false;
    inflater->length = 0;
    return 0;
}

int inflater_feed(struct inflater *inflater, const void *data, size_t n, bool fin, size_t limit,
                  deflate_take_t *take, void *owner) {
    const char *at = data;
    int err = 0;
    if (n > 0 && !open_inflater(inflater))
        return UV_ENOMEM;
    for (size_t piece; n > 0 && !err; at += piece, n -= piece) {
        piece = n < DEFLATE_INPUT ? n : DEFLATE_INPUT;
        inflater->in_message = true;
        err = inflate_input(inflater, at, piece, limit, take, owner);
    }
    if (!err && fin && inflater->in_message)
        err = end_message(inflater, limit, take, owner);
    return err;
}

static void close_inflater(struct inflater *inflater) {
    if (!inflater->zlib)
        return;
    inflateEnd(&inflater->zlib->z);
    free(inflater->zlib);
    inflater->zlib = NULL;
}

/* Copy the window out of zlib. False if there is no memory for it. */
static bool keep_window(struct inflater *inflater) {
    z_stream *z = &inflater->zlib->z;
    uInt length = 0;
    inflateGetDictionary(z, NULL, &length);
    if (length == 0)
        return true;
    inflater->window = malloc(length);
    if (!inflater->window)
        return false;
    inflateGetDictionary(z, (Bytef *)inflater->window, &length);
    inflater->window_length = length;
    return true;
}

int inflater_release(struct inflater *inflater) {
    if (!inflater->zlib || inflater->in_message)
        return 0;
    if (!inflater->no_context_takeover && !keep_window(inflater))
        return UV_ENOMEM;
    close_inflater(inflater);
    return 0;
}

void inflater_free(struct inflater *inflater) {
    close_inflater(inflater);
    free(inflater->window);
    inflater->window = NULL;
}

size_t inflater_memory(const struct inflater *inflater) {
    if (inflater->zlib)
        return inflater->zlib->held;
    return inflater->window ? inflater->window_length : 0;
}

#else

/* --- Without zlib ----------------------------------------------------------------------------- */

bool deflate_is_available(void) {
    return false;
}

int deflater_feed(struct deflater *deflater, const void *data, size_t n, bool fin,
                  deflate_take_t *take, void *owner) {
    return UV_ENOSYS;
}

void deflater_reset(struct deflater *deflater) {
}

void deflater_release(struct deflater *deflater) {
}

size_t deflater_memory(const struct deflater *deflater) {
    return 0;
}

int inflater_feed(struct inflater *inflater, const void *data, size_t n, bool fin, size_t limit,
                  deflate_take_t *take, void *owner) {
    return UV_ENOSYS;
}

int inflater_release(struct inflater *inflater) {
    return 0;
}

void inflater_free(struct inflater *inflater) {
}

size_t inflater_memory(const struct inflater *inflater) {
    return 0;
}

#endif
