#include "compression_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define THRESHOLD 1024
#define THREAD_SIZE (8 * 1024)
#define PIECE (32 * 1024) /* of a stream, before and after */

struct compression {
    compression_options_t options;
    enum compression_coding codings[COMPRESSION_CODINGS]; /* the best first */
    struct compression_pool pools[COMPRESSION_CODINGS];
    size_t pool_count;
    const char *offers[COMPRESSION_CODINGS + 2]; /* their names, and identity */
    size_t count;
    int by_default, by_wildcard; /* places among them; -1: none */
};

static const char identity[] = "identity";
static const char choice_name[] = "compression.choice"; /* of the value of a ctx */

/* --- A body in memory ------------------------------------------------------------------------- */

/* Those that wait for a thread hold no encoder, so that a crowd of them takes no memory. */
struct whole {
    struct compression_pool *pool;
    bytes_t body;
    uint8_t *room;
    size_t length; /* of what is in it */
    int err;
};

static int encode_whole(struct whole *whole, struct compression_encoder *encoder) {
    size_t bound = compression_bound(encoder, whole->body.length);
    uint8_t *room = whole->room = malloc(bound);
    struct compression_flow flow = {(const uint8_t *)whole->body.data, whole->body.length, room,
                                    bound};
    int result = room ? compression_encode(encoder, true, &flow) : UV_ENOMEM;
    whole->length = bound - flow.out_left;
    return result < 0 ? result : result ? 0 : UV_ENOBUFS;
}

static void run_whole(void *arg) {
    struct whole *whole = arg;
    struct compression_encoder *encoder = compression_take(whole->pool, whole->body.length);
    whole->err = encoder ? encode_whole(whole, encoder) : UV_ENOMEM;
    compression_give(whole->pool, encoder);
}

static int compress_bytes(ctx_t *ctx, struct compression_pool *pool, size_t thread_size) {
    struct whole whole = {.pool = pool, .body = ctx_body_bytes(ctx)};
    int err = 0;
    if (whole.body.length <= thread_size)
        run_whole(&whole);
    else
        err = await_work(run_whole, &whole);
    if (!err)
        err = whole.err ? whole.err : ctx_bytes(ctx, whole.room, whole.length);
    free(whole.room);
    return err;
}

/* --- A stream --------------------------------------------------------------------------------- */

struct stream {
    body_stream_t inner;
    struct compression_pool *pool;
    struct compression_encoder *encoder;
    size_t thread_size;
    struct compression_flow flow;
    int result;
    const uint8_t *ready; /* encoded, and not yet taken */
    bool is_last;         /* it has said all */
    bool is_busy;         /* not all of that is encoded */
    bool is_over;
    uint8_t in[PIECE], out[PIECE];
};

/* Ask for more. */
static int refill(ctx_t *ctx, struct stream *stream) {
    ssize_t n = stream->inner.read(ctx, stream->inner.state, stream->in, PIECE);
    if (n < 0)
        return (int)n;
    stream->flow.in = stream->in;
    stream->flow.in_left = (size_t)n;
    stream->is_last = n == 0;
    stream->is_busy = true;
    return 0;
}

static void run_stream(void *arg) {
    struct stream *stream = arg;
    stream->result = compression_encode(stream->encoder, stream->is_last, &stream->flow);
}

static int encode_more(struct stream *stream) {
    int err = 0;
    stream->ready = stream->flow.out = stream->out;
    stream->flow.out_left = PIECE;
    if (stream->flow.in_left <= stream->thread_size)
        run_stream(stream);
    else
        err = await_work(run_stream, stream);
    if (err || stream->result < 0)
        return err ? err : stream->result;
    stream->is_busy = stream->result == 0;
    stream->is_over = !stream->is_busy && stream->is_last;
    return 0;
}

/* All that was read goes out before more is asked for: it may be long in coming. */
static ssize_t read_encoded(ctx_t *ctx, void *state, void *buffer, size_t size) {
    struct stream *stream = state;
    while (stream->ready == stream->flow.out && !stream->is_over) {
        int err = stream->is_busy ? 0 : refill(ctx, stream);
        if (!err)
            err = encode_more(stream);
        if (err)
            return err;
    }
    size_t n = (size_t)(stream->flow.out - stream->ready);
    if (n > size)
        n = size;
    memcpy(buffer, stream->ready, n);
    stream->ready += n;
    return (ssize_t)n;
}

static void close_stream(void *state) {
    struct stream *stream = state;
    if (stream->inner.close)
        stream->inner.close(stream->inner.state);
    compression_give(stream->pool, stream->encoder);
    free(stream);
}

