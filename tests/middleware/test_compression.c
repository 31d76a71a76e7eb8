/* compression: which bodies, by which encoding, and that what comes out is what went in. */
#include "test_files.h"

#include <middleware/compression.h>
#include <middleware/compression_parts.h>
#include <middleware/etag.h>

#ifdef ACACIA_ZLIB
#include <zlib.h>
#endif
#ifdef ACACIA_BROTLI
#include <brotli/decode.h>
#endif
#ifdef ACACIA_ZSTD
#include <zstd.h>
#endif

#define MIB (1024 * 1024)

static char decoded[4 * MIB];

/* --- Decoding --------------------------------------------------------------------------------- */

#ifdef ACACIA_ZLIB
static size_t inflate_all(const void *data, size_t length, int bits, bool *ended) {
    z_stream zlib = {.next_in = (Bytef *)data, .avail_in = (uInt)length};
    zlib.next_out = (Bytef *)decoded;
    zlib.avail_out = sizeof decoded;
    assert_int_equal(inflateInit2(&zlib, bits), Z_OK);
    int result = inflate(&zlib, Z_SYNC_FLUSH);
    assert_true(result == Z_OK || result == Z_STREAM_END);
    assert_int_equal(zlib.avail_in, 0);
    *ended = result == Z_STREAM_END;
    inflateEnd(&zlib);
    return sizeof decoded - zlib.avail_out;
}
#endif

#ifdef ACACIA_BROTLI
static size_t unbrotli_all(const void *data, size_t length, bool *ended) {
    BrotliDecoderState *brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    size_t room = sizeof decoded;
    const uint8_t *in = data;
    uint8_t *out = (uint8_t *)decoded;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(brotli, &length, &in, &room, &out, NULL);
    assert_int_not_equal(result, BROTLI_DECODER_RESULT_ERROR);
    assert_int_equal(length, 0);
    *ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    BrotliDecoderDestroyInstance(brotli);
    return sizeof decoded - room;
}
#endif

#ifdef ACACIA_ZSTD
static size_t unzstd_all(const void *data, size_t length, bool *ended) {
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    ZSTD_inBuffer in = {data, length, 0};
    ZSTD_outBuffer out = {decoded, sizeof decoded, 0};
    size_t result = 1;
    while (in.pos < in.size) {
        result = ZSTD_decompressStream(zstd, &out, &in);
        assert_false(ZSTD_isError(result));
    }
    *ended = result == 0;
    ZSTD_freeDCtx(zstd);
    return out.pos;
}
#endif

static size_t decode(const char *coding, const void *data, size_t length, bool *ended) {
#ifdef ACACIA_ZLIB
    if (strcmp(coding, "gzip") == 0)
        return inflate_all(data, length, 15 + 16, ended);
    if (strcmp(coding, "deflate") == 0)
        return inflate_all(data, length, 15, ended);
#endif
#ifdef ACACIA_BROTLI
    if (strcmp(coding, "br") == 0)
        return unbrotli_all(data, length, ended);
#endif
#ifdef ACACIA_ZSTD
    if (strcmp(coding, "zstd") == 0)
        return unzstd_all(data, length, ended);
#endif
    fail_msg("what is %s?", coding);
    return 0;
}

static void check_decoded(const app_response_t *response, const char *coding, const void *expected,
                          size_t length) {
    bool ended;
    has_header(response, "Content-Encoding", coding);
    assert_int_equal(decode(coding, response->body.data, response->body.length, &ended), length);
    assert_memory_equal(decoded, expected, length);
    assert_true(ended);
}

/* Half of it repeats itself, and half is noise. */
static void fill(char *data, size_t length) {
    uint32_t noise = 1;
    for (size_t i = 0; i < length; i++) {
        noise = noise * 1664525 + 1013904223;
        data[i] = i / 100 % 2 ? (char)(noise >> 24) : "abcdefghij"[i % 10];
    }
}

/* --- Encoders --------------------------------------------------------------------------------- */

