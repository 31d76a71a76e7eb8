/*
 * Routers, as @koa/router: many routes under one prefix, with middleware, hooks and names.
 *
 *     router_t *users = router_new(&(router_options_t){.prefix = "/users"});
 *     router_use(users, NULL, authenticate);
 *     router_param(users, "id", load_user);
 *     router_get(users, "/:id", show_user);
 *     router_put(users, "/:id", compose(middleware(check_user), middleware(update_user)));
 *     app_use(app, router_routes(users));
 *     app_use(app, router_allowed_methods(users, NULL));
 *     router_free(users); // the app holds it from now on
 *
 * Patterns and parameters are those of route.h. A router works in both stacks, app_use and
 * app_ws_use, the same one even in both; a WebSocket's method is GET.
 *
 * A request is for a router if its path and its method match one of the routes; else the router
 * passes on, as if it were not there. Then all that matches the path, routes and middleware of
 * router_use alike, runs in the order in which it was added, each calling the next one by next();
 * behind the last of them next() goes on after the router. An index finds what matches: how many
 * routes there are makes no difference.
 *
 * In each of them ctx_param has its own parameters, and behind these the ones of layers before it.
 * ctx->route_path is the whole pattern of the route, prefix included; middleware sees that of the
 * last route that matches.
 *
 * The functions that add something return the router, and never fail silently: what is wrong keeps
 * the app from starting. A router is complete when router_routes is called, or when it becomes part
 * of another one: what is added later is an error on stderr, and a 500 for each of its requests.
 * NULL, for which there was no memory, may be given as a router everywhere. All of these functions
 * belong to one thread, before the app listens; those with a ctx to its thread.
 */
#ifndef ACACIA_ROUTER_H
#define ACACIA_ROUTER_H

#include "route.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct router router_t;

/* --- Making one ------------------------------------------------------------------------------- */

/* If several routes match, which of them run? */
typedef enum {
    ROUTER_ALL,        /* each one, as long as next() is called */
    ROUTER_LAST,       /* only the one that was added last */
    ROUTER_SPECIFICITY /* only the one with the fewest parameters, the first of them */
} router_exclusive_t;

/* Zero is the default. All is copied. */
typedef struct {
    const char *prefix; /* before all patterns: "/users", or "/users/:user"; see router_prefix */
    bool sensitive;     /* case matters */
    bool strict;        /* no trailing '/' */
    router_exclusive_t exclusive;

    /* If any of these is given: for which hosts it is. To others it passes on. */
    const char *host;         /* "api.example.org", as the request has it: with a port, if any */
    const char *const *hosts; /* the same, several of them, NULL at the end */
    const char *host_pattern; /* ":tenant.example.org": a pattern for the name, without the port. A
                                 parameter ends before a '.', and is one of the request's */

    /* What router_allowed_methods takes for implemented, NULL at the end. NULL: HEAD, OPTIONS, GET,
     * PUT, PATCH, POST and DELETE. */
    const char *const *methods;
} router_options_t;

router_t *router_new(const router_options_t *options);

/* Give up what router_new has returned. Whatever uses the router, an app or another router, holds
 * it by itself. */
void router_free(router_t *router);

/* Another prefix, for what was added and what will be. The pattern "/" is the prefix itself, unless
 * the router is strict; a trailing '/' of the prefix doesn't count. */
router_t *router_prefix(router_t *router, const char *prefix);

/* --- Routes ----------------------------------------------------------------------------------- */

/*
 * Add a route for `method` ("GET" also serves HEAD; NULL is every method). The handler is a
 * middleware_fn or a middleware_t; several are one by compose. A route may have a name, and options
 * of its own:
 *
 *     router_add_with(router, "GET", "/:id", show_user, &(route_options_t){.name = "user"});
 */
router_t *router_add_fn(router_t *router, const char *method, const char *pattern,
                        middleware_fn *handler, const route_options_t *options);
router_t *router_add_middleware(router_t *router, const char *method, const char *pattern,
                                middleware_t handler, const route_options_t *options);

#ifndef __cplusplus
#define router_add_with(router, method, pattern, handler, ...)                                     \
    _Generic((handler), int (*)(ctx_t *)                                                           \
             : router_add_fn, middleware_t                                                         \
             : router_add_middleware)((router), (method), (pattern), (handler), (__VA_ARGS__))
#define router_add(router, method, pattern, ...)                                                   \
    _Generic((__VA_ARGS__), int (*)(ctx_t *)                                                       \
             : router_add_fn, middleware_t                                                         \
             : router_add_middleware)((router), (method), (pattern), (__VA_ARGS__), NULL)
