/* Where files of forms go: to the disk, to memory, and to where the handler wants them. */
#include "multipart_form.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- The disk --------------------------------------------------------------------------------- */

/* The disk is full, or what one user or one file may have of it. */
static bool is_no_space(int err) {
    return err == UV_ENOSPC || err == UV_EFBIG || err == -EDQUOT;
}

static int disk_error(ctx_t *ctx, const struct stored_file *stored, int err) {
    if (!is_no_space(err))
        return err;
    return ctx_throw(ctx, 507, "no space left for uploads in %s", stored->directory);
}

static int disk_begin(ctx_t *ctx, multipart_file_t *file) {
    struct stored_file *stored = (struct stored_file *)file;
    char *path = ctx_printf(ctx, "%s/upload-XXXXXX", stored->directory);
    if (!path)
        return UV_ENOMEM;
    stored->descriptor = await_fs_mkstemp(path);
    if (stored->descriptor < 0)
        return disk_error(ctx, stored, stored->descriptor);
    file->path = path;
    return 0;
}

static int disk_write(ctx_t *ctx, multipart_file_t *file, const void *data, size_t length) {
    struct stored_file *stored = (struct stored_file *)file;
    const char *at = data;
    while (length > 0) {
        ssize_t n = await_fs_write(stored->descriptor, at, length, -1);
        if (n <= 0)
            return disk_error(ctx, stored, n < 0 ? (int)n : UV_ENOSPC);
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

static int disk_end(ctx_t *ctx, multipart_file_t *file, int err) {
    struct stored_file *stored = (struct stored_file *)file;
    int close_err = await_fs_close(stored->descriptor); /* a network disk may tell only now */
    if (!err && close_err)
        err = disk_error(ctx, stored, close_err);
    if (err)
        multipart_remove(stored);
    return err;
}

const multipart_sink_t multipart_disk = {disk_begin, disk_write, disk_end};

may_await void multipart_remove(struct stored_file *stored) {
    if (!stored->file.path || stored->kept)
        return;
    if (await_fs_unlink(stored->file.path) == UV_ECANCELED)
        unlink(stored->file.path); /* where nothing may be awaited any more */
    stored->file.path = NULL;
}

/* --- Memory ----------------------------------------------------------------------------------- */

static int memory_write(ctx_t *ctx, multipart_file_t *file, const void *data, size_t length) {
    struct stored_file *stored = (struct stored_file *)file;
    size_t used = (size_t)file->size, room = stored->room ? stored->room : 4096;
    while (room - used < length)
        room *= 2;
    if (room > stored->room) {
        char *bytes = realloc(stored->bytes, room + 1);
        if (!bytes)
            return UV_ENOMEM;
        stored->bytes = bytes;
        stored->room = room;
        file->data = bytes;
    }
    memcpy(stored->bytes + used, data, length);
    stored->bytes[used + length] = '\0';
    return 0;
}

static int memory_begin(ctx_t *ctx, multipart_file_t *file) {
    return memory_write(ctx, file, "", 0);
}

const multipart_sink_t multipart_memory = {memory_begin, memory_write, NULL};

/* --- Keeping ---------------------------------------------------------------------------------- */

void multipart_keep(const multipart_file_t *file) {
    ((struct stored_file *)file)->kept = true;
}

struct move {
    const char *from, *to, *beside;
    int err;
};

/* For a thread: libuv's calls without a callback are done when they return. */
static void copy_file(void *arg) {
    struct move *move = arg;
    uv_fs_t request;
    move->err = uv_fs_copyfile(NULL, &request, move->from, move->beside, UV_FS_COPYFILE_EXCL, NULL);
    uv_fs_req_cleanup(&request);
    if (move->err)
        return;
    move->err = rename(move->beside, move->to) ? -errno : 0;
    unlink(move->err ? move->beside : move->from);
}

/* "/data/photo" and "/tmp/upload-ab12cd" give "/data/.upload-ab12cd". */
static const char *path_beside(ctx_t *ctx, const char *path, const char *from) {
    const char *slash = strrchr(path, '/'), *name = strrchr(from, '/') + 1;
    return ctx_printf(ctx, "%.*s.%s", slash ? (int)(slash + 1 - path) : 0, path, name);
}

may_await int multipart_move(ctx_t *ctx, const multipart_file_t *file, const char *path) {
    struct stored_file *stored = (struct stored_file *)file;
    if (!file->path)
        return UV_EINVAL;
    const char *copy = ctx_strdup(ctx, path), *beside = path_beside(ctx, path, file->path);
    if (!copy || !beside)
        return UV_ENOMEM;
    int err = await_fs_rename(file->path, path);
    if (err == UV_EXDEV) {
        struct move move = {.from = file->path, .to = path, .beside = beside};
        err = await_work(copy_file, &move);
        err = err ? err : move.err;
    }
    if (err)
        return err;
    stored->file.path = copy;
    stored->kept = true;
    return 0;
}

/* --- Names ------------------------------------------------------------------------------------ */

#define NAME_MAX_BYTES 200
#define EXTENSION_MAX_BYTES 20

static bool is_inside_character(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* At most so many bytes of it, in whole characters. */
static size_t cut(const char *text, size_t length, size_t most) {
    if (length <= most)
        return length;
    while (most > 0 && is_inside_character(text[most]))
        most--;
    return most;
}

char *multipart_safe_name(ctx_t *ctx, const char *filename) {
    const char *name = filename, *extension;
    for (const char *at = filename; *at; at++)
        if (*at == '/' || *at == '\\')
            name = at + 1;
    extension = strrchr(name, '.');
    if (!extension || extension == name || strlen(extension) > EXTENSION_MAX_BYTES)
        extension = name + strlen(name);
    size_t stem = cut(name, (size_t)(extension - name), NAME_MAX_BYTES - EXTENSION_MAX_BYTES);
    char *safe = ctx_printf(ctx, "%.*s%s", (int)stem, name, extension);
    if (!safe)
        return NULL;
    for (char *at = safe; *at; at++)
        if (!(*at & '\x80') && !isalnum((unsigned char)*at) && !strchr("+,-.=@_", *at))
            *at = '_';
    if (*safe == '.' || *safe == '-')
        *safe = '_';
    for (char *end = safe + strlen(safe); end > safe && end[-1] == '.';)
        *--end = '_';
    return *safe ? safe : ctx_strdup(ctx, "file");
}
