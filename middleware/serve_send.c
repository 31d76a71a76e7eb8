/* The answer that a file is: its headers, the conditions of the client, its bytes. */
#include "serve_parts.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Milliseconds after which a change is over. Two within one tick of the disk's clock leave the same
 * time, and a tag that is built on that may not tell them apart. */
#define SETTLED 2000

struct sending {
    const serve_options_t *options;
    struct serve_found *found;
    enum serve_coding coding;
    const struct serve_file *file;
    int64_t changed; /* milliseconds since 1970 */
    bool is_settled;
};

/* --- Headers ---------------------------------------------------------------------------------- */

static int set_cache_control(ctx_t *ctx, const serve_options_t *options) {
    if (ctx_has(ctx, "Cache-Control"))
        return 0;
    return ctx_setf(ctx, "Cache-Control", "max-age=%llu%s", (unsigned long long)options->max_age,
                    options->immutable ? ",immutable" : "");
}

/* The tag of koa-etag, and of each coding another one. */
static int set_etag(ctx_t *ctx, const struct sending *sending) {
    const serve_options_t *options = sending->options;
    bool is_coded = sending->coding != SERVE_PLAIN;
    if (options->no_etag || ctx_has(ctx, "ETag"))
        return 0;
    return ctx_setf(
        ctx, "ETag", "%s\"%llx-%llx%s%s\"", options->weak_etag || !sending->is_settled ? "W/" : "",
        (unsigned long long)sending->file->stat.st_size, (unsigned long long)sending->changed,
        is_coded ? "-" : "", is_coded ? serve_coding_names[sending->coding] : "");
}

static int set_type(ctx_t *ctx, const char *path) {
    const char *name = strrchr(path, '/') + 1, *dot = strrchr(name, '.');
    if (ctx_has(ctx, "Content-Type") || !dot || dot == name)
        return 0;
    return ctx_type(ctx, dot);
}

static int set_headers(ctx_t *ctx, const struct sending *sending) {
    const serve_options_t *options = sending->options;
    int err = 0;
    if (options->set_headers)
        err = options->set_headers(ctx, sending->found->path, &sending->file->stat);
    if (!err && sending->coding != SERVE_PLAIN)
        err = ctx_set(ctx, "Content-Encoding", serve_coding_names[sending->coding]);
    if (!err && !options->no_last_modified && !ctx_has(ctx, "Last-Modified"))
        err = ctx_last_modified(ctx, sending->file->stat.st_mtim.tv_sec);
    if (!err)
        err = set_cache_control(ctx, options);
    if (!err)
        err = set_etag(ctx, sending);
    if (!err && !options->no_ranges)
        err = ctx_set(ctx, "Accept-Ranges", "bytes");
    return err ? err : set_type(ctx, sending->found->path);
}

/* --- The body --------------------------------------------------------------------------------- */

static int throw_not_satisfiable(ctx_t *ctx, uint64_t length) {
    const char *range = ctx_printf(ctx, "bytes */%llu", (unsigned long long)length);
    int err = range ? ctx_throw_header(ctx, "Content-Range", range) : UV_ENOMEM;
    return err ? err : ctx_throw(ctx, 416, NULL);
}

/* The whole file, or what Range asks for. */
static int send_ranges(ctx_t *ctx, const struct sending *sending, const char *value) {
    const serve_options_t *options = sending->options;
    uint64_t length = sending->file->stat.st_size;
    size_t count;
    struct serve_range *ranges = ctx_alloc(ctx, options->max_ranges * sizeof *ranges);
    if (!ranges)
        return UV_ENOMEM;
    switch (serve_parse_range(value, length, options->max_ranges, ranges, &count)) {
    case SERVE_NOTHING:
        return throw_not_satisfiable(ctx, length);
    case SERVE_PARTS:
        return serve_body(ctx, sending->found, sending->file, ranges, count);
    default:
        return serve_body(ctx, sending->found, sending->file, NULL, 0);
    }
}

/* In the order of RFC 9110 13.2.2. */
static int send_file(ctx_t *ctx, const struct sending *sending) {
    const char *range = ctx_get(ctx, "Range");
    if (!ctx->status)
        ctx->status = 200;
    if (ctx->status == 200 && serve_is_unwanted(ctx))
        return ctx_throw(ctx, 412, NULL);
    if (ctx->status == 200 && ctx_fresh(ctx)) {
        ctx->status = 304;
        return ctx_empty(ctx);
    }
    if (*range && ctx->status == 200 && strcmp(ctx->method, "GET") == 0 &&
        !sending->options->no_ranges && serve_may_send_part(ctx, sending->is_settled))
        return send_ranges(ctx, sending, range);
    return serve_body(ctx, sending->found, sending->file, NULL, 0);
}

static int64_t wall_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int serve_send(ctx_t *ctx, const serve_options_t *options, struct serve_found *found,
               enum serve_coding coding) {
    const struct serve_file *file = &found->files[coding];
    const uv_timespec_t *time = &file->stat.st_mtim;
    int64_t changed = (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000;
    bool is_settled = changed + SETTLED <= wall_clock();
    struct sending sending = {options, found, coding, file, changed, is_settled};
    int err = set_headers(ctx, &sending);
    return err ? err : send_file(ctx, &sending);
}