#define router_all(router, pattern, ...) router_add(router, NULL, pattern, __VA_ARGS__)
#define router_get(router, pattern, ...) router_add(router, "GET", pattern, __VA_ARGS__)
#define router_head(router, pattern, ...) router_add(router, "HEAD", pattern, __VA_ARGS__)
#define router_post(router, pattern, ...) router_add(router, "POST", pattern, __VA_ARGS__)
#define router_put(router, pattern, ...) router_add(router, "PUT", pattern, __VA_ARGS__)
#define router_patch(router, pattern, ...) router_add(router, "PATCH", pattern, __VA_ARGS__)
#define router_delete(router, pattern, ...) router_add(router, "DELETE", pattern, __VA_ARGS__)
#define router_del(router, pattern, ...) router_delete(router, pattern, __VA_ARGS__)
#define router_options(router, pattern, ...) router_add(router, "OPTIONS", pattern, __VA_ARGS__)
#endif

/* --- Middleware, and other routers ------------------------------------------------------------ */

/*
 * Add middleware for all paths that begin with `path`, up to a '/': "/admin" is also for
 * "/admin/log". NULL is for all paths of the router, and "/" only for its root. It runs only if a
 * route matches, too, and before those that are added after it.
 *
 * What router_routes has returned is another router that becomes part of this one: its routes and
 * middleware are added, with `path` before their patterns. Its `exclusive` and what it does when
 * nothing is found have no effect there; one that is for certain hosts is refused.
 */
router_t *router_use_fn(router_t *router, const char *path, middleware_fn *fn);
router_t *router_use_middleware(router_t *router, const char *path, middleware_t middleware);

#ifndef __cplusplus
#define router_use(router, path, ...)                                                              \
    _Generic((__VA_ARGS__), int (*)(ctx_t *)                                                       \
             : router_use_fn, middleware_t                                                         \
             : router_use_middleware)((router), (path), (__VA_ARGS__))
#endif

/*
 * A hook for a parameter, wherever it is in the router: it is called with its value before the
 * handlers, those of several parameters in the order of the path. Like a middleware it goes on by
 * next(ctx). Once a request, and only if the parameter is there.
 *
 *     static int load_user(ctx_t *ctx, const char *id) {
 *         struct user *user = find_user(id);
 *         ctx_set_value(ctx, "user", user, NULL);
 *         return user ? next(ctx) : ctx_throw(ctx, 404, "no user %s", id);
 *     }
 */
typedef int router_param_fn(ctx_t *ctx, const char *value);
router_t *router_param(router_t *router, const char *name, router_param_fn *fn);

/* In place of passing on, if no route matches (Koa's router.on('not-found')). Several run one after
 * the other; behind the last of them next() goes on after the router. */
router_t *router_not_found_fn(router_t *router, middleware_fn *fn);
router_t *router_not_found_middleware(router_t *router, middleware_t middleware);

#ifndef __cplusplus
#define router_not_found(router, ...)                                                              \
    _Generic((__VA_ARGS__), int (*)(ctx_t *)                                                       \
             : router_not_found_fn, middleware_t                                                   \
             : router_not_found_middleware)((router), (__VA_ARGS__))
#endif

/* Redirect what matches the pattern `source`, by any method. `destination` begins with '/', or has
 * "://" in it. Both may also be names of routes that have been added; as a destination one that
 * needs no parameters. Status 0 is 301. */
router_t *router_redirect(router_t *router, const char *source, const char *destination,
                          int status);

/* --- Using it --------------------------------------------------------------------------------- */

/* The router as a middleware: for app_use, app_ws_use, router_use, mount_at. */
middleware_t router_routes(router_t *router);

/* What router_allowed_methods does in place of answering 501 and 405. */
typedef struct {
    bool throws; /* it throws them */

    /* or calls these, which throw something else; Allow becomes a header of that error */
    middleware_fn *not_implemented, *method_not_allowed;
} allowed_methods_options_t;

/*
 * A middleware that answers what no route has, after the routers: if the status is still 404,
 * whatever router the request came through, and
 *
 *   - the method is none of router_options_t.methods: 501;
 *   - the path is known: OPTIONS is answered with 200;
 *   - it is known, but not by that method: 405;
 *
 * each with the header Allow. `options` may be NULL.
 */
middleware_t router_allowed_methods(const router_t *router,
                                    const allowed_methods_options_t *options);

/*
 * The path of the route that has this name, out of names and values of its parameters, encoded as
 * by route_path_to: router_url(ctx, router, "user", "id", "7"); NULL stands for none.
 *
 * `query`, names and values in turn, NULL at the end, is appended: "?page=2". It may be NULL.
 *
 * In memory of the ctx. NULL if there is none, no such route, or a parameter is missing: then an
 * error is thrown that says so, for the caller to return UV_EINVAL.
 */
char *router_url_of(ctx_t *ctx, const router_t *router, const char *name, const char *const *params,
                    const char *const *query);

#ifndef __cplusplus
#define router_url(ctx, router, name, ...)                                                         \
    router_url_of((ctx), (router), (name), ACACIA_LIST(__VA_ARGS__), NULL)
#endif

/* The router that the request came to last, NULL if none; and the name of the route that runs, or
 * that ran last, NULL if it has none. */
const router_t *ctx_router(const ctx_t *ctx);
const char *ctx_route_name(const ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
