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

/* A regular file, opened: its length and the time it was changed. */
static int open_file(struct file *file, const char *name, int64_t *changed) {
    uv_stat_t stat;
    file->descriptor = await_fs_open(name, UV_FS_O_RDONLY, 0);
    if (file->descriptor < 0)
        return file->descriptor;
    int err = await_fs_fstat(file->descriptor, &stat);
    if (!err && !S_ISREG(stat.st_mode))
        err = S_ISDIR(stat.st_mode) ? UV_EISDIR : UV_EINVAL;
    if (err) {
        fs_close(file->descriptor);
        return err;
    }
    file->length = stat.st_size;
    *changed = stat.st_mtim.tv_sec;
    return 0;
}

may_await int ctx_file(ctx_t *ctx, const char *name) {
    struct context *context = context_of(ctx);
    int64_t changed;
    if (context->header_sent)
        return UV_EALREADY;
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        return context_no_memory(context);
    int err = open_file(file, name, &changed);
    if (err) {
        free(file);
        return err;
    }
    context_type_by_name(context, name);
    if (!ctx_has(ctx, "Last-Modified"))
        ctx_last_modified(ctx, changed);
    return context_set_stream(context, (body_stream_t){read_file, close_file, file},
                              (int64_t)file->length, "application/octet-stream");
}
