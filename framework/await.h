/*
 * Waiting without blocking.
 *
 * Every handler runs on a coroutine: when it waits for something, the loop serves others meanwhile,
 * and the handler goes on where it stopped, as if the call had simply taken its time.
 *
 * `may_await` marks what may suspend its caller: it is empty for the compiler, and for the reader
 * it is C's `async`. Such a function may be called from handlers (middleware, message and close
 * handlers) and from whatever they call, on the thread of their loop. Called anywhere else, where
 * there is no coroutine to suspend, it changes nothing and returns UV_EINVAL.
 *
 * While one handler waits, others run: what it read from shared variables may have changed
 * afterwards. Between two awaits nothing else runs; no locks are needed.
 *
 * A handler is cancelled when the server is torn down (the drain deadline has passed), when its
 * client goes and it has asked for that (ctx_cancel_on_abort in request.h), or when it is a task
 * that is no longer needed (await_any, below). Then the wait that it is suspended in ends with
 * UV_ECANCELED, and from then on so does every other, at once, unless its result is there already.
 * A handler is never stopped: it goes on behind the await, lets go of what it holds, and returns.
 */
#ifndef ACACIA_AWAIT_H
#define ACACIA_AWAIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define may_await

/*
 * Wait for `milliseconds`, counted from the start of this turn of the loop, as uv_timer_start
 * counts; 0 lets everything else that is ready run first. Returns 0, or UV_ECANCELED.
 */
may_await int await_sleep(uint64_t milliseconds);

/*
 * Run `work(arg)` on libuv's thread pool (UV_THREADPOOL_SIZE threads, 4 by default) and wait until
 * it has returned: for what blocks or takes long, such as SQLite, password hashes, getaddrinfo.
 * `work` must not touch the ctx, nor call anything of Acacia. `arg` may live on the caller's stack.
 *
 * Returns 0 once `work` has returned; UV_ECANCELED if it was cancelled before `work`
 * began. Once begun it is waited for in any case.
 */
may_await int await_work(void (*work)(void *arg), void *arg);

/*
 * Wait until the descriptor `fd` is ready for one of `events` (UV_READABLE | UV_WRITABLE |
 * UV_DISCONNECT | UV_PRIORITIZED), at most `timeout_ms` milliseconds; a negative timeout waits for
 * ever, as in poll(2). With it any client library that shows its socket works without blocking:
 * libpq, hiredis, curl. The descriptor must not be waited for twice at once.
 *
 * Returns the events that are ready (> 0), UV_ETIMEDOUT, UV_ECANCELED, or the error of uv_poll_init
 * or uv_poll_start.
 */
may_await int await_poll(int fd, int events, int timeout_ms);

/*
 * A future joins one callback to one waiting handler: the handler makes it, hands it to whatever
 * will call back, and awaits it.
 *
 *     future_t *answer = future_new();
 *     if (!answer)
 *         return UV_ENOMEM;
 *     start_something(on_done, answer); // on_done: future_resolve(answer, status, value)
 *     int status = await_future(answer, &value);
 *     future_free(answer);
 *
 * It has two halves, and is gone when both are given up: the resolver's by future_resolve, the
 * waiter's by future_free. So neither can pull it from under the other.
 */
typedef struct future future_t;

/* A future that nobody has resolved. NULL when there is no memory. Any thread. */
future_t *future_new(void);

/*
 * Resolve with `status` (0, or a negative error) and `value`, which is passed through untouched.
 * Call it exactly once, from a callback of the loop or from another handler of the same loop; the
 * waiter goes on in the same turn of the loop, after the caller has returned. Gives up the
 * resolver's half.
 */
void future_resolve(future_t *future, int status, void *value);

/*
 * Wait until `future` is resolved; at once if it is already. `*value` (may be NULL) gets the value.
 * Returns the status that it was resolved with, or UV_ECANCELED; UV_EBUSY if somebody waits for it
 * already.
 */
may_await int await_future(future_t *future, void **value);

/* Give up the waiter's half, resolved or not. NULL is fine. */
void future_free(future_t *future);

/* --- Several at once -------------------------------------------------------------------------- */

/*
 * A task is a function that is run on a coroutine of its own, beside the other tasks and instead of
 * the caller, which waits. It may wait, and call all that a handler may. What it is given may live
 * on the caller's stack: none of the functions below returns before all of its tasks have ended.
 * Tasks begin in the order of the list, each running until it waits for the first time. They belong
 * to the handler: ctx_current is the same, and when the handler is cancelled, they are.
 *
 *     await_task_t tasks[] = {
 *         {.fn = load_user, .arg = &page},
 *         {.fn = load_posts, .arg = &page},
 *     };
 *     int err = await_all(tasks, 2);
 *
 * `fn` returns 0 or more if it has succeeded, a negative error if it has failed. A task whose `fn`
 * was not called has failed too: with UV_EAGAIN when there are as many handlers and tasks already
 * as app_options_t.coroutines allows, with UV_ENOMEM, or with UV_ECANCELED when it was cancelled
 * before it began. What is cancelled may yet succeed, if it had nothing more to wait for: look at
 * `result` before you forget what a task may have opened.
 */
typedef struct {
    int (*fn)(void *arg);
    void *arg;
    int result; /* set when it has ended */
} await_task_t;

/*
 * Run all tasks until all have ended. When one fails the others go on: they may be half through
 * something that others count on. (Promise.allSettled is its sister rather than Promise.all.)
 *
 * Returns 0 if all have succeeded, at once if there are none; else the error of the one that failed
 * first. Each has its own in `result`.
 */
may_await int await_all(await_task_t *tasks, size_t count);

/*
 * Run tasks until the first one succeeds, as Promise.any does; those that fail don't count while
 * others run. Then the others are cancelled, and waited for. After `timeout_ms` milliseconds, which
 * count as in await_sleep (negative: never), all are; one that succeeds nevertheless has succeeded.
 *
 * Returns the result of the one that has succeeded first, its index in `*winner` (may be NULL). If
 * none has, `*winner` is `count`, and the result UV_ETIMEDOUT if the time was up; UV_ECANCELED if
 * the caller was cancelled; else the error of the task that failed first. UV_EINVAL if there are no
 * tasks.
 */
may_await int await_any(await_task_t *tasks, size_t count, int timeout_ms, size_t *winner);

/*
 * The same, but the first one that ends wins, whether it has succeeded or failed, as in
 * Promise.race. (When the time is up, or the caller is cancelled, only a success still wins.)
 */
may_await int await_race(await_task_t *tasks, size_t count, int timeout_ms, size_t *winner);

/*
 * Give `fn(arg)` at most `timeout_ms` milliseconds: a race of one. Returns what `fn` returns;
 * UV_ETIMEDOUT if the time was up before, and `fn`, cancelled, has failed therefore; UV_ECANCELED
 * likewise if the caller was cancelled; UV_EAGAIN or UV_ENOMEM if `fn` could not be called.
 *
 * It can't be cut short where it doesn't wait, nor while a thread works for it (await_work and
 * await_fs.h): then it takes longer.
 */
may_await int await_timeout(int (*fn)(void *arg), void *arg, int timeout_ms);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