/* Each piece can be read as soon as it is out, with as little room as there may be. */
static void each_piece(enum compression_coding coding, int level, size_t piece, size_t room) {
    static char data[300000], encoded[700000];
    struct compression_pool pool;
    assert_int_equal(compression_pool_init(&pool, coding, level), 0);
    struct compression_encoder *encoder = compression_take(&pool, 0);
    const char *name = compression_coding_names[coding];
    size_t in = 0, out = 0;
    bool ended = false;
    assert_non_null(encoder);
    fill(data, sizeof data);
    for (bool is_last = false; !is_last;) {
        size_t n = sizeof data - in < piece ? sizeof data - in : piece;
        struct compression_flow flow = {.in = (uint8_t *)data + in, .in_left = n};
        is_last = in == sizeof data;
        int result;
        do {
            assert_true(out + room <= sizeof encoded);
            flow.out = (uint8_t *)encoded + out;
            flow.out_left = room;
            result = compression_encode(encoder, is_last, &flow);
            out += room - flow.out_left;
        } while (result == 0);
        assert_int_equal(result, 1);
        assert_int_equal(flow.in_left, 0);
        in += n;
        if (in % 90000 == 0 || is_last) {
            assert_int_equal(decode(name, encoded, out, &ended), in);
            assert_memory_equal(decoded, data, in);
            assert_true(ended == is_last);
        }
    }
    compression_give(&pool, encoder);
    compression_pool_release(&pool);
}

static void encoders(void **state) {
    for (int i = 0; i < COMPRESSION_CODINGS; i++) {
        enum compression_coding coding = (enum compression_coding)i;
        if (!compression_has(coding))
            continue;
        each_piece(coding, 1, 30000, 64);
        each_piece(coding, 4, 10000, 1000);
        each_piece(coding, 6, 100, 400000);
        each_piece(coding, compression_highest_level(coding), 90000, 32768);
    }
}

/* An encoder that was given back in the middle starts anew, with a length or without. */
static void used_again(void **state) {
    static char data[50000], encoded[60000];
    fill(data, sizeof data);
    for (int i = 0; i < COMPRESSION_CODINGS; i++) {
        struct compression_pool pool;
        if (!compression_has((enum compression_coding)i))
            continue;
        assert_int_equal(compression_pool_init(&pool, (enum compression_coding)i, 3), 0);
        for (int round = 0; round < 8; round++) {
            bool is_whole = round % 3 != 1, ended;
            struct compression_encoder *encoder =
                compression_take(&pool, round % 2 ? sizeof data : 0);
            struct compression_flow flow = {(uint8_t *)data, sizeof data, (uint8_t *)encoded,
                                            is_whole ? sizeof encoded : 100};
            assert_int_equal(compression_encode(encoder, true, &flow), is_whole);
            size_t length = sizeof encoded - flow.out_left;
            if (is_whole) {
                assert_int_equal(decode(compression_coding_names[i], encoded, length, &ended),
                                 sizeof data);
                assert_memory_equal(decoded, data, sizeof data);
            }
            compression_give(&pool, encoder);
        }
        compression_pool_release(&pool);
    }
}

/* --- Types ------------------------------------------------------------------------------------ */

static void types(void **state) {
    static const char *const gain[] = {"text/html",
                                       "text/x-unheard-of",
                                       "TEXT/PLAIN",
                                       "application/json",
                                       "application/JSON; charset",
                                       "application/vnd.api+json",
                                       "image/svg+xml",
                                       "application/x+text",
                                       " text/plain;x",
                                       "application/wasm",
                                       "font/ttf",
                                       "image/x-icon",
                                       "text/event-stream"};
    static const char *const dont[] = {
        "",          "image/png", "video/mp4",        "application/zip",   "font/woff2",
        "text",      "xtext/a",   "application/jso",  "application/jsonx", "application/x+jsonx",
        "audio/ogg", "+",         "application/json+"};
    for (size_t i = 0; i < sizeof gain / sizeof *gain; i++)
        if (!compression_gains(gain[i]))
            fail_msg("\"%s\" gains", gain[i]);
    for (size_t i = 0; i < sizeof dont / sizeof *dont; i++)
        if (compression_gains(dont[i]))
            fail_msg("\"%s\" doesn't gain", dont[i]);
}

/* --- Bodies in memory ------------------------------------------------------------------------- */

static char data[3 * MIB];

