/* What a router consists of. */
#ifndef ACACIA_ROUTER_PARTS_H
#define ACACIA_ROUTER_PARTS_H

#include "application/application.h"
#include "application/pattern.h"
#include "router.h"

struct route_index;

struct param_hook {
    struct param_hook *next; /* in the order in which they were added */
    const char *name;
    router_param_fn *fn;
};

/* A route, or middleware of router_use. */
struct layer {
    size_t order;            /* its place in the router */
    const char *path;        /* without the prefix of the router */
    struct pattern *pattern; /* with it */
    struct pattern_options options;
    const char *method;  /* NULL: any */
    const char *name;    /* or NULL */
    const char *label;   /* for messages: "GET /:id" */
    bool is_route;       /* else middleware */
    bool is_borrowed;    /* the handler is that of a router which has become part of this one */
    middleware_t *steps; /* hooks, then the handler */
    size_t step_count, step_capacity;
};

struct nested {
    struct nested *next;
    struct router *router;
};

struct router {
    size_t references;
    struct arena arena;       /* of all that it points to, but what has a free function */
    router_options_t options; /* complete: the prefix and the methods are never NULL */
    struct pattern *host_pattern;
    struct layer **layers;
    size_t layer_count, layer_capacity;
    struct param_hook *hooks, **last_hook;
    struct nested *nested;
    struct stack not_found;
    bool complete;
    struct route_index *index;  /* of the layers, once it is complete */
    const struct layer **names; /* those that have one, in its order; likewise */
    size_t name_count;
    const char *error; /* the first one, or NULL */
};

/* --- router.c --------------------------------------------------------------------------------- */

/* Note an error; the first one stays. */
void router_fail(struct router *router, const char *format, ...) ACACIA_PRINTF(2, 3);

/* A string in its arena; NULL, noted, when there is no memory. */
const char *router_copy(struct router *router, const char *string);
const char *router_printf(struct router *router, const char *format, ...) ACACIA_PRINTF(2, 3);

/* May something be added? */
bool router_is_open(struct router *router);

void router_complete(struct router *router);

/* --- router_layer.c --------------------------------------------------------------------------- */

/* Add a layer like `model`, whose strings are copied, in front of `handler`, which is taken over.
 * What is wrong is noted. */
void layer_add(struct router *router, const struct layer *model, middleware_t handler);

/* Add a layer of another router, with `prefix` before its path; the handlers stay the other's. */
void layer_borrow(struct router *router, const char *prefix, const struct router *from,
                  const struct layer *source);

/* Make the pattern anew, since the prefix has changed. */
void layer_compile(struct router *router, struct layer *layer);

/* Call the hook before the handler, if the pattern has that parameter. */
void layer_add_hook(struct router *router, struct layer *layer, const struct param_hook *hook);

void layer_free(struct layer *layer);

/* --- router_run.c ----------------------------------------------------------------------------- */

struct match {
    const struct layer *layer;
    const struct layer *route; /* that ctx->route_path tells: itself, or the one behind it */
    const struct capture *captures;
};

struct matches {
    struct match *list; /* in the order of the layers */
    size_t count, capacity;
    bool unordered; /* … unless they are being found */
};

/* All layers whose pattern matches, whatever the method. 0, or what pattern_match returns if it
 * doesn't know: -E2BIG or -ENOMEM. */
int router_match(const struct router *router, struct arena *arena, const char *path,
                 struct matches *matches);

/* The middleware itself; `state` is the router. */
int router_run(ctx_t *ctx, void *state);

/* --- router_url.c ----------------------------------------------------------------------------- */

/* The first layer of that name, or NULL. */
const struct layer *router_find(const struct router *router, const char *name);

/* Put the names in order; false when there is no memory. */
bool router_sort_names(struct router *router);

#endif
