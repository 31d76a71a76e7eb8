/*
 * Timers: a hierarchical wheel of deadlines, for a loop that has one or two for every connection.
 *
 *     static void on_timeout(struct timer *timer) { … }
 *
 *     struct timer timeout = {.fn = on_timeout};
 *     timer_start(wheel, &timeout, wheel->now + 5000);
 *
 * It is a data structure and nothing more: it does not know the clock, and nothing happens between
 * two calls. The owner asks timer_wheel_next how long it may sleep, and tells timer_wheel_advance
 * what time it is afterwards. Times are milliseconds on any clock that starts somewhere and goes
 * forward.
 *
 * Starting and stopping cost the same however many timers there are: most deadlines of a server are
 * moved or stopped before they come, and a heap would keep all of them in order for nothing.
 *
 * Six levels of 64 slots: a slot is 1 ms wide on the lowest level and 64 times as wide on each one
 * above it. A timer waits on the level where its time and now still differ, and moves down as the
 * time comes near. The wheel reaches 2^36 ms (two years) ahead; what lies beyond waits in the last
 * slot and is placed anew from there, so that it is late by nothing.
 *
 * The wheel belongs to one thread.
 */
#ifndef ACACIA_TIMER_H
#define ACACIA_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMER_LEVELS = 6, TIMER_SLOTS = 64 };

/*
 * A timer lives inside whatever it is a deadline of; the wheel allocates nothing. Zero it and set
 * `fn`; nothing else needs to be set or torn down. While it is pending it must not be moved, copied
 * over or freed: stop it first.
 */
struct timer {
    /* private */
    struct timer *next, *prev; /* NULL unless it is pending */

    /* read-only */
    uint64_t expires; /* the tick it fires at */

    /* public */
    void (*fn)(struct timer *timer);
};

/* The lists have no ends but go round through `slots`; so the wheel must not be moved. 12 KiB. */
struct timer_wheel {
    /* read-only */
    uint64_t now; /* as of the last advance */
    size_t count; /* of pending timers */

    /* private */
    uint64_t occupied[TIMER_LEVELS]; /* a bit for each slot that has timers */
    struct timer slots[TIMER_LEVELS * TIMER_SLOTS];
    struct timer due; /* what the advance that is under way has still to fire, in order */
};

/* An empty wheel at `now`. It needs no tearing down: timers that are pending are forgotten with it.
 */
void timer_wheel_init(struct timer_wheel *wheel, uint64_t now);

/*
 * Fire `timer` once, when the wheel gets to `expires`. A time that has passed counts as now: the
 * next advance fires it, whatever it advances to. A timer that is pending is moved, as if it had
 * been stopped first. O(1).
 */
void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t expires);

/* Stop `timer`, so that its function is not called. Nothing happens unless it is pending. O(1). */
void timer_stop(struct timer_wheel *wheel, struct timer *timer);

/* Started, and neither stopped nor fired since. A timer is not pending in its own function. */
bool timer_pending(const struct timer *timer);

/*
 * Move to `now` and fire everything that expires until then, `now` included: in order of time, and
 * of starting where times are equal. An earlier `now` than before is taken for the same as before.
 *
 * The functions see the new wheel->now. They may start and stop any timer: their own, and others
 * that are due in the same advance, which are not fired then. What they start waits for the next
 * advance even if its time has come, so that no function can keep this one from returning. A timer
 * is not looked at again once its function was called; that may free it. They must not advance the
 * wheel.
 *
 * On its way a timer is moved at most once a level, and once a slot of the uppermost level (twelve
 * days) as long as it lies beyond the range. Besides, a jump costs O(levels) however long it is.
 */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now);

/*
 * The time at which the wheel wants to be advanced next. Never later than the earliest timer, and
 * exact when that lies in the same 64 ms as now; earlier when timers have to move down a level,
 * after which the answer is a better one. False, and `*expires` is left alone, if nothing is
 * pending. O(levels).
 */
bool timer_wheel_next(const struct timer_wheel *wheel, uint64_t *expires);

#endif
