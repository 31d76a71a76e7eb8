/* zlib, brotli and zstd, as one thing. */
#include "compression_parts.h"

#include <limits.h>
#include <stdlib.h>

#ifdef ACACIA_ZLIB
#include <zlib.h>
#endif
#ifdef ACACIA_BROTLI
#include <brotli/encode.h>
#endif
#ifdef ACACIA_ZSTD
#include <zstd.h>
#endif

#define WINDOW_BITS 15 /* of zlib; more by 16 for the format of gzip */
#define GZIP 16
#define MEMORY_LEVEL 8

#define IDLE 4 /* encoders in a pool */

struct compression_encoder {
    struct compression_encoder *next; /* in its pool */
    enum compression_coding coding;
#ifdef ACACIA_ZLIB
    z_stream zlib;
#endif
#ifdef ACACIA_BROTLI
    BrotliEncoderState *brotli;
#endif
#ifdef ACACIA_ZSTD
    ZSTD_CCtx *zstd;
#endif
};

/* --- zlib ------------------------------------------------------------------------------------- */

#ifdef ACACIA_ZLIB
static bool open_zlib(struct compression_encoder *encoder, int level, uint64_t length) {
    int bits = WINDOW_BITS + (encoder->coding == COMPRESSION_GZIP ? GZIP : 0);
    return deflateInit2(&encoder->zlib, level, Z_DEFLATED, bits, MEMORY_LEVEL,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

static bool reset_zlib(struct compression_encoder *encoder, uint64_t length) {
    return deflateReset(&encoder->zlib) == Z_OK;
}

static void close_zlib(struct compression_encoder *encoder) {
    deflateEnd(&encoder->zlib);
}

static unsigned at_most(size_t size) {
    return size < UINT_MAX ? (unsigned)size : UINT_MAX;
}

/* It has flushed when there is room left over. */
static int encode_zlib(struct compression_encoder *encoder, bool is_last,
                       struct compression_flow *flow) {
    z_stream *zlib = &encoder->zlib;
    for (;;) {
        unsigned in = at_most(flow->in_left), out = at_most(flow->out_left);
        bool has_all = in == flow->in_left;
        zlib->next_in = (Bytef *)flow->in;
        zlib->avail_in = in;
        zlib->next_out = flow->out;
        zlib->avail_out = out;
        int result = deflate(zlib, !has_all ? Z_NO_FLUSH : is_last ? Z_FINISH : Z_SYNC_FLUSH);
        flow->in += in - zlib->avail_in;
        flow->in_left -= in - zlib->avail_in;
        flow->out += out - zlib->avail_out;
        flow->out_left -= out - zlib->avail_out;
        if (flow->in_left == 0 && (is_last ? result == Z_STREAM_END : flow->out_left > 0))
            return 1;
        if (flow->out_left == 0)
            return 0;
    }
}

static size_t bound_zlib(const struct compression_encoder *encoder, size_t length) {
    return deflateBound((z_stream *)&encoder->zlib, length);
}
#endif

/* --- brotli ----------------------------------------------------------------------------------- */

#ifdef ACACIA_BROTLI
static bool open_brotli(struct compression_encoder *encoder, int level, uint64_t length) {
    encoder->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    return encoder->brotli &&
           BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
           BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_SIZE_HINT,
                                     length < UINT32_MAX ? (uint32_t)length : UINT32_MAX);
}

static void close_brotli(struct compression_encoder *encoder) {
    BrotliEncoderDestroyInstance(encoder->brotli);
}

static int encode_brotli(struct compression_encoder *encoder, bool is_last,
                         struct compression_flow *flow) {
    BrotliEncoderOperation what = is_last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH;
    do {
        if (!BrotliEncoderCompressStream(encoder->brotli, what, &flow->in_left, &flow->in,
                                         &flow->out_left, &flow->out, NULL))
            return UV_ENOMEM;
        if (flow->in_left == 0 && !BrotliEncoderHasMoreOutput(encoder->brotli))
            return 1;
    } while (flow->out_left > 0);
    return 0;
}

static size_t bound_brotli(const struct compression_encoder *encoder, size_t length) {
    return BrotliEncoderMaxCompressedSize(length);
}
#endif

/* --- zstd ------------------------------------------------------------------------------------- */

#ifdef ACACIA_ZSTD
static bool reset_zstd(struct compression_encoder *encoder, uint64_t length) {
    uint64_t size = length ? length : ZSTD_CONTENTSIZE_UNKNOWN;
    return !ZSTD_isError(ZSTD_CCtx_reset(encoder->zstd, ZSTD_reset_session_only)) &&
           !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(encoder->zstd, size));
}

static bool open_zstd(struct compression_encoder *encoder, int level, uint64_t length) {
    encoder->zstd = ZSTD_createCCtx();
    return encoder->zstd &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, level)) &&
           reset_zstd(encoder, length);
}

static void close_zstd(struct compression_encoder *encoder) {
    ZSTD_freeCCtx(encoder->zstd);
}

