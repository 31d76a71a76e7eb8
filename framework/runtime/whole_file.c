/*
 * Whole files, read or written by one thread in one go: that takes one way to the thread pool and
 * back, where the calls of fs.c would take five.
 */
#include "await_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_PIECE 4096        /* of a file that doesn't know its length, as those in /proc */
#define LARGEST_PIECE (1 << 30) /* macOS refuses more than INT_MAX at a time */
#define NAME_TRIES 8

/* Only files: a FIFO would keep the thread waiting, and a device may do anything. */
static int check_kind(const struct stat *stat) {
    if (S_ISREG(stat->st_mode))
        return 0;
    return S_ISDIR(stat->st_mode) ? UV_EISDIR : UV_EINVAL;
}

/* --- Reading ---------------------------------------------------------------------------------- */

struct read_job {
    const char *path;
    size_t limit;
    char *data;
    size_t length, capacity;
    int err;
};

/* Room for `size` bytes, one by which a file shows that it is longer, and the NUL. */
static int make_room(struct read_job *job, size_t size) {
    size_t most = job->limit < SIZE_MAX - 2 ? job->limit : SIZE_MAX - 2;
    size_t capacity = (size < most ? size : most) + 2;
    char *data = realloc(job->data, capacity);
    if (!data)
        return UV_ENOMEM;
    job->data = data;
    job->capacity = capacity;
    return 0;
}

/* Until the end, wherever it was said to be. */
static int read_all(struct read_job *job, int file) {
    for (;;) {
        size_t room = job->capacity - 1 - job->length;
        ssize_t n =
            read(file, job->data + job->length, room < LARGEST_PIECE ? room : LARGEST_PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? uv_translate_sys_error(errno) : 0;
        job->length += (size_t)n;
        if (job->length > job->limit)
            return UV_EFBIG;
        if (job->length == job->capacity - 1) {
            int err = make_room(job, 2 * job->length);
            if (err)
                return err;
        }
    }
}

static int read_open_file(struct read_job *job, int file) {
    struct stat stat;
    if (fstat(file, &stat) < 0)
        return uv_translate_sys_error(errno);
    int err = check_kind(&stat);
    if (!err && (uintmax_t)stat.st_size > job->limit)
        err = UV_EFBIG;
    if (!err)
        err = make_room(job, stat.st_size > 0 ? (size_t)stat.st_size : FIRST_PIECE);
    return err ? err : read_all(job, file);
}

static void run_read(void *arg) {
    struct read_job *job = arg;
    /* A FIFO is to be open at once, and a terminal is not to become ours. */
    int file = open(job->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        job->err = uv_translate_sys_error(errno);
        return;
    }
    job->err = read_open_file(job, file);
    close(file);
}

may_await int await_fs_read_file(const char *path, size_t limit, char **data, size_t *length) {
    struct read_job job = {.path = path, .limit = limit};
    *data = NULL;
    int err = path ? await_work(run_read, &job) : UV_EINVAL;
    if (!err)
        err = job.err;
    if (err) {
        free(job.data);
        return err;
    }
    job.data[job.length] = '\0';
    *data = job.data;
    if (length)
        *length = job.length;
    return 0;
}

/* --- Writing ---------------------------------------------------------------------------------- */

struct write_job {
    const char *path;
    const char *data;
    size_t length;
    char *temporary; /* the name */
    int err;
};

static int write_all(int file, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(file, data, length < LARGEST_PIECE ? length : LARGEST_PIECE);
        if (n < 0 && errno != EINTR)
            return uv_translate_sys_error(errno);
        data += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* In the directory of `path`, by a name that no listing shows and nobody can guess. */
static int name_temporary(struct write_job *job) {
    const char *slash = strrchr(job->path, '/');
    int directory = slash ? (int)(slash + 1 - job->path) : 0;
    unsigned long long random;
    size_t size = (size_t)directory + sizeof ".0123456789abcdef.tmp";
    int err = uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    if (err)
        return err;
    free(job->temporary);
    job->temporary = malloc(size);
    if (!job->temporary)
        return UV_ENOMEM;
    snprintf(job->temporary, size, "%.*s.%016llx.tmp", directory, job->path, random);
    return 0;
}

/* The descriptor of the new file. */
static int create_temporary(struct write_job *job, mode_t mode) {
    for (int tries = 0; tries < NAME_TRIES; tries++) {
        int err = name_temporary(job);
        if (err)
            return err;
        int file = open(job->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (file >= 0 || errno != EEXIST)
            return file >= 0 ? file : uv_translate_sys_error(errno);
    }
    return UV_EEXIST;
}

/* Close it in any case: some file systems say only then that the disk is full. */
static int fill(struct write_job *job, int file, const struct stat *old) {
    int err = write_all(file, job->data, job->length);
    if (!err && old && fchmod(file, old->st_mode & 0777) < 0) /* what the umask has taken away */
        err = uv_translate_sys_error(errno);
    if (!err && fsync(file) < 0)
        err = uv_translate_sys_error(errno);
    if (close(file) < 0 && !err && errno != EINTR)
        err = uv_translate_sys_error(errno);
    return err;
}

static int replace(struct write_job *job, const struct stat *old) {
    int err = old ? check_kind(old) : 0;
    int file = err ? err : create_temporary(job, old ? old->st_mode & 0777 : 0666);
    if (file < 0)
        return file;
    err = fill(job, file, old);
    if (!err && rename(job->temporary, job->path) < 0)
        err = uv_translate_sys_error(errno);
    if (err)
        unlink(job->temporary);
    return err;
}

static void run_write(void *arg) {
    struct write_job *job = arg;
    struct stat old;
    if (stat(job->path, &old) == 0)
        job->err = replace(job, &old);
    else if (errno == ENOENT)
        job->err = replace(job, NULL);
    else
        job->err = uv_translate_sys_error(errno);
}

may_await int await_fs_write_file(const char *path, const void *data, size_t length) {
    struct write_job job = {.path = path, .data = data, .length = length};
    int err = path ? await_work(run_write, &job) : UV_EINVAL;
    free(job.temporary);
    return err ? err : job.err;
}