/* So many bytes of it, as the query says, and other things. */
static int sends_bytes(ctx_t *ctx) {
    const char *type = ctx_query(ctx, "type"), *status = ctx_query(ctx, "status");
    const char *name = ctx_query(ctx, "header"), *value = ctx_query(ctx, "value");
    const char *choice = ctx_query(ctx, "choice"), *length = ctx_query(ctx, "length");
    ctx_type(ctx, type ? type : "text/plain");
    if (name)
        ctx_set(ctx, name, value);
    if (choice)
        compression_choose(ctx, strcmp(choice, "never") == 0 ? COMPRESSION_NEVER
                                : strcmp(choice, "any") == 0 ? COMPRESSION_ANY_TYPE
                                                             : COMPRESSION_BY_TYPE);
    if (ctx_query(ctx, "flush"))
        ctx_flush_headers(ctx);
    int err = ctx_bytes(ctx, data, length ? (size_t)atoi(length) : 2000);
    if (status)
        ctx->status = atoi(status);
    return ctx_query(ctx, "error") ? ctx_throw(ctx, 400, "bad") : err;
}

static app_t *compressing(const compression_options_t *options, middleware_fn *handler) {
    app_t *app = quiet_app();
    app_use(app, compression(options));
    app_use_fn(app, handler, "handler");
    return app;
}

/* `coding` NULL: none. */
static void check_coding(app_t *app, const char *method, const char *url, const char *accept,
                         const char *coding) {
    app_response_t *response = ask(app, method, url, HEADERS("Accept-Encoding", accept));
    const char *found = app_response_get(response, "Content-Encoding");
    if (!found != !coding || (found && strcmp(found, coding) != 0))
        fail_msg("%s %s, %s: %s", method, url, accept, found ? found : "(none)");
    app_response_free(response);
}

static void sizes(void **state) {
    static const int lengths[] = {1, 2, 1000, 8192, 8193, 100000, 3 * MIB};
    for (int i = 0; i < COMPRESSION_CODINGS; i++) {
        const char *name = compression_coding_names[i];
        if (!compression_has((enum compression_coding)i))
            continue;
        app_t *app = compressing(
            &(compression_options_t){.threshold = 1, .encodings = HEADERS(name)}, sends_bytes);
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            char url[64], length[32];
            snprintf(url, sizeof url, "/?length=%d", lengths[k]);
            app_response_t *response = get(app, url, HEADERS("Accept-Encoding", name));
            snprintf(length, sizeof length, "%zu", response->body.length);
            has_header(response, "Content-Length", length);
            has_header(response, "Content-Type", "text/plain; charset=utf-8");
            has_header(response, "Vary", "Accept-Encoding");
            check_decoded(response, name, data, (size_t)lengths[k]);
            app_response_free(response);
        }
        app_free(app);
    }
}

static void what_is_left_alone(void **state) {
    app_t *app = compressing(&(compression_options_t){.encodings = HEADERS("gzip")}, sends_bytes);
    check_coding(app, "GET", "/", "gzip", "gzip");
    check_coding(app, "POST", "/", "gzip", "gzip");
    check_coding(app, "GET", "/?status=404", "gzip", "gzip");
    check_coding(app, "HEAD", "/", "gzip", NULL);
    check_coding(app, "GET", "/?length=1023", "gzip", NULL);
    check_coding(app, "GET", "/?length=1024", "gzip", "gzip");
    check_coding(app, "GET", "/?length=0", "gzip", NULL);
    check_coding(app, "GET", "/?status=204", "gzip", NULL);
    check_coding(app, "GET", "/?status=205", "gzip", NULL);
    check_coding(app, "GET", "/?status=304", "gzip", NULL);
    check_coding(app, "GET", "/?status=206", "gzip", NULL);
    check_coding(app, "GET", "/?header=Content-Range&value=bytes+0-1999/2000", "gzip", NULL);
    check_coding(app, "GET", "/?type=multipart/byteranges;+boundary=x", "gzip", NULL);
    check_coding(app, "GET", "/?header=Content-Encoding&value=br", "gzip", "br");
    check_coding(app, "GET", "/?header=Cache-Control&value=no-transform", "gzip", NULL);
    check_coding(app, "GET", "/?header=Cache-Control&value=public,+No-Transform", "gzip", NULL);
    check_coding(app, "GET", "/?header=Cache-Control&value=no-transformx,+x", "gzip", "gzip");
    check_coding(app, "GET", "/?type=image/png", "gzip", NULL);
    check_coding(app, "GET", "/?flush", "gzip", NULL);
    check_coding(app, "GET", "/?error", "gzip", NULL);
    check_coding(app, "GET", "/?choice=never", "gzip", NULL);
    check_coding(app, "GET", "/?choice=any&type=image/png", "gzip", "gzip");
    check_coding(app, "GET", "/?choice=any&length=1023", "gzip", NULL);
    check_coding(app, "GET", "/?choice=by-type&type=image/png", "gzip", NULL);
    answers_with(app, "/?type=image/png", NULL, 200, "Vary", "Accept-Encoding");
    answers_with(app, "/?header=Vary&value=Origin", NULL, 200, "Vary", "Origin");
    app_free(app);
}

