/* A file as the body of a response: a stream whose length is known. */
#include "await_fs.h"
#include "context/context.h"
#include "runtime/fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct file {
    int descriptor;
    uint64_t done, length;
    uv_stat_t stat; /* when it was opened */
};

static ssize_t read_file(ctx_t *ctx, void *state, void *buffer, size_t size) {
    struct file *file = state;
    uint64_t left = file->length - file->done;
    if (left == 0)
        return 0;
    ssize_t n = await_fs_read(file->descriptor, buffer, left < size ? (size_t)left : size,
                              (int64_t)file->done);
    if (n == 0) /* it has become shorter: the client must see that something is missing */
        return UV_EIO;
    file->done += n > 0 ? (uint64_t)n : 0;
    return n;
}

static void close_file(void *state) {
    struct file *file = state;
    fs_close(file->descriptor);
    free(file);
}

/* A regular file, opened, and what is known about it. */
static int open_file(struct file *file, const char *name) {
    uv_stat_t *stat = &file->stat;
    file->descriptor = await_fs_open(name, UV_FS_O_RDONLY, 0);
    if (file->descriptor < 0)
        return file->descriptor;
    int err = await_fs_fstat(file->descriptor, stat);
    if (!err && !S_ISREG(stat->st_mode))
        err = S_ISDIR(stat->st_mode) ? UV_EISDIR : UV_EINVAL;
    if (err) {
        fs_close(file->descriptor);
        return err;
    }
    file->length = stat->st_size;
    return 0;
}

may_await int ctx_file(ctx_t *ctx, const char *name) {
    struct context *context = context_of(ctx);
    if (context->header_sent)
        return UV_EALREADY;
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        return context_no_memory(context);
    int err = open_file(file, name);
    if (err) {
        free(file);
        return err;
    }
    context_type_by_name(context, name);
    if (!ctx_has(ctx, "Last-Modified"))
        ctx_last_modified(ctx, file->stat.st_mtim.tv_sec);
    return context_set_stream(context, (body_stream_t){read_file, close_file, file},
                              (int64_t)file->length, "application/octet-stream");
}

bool ctx_body_file(const ctx_t *ctx, uv_stat_t *stat) {
    const body_stream_t *stream = context_of(ctx)->response->stream;
    if (!stream || stream->read != read_file)
        return false;
    *stat = ((const struct file *)stream->state)->stat;
    return true;
}
