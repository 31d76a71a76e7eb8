#include "inflate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef ACACIA_ZLIB
#include <zlib.h>
#endif
#ifdef ACACIA_BROTLI
#include <brotli/decode.h>
#endif
#ifdef ACACIA_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

/* --- Where it goes ---------------------------------------------------------------------------- */

/* `room` is without the NUL at the end. One byte beyond the limit tells that there is more. */
struct output {
    char *data;
    size_t length, room, limit;
};

static int make_room(struct output *output) {
    if (output->length > output->limit)
        return UV_E2BIG;
    if (output->length < output->room)
        return 0;
    size_t room = output->room ? 2 * output->room : 16 * 1024;
    if (room > output->limit)
        room = output->limit + 1;
    char *data = realloc(output->data, room + 1);
    if (!data)
        return UV_ENOMEM;
    output->data = data;
    output->room = room;
    return 0;
}

/* --- gzip and deflate ------------------------------------------------------------------------- */

#ifdef ACACIA_ZLIB
static int error_of_zlib(int status) {
    return status == Z_STREAM_END ? 0 : status == Z_MEM_ERROR ? UV_ENOMEM : UV_EINVAL;
}

/* Several members of gzip, one behind the other, are one file (RFC 1952, 2.2). */
static bool next_member(z_stream *stream, bytes_t from) {
    return stream->avail_in > 0 && from.data[0] == '\x1F' &&
           inflateReset2(stream, MAX_WBITS + 16) == Z_OK;
}

static int run_zlib(bytes_t from, struct output *output) {
    z_stream stream = {.next_in = (Bytef *)from.data, .avail_in = (uInt)from.length};
    int err = inflateInit2(&stream, MAX_WBITS + 32); /* either format */
    if (err != Z_OK)
        return UV_ENOMEM;
    for (int status = Z_OK; !err && status == Z_OK;) {
        if ((err = make_room(output)))
            break;
        size_t room = output->room - output->length;
        uInt part = room < UINT_MAX ? (uInt)room : UINT_MAX;
        stream.next_out = (Bytef *)output->data + output->length;
        stream.avail_out = part;
        status = inflate(&stream, Z_NO_FLUSH);
        output->length += part - stream.avail_out;
        if (status == Z_STREAM_END && next_member(&stream, from))
            status = Z_OK;
        else if (status != Z_OK)
            err = stream.avail_in > 0 && status == Z_STREAM_END ? UV_EINVAL : error_of_zlib(status);
    }
    inflateEnd(&stream);
    return err;
}
#endif

/* --- br --------------------------------------------------------------------------------------- */

#ifdef ACACIA_BROTLI
static int error_of_brotli(const BrotliDecoderState *decoder) {
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(decoder);
    bool memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                  code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
    return memory ? UV_ENOMEM : UV_EINVAL;
}

static int run_brotli(bytes_t from, struct output *output) {
    const uint8_t *next_in = (const uint8_t *)from.data;
    BrotliDecoderState *decoder = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    if (!decoder)
        return UV_ENOMEM;
    BrotliDecoderResult result = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    int err = 0;
    while (!err && result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) {
        if ((err = make_room(output)))
            break;
        size_t room = output->room - output->length;
        uint8_t *next_out = (uint8_t *)output->data + output->length;
        result =
            BrotliDecoderDecompressStream(decoder, &from.length, &next_in, &room, &next_out, NULL);
        output->length = output->room - room;
    }
    if (!err && result == BROTLI_DECODER_RESULT_ERROR)
        err = error_of_brotli(decoder);
    else if (!err && (result != BROTLI_DECODER_RESULT_SUCCESS || from.length > 0))
        err = UV_EINVAL;
    BrotliDecoderDestroyInstance(decoder);
    return err;
}
#endif

/* --- zstd ------------------------------------------------------------------------------------- */

#ifdef ACACIA_ZSTD
static int error_of_zstd(size_t result) {
    return ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation ? UV_ENOMEM : UV_EINVAL;
}

static int run_zstd(bytes_t from, struct output *output) {
    ZSTD_inBuffer in = {from.data, from.length, 0};
    ZSTD_DCtx *decoder = ZSTD_createDCtx();
    if (!decoder)
        return UV_ENOMEM;
    ZSTD_DCtx_setParameter(decoder, ZSTD_d_windowLogMax, 23); /* 8 MiB: RFC 9659, 3 */
    size_t result = 1;
    bool is_full = true;
    int err = 0;
    while (!err && (in.pos < in.size || is_full)) {
        if ((err = make_room(output)))
            break;
        ZSTD_outBuffer out = {output->data, output->room, output->length};
        result = ZSTD_decompressStream(decoder, &out, &in);
        output->length = out.pos;
        is_full = out.pos == out.size;
        if (ZSTD_isError(result))
            err = error_of_zstd(result);
        else if (result == 0 && in.pos == in.size)
            break;
    }
    if (!err && result != 0)
        err = UV_EINVAL; /* it breaks off */
    ZSTD_freeDCtx(decoder);
    return err;
}
#endif

/* --- All of them ------------------------------------------------------------------------------ */

struct inflater {
    const char *encoding;
    int (*run)(bytes_t from, struct output *output);
};

static const struct inflater inflaters[] = {
#ifdef ACACIA_ZLIB
    {"gzip", run_zlib}, {"deflate", run_zlib}, {"x-gzip", run_zlib},
#endif
#ifdef ACACIA_BROTLI
    {"br", run_brotli},
#endif
#ifdef ACACIA_ZSTD
    {"zstd", run_zstd},
#endif
    {NULL, NULL},
};

#ifdef ACACIA_ZLIB
#define ZLIB_ENCODINGS ", gzip, deflate"
#else
#define ZLIB_ENCODINGS ""
#endif
#ifdef ACACIA_BROTLI
#define BROTLI_ENCODINGS ", br"
#else
#define BROTLI_ENCODINGS ""
#endif
#ifdef ACACIA_ZSTD
#define ZSTD_ENCODINGS ", zstd"
#else
#define ZSTD_ENCODINGS ""
#endif

const char inflate_encodings[] = "identity" ZLIB_ENCODINGS BROTLI_ENCODINGS ZSTD_ENCODINGS;

const inflater_t *inflater_for(const char *encoding) {
    for (const inflater_t *inflater = inflaters; inflater->encoding; inflater++)
        if (strcasecmp(encoding, inflater->encoding) == 0)
            return inflater;
    return NULL;
}

int inflater_run(const inflater_t *inflater, bytes_t from, size_t limit, bytes_t *to) {
    struct output output = {.limit = limit < SIZE_MAX - 2 ? limit : SIZE_MAX - 2};
    int err = from.length > UINT_MAX ? UV_E2BIG : make_room(&output);
    if (!err && from.length > 0) /* nothing at all is nothing, too */
        err = inflater->run(from, &output);
    if (!err && output.length > limit)
        err = UV_E2BIG;
    if (err) {
        free(output.data);
        *to = (bytes_t){NULL, 0};
        return err;
    }
    output.data[output.length] = '\0';
    *to = (bytes_t){output.data, output.length};
    return 0;
}
