/*
 * How a coroutine waits for an event, and how the event finds it.
 *
 * A struct wait lies on the coroutine's stack, or in what it waits for. Whoever has the event calls
 * wait_done, from anywhere on the loop's thread, before or after wait_for; the coroutine goes on
 * later in the same turn, from the loop's queue.
 *
 * A coroutine that is cancelled, and every one of a loop that is torn down, waits no more: the wait
 * that it is suspended in ends with UV_ECANCELED, and so does every later one, at once, unless its
 * event has come already. A stubborn wait goes on: its owner is asked to hurry, and the result is
 * the owner's.
 */
#ifndef ACACIA_WAIT_H
#define ACACIA_WAIT_H

#include "runtime/loop.h"

struct wait {
    struct coroutine *co; /* NULL unless somebody is suspended here */
    int result;
    bool done;
    bool stubborn; /* can't be cut short: its owner will call wait_done in any case */
    void (*cancel)(struct wait *wait); /* NULL, or asks the owner to hurry: not when it is done */
    struct task task;
};

/* Wait for wait_done and return its result. UV_EINVAL outside of a coroutine; UV_EBUSY if another
 * one is suspended here. All other fields are zero at first; the wait is ready for another round
 * when this returns. */
int wait_for(struct wait *wait);

/* The same, at most until the loop's clock says `time`: then UV_ETIMEDOUT; 0 is never. */
int wait_until(struct wait *wait, uint64_t time);

/* The event has come. Calls after the first change nothing until somebody has waited. */
void wait_done(struct wait *wait, int result);

/* Is a coroutine suspended here, whose event has not come yet? */
bool wait_pending(const struct wait *wait);

/* End it early with UV_ECANCELED, if it can be. */
void wait_cancel(struct wait *wait);

/* Is it pointless for the running coroutine to begin something that it would have to wait for? */
bool wait_is_cancelled(void);

#endif