static int says_nothing(ctx_t *ctx) {
    return 0;
}

static int writes(ctx_t *ctx) {
    ctx_type(ctx, "text");
    return ctx_write(ctx, data, 2000);
}

static int sends_events(ctx_t *ctx) {
    int err = sse_begin(ctx);
    return err ? err : sse_sendf(ctx, "%0*d", 2000, 7);
}

static void other_bodies_left_alone(void **state) {
    middleware_fn *const handlers[] = {says_nothing, writes, sends_events};
    for (size_t i = 0; i < 3; i++) {
        app_t *app = compressing(&(compression_options_t){.threshold = 1}, handlers[i]);
        check_coding(app, "GET", "/", "gzip, br, zstd", NULL);
        app_free(app);
    }
}

static void negotiation(void **state) {
    app_t *app = compressing(
        &(compression_options_t){.encodings = HEADERS("br", "gzip", "deflate")}, sends_bytes);
    check_coding(app, "GET", "/", "gzip, deflate, br", "br");
    check_coding(app, "GET", "/", "gzip, deflate", "gzip");
    check_coding(app, "GET", "/", "deflate", "deflate");
    check_coding(app, "GET", "/", "gzip;q=0.9, br;q=0.8", "gzip");
    check_coding(app, "GET", "/", "*", "gzip");
    check_coding(app, "GET", "/", "*;q=0.5", "br");
    check_coding(app, "GET", "/", "*, br;q=0", "gzip");
    check_coding(app, "GET", "/", "identity", NULL);
    check_coding(app, "GET", "/", "identity, gzip;q=0.5", NULL);
    check_coding(app, "GET", "/", "identity;q=0.5, gzip;q=0.4", NULL);
    check_coding(app, "GET", "/", "gzip;q=0", NULL);
    check_coding(app, "GET", "/", "identity;q=0", NULL); /* there is nothing else */
    check_coding(app, "GET", "/", "identity;q=0, gzip", "gzip");
    check_coding(app, "GET", "/", "GZIP", "gzip");
    check_coding(app, "GET", "/", "zstd, compress", NULL);
    check_coding(app, "GET", "/", "", NULL);
    app_free(app);
    app = compressing(&(compression_options_t){.encodings = HEADERS("gzip", "br"),
                                               .default_encoding = "br",
                                               .wildcard_encoding = "br"},
                      sends_bytes);
    check_coding(app, "GET", "/", "br, gzip", "gzip");
    check_coding(app, "GET", "/", "*", "br");
    check_coding(app, "GET", "/", "", "br");
    answers_with(app, "/", NULL, 200, "Content-Encoding", "br");
    app_free(app);
    app = compressing(&(compression_options_t){.encodings = HEADERS("br"), .default_encoding = "*"},
                      sends_bytes);
    check_coding(app, "GET", "/", "*", NULL); /* that would be gzip */
    check_coding(app, "GET", "/", "", NULL);
    app_free(app);
}

static bool only_images(ctx_t *ctx, const char *type) {
    return strncmp(type, "image/", 6) == 0 && !ctx_query(ctx, "plain");
}