static int encode_zstd(struct compression_encoder *encoder, bool is_last,
                       struct compression_flow *flow) {
    ZSTD_inBuffer in = {flow->in, flow->in_left, 0};
    ZSTD_outBuffer out = {flow->out, flow->out_left, 0};
    size_t left;
    do {
        left = ZSTD_compressStream2(encoder->zstd, &out, &in, is_last ? ZSTD_e_end : ZSTD_e_flush);
        if (ZSTD_isError(left))
            return UV_ENOMEM;
    } while (left > 0 && out.pos < out.size);
    flow->in += in.pos;
    flow->in_left -= in.pos;
    flow->out += out.pos;
    flow->out_left -= out.pos;
    return left == 0;
}

static size_t bound_zstd(const struct compression_encoder *encoder, size_t length) {
    return ZSTD_compressBound(length);
}
#endif

/* --- All of them ------------------------------------------------------------------------------ */

static const struct codec {
    bool (*open)(struct compression_encoder *encoder, int level, uint64_t length);
    bool (*reset)(struct compression_encoder *encoder, uint64_t length); /* NULL: can't be */
    void (*close)(struct compression_encoder *encoder);
    int (*encode)(struct compression_encoder *encoder, bool is_last, struct compression_flow *flow);
    size_t (*bound)(const struct compression_encoder *encoder, size_t length);
    int highest_level;
} codecs[COMPRESSION_CODINGS] = {
#ifdef ACACIA_ZSTD
    /* Beyond 19 its window is larger than the 8 MiB that RFC 9659 allows. */
    [COMPRESSION_ZSTD] = {open_zstd, reset_zstd, close_zstd, encode_zstd, bound_zstd, 19},
#endif
#ifdef ACACIA_BROTLI
    [COMPRESSION_BR] = {open_brotli, NULL, close_brotli, encode_brotli, bound_brotli, 11},
#endif
#ifdef ACACIA_ZLIB
    [COMPRESSION_GZIP] = {open_zlib, reset_zlib, close_zlib, encode_zlib, bound_zlib, 9},
    [COMPRESSION_DEFLATE] = {open_zlib, reset_zlib, close_zlib, encode_zlib, bound_zlib, 9},
#endif
};

const char *const compression_coding_names[COMPRESSION_CODINGS] = {"zstd", "br", "gzip", "deflate"};

bool compression_has(enum compression_coding coding) {
    return codecs[coding].open != NULL;
}

int compression_highest_level(enum compression_coding coding) {
    return codecs[coding].highest_level;
}

/* --- Pools ------------------------------------------------------------------------------------ */

static void free_encoder(struct compression_encoder *encoder) {
    codecs[encoder->coding].close(encoder);
    free(encoder);
}

static struct compression_encoder *new_encoder(const struct compression_pool *pool,
                                               uint64_t length) {
    struct compression_encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder)
        return NULL;
    encoder->coding = pool->coding;
    if (codecs[pool->coding].open(encoder, pool->level, length))
        return encoder;
    free_encoder(encoder);
    return NULL;
}

int compression_pool_init(struct compression_pool *pool, enum compression_coding coding,
                          int level) {
    *pool = (struct compression_pool){.coding = coding, .level = level};
    return uv_mutex_init(&pool->lock);
}

void compression_pool_release(struct compression_pool *pool) {
    while (pool->idle) {
        struct compression_encoder *next = pool->idle->next;
        free_encoder(pool->idle);
        pool->idle = next;
    }
    uv_mutex_destroy(&pool->lock);
}

struct compression_encoder *compression_take(struct compression_pool *pool, uint64_t length) {
    uv_mutex_lock(&pool->lock);
    struct compression_encoder *encoder = pool->idle;
    if (encoder) {
        pool->idle = encoder->next;
        pool->idle_count--;
    }
    uv_mutex_unlock(&pool->lock);
    if (!encoder)
        return new_encoder(pool, length);
    if (codecs[encoder->coding].reset(encoder, length))
        return encoder;
    free_encoder(encoder);
    return NULL;
}

void compression_give(struct compression_pool *pool, struct compression_encoder *encoder) {
    if (!encoder)
        return;
    uv_mutex_lock(&pool->lock);
    bool is_kept = pool->idle_count < IDLE && codecs[encoder->coding].reset;
    if (is_kept) {
        encoder->next = pool->idle;
        pool->idle = encoder;
        pool->idle_count++;
    }
    uv_mutex_unlock(&pool->lock);
    if (!is_kept)
        free_encoder(encoder);
}

/* --- Encoding --------------------------------------------------------------------------------- */

int compression_encode(struct compression_encoder *encoder, bool is_last,
                       struct compression_flow *flow) {
    return codecs[encoder->coding].encode(encoder, is_last, flow);
}

size_t compression_bound(const struct compression_encoder *encoder, size_t length) {
    return codecs[encoder->coding].bound(encoder, length);
}
