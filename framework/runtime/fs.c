/* libuv's requests for files, each awaited. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* preadv2 */
#endif
#include "runtime/fs.h"

#include "await_fs.h"
#include "runtime/wait.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define READ_AT_ONCE (64 * 1024)    /* the most that is read on the loop's own thread … */
#define READ_IN_A_ROW (1024 * 1024) /* … and after so much, others have their turn */

struct fs {
    uv_fs_t request; /* first */
    struct wait wait;
    uv_loop_t *uv;
};

static void on_done(uv_fs_t *request) {
    wait_done(&((struct fs *)request)->wait, 0);
}

/* A thread that has begun can't be called back: the wait goes on until it is done. */
static void hurry(struct wait *wait) {
    struct fs *fs = (struct fs *)((char *)wait - offsetof(struct fs, wait));
    uv_cancel((uv_req_t *)&fs->request);
}

/* --- What they have in common: begin, the call, finish ---------------------------------------- */

static int begin(struct fs *fs) {
    struct loop *loop = loop_self();
    if (!loop)
        return UV_EINVAL;
    if (wait_is_cancelled())
        return UV_ECANCELED;
    *fs = (struct fs){.uv = loop->uv, .wait = {.stubborn = true, .cancel = hurry}};
    return 0;
}

static int begin_path(struct fs *fs, const char *path) {
    return path ? begin(fs) : UV_EINVAL;
}

/* `err` is what the uv_fs_ function has returned. What the request holds is still there. */
static ssize_t wait_until_done(struct fs *fs, int err) {
    if (err)
        return err;
    wait_for(&fs->wait);
    return fs->request.result;
}

static ssize_t finish(struct fs *fs, int err) {
    ssize_t result = wait_until_done(fs, err);
    uv_fs_req_cleanup(&fs->request);
    return result;
}

static int finish_stat(struct fs *fs, int err, uv_stat_t *stat) {
    int result = (int)wait_until_done(fs, err);
    if (result >= 0)
        *stat = fs->request.statbuf;
    uv_fs_req_cleanup(&fs->request);
    return result;
}

/* The path that was made takes the place of its template, which is as long. */
static int finish_template(struct fs *fs, int err, char *path) {
    int result = (int)wait_until_done(fs, err);
    if (result >= 0)
        memcpy(path, fs->request.path, strlen(path));
    uv_fs_req_cleanup(&fs->request);
    return result;
}

/* --- Files ------------------------------------------------------------------------------------ */

/* libuv counts bytes by an unsigned, and Linux moves no more than this at a time. */
static unsigned at_most(size_t size) {
    return size < INT_MAX ? (unsigned)size : INT_MAX;
}

may_await int await_fs_open(const char *path, int flags, int mode) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err : (int)finish(&fs, uv_fs_open(fs.uv, &fs.request, path, flags, mode, on_done));
}

may_await int await_fs_close(int file) {
    struct loop *loop = loop_self();
    struct fs fs = {.wait.stubborn = true}; /* and it doesn't hurry: what is not closed leaks */
    return loop ? (int)finish(&fs, uv_fs_close(loop->uv, &fs.request, file, on_done)) : UV_EINVAL;
}

void fs_close(int file) {
    uv_fs_t request;
    uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
}

/* The way to a thread and back takes ten times as long as reading what the system has in memory.
 * Linux can be asked for just that. Returns how much it was; 0 is the end only if `*whole`. */
static size_t read_memory(int file, void *buffer, size_t size, int64_t position, bool *whole) {
    *whole = false;
#ifdef RWF_NOWAIT
    struct loop *loop = loop_self();
    struct iovec vector = {buffer, size};
    if (position < 0 || size > READ_AT_ONCE)
        return 0;
    loop->read_in_a_row += size;
    if (loop->read_in_a_row > READ_IN_A_ROW) {
        loop->read_in_a_row = 0;
        return 0;
    }
    ssize_t n = preadv2(file, &vector, 1, position, RWF_NOWAIT);
    *whole = n == 0 || n == (ssize_t)size;
    return n > 0 ? (size_t)n : 0;
#else
    return 0;
#endif
}

may_await ssize_t await_fs_read(int file, void *buffer, size_t size, int64_t position) {
    struct fs fs;
    bool whole;
    int err = begin(&fs);
    if (err)
        return err;
    size_t done = read_memory(file, buffer, size, position, &whole);
    if (whole)
        return (ssize_t)done;
    uv_buf_t rest = uv_buf_init((char *)buffer + done, at_most(size - done));
    if (done > 0)
        position += (int64_t)done;
    ssize_t n = finish(&fs, uv_fs_read(fs.uv, &fs.request, file, &rest, 1, position, on_done));
    return n < 0 && done == 0 ? n : (ssize_t)done + (n > 0 ? n : 0);
}

may_await ssize_t await_fs_write(int file, const void *data, size_t length, int64_t position) {
    struct fs fs;
    uv_buf_t buf = uv_buf_init((char *)data, at_most(length));
    int err = begin(&fs);
    return err ? err
               : finish(&fs, uv_fs_write(fs.uv, &fs.request, file, &buf, 1, position, on_done));
}