static int compress_stream(ctx_t *ctx, struct compression_pool *pool, size_t thread_size) {
    struct stream *stream = malloc(sizeof *stream);
    struct compression_encoder *encoder = compression_take(pool, 0);
    if (!stream || !encoder) {
        compression_give(pool, encoder);
        free(stream);
        return UV_ENOMEM;
    }
    stream->pool = pool;
    stream->thread_size = thread_size;
    stream->encoder = encoder;
    stream->ready = stream->flow.out = stream->out;
    stream->is_busy = stream->is_over = false;
    stream->inner = ctx_take_body(ctx);
    int err = ctx_stream(ctx, (body_stream_t){read_encoded, close_stream, stream});
    return err ? err : ctx_remove(ctx, "Content-Length");
}

/* --- Which bodies ----------------------------------------------------------------------------- */

/* Is it one of the directives in any line of Cache-Control? */
static bool is_no_transform(const ctx_t *ctx) {
    static const char directive[] = "no-transform";
    const char *name, *value;
    for (size_t i = 0; ctx_response_header_at(ctx, i, &name, &value); i++) {
        if (strcasecmp(name, "Cache-Control") != 0)
            continue;
        for (value += strspn(value, ", \t"); *value; value += strspn(value, ", \t")) {
            size_t length = strcspn(value, ", \t");
            if (length == strlen(directive) && strncasecmp(value, directive, length) == 0)
                return true;
            value += length;
        }
    }
    return false;
}

static bool has_body(const ctx_t *ctx) {
    body_kind_t kind = ctx_body_kind(ctx);
    int status = ctx->status;
    return (kind == CTX_BODY_STREAM ||
            (kind == CTX_BODY_BYTES && ctx_body_bytes(ctx).length > 0)) &&
           strcmp(ctx->method, "HEAD") != 0 && status != 204 && status != 205 && status != 304;
}

static bool is_part(ctx_t *ctx) {
    return ctx->status == 206 || ctx_has(ctx, "Content-Range") ||
           strcasecmp(ctx_response_type(ctx), "multipart/byteranges") == 0;
}

static bool has_right_type(ctx_t *ctx, const compression_options_t *options) {
    const compression_choice_t *choice = ctx_value(ctx, choice_name);
    const char *type = ctx_response_type(ctx);
    if (choice && *choice != COMPRESSION_BY_TYPE)
        return *choice == COMPRESSION_ANY_TYPE;
    return options->filter ? options->filter(ctx, type) : compression_gains(type);
}

static bool is_to_be_compressed(ctx_t *ctx, const compression_options_t *options) {
    int64_t length = ctx_response_length(ctx);
    return !ctx_header_sent(ctx) && ctx_writable(ctx) && has_body(ctx) && !is_part(ctx) &&
           !ctx_has(ctx, "Content-Encoding") && has_right_type(ctx, options) &&
           !is_no_transform(ctx) && (length < 0 || length >= (int64_t)options->threshold);
}

/* The coding's place in our list; -1 is none. */
static int choose(ctx_t *ctx, const struct compression *compression) {
    const char *accept = ctx_get(ctx, "Accept-Encoding");
    if (!*accept)
        return compression->by_default;
    if (strcmp(accept, "*") == 0)
        return compression->by_wildcard;
    const char *best = ctx_prefers_encoding_of(ctx, compression->offers);
    for (size_t i = 0; i < compression->count; i++)
        if (best == compression->offers[i])
            return (int)i;
    return -1;
}

/* A strong tag says that bytes are the same; now they are others, which mean the same, and parts of
 * these are not to be had. */
static int set_headers(ctx_t *ctx, const char *coding) {
    const char *tag = ctx_response_get(ctx, "ETag");
    int err = ctx_set(ctx, "Content-Encoding", coding);
    if (!err && tag && *tag == '"')
        err = ctx_setf(ctx, "ETag", "W/%s", tag);
    return err ? err : ctx_remove(ctx, "Accept-Ranges");
}

static int run(ctx_t *ctx, void *state) {
    struct compression *compression = state;
    size_t thread_size = compression->options.thread_size;
    int err = ctx_vary(ctx, "Accept-Encoding");
    if (!err)
        err = next(ctx);
    if (err || !is_to_be_compressed(ctx, &compression->options))
        return err;
    int place = choose(ctx, compression);
    if (place < 0)
        return 0;
    struct compression_pool *pool = &compression->pools[place];
    err = ctx_body_kind(ctx) == CTX_BODY_BYTES ? compress_bytes(ctx, pool, thread_size)
                                               : compress_stream(ctx, pool, thread_size);
    return err ? err : set_headers(ctx, compression->offers[place]);
}

