#include "runtime/loop.h"

#include "runtime/connection.h"
#include "runtime/overflow.h"
#include "runtime/spare.h"
#include "runtime/wait.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIM_INTERVAL 10000 /* stacks that nobody needed for so long go, and so do all spares */
#define POOLED_ARENA_CHUNKS 1024

static void settle_before_poll(uv_prepare_t *handle) {
    loop_settle(handle->data);
}

static void turn_wheel(struct loop *loop);

static void settle_after_poll(uv_check_t *handle) {
    struct loop *loop = handle->data;
    loop->accepts = 0;
    connection_take_reads(loop);
    if (uv_is_active((uv_handle_t *)&loop->overdue))
        turn_wheel(loop);
    loop_settle(loop);
}

static void on_trim(uv_timer_t *handle) {
    struct loop *loop = handle->data;
    coroutine_pool_trim(&loop->coroutines);
    spare_trim(loop);
    pile_trim(&loop->pile);
    read_buffers_trim(loop);
}

static void add_handle(struct loop *loop, uv_handle_t *handle) {
    handle->data = loop;
    uv_unref(handle); /* what keeps the loop running is what it works for */
    loop->handles_open++;
}

int loop_init(struct loop *loop, uv_loop_t *uv, size_t stack_size, size_t coroutine_limit) {
    overflow_watch();
    *loop = (struct loop){.uv = uv};
    loop->ready.next = loop->ready_last = &loop->ready;
    if (!read_buffers_init(loop))
        return UV_ENOMEM;
    coroutine_pool_init(&loop->coroutines, stack_size, coroutine_limit);
    arena_pool_init(&loop->arenas, POOLED_ARENA_CHUNKS);
    timer_wheel_init(&loop->wheel, uv_now(uv));
    uv_prepare_init(uv, &loop->prepare);
    uv_check_init(uv, &loop->check);
    uv_timer_init(uv, &loop->clock);
    uv_idle_init(uv, &loop->overdue);
    uv_timer_init(uv, &loop->trim);
    uv_prepare_start(&loop->prepare, settle_before_poll);
    uv_check_start(&loop->check, settle_after_poll);
    uv_timer_start(&loop->trim, on_trim, TRIM_INTERVAL, TRIM_INTERVAL);
    add_handle(loop, (uv_handle_t *)&loop->prepare);
    add_handle(loop, (uv_handle_t *)&loop->check);
    add_handle(loop, (uv_handle_t *)&loop->clock);
    add_handle(loop, (uv_handle_t *)&loop->overdue);
    add_handle(loop, (uv_handle_t *)&loop->trim);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct loop *loop = handle->data;
    if (--loop->handles_open == 0 && loop->closed)
        loop->closed(loop);
}

void loop_close(struct loop *loop) {
    uv_close((uv_handle_t *)&loop->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&loop->check, on_handle_closed);
    uv_close((uv_handle_t *)&loop->clock, on_handle_closed);
    uv_close((uv_handle_t *)&loop->overdue, on_handle_closed);
    uv_close((uv_handle_t *)&loop->trim, on_handle_closed);
}

void loop_destroy(struct loop *loop) {
    coroutine_pool_destroy(&loop->coroutines);
    arena_pool_destroy(&loop->arenas);
    chunks_free_pool(loop);
    spare_trim(loop);
    pile_trim(&loop->pile);
    read_buffers_free(loop);
    free(loop->record);
    loop->record = NULL;
}

uint64_t loop_now(const struct loop *loop) {
    return uv_now(loop->uv);
}

void loop_post(struct loop *loop, struct task *task) {
    if (task_is_queued(task))
        return;
    task->next = &loop->ready;
    loop->ready_last->next = task;
    loop->ready_last = task;
}

void loop_unpost(struct loop *loop, struct task *task) {
    struct task *before = &loop->ready;
    if (!task_is_queued(task))
        return;
    while (before->next != task)
        before = before->next;
    before->next = task->next;
    if (loop->ready_last == task)
        loop->ready_last = before;
    task->next = NULL;
}

static bool has_ready(const struct loop *loop) {
    return loop->ready.next != &loop->ready;
}

static void run_one(struct loop *loop) {
    struct task *task = loop->ready.next;
    loop->ready.next = task->next;
    if (loop->ready_last == task)
        loop->ready_last = &loop->ready;
    task->next = NULL;
    task->run(task);
}

void loop_settle(struct loop *loop) {
    do {
        while (has_ready(loop))
            run_one(loop);
        connection_flush_dirty(loop);
    } while (has_ready(loop));
    if (loop->settled)
        loop->settled(loop);
}

/* --- Timers ----------------------------------------------------------------------------------- */

static void on_clock(uv_timer_t *handle);

/* libuv has one timer of ours, set to the earliest in the wheel. */
static void wind_clock(struct loop *loop) {
    uint64_t at;
    if (!timer_wheel_next(&loop->wheel, &at)) {
        if (loop->clock_at)
            uv_timer_stop(&loop->clock);
        loop->clock_at = 0;
        return;
    }
    if (loop->clock_at && loop->clock_at <= at)
        return; /* it will come early, look again, and go on sleeping */
    uint64_t now = loop_now(loop);
    uv_timer_start(&loop->clock, on_clock, at > now ? at - now : 0, 0);
    loop->clock_at = at ? at : 1;
}

static void on_overdue(uv_idle_t *handle) {
}

/*
 * libuv looks at timers before input. When the loop was kept from running, by a handler that
 * computes or by a busy machine, what clients have sent in time has been lying in the kernel, and
 * they must not be cut for silence: so input comes first. As long as an idle handle is active libuv
 * doesn't wait for any.
 */
static void on_clock(uv_timer_t *handle) {
    struct loop *loop = handle->data;
    loop->clock_at = 0;
    uv_idle_start(&loop->overdue, on_overdue);
}

static void turn_wheel(struct loop *loop) {
    uv_idle_stop(&loop->overdue);
    timer_wheel_advance(&loop->wheel, loop_now(loop));
    wind_clock(loop);
}

void loop_timer_start(struct loop *loop, struct timer *timer, uint64_t delay) {
    if (!loop->wheel.count) /* an empty wheel stands still: bring it to the present first */
        timer_wheel_advance(&loop->wheel, loop_now(loop));
    timer_start(&loop->wheel, timer, loop_now(loop) + delay);
    if (!loop->clock_at || timer->expires < loop->clock_at)
        wind_clock(loop);
}

void loop_timer_stop(struct loop *loop, struct timer *timer) {
    timer_stop(&loop->wheel, timer);
}

/* --- The rest --------------------------------------------------------------------------------- */

const char *loop_date(struct loop *loop) {
    uint64_t quarter = loop_now(loop) / 250 + 1; /* the wall clock is asked four times a second */
    if (loop->date_quarter != quarter) {
        struct tm tm;
        time_t t = time(NULL);
        gmtime_r(&t, &tm);
        strftime(loop->date, sizeof loop->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        loop->date_quarter = quarter;
    }
    return loop->date;
}

struct loop *loop_self(void) {
    struct coroutine *co = coroutine_self();
    if (!co)
        return NULL;
    return (struct loop *)((char *)coroutine_pool_of(co) - offsetof(struct loop, coroutines));
}

void loop_tear_down(struct loop *loop) {
    struct coroutine *co;
    loop->torn_down = true;
    for (co = loop->coroutines.all; co; co = coroutine_next(co))
        if (coroutine_get_wait(co))
            wait_cancel(coroutine_get_wait(co));
}
