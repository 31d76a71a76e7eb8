/* A file as the body of a response. */
#include "context/context.h"
#include "context/mime.h"
#include "runtime/fs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PIECE 65536

static void close_at_end(void *arg) {
    struct context *context = arg;
    if (context->file >= 0)
        fs_close(context->file);
    context->file = -1;
}

static int set_last_modified(struct context *context, time_t seconds) {
    char text[32];
    struct tm tm;
    if (headers_get(&context->headers, "Last-Modified") || !gmtime_r(&seconds, &tm))
        return 0;
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return ctx_set(&context->ctx, "Last-Modified", text);
}

static int set_file(struct context *context, int file, const char *name) {
    uv_stat_t stat;
    int err = fs_stat(file, &stat);
    if (!err && S_ISDIR(stat.st_mode))
        err = UV_EISDIR;
    if (!err && !S_ISREG(stat.st_mode))
        err = UV_EINVAL;
    if (err)
        return err;
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    if (!headers_get(&context->headers, "Content-Type") && dot && dot > base)
        ctx_type(&context->ctx, dot);
    err = set_last_modified(context, (time_t)stat.st_mtim.tv_sec);
    return err ? err
               : context_set_body(context, BODY_FILE, (bytes_t){NULL, (size_t)stat.st_size},
                                  "application/octet-stream");
}

may_await int ctx_file(ctx_t *ctx, const char *name) {
    struct context *context = context_of(ctx);
    if (context->header_sent)
        return UV_EALREADY;
    int file = fs_open(name);
    if (file < 0)
        return file;
    int err = set_file(context, file, name);
    bool is_first = context->file < 0;
    if (err) {
        fs_close(file);
        return err;
    }
    if (!is_first)
        fs_close(context->file);
    context->file = file;
    return is_first ? ctx_defer(ctx, close_at_end, context) : 0;
}

int context_send_file(struct context *context) {
    struct exchange *exchange = context->exchange;
    uint64_t done = 0, length = context->body.length;
    char *buffer = malloc(PIECE);
    int err = buffer ? 0 : UV_ENOMEM;
    while (!err && done < length) {
        size_t size = length - done < PIECE ? (size_t)(length - done) : PIECE;
        ssize_t n = fs_read(context->file, buffer, size, (int64_t)done);
        if (n <= 0) /* it has become shorter: the client must see that something is missing */
            err = n < 0 ? (int)n : UV_EIO;
        else
            err = exchange->ops->write(exchange, buffer, (size_t)n);
        done += n > 0 ? (uint64_t)n : 0;
    }
    free(buffer);
    return err;
}
