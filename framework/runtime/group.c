/*
 * Several tasks at once, each on a coroutine of its own. What they share lies on the caller's
 * stack, what belongs to one of them on its own: nothing is allocated, and nothing outlives the
 * call.
 */
#include "await.h"

#include "runtime/wait.h"

enum purpose {
    ALL, /* nobody wins */
    ANY, /* the first that succeeds does */
    RACE /* the first that ends does */
};

struct group {
    struct wait wait; /* the caller's, until all tasks have ended; first */
    struct task step;
    struct timer timer;
    struct loop *loop;
    void *local; /* the caller's */
    enum purpose purpose;
    await_task_t *tasks;
    size_t count, begun, ended;
    struct runner *running;
    size_t winner; /* `count` as long as there is none */
    int first_error;
    bool cancelled;
    int reason; /* why it was cancelled from outside; else 0 */
};

/* A task that has begun. Lies on its stack. */
struct runner {
    struct group *group;
    await_task_t *task;
    struct coroutine *co;
    struct runner *next, **link;
};

/* --- The end of a task ------------------------------------------------------------------------ */

/* Those that run are cancelled by `step`, and not from here: groups within groups would call each
 * other, and how deep they go is not ours to know. */
static void cancel(struct group *group, int reason) {
    if (group->cancelled || group->ended == group->count)
        return;
    group->cancelled = true;
    group->reason = reason;
    loop_post(group->loop, &group->step);
}

static bool wins(const struct group *group, int result) {
    if (group->purpose == ALL || group->winner < group->count)
        return false;
    return result >= 0 || (group->purpose == RACE && !group->cancelled);
}

static void note_end(struct group *group, await_task_t *task, int result) {
    task->result = result;
    group->ended++;
    if (result < 0 && !group->first_error)
        group->first_error = result;
    if (wins(group, result)) {
        group->winner = (size_t)(task - group->tasks);
        cancel(group, 0);
    }
    if (group->ended == group->count)
        wait_done(&group->wait, 0);
}

/* --- Its beginning ---------------------------------------------------------------------------- */

static void run_task(void *arg) {
    struct runner runner = *(struct runner *)arg;
    struct group *group = runner.group;
    runner.co = coroutine_self();
    runner.next = group->running;
    runner.link = &group->running;
    if (runner.next)
        runner.next->link = &runner.next;
    group->running = &runner;
    coroutine_set_local(runner.co, group->local);
    int result = runner.task->fn(runner.task->arg);
    *runner.link = runner.next;
    if (runner.next)
        runner.next->link = runner.link;
    note_end(group, runner.task, result);
}

static void begin_task(struct group *group, await_task_t *task) {
    struct runner runner = {.group = group, .task = task};
    int err = UV_EINVAL;
    if (task->fn)
        err = coroutine_start(&group->loop->coroutines, run_task, &runner);
    if (err)
        note_end(group, task, err);
}

/* Begins the tasks, and cancels those that run: on the loop's stack, the only one on which
 * coroutines are started. A step that was posted runs before the caller goes on, since that was
 * posted later. */
static void step(struct task *task) {
    struct group *group = (struct group *)((char *)task - offsetof(struct group, step));
    while (group->begun < group->count) {
        await_task_t *following = &group->tasks[group->begun++];
        if (group->cancelled)
            note_end(group, following, UV_ECANCELED);
        else
            begin_task(group, following);
    }
    if (group->cancelled)
        for (struct runner *runner = group->running; runner; runner = runner->next)
            coroutine_cancel(runner->co);
}

static void on_caller_cancelled(struct wait *wait) {
    cancel((struct group *)wait, UV_ECANCELED);
}

static void on_timeout(struct timer *timer) {
    cancel((struct group *)((char *)timer - offsetof(struct group, timer)), UV_ETIMEDOUT);
}

/* --- The interface ---------------------------------------------------------------------------- */

static void run(struct group *group, int timeout_ms) {
    group->wait.stubborn = true;
    group->wait.cancel = on_caller_cancelled;
    group->step.run = step;
    group->timer.fn = on_timeout;
    group->local = coroutine_get_local(coroutine_self());
    group->winner = group->count;
    loop_post(group->loop, &group->step);
    if (timeout_ms >= 0)
        loop_timer_start(group->loop, &group->timer, (uint64_t)timeout_ms);
    wait_for(&group->wait);
    loop_timer_stop(group->loop, &group->timer);
}

may_await int await_all(await_task_t *tasks, size_t count) {
    struct group group = {.purpose = ALL, .tasks = tasks, .count = count, .loop = loop_self()};
    if (!group.loop)
        return UV_EINVAL;
    if (count > 0)
        run(&group, -1);
    return group.first_error;
}

static int find_winner(enum purpose purpose, await_task_t *tasks, size_t count, int timeout_ms,
                       size_t *winner) {
    struct group group = {.purpose = purpose, .tasks = tasks, .count = count, .loop = loop_self()};
    if (!group.loop || count == 0)
        return UV_EINVAL;
    run(&group, timeout_ms);
    if (winner)
        *winner = group.winner;
    if (group.winner < count)
        return tasks[group.winner].result;
    return group.reason ? group.reason : group.first_error;
}

may_await int await_any(await_task_t *tasks, size_t count, int timeout_ms, size_t *winner) {
    return find_winner(ANY, tasks, count, timeout_ms, winner);
}

may_await int await_race(await_task_t *tasks, size_t count, int timeout_ms, size_t *winner) {
    return find_winner(RACE, tasks, count, timeout_ms, winner);
}

may_await int await_timeout(int (*fn)(void *arg), void *arg, int timeout_ms) {
    return find_winner(RACE, &(await_task_t){.fn = fn, .arg = arg}, 1, timeout_ms, NULL);
}
