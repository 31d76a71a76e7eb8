#include "runtime/fs.h"

#include "runtime/wait.h"

#include <fcntl.h>

struct fs {
    uv_fs_t request; /* first */
    struct wait wait;
};

static void on_done(uv_fs_t *request) {
    wait_done(&((struct fs *)request)->wait, request->result < 0 ? (int)request->result : 0);
}

/* A thread that has begun can't be called back: the wait goes on until it is done. */
static void hurry(struct wait *wait) {
    struct fs *fs = (struct fs *)((char *)wait - offsetof(struct fs, wait));
    uv_cancel((uv_req_t *)&fs->request);
}

/* `err` is what the uv_fs_ function returned. */
static int finish(struct fs *fs, int err) {
    fs->wait.stubborn = true;
    fs->wait.cancel = hurry;
    return err ? err : wait_for(&fs->wait);
}

may_await int fs_open(const char *name) {
    struct loop *loop = loop_self();
    struct fs fs = {0};
    if (!loop)
        return UV_EINVAL;
    int err = finish(&fs, uv_fs_open(loop->uv, &fs.request, name, O_RDONLY, 0, on_done));
    int file = (int)fs.request.result;
    uv_fs_req_cleanup(&fs.request);
    return err ? err : file;
}

may_await int fs_stat(int file, uv_stat_t *stat) {
    struct loop *loop = loop_self();
    struct fs fs = {0};
    if (!loop)
        return UV_EINVAL;
    int err = finish(&fs, uv_fs_fstat(loop->uv, &fs.request, file, on_done));
    *stat = fs.request.statbuf;
    uv_fs_req_cleanup(&fs.request);
    return err;
}

may_await ssize_t fs_read(int file, void *buffer, size_t size, int64_t offset) {
    struct loop *loop = loop_self();
    struct fs fs = {0};
    if (!loop)
        return UV_EINVAL;
    uv_buf_t buf = uv_buf_init(buffer, (unsigned)size);
    int err = finish(&fs, uv_fs_read(loop->uv, &fs.request, file, &buf, 1, offset, on_done));
    ssize_t n = fs.request.result;
    uv_fs_req_cleanup(&fs.request);
    return err ? err : n;
}

void fs_close(int file) {
    uv_fs_t request;
    uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
}
