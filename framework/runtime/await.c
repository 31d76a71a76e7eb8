#include "await.h"

#include "runtime/wait.h"

#include <stdlib.h>

/* --- await_sleep ------------------------------------------------------------------------------ */

struct sleep {
    struct timer timer; /* first */
    struct wait wait;
};

static void on_sleep_over(struct timer *timer) {
    wait_done(&((struct sleep *)timer)->wait, 0);
}

may_await int await_sleep(uint64_t milliseconds) {
    struct loop *loop = loop_self();
    if (!loop)
        return UV_EINVAL;
    struct sleep sleep = {.timer.fn = on_sleep_over};
    loop_timer_start(loop, &sleep.timer, milliseconds);
    int err = wait_for(&sleep.wait);
    loop_timer_stop(loop, &sleep.timer);
    return err;
}

/* --- await_work ------------------------------------------------------------------------------- */

struct work {
    uv_work_t request; /* first */
    struct wait wait;
    void (*fn)(void *arg);
    void *arg;
};

static void do_work(uv_work_t *request) {
    struct work *work = (struct work *)request;
    work->fn(work->arg);
}

static void on_work_done(uv_work_t *request, int status) {
    wait_done(&((struct work *)request)->wait, status);
}

/* Work that a thread has begun can't be called off: the wait goes on until it is done. */
static void cancel_work(struct wait *wait) {
    struct work *work = (struct work *)((char *)wait - offsetof(struct work, wait));
    uv_cancel((uv_req_t *)&work->request);
}

may_await int await_work(void (*fn)(void *arg), void *arg) {
    struct loop *loop = loop_self();
    if (!loop)
        return UV_EINVAL;
    if (wait_is_cancelled())
        return UV_ECANCELED;
    struct work work = {.fn = fn, .arg = arg};
    work.wait.stubborn = true;
    work.wait.cancel = cancel_work;
    int err = uv_queue_work(loop->uv, &work.request, do_work, on_work_done);
    return err ? err : wait_for(&work.wait);
}

/* --- await_poll ------------------------------------------------------------------------------- */

/* On the heap: libuv lets go of a handle only after the turn in which it was closed. */
struct poll {
    uv_poll_t handle; /* first */
    struct timer timer;
    struct wait wait;
};

static void on_poll(uv_poll_t *handle, int status, int events) {
    wait_done(&((struct poll *)handle)->wait, status ? status : events);
}

static void on_poll_timeout(struct timer *timer) {
    struct poll *poll = (struct poll *)((char *)timer - offsetof(struct poll, timer));
    wait_done(&poll->wait, UV_ETIMEDOUT);
}

static void on_poll_closed(uv_handle_t *handle) {
    free(handle);
}

may_await int await_poll(int fd, int events, int timeout_ms) {
    struct loop *loop = loop_self();
    if (!loop)
        return UV_EINVAL;
    struct poll *poll = calloc(1, sizeof *poll);
    if (!poll)
        return UV_ENOMEM;
    int result = uv_poll_init(loop->uv, &poll->handle, fd);
    if (result < 0) {
        free(poll);
        return result;
    }
    result = uv_poll_start(&poll->handle, events, on_poll);
    if (!result) {
        poll->timer.fn = on_poll_timeout;
        if (timeout_ms >= 0)
            loop_timer_start(loop, &poll->timer, (uint64_t)timeout_ms);
        result = wait_for(&poll->wait);
        loop_timer_stop(loop, &poll->timer);
    }
    uv_close((uv_handle_t *)&poll->handle, on_poll_closed);
    return result;
}