may_await int await_fs_ftruncate(int file, int64_t length) {
    struct fs fs;
    int err = begin(&fs);
    return err ? err : (int)finish(&fs, uv_fs_ftruncate(fs.uv, &fs.request, file, length, on_done));
}

may_await int await_fs_fsync(int file) {
    struct fs fs;
    int err = begin(&fs);
    return err ? err : (int)finish(&fs, uv_fs_fsync(fs.uv, &fs.request, file, on_done));
}

/* --- What is known about a file --------------------------------------------------------------- */

may_await int await_fs_stat(const char *path, uv_stat_t *stat) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err : finish_stat(&fs, uv_fs_stat(fs.uv, &fs.request, path, on_done), stat);
}

may_await int await_fs_lstat(const char *path, uv_stat_t *stat) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err : finish_stat(&fs, uv_fs_lstat(fs.uv, &fs.request, path, on_done), stat);
}

may_await int await_fs_fstat(int file, uv_stat_t *stat) {
    struct fs fs;
    int err = begin(&fs);
    return err ? err : finish_stat(&fs, uv_fs_fstat(fs.uv, &fs.request, file, on_done), stat);
}

may_await int await_fs_utime(const char *path, double accessed, double modified) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err
               : (int)finish(&fs,
                             uv_fs_utime(fs.uv, &fs.request, path, accessed, modified, on_done));
}

may_await int await_fs_realpath(const char *path, char **real) {
    struct fs fs;
    *real = NULL;
    int err = begin_path(&fs, path);
    if (err)
        return err;
    err = (int)wait_until_done(&fs, uv_fs_realpath(fs.uv, &fs.request, path, on_done));
    if (err >= 0) {
        *real = strdup(fs.request.ptr);
        err = *real ? 0 : UV_ENOMEM;
    }
    uv_fs_req_cleanup(&fs.request);
    return err;
}

/* --- Directories ------------------------------------------------------------------------------ */

may_await int await_fs_unlink(const char *path) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err : (int)finish(&fs, uv_fs_unlink(fs.uv, &fs.request, path, on_done));
}

may_await int await_fs_rename(const char *from, const char *to) {
    struct fs fs;
    int err = to ? begin_path(&fs, from) : UV_EINVAL;
    return err ? err : (int)finish(&fs, uv_fs_rename(fs.uv, &fs.request, from, to, on_done));
}

may_await int await_fs_mkdir(const char *path, int mode) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err : (int)finish(&fs, uv_fs_mkdir(fs.uv, &fs.request, path, mode, on_done));
}

may_await int await_fs_rmdir(const char *path) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err : (int)finish(&fs, uv_fs_rmdir(fs.uv, &fs.request, path, on_done));
}

may_await int await_fs_mkdtemp(char *path) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err : finish_template(&fs, uv_fs_mkdtemp(fs.uv, &fs.request, path, on_done), path);
}

may_await int await_fs_mkstemp(char *path) {
    struct fs fs;
    int err = begin_path(&fs, path);
    return err ? err : finish_template(&fs, uv_fs_mkstemp(fs.uv, &fs.request, path, on_done), path);
}

/* The entries, and behind them their names, in one block. */
struct listing {
    char *block;
    size_t used, capacity;
};

static bool reserve(struct listing *listing, size_t size) {
    if (listing->used + size <= listing->capacity)
        return true;
    size_t capacity = 2 * (listing->used + size);
    char *block = realloc(listing->block, capacity);
    if (!block)
        return false;
    listing->block = block;
    listing->capacity = capacity;
    return true;
}

static bool add_entry(struct listing *listing, size_t index, const uv_dirent_t *entry) {
    size_t size = strlen(entry->name) + 1;
    if (!reserve(listing, size))
        return false;
    ((uv_dirent_t *)listing->block)[index].type = entry->type;
    memcpy(listing->block + listing->used, entry->name, size);
    listing->used += size;
    return true;
}

/* The block stays where it is from now on. */
static void link_names(uv_dirent_t *entries, size_t count) {
    const char *name = (const char *)(entries + count);
    for (size_t i = 0; i < count; i++) {
        entries[i].name = name;
        name += strlen(name) + 1;
    }
}

static uv_dirent_t *collect(uv_fs_t *request, size_t count) {
    struct listing listing = {.used = count * sizeof(uv_dirent_t)};
    uv_dirent_t entry;
    size_t i = 0;
    bool enough = reserve(&listing, 1);
    /* In any case to the end: libuv lets go of an entry when it is asked for the next one. */
    while (uv_fs_scandir_next(request, &entry) == 0)
        enough = enough && add_entry(&listing, i++, &entry);
    if (!enough) {
        free(listing.block);
        return NULL;
    }
    link_names((uv_dirent_t *)listing.block, count);
    return (uv_dirent_t *)listing.block;
}

may_await int await_fs_scandir(const char *path, uv_dirent_t **entries) {
    struct fs fs;
    *entries = NULL;
    int err = begin_path(&fs, path);
    if (err)
        return err;
    int count = (int)wait_until_done(&fs, uv_fs_scandir(fs.uv, &fs.request, path, 0, on_done));
    if (count >= 0) {
        *entries = collect(&fs.request, (size_t)count);
        if (!*entries)
            count = UV_ENOMEM;
    }
    uv_fs_req_cleanup(&fs.request);
    return count;
}