static void filters(void **state) {
    app_t *app = compressing(
        &(compression_options_t){.encodings = HEADERS("gzip"), .filter = only_images}, sends_bytes);
    check_coding(app, "GET", "/?type=image/png", "gzip", "gzip");
    check_coding(app, "GET", "/?type=image/png&plain", "gzip", NULL);
    check_coding(app, "GET", "/", "gzip", NULL);
    check_coding(app, "GET", "/?choice=any", "gzip", "gzip");
    app_free(app);
}

static void etags(void **state) {
    app_t *app = compressing(&(compression_options_t){.encodings = HEADERS("gzip")}, sends_bytes);
    const char *gzip[] = {"Accept-Encoding", "gzip", NULL};
    answers_with(app, "/?header=ETag&value=%22x%22", gzip, 200, "ETag", "W/\"x\"");
    answers_with(app, "/?header=ETag&value=W/%22x%22", gzip, 200, "ETag", "W/\"x\"");
    answers_with(app, "/?header=ETag&value=%22x%22", NULL, 200, "ETag", "\"x\"");
    answers_with(app, "/?header=ETag&value=%22x%22&length=100", gzip, 200, "ETag", "\"x\"");
    app_free(app);
}

/* --- Streams ---------------------------------------------------------------------------------- */

static int closes;

struct source {
    size_t done, length, piece, breaks_at;
};

static ssize_t read_source(ctx_t *ctx, void *state, void *buffer, size_t size) {
    struct source *source = state;
    size_t n = source->length - source->done;
    if (source->breaks_at && source->done >= source->breaks_at)
        return UV_EIO;
    if (n > source->piece)
        n = source->piece;
    if (n > size)
        n = size;
    memcpy(buffer, data + source->done, n);
    source->done += n;
    int err = source->piece > 1000 ? 0 : await_sleep(0);
    return err ? err : (ssize_t)n;
}

static void close_source(void *state) {
    closes++;
}

static int streams(ctx_t *ctx) {
    struct source *source = ctx_new(ctx, struct source);
    const char *breaks_at = ctx_query(ctx, "breaks_at");
    *source = (struct source){0, (size_t)atoi(ctx_query(ctx, "length")),
                              (size_t)atoi(ctx_query(ctx, "piece")),
                              breaks_at ? (size_t)atoi(breaks_at) : 0};
    ctx_type(ctx, "text");
    ctx_etag(ctx, "stream");
    int err = ctx_stream(ctx, (body_stream_t){read_source, close_source, source});
    return ctx_query(ctx, "announced") ? ctx_length(ctx, source->length) : err;
}

/* Takes a few bytes at a time of what is below it. */
static ssize_t read_little(ctx_t *ctx, void *state, void *buffer, size_t size) {
    body_stream_t *inner = state;
    return inner->read(ctx, inner->state, buffer, size < 7 ? size : 7);
}

static void close_inner(void *state) {
    body_stream_t *inner = state;
    inner->close(inner->state);
}

static int sip(ctx_t *ctx) {
    int err = next(ctx);
    if (err || !ctx_query(ctx, "sip"))
        return err;
    body_stream_t *inner = ctx_new(ctx, body_stream_t);
    *inner = ctx_take_body(ctx);
    return ctx_stream(ctx, (body_stream_t){read_little, close_inner, inner});
}

static app_t *compressing_streams(const char *coding) {
    app_t *app = quiet_app();
    app_use(app, sip);
    app_use(app, compression(&(compression_options_t){.encodings = HEADERS(coding)}));
    app_use(app, streams);
    return app;
}

static void check_stream(const char *coding, const char *url, size_t length) {
    app_t *app = compressing_streams(coding);
    closes = 0;
    app_response_t *response = get(app, url, HEADERS("Accept-Encoding", coding));
    assert_false(response->failed);
    check_decoded(response, coding, data, length);
    has_header(response, "Content-Length", NULL);
    has_header(response, "ETag", "W/\"stream\"");
    assert_int_equal(closes, 1);
    app_response_free(response);
    app_free(app);
}

