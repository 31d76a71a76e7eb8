#include "runtime/wait.h"

static void resume(struct task *task) {
    struct wait *wait = (struct wait *)((char *)task - offsetof(struct wait, task));
    coroutine_resume(wait->co);
}

bool wait_is_cancelled(void) {
    struct loop *loop = loop_self();
    return loop && (loop->torn_down || coroutine_is_cancelled(coroutine_self()));
}

int wait_for(struct wait *wait) {
    if (!coroutine_self())
        return UV_EINVAL;
    if (wait->co)
        return UV_EBUSY;
    if (!wait->done && wait_is_cancelled()) {
        if (!wait->stubborn)
            return UV_ECANCELED;
        if (wait->cancel)
            wait->cancel(wait);
    }
    if (!wait->done) {
        wait->co = coroutine_self();
        wait->task.run = resume;
        coroutine_set_wait(wait->co, wait);
        coroutine_suspend();
        coroutine_set_wait(wait->co, NULL);
        wait->co = NULL;
    }
    wait->done = false;
    return wait->result;
}

struct alarm {
    struct timer timer; /* first */
    struct wait *wait;
};

static void ring(struct timer *timer) {
    wait_done(((struct alarm *)timer)->wait, UV_ETIMEDOUT);
}

int wait_until(struct wait *wait, uint64_t time) {
    struct loop *loop = loop_self();
    struct alarm alarm = {.timer.fn = ring, .wait = wait};
    uint64_t now = loop ? loop_now(loop) : 0;
    if (!loop || !time)
        return wait_for(wait);
    loop_timer_start(loop, &alarm.timer, time > now ? time - now : 0);
    int result = wait_for(wait);
    loop_timer_stop(loop, &alarm.timer);
    return result;
}

void wait_done(struct wait *wait, int result) {
    if (wait->done)
        return;
    wait->done = true;
    wait->result = result;
    if (wait->co) {
        struct coroutine_pool *pool = coroutine_pool_of(wait->co);
        loop_post((struct loop *)((char *)pool - offsetof(struct loop, coroutines)), &wait->task);
    }
}

bool wait_pending(const struct wait *wait) {
    return wait->co && !wait->done;
}

void wait_cancel(struct wait *wait) {
    if (wait->done)
        return;
    if (wait->cancel)
        wait->cancel(wait);
    if (!wait->stubborn)
        wait_done(wait, UV_ECANCELED);
}
