/* What routers and mounts note in a ctx on its way through them. */
#ifndef ACACIA_ROUTING_H
#define ACACIA_ROUTING_H

#include <stdbool.h>
#include <stddef.h>

struct context;
struct layer;
struct mount_visit;
struct param_hook;
struct router;

struct routing {
    const struct mount_visit *mount; /* the innermost that is running, or NULL */
    const struct router *router;     /* the last one that was entered, or NULL */
    const char *route_name;          /* of the route that runs, or ran last; or NULL */

    /* the routes that all routers have found for their paths, whatever the method */
    const struct layer **matched;
    size_t matched_count, matched_capacity;

    /* hooks that have been called */
    const struct param_hook **called;
    size_t called_count, called_capacity;
};

/* Made when it is first asked for; NULL when there is no memory, which is noted. */
struct routing *routing_of(struct context *context);

/* Append to what was matched. 0 or UV_ENOMEM. */
int routing_add_matched(struct context *context, const struct layer *layer);

/* Is the hook called for the first time? 1 or 0, or UV_ENOMEM. */
int routing_call_once(struct context *context, const struct param_hook *hook);

#endif