static void streams_of_all_kinds(void **state) {
    for (int i = 0; i < COMPRESSION_CODINGS; i++) {
        const char *coding = compression_coding_names[i];
        if (!compression_has((enum compression_coding)i))
            continue;
        check_stream(coding, "/?length=0&piece=1", 0);
        check_stream(coding, "/?length=1&piece=1", 1);
        check_stream(coding, "/?length=500&piece=1", 500);
        check_stream(coding, "/?length=100000&piece=999", 100000);
        check_stream(coding, "/?length=100000&piece=8192", 100000);
        check_stream(coding, "/?length=1000000&piece=8193", 1000000); /* by a thread */
        check_stream(coding, "/?length=1000000&piece=1000000&announced", 1000000);
        check_stream(coding, "/?length=20000&piece=5000&sip", 20000);
    }
}

static void streams_left_alone(void **state) {
    app_t *app = compressing_streams("gzip");
    check_coding(app, "GET", "/?length=1023&piece=100&announced", "gzip", NULL);
    check_coding(app, "GET", "/?length=1023&piece=100", "gzip", "gzip"); /* who knows */
    check_coding(app, "HEAD", "/?length=5000&piece=100", "gzip", NULL);
    app_free(app);
}

static void streams_that_break(void **state) {
    app_t *app = compressing_streams("gzip");
    closes = 0;
    app_response_t *response =
        get(app, "/?length=5000&piece=1000&breaks_at=3000", HEADERS("Accept-Encoding", "gzip"));
    assert_int_equal(response->status, 200);
    assert_true(response->failed);
    app_response_free(response);
    app_free(app);
    assert_int_equal(closes, 1);
}

static int sends_file(ctx_t *ctx) {
    return ctx_file(ctx, at("large.txt"));
}

static void files(void **state) {
    put_data("large.txt", data, 500000);
    app_t *app = compressing(NULL, sends_file);
    app_response_t *response = get(app, "/", HEADERS("Accept-Encoding", "gzip"));
    check_decoded(response, "gzip", data, 500000);
    has_header(response, "Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT");
    app_response_free(response);
    app_free(app);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void bad_options(void **state) {
    const compression_options_t options[] = {
        {.encodings = HEADERS("gzip", "compress")},
        {.encodings = HEADERS(NULL)},
        {.encodings = HEADERS("gzip", "gzip", "gzip", "gzip", "gzip")},
        {.gzip_level = 10},
        {.deflate_level = -1},
        {.brotli_quality = 12},
        {.zstd_level = 20},
        {.default_encoding = "x"},
        {.wildcard_encoding = "x"},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        middleware_t middleware = compression(&options[i]);
        if (!middleware.error)
            fail_msg("%zu is accepted", i);
        middleware.destroy(middleware.state);
    }
    app_t *app = compressing(&options[0], sends_bytes);
    assert_null(app_inject(app, &(app_request_t){.url = "/"}));
    app_free(app);
}

static void levels(void **state) {
    static const compression_options_t low = {
        .gzip_level = 1, .deflate_level = 1, .brotli_quality = 1, .zstd_level = 1};
    static const compression_options_t high = {
        .gzip_level = 9, .deflate_level = 9, .brotli_quality = 11, .zstd_level = 19};
    for (int i = 0; i < COMPRESSION_CODINGS; i++) {
        const char *coding = compression_coding_names[i];
        size_t lengths[2];
        for (int k = 0; k < 2; k++) {
            app_t *app = compressing(k ? &high : &low, sends_bytes);
            app_response_t *response =
                get(app, "/?length=100000", HEADERS("Accept-Encoding", coding));
            check_decoded(response, coding, data, 100000);
            lengths[k] = response->body.length;
            app_response_free(response);
            app_free(app);
        }
        assert_true(lengths[1] < lengths[0]);
    }
}

static int fill_data(void **state) {
    fill(data, sizeof data);
    return make_directory(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoders),
        cmocka_unit_test(used_again),
        cmocka_unit_test(types),
        cmocka_unit_test(sizes),
        cmocka_unit_test(what_is_left_alone),
        cmocka_unit_test(other_bodies_left_alone),
        cmocka_unit_test(negotiation),
        cmocka_unit_test(filters),
        cmocka_unit_test(etags),
        cmocka_unit_test(streams_of_all_kinds),
        cmocka_unit_test(streams_left_alone),
        cmocka_unit_test(streams_that_break),
        cmocka_unit_test(files),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(levels),
    };
    return cmocka_run_group_tests(tests, fill_data, remove_directory);
}
