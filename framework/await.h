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
 * A wait ends early with UV_ECANCELED when the server is torn down (the drain deadline has passed).
 */
#ifndef ACACIA_AWAIT_H
#define ACACIA_AWAIT_H

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
 * Returns 0 once `work` has returned; UV_ECANCELED if it was torn down before `work` began;
 * UV_ENOMEM.
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
 *     start_something(on_done, answer);       // on_done calls future_resolve(answer, status,
 * value) int status = await_future(answer, &value); future_free(answer);
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

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
