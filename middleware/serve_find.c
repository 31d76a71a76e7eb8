/* Which file a name leads to: looked up on the disk, by a thread. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* statx */
#endif
#include "serve_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined __linux__ && defined __has_include
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#include <sys/syscall.h>
#endif
#endif

struct job {
    const char *root; /* as it was given, but absolute */
    char *real_root;  /* without links, as it is now */
    const serve_options_t *options;
    struct serve_found *found;
    int err;
};

/* --- One file --------------------------------------------------------------------------------- */

static int real_path(const char *path, char **real) {
    uv_fs_t request;
    int err = uv_fs_realpath(NULL, &request, path, NULL);
    *real = err ? NULL : strdup(request.ptr);
    uv_fs_req_cleanup(&request);
    return err ? err : *real ? 0 : UV_ENOMEM;
}

static int look_at(const char *path, uv_stat_t *stat) {
    uv_fs_t request;
    int err = uv_fs_stat(NULL, &request, path, NULL);
    *stat = request.statbuf;
    uv_fs_req_cleanup(&request);
    return err;
}

static int look_at_open(int descriptor, uv_stat_t *stat) {
    uv_fs_t request;
    int err = uv_fs_fstat(NULL, &request, descriptor, NULL);
    *stat = request.statbuf;
    uv_fs_req_cleanup(&request);
    return err;
}

/* Opening a device may do anything, and a FIFO would keep the thread waiting. */
static int check_kind(const uv_stat_t *stat) {
    if (S_ISREG(stat->st_mode))
        return 0;
    return S_ISDIR(stat->st_mode) ? UV_EISDIR : UV_ENOENT;
}

/* A path without links: one that somebody has put into it meanwhile is not followed, where the
 * system can do that. */
static int open_real(const char *path) {
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
#if defined O_NOFOLLOW_ANY
    flags |= O_NOFOLLOW_ANY;
#elif defined RESOLVE_NO_SYMLINKS && defined SYS_openat2
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_NO_SYMLINKS};
    int descriptor = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (descriptor >= 0 || (errno != ENOSYS && errno != EPERM))
        return descriptor;
#endif
    return open(path, flags | O_NOFOLLOW);
}

static int open_regular(const char *path, struct serve_file *file) {
    int err = look_at(path, &file->stat);
    if (!err)
        err = check_kind(&file->stat);
    if (err)
        return err;
    int descriptor = open_real(path);
    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    err = look_at_open(descriptor, &file->stat);
    if (!err)
        err = check_kind(&file->stat);
    if (err)
        close(descriptor);
    else
        file->descriptor = descriptor;
    return err;
}

