/* A file, or parts of it, as the body of a response. */
#include "serve_parts.h"

#include <inttypes.h>
#include <string.h>

#define BOUNDARY_BYTES 16

/* What the body is made of: text, or bytes of the file. Counted down while it is sent. */
struct piece {
    const char *text; /* NULL: of the file */
    uint64_t at;
    uint64_t left;
};

struct body {
    struct serve_found *found;
    int descriptor;
    struct piece *piece, *end; /* the current one */
    struct piece pieces[];
};

static ssize_t read_body(ctx_t *ctx, void *state, void *buffer, size_t size) {
    struct body *body = state;
    while (body->piece < body->end && body->piece->left == 0)
        body->piece++;
    if (body->piece == body->end)
        return 0;
    struct piece *piece = body->piece;
    ssize_t n = (ssize_t)(piece->left < size ? piece->left : size);
    if (piece->text)
        memcpy(buffer, piece->text + piece->at, (size_t)n);
    else
        n = await_fs_read(body->descriptor, buffer, (size_t)n, (int64_t)piece->at);
    if (n <= 0) /* it has become shorter: the client must see that something is missing */
        return n < 0 ? n : UV_EIO;
    piece->at += (uint64_t)n;
    piece->left -= (uint64_t)n;
    return n;
}

static void close_body(void *state) {
    serve_release(((struct body *)state)->found);
}

static void add_file(struct body *body, uint64_t first, uint64_t length) {
    *body->end++ = (struct piece){NULL, first, length};
}

static int add_text(struct body *body, const char *text) {
    if (!text)
        return UV_ENOMEM;
    *body->end++ = (struct piece){text, 0, strlen(text)};
    return 0;
}

/* --- The three kinds -------------------------------------------------------------------------- */

static int add_whole(ctx_t *ctx, struct body *body, uint64_t size) {
    if (!ctx->status)
        ctx->status = 200;
    add_file(body, 0, size);
    return 0;
}

static int add_part(ctx_t *ctx, struct body *body, uint64_t size, const struct serve_range *range) {
    ctx->status = 206;
    add_file(body, range->first, range->last - range->first + 1);
    return ctx_setf(ctx, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->first,
                    range->last, size);
}

/* A line that no file has, or so it is hoped: nobody can guess it. */
static const char *make_boundary(ctx_t *ctx) {
    unsigned char bytes[BOUNDARY_BYTES];
    char *boundary = ctx_alloc(ctx, 2 * BOUNDARY_BYTES + 1);
    if (!boundary || uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL))
        return NULL;
    for (size_t i = 0; i < sizeof bytes; i++) {
        boundary[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        boundary[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    return boundary;
}

static int add_parts(ctx_t *ctx, struct body *body, uint64_t size, const struct serve_range *ranges,
                     size_t count) {
    const char *type = ctx_response_get(ctx, "Content-Type"), *boundary = make_boundary(ctx);
    int err = boundary ? 0 : UV_ENOMEM;
    if (!type)
        type = "application/octet-stream";
    for (size_t i = 0; i < count && !err; i++) {
        const struct serve_range *range = &ranges[i];
        err = add_text(
            body, ctx_printf(ctx,
                             "%s--%s\r\nContent-Type: %s\r\n"
                             "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
                             i ? "\r\n" : "", boundary, type, range->first, range->last, size));
        if (!err)
            add_file(body, range->first, range->last - range->first + 1);
    }
    if (!err)
        err = add_text(body, ctx_printf(ctx, "\r\n--%s--\r\n", boundary));
    ctx->status = 206;
    return err ? err : ctx_setf(ctx, "Content-Type", "multipart/byteranges; boundary=%s", boundary);
}

int serve_body(ctx_t *ctx, struct serve_found *found, const struct serve_file *file,
               const struct serve_range *ranges, size_t count) {
    size_t pieces = count > 1 ? 2 * count + 1 : 1;
    struct body *body = ctx_alloc(ctx, sizeof *body + pieces * sizeof(struct piece));
    uint64_t size = file->stat.st_size, length = 0;
    int err = 0;
    if (!body)
        return UV_ENOMEM;
    *body = (struct body){found, file->descriptor, body->pieces, body->pieces};
    if (count == 0)
        err = add_whole(ctx, body, size);
    else if (count == 1)
        err = add_part(ctx, body, size, ranges);
    else
        err = add_parts(ctx, body, size, ranges, count);
    if (err)
        return err;
    for (const struct piece *piece = body->pieces; piece < body->end; piece++)
        length += piece->left;
    found->holders++;
    err = ctx_stream(ctx, (body_stream_t){read_body, close_body, body});
    return err ? err : ctx_length(ctx, length);
}
