/*
 * To which rooms this process wants to be subscribed, and what of that Redis has been told: once
 * for a room, however many members it has here. It is not installed.
 */
#ifndef ACACIA_REDIS_SUBSCRIPTIONS_H
#define ACACIA_REDIS_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct subscription; /* a room, and how many are in it */

/* Zero is an empty one. */
struct subscriptions {
    void *tree;                   /* all of them, by their rooms: tsearch(3) */
    struct subscription *changed; /* what Redis may have to be told about */
    struct subscription *settled; /* what it knows as it is */
    size_t count;
};

/* One member more of a room. NULL when there is no memory. */
struct subscription *subscriptions_add(struct subscriptions *all, const char *room);

/* … and one less; with the last one it goes, as soon as Redis is told. */
void subscriptions_remove(struct subscriptions *all, struct subscription *subscription);

/* Tell what has changed: that a room is wanted, or no longer. What `tell` returns an error for is
 * told the next time. */
typedef int subscriptions_tell_fn(void *arg, const char *room, bool wanted);
void subscriptions_tell(struct subscriptions *all, subscriptions_tell_fn *tell, void *arg);

/* The connection is gone, and Redis knows nothing any more. */
void subscriptions_forget(struct subscriptions *all);

void subscriptions_free(struct subscriptions *all);

#endif