static bool is_below(const char *root, const char *path) {
    size_t length = strlen(root);
    if (strcmp(root, "/") == 0)
        return true;
    return strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int open_path(const struct job *job, const char *path, struct serve_file *file) {
    char *real;
    int err = real_path(path, &real);
    if (!err && !job->options->follow_links && !is_below(job->real_root, real))
        err = UV_ENOENT;
    if (!err)
        err = open_regular(real, file);
    free(real);
    return err;
}

/* --- One name --------------------------------------------------------------------------------- */

/* There is nothing by that name, for us. A directory is not for us, either. */
static bool is_missing(int err) {
    return err == UV_ENOENT || err == UV_ENOTDIR || err == UV_ENAMETOOLONG || err == UV_ELOOP ||
           err == UV_EISDIR;
}

static int open_coded(const struct job *job, const char *path) {
    static const char *const suffixes[] = {".br", ".zst", ".gz"};
    const serve_options_t *options = job->options;
    const bool is_off[] = {options->no_brotli, options->no_zstd, options->no_gzip};
    char coded[PATH_MAX];
    int err = 0;
    for (size_t i = 0; i < SERVE_PLAIN; i++) {
        int length = snprintf(coded, sizeof coded, "%s%s", path, suffixes[i]);
        if (!is_off[i] && length < (int)sizeof coded)
            err = open_path(job, coded, &job->found->files[i]);
        if (err && !is_missing(err))
            return err;
    }
    return 0;
}

static bool has_file(const struct serve_found *found) {
    for (size_t i = 0; i < SERVE_CODINGS; i++)
        if (found->files[i].descriptor >= 0)
            return true;
    return false;
}

/* The file `name` with `suffix` behind it, and its coded forms, which may be there without it. */
static int try_name(const struct job *job, const char *name, const char *dot, const char *suffix) {
    struct serve_found *found = job->found;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s%s%s", job->root, name, dot, suffix);
    if (length >= (int)sizeof path)
        return UV_ENAMETOOLONG;
    int err = open_path(job, path, &found->files[SERVE_PLAIN]);
    if (err == UV_EISDIR || (err && !is_missing(err)))
        return err;
    int coded = path[length - 1] == '/' ? 0 : open_coded(job, path);
    if (coded || !has_file(found))
        return coded ? coded : err;
    found->path = strdup(path);
    return found->path ? 0 : UV_ENOMEM;
}

static int try_extensions(const struct job *job, const char *name) {
    const char *const *extension = job->options->extensions;
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    int err = UV_ENOENT;
    if (!extension || !*base || strchr(base, '.'))
        return UV_ENOENT;
    for (; is_missing(err) && *extension; extension++)
        err = try_name(job, name, **extension == '.' ? "" : ".", *extension);
    return err;
}

static int try_all(const struct job *job) {
    const serve_options_t *options = job->options;
    const char *name = job->found->name;
    int err = try_extensions(job, name);
    if (is_missing(err))
        err = try_name(job, name, "", "");
    if (err == UV_EISDIR && !options->no_index && !options->strict)
        err = try_name(job, name, *name ? "/" : "", options->index);
    return err;
}

static void run(void *arg) {
    struct job *job = arg;
    job->err = real_path(job->root, &job->real_root);
    if (!job->err)
        job->err = try_all(job);
    free(job->real_root);
}

/* --- Found ------------------------------------------------------------------------------------ */

static struct serve_found *found_new(const char *name) {
    size_t size = strlen(name) + 1;
    struct serve_found *found = calloc(1, sizeof *found + size);
    if (!found)
        return NULL;
    found->holders = 1;
    found->name = memcpy(found + 1, name, size);
    for (size_t i = 0; i < SERVE_CODINGS; i++)
        found->files[i].descriptor = -1;
    return found;
}

void serve_release(struct serve_found *found) {
    if (!found || --found->holders > 0)
        return;
    for (size_t i = 0; i < SERVE_CODINGS; i++)
        if (found->files[i].descriptor >= 0)
            close(found->files[i].descriptor);
    free(found->path);
    free(found);
}

may_await int serve_find(const char *root, const serve_options_t *options, const char *name,
                         struct serve_found **found) {
    struct job job = {.root = root, .options = options, .found = found_new(name)};
    *found = NULL;
    if (!job.found)
        return UV_ENOMEM;
    int err = await_work(run, &job);
    if (!err && !is_missing(job.err))
        err = job.err;
    if (err)
        serve_release(job.found);
    else
        *found = job.found;
    return err;
}

/* --- Later ------------------------------------------------------------------------------------ */

/* Linux tells what it knows already, without asking a server far away. */
static int look_again(int descriptor, uv_stat_t *stat) {
#if defined STATX_MTIME && defined AT_STATX_DONT_SYNC
    struct statx known;
    if (statx(descriptor, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE | STATX_MTIME,
              &known) == 0) {
        stat->st_size = known.stx_size;
        stat->st_mtim.tv_sec = (long)known.stx_mtime.tv_sec;
        stat->st_mtim.tv_nsec = known.stx_mtime.tv_nsec;
        return 0;
    }
#endif
    return await_fs_fstat(descriptor, stat);
}

may_await bool serve_has_changed(const struct serve_found *found) {
    for (size_t i = 0; i < SERVE_CODINGS; i++) {
        const struct serve_file *file = &found->files[i];
        const uv_stat_t *old = &file->stat;
        uv_stat_t now;
        if (file->descriptor >= 0 &&
            (look_again(file->descriptor, &now) || now.st_size != old->st_size ||
             now.st_mtim.tv_sec != old->st_mtim.tv_sec ||
             now.st_mtim.tv_nsec != old->st_mtim.tv_nsec))
            return true;
    }
    return false;
}
