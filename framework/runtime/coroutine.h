/*
 * Coroutines: functions that may stop in the middle and go on later, on a stack of their own.
 *
 * They are asymmetric. The loop resumes one; it runs until it suspends or ends, and then the loop
 * goes on behind the resume. Coroutines don't resume each other: they are put into the loop's queue
 * instead (see wait.h). A coroutine always runs to its end, so that what its frames hold is
 * released by the ordinary code that follows.
 *
 * A coroutine that nobody needs any more is cancelled: it is not stopped, but what it waits for
 * ends, and it comes to its end by itself.
 *
 * Stacks are pooled: the one released last is used first, since its pages are warm. Below each
 * stack lies a guard page, so that an overflow is a fault and not a corruption.
 */
#ifndef ACACIA_COROUTINE_H
#define ACACIA_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

struct coroutine;
struct wait;

typedef void coroutine_fn(void *arg);

struct coroutine_pool {
    struct coroutine *idle; /* LIFO */
    struct coroutine *all;  /* doubly linked: running, suspended or idle */
    size_t idle_count;
    size_t idle_low; /* the fewest idle ones since the last trim: nobody needed these */
    size_t live_count;
    size_t limit; /* of live ones */
    size_t stack_size;
};

/* `stack_size` is rounded up to pages; nothing is allocated yet. */
void coroutine_pool_init(struct coroutine_pool *pool, size_t stack_size, size_t limit);

/* Unmap all stacks. No coroutine may be live. */
void coroutine_pool_destroy(struct coroutine_pool *pool);

/* Give back the stacks that went unused since the last call. For a slow timer. */
void coroutine_pool_trim(struct coroutine_pool *pool);

/*
 * Run `fn(arg)` on a coroutine until it suspends or ends. Only from the loop's own stack.
 * Returns 0, UV_EAGAIN at the limit, or UV_ENOMEM; then `fn` has not been called.
 */
int coroutine_start(struct coroutine_pool *pool, coroutine_fn *fn, void *arg);

/* The coroutine that is running, or NULL on the loop's own stack. */
struct coroutine *coroutine_self(void);

/* Does `address` lie in the guard page of the one that is running? Then how large its stack is. May
 * be called from a signal handler. */
bool coroutine_guards(const void *address, size_t *stack_size);

/* The pool that it came from. */
struct coroutine_pool *coroutine_pool_of(struct coroutine *co);

/* Stop here, and let the loop go on. Returns when it is resumed. */
void coroutine_suspend(void);

/* Let it go on, until it suspends or ends. Only from the loop's own stack. */
void coroutine_resume(struct coroutine *co);

/*
 * End what it waits for with UV_ECANCELED, and whatever it will wait for until it ends: the rules
 * are in wait.h. From anywhere on the loop's thread, also from the coroutine itself. It runs later
 * in the same turn. `co` must be live: who keeps it has to know when it ends.
 */
void coroutine_cancel(struct coroutine *co);
bool coroutine_is_cancelled(const struct coroutine *co);

/* Whatever its owner wants to find again. NULL at first. */
void coroutine_set_local(struct coroutine *co, void *local);
void *coroutine_get_local(const struct coroutine *co);

/* What it is waiting for: kept here for wait.c, NULL while it runs. */
void coroutine_set_wait(struct coroutine *co, struct wait *wait);
struct wait *coroutine_get_wait(const struct coroutine *co);

/* The one behind it in pool->all, idle ones too: these wait for nothing. */
struct coroutine *coroutine_next(const struct coroutine *co);

#endif