int compression_choose(ctx_t *ctx, compression_choice_t choice) {
    static compression_choice_t choices[] = {COMPRESSION_BY_TYPE, COMPRESSION_NEVER,
                                             COMPRESSION_ANY_TYPE};
    return ctx_set_value(ctx, choice_name, &choices[choice], NULL);
}

/* --- Making one ------------------------------------------------------------------------------- */

static int coding_of(const char *name) {
    for (int i = 0; i < COMPRESSION_CODINGS; i++)
        if (strcmp(name, compression_coding_names[i]) == 0)
            return i;
    return -1;
}

static void add_coding(struct compression *compression, enum compression_coding coding) {
    compression->codings[compression->count] = coding;
    compression->offers[compression->count++] = compression_coding_names[coding];
}

/* What is wrong with the list, or NULL. */
static const char *set_codings(struct compression *compression, const char *const *names) {
    for (int i = 0; !names && i < COMPRESSION_CODINGS; i++)
        if (compression_has((enum compression_coding)i))
            add_coding(compression, (enum compression_coding)i);
    for (; names && *names; names++) {
        int coding = coding_of(*names);
        if (coding < 0)
            return "an encoding is none of zstd, br, gzip and deflate";
        if (!compression_has((enum compression_coding)coding))
            return "an encoding was not there when Acacia was built";
        if (compression->count == COMPRESSION_CODINGS)
            return "there are more encodings than there can be";
        add_coding(compression, (enum compression_coding)coding);
    }
    compression->offers[compression->count] = identity;
    return compression->count > 0 ? NULL : "there is no encoding";
}

static const char *set_pools(struct compression *compression) {
    const compression_options_t *options = &compression->options;
    const int levels[COMPRESSION_CODINGS] = {
        [COMPRESSION_ZSTD] = options->zstd_level ? options->zstd_level : 3,
        [COMPRESSION_BR] = options->brotli_quality ? options->brotli_quality : 4,
        [COMPRESSION_GZIP] = options->gzip_level ? options->gzip_level : 6,
        [COMPRESSION_DEFLATE] = options->deflate_level ? options->deflate_level : 6,
    };
    for (size_t i = 0; i < compression->count; i++) {
        enum compression_coding coding = compression->codings[i];
        if (levels[coding] < 1 || levels[coding] > compression_highest_level(coding))
            return "a level is out of range";
        if (compression_pool_init(&compression->pools[i], coding, levels[coding]))
            return "out of memory";
        compression->pool_count++;
    }
    return NULL;
}

/* Of a client that doesn't say which one. */
static const char *set_place(const struct compression *compression, const char *name, int *place) {
    *place = -1;
    for (size_t i = 0; i < compression->count; i++)
        if (strcmp(name, compression->offers[i]) == 0)
            *place = (int)i;
    bool is_known = *place >= 0 || coding_of(name) >= 0 || strcmp(name, identity) == 0;
    return is_known ? NULL : "the default encoding, or that for \"*\", is none";
}

static const char *set_places(struct compression *compression) {
    const compression_options_t *options = &compression->options;
    const char *by_default = options->default_encoding, *by_wildcard = options->wildcard_encoding;
    if (!by_wildcard || strcmp(by_wildcard, "*") == 0)
        by_wildcard = compression_coding_names[COMPRESSION_GZIP];
    if (!by_default)
        by_default = identity;
    if (strcmp(by_default, "*") == 0)
        by_default = by_wildcard;
    const char *error = set_place(compression, by_wildcard, &compression->by_wildcard);
    return error ? error : set_place(compression, by_default, &compression->by_default);
}

static void destroy(void *state) {
    struct compression *compression = state;
    for (size_t i = 0; i < compression->pool_count; i++)
        compression_pool_release(&compression->pools[i]);
    free(compression);
}

middleware_t compression(const compression_options_t *options) {
    struct compression *compression = calloc(1, sizeof *compression);
    if (!compression)
        return (middleware_t){run, NULL, NULL, "compression", "out of memory"};
    if (options)
        compression->options = *options;
    if (!compression->options.threshold)
        compression->options.threshold = THRESHOLD;
    if (!compression->options.thread_size)
        compression->options.thread_size = THREAD_SIZE;
    const char *error = set_codings(compression, compression->options.encodings);
    if (!error)
        error = set_pools(compression);
    if (!error)
        error = set_places(compression);
    compression->options.encodings = NULL; /* they are the caller's, as all strings are */
    compression->options.default_encoding = compression->options.wildcard_encoding = NULL;
    return (middleware_t){run, compression, destroy, "compression", error};
}
