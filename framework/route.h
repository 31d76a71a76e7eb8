/*
 * Routes, as in koa-route: middleware that runs its handler when method and path match, and passes
 * on to the next one when they don't. They work in both stacks: a WebSocket's method is GET.
 *
 *     app_use(app, route_get("/users/:id", show_user));
 *     app_ws_use(app, route_all("/echo", echo));
 *
 * Patterns are those of path-to-regexp 6:
 *
 *     /users/:id          a parameter: up to the next '/', '#' or '?'
 *     /:from-:to.:format  several in one segment; each takes as few bytes as let the rest match
 *     /users/:id(\d+)     a regular expression (JavaScript's) says what it may be
 *     /files/(.*)         a parameter without a name: by position, or as "0", "1" and so on
 *     /users/:id?         optional, together with the '/' or '.' before it
 *     /files/:path*       any number of segments, "a/b/c"; + is one or more
 *     /docs{-:lang}?      braces around what is optional, or repeated with a parameter
 *     /a\:b               the character itself
 *
 * Case doesn't matter, and one trailing '/' is allowed. A wrong pattern keeps the app from
 * starting, with the position and the reason. The path is matched as it came, not decoded.
 *
 * A match sets ctx->route_path and the parameters, percent-decoded; a malformed % answers 400, and
 * a regular expression that comes to its limit of steps 414. Within a handler they are those of its
 * own route, also after next() has run other routes.
 *
 * Routes in a row are found by an index: how many there are makes no difference. Many routes under
 * one prefix, with names, hooks and 405: see router.h.
 */
#ifndef ACACIA_ROUTE_H
#define ACACIA_ROUTE_H

#include "app.h"
#include "ctx.h"
#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* --- Routes ----------------------------------------------------------------------------------- */

/* How a pattern is read, as path-to-regexp's options. Strings are copied. */
typedef struct {
    bool sensitive; /* case matters */
    bool strict;    /* no trailing '/' */
    bool no_end;    /* end: false. "/files" is also for "/files/a/b", but not "/filesystem" */
    bool no_start;  /* start: false. Whatever comes before doesn't matter */
    const char *delimiter; /* where a parameter ends; NULL: "/#?" */
    const char *prefixes;  /* what belongs to a parameter that follows; NULL: "./" */
    const char *ends_with; /* any of these bytes is as good as the end of the path; NULL: none */
    const char *name;      /* of a router's route, for router_url */
} route_options_t;

/*
 * A route for `method` ("GET" also serves HEAD; NULL is every method) and `pattern`; both are
 * copied, and `options` may be NULL. The macros below are the usual way to call them. Any thread,
 * before the app listens.
 */
middleware_t route_with_fn(const char *method, const char *pattern, middleware_fn *handler,
                           const route_options_t *options);
middleware_t route_with_middleware(const char *method, const char *pattern, middleware_t handler,
                                   const route_options_t *options);
middleware_t route_fn(const char *method, const char *pattern, middleware_fn *handler);
middleware_t route_middleware(const char *method, const char *pattern, middleware_t handler);

#ifndef __cplusplus
#define route(method, pattern, ...)                                                                \
    _Generic((__VA_ARGS__), int (*)(ctx_t *)                                                       \
             : route_fn, middleware_t                                                              \
             : route_middleware)((method), (pattern), (__VA_ARGS__))
#define route_with(method, pattern, handler, ...)                                                  \
    _Generic((handler), int (*)(ctx_t *)                                                           \
             : route_with_fn, middleware_t                                                         \
             : route_with_middleware)((method), (pattern), (handler), (__VA_ARGS__))
#define route_all(pattern, ...) route(NULL, pattern, __VA_ARGS__)
#define route_get(pattern, ...) route("GET", pattern, __VA_ARGS__)
#define route_head(pattern, ...) route("HEAD", pattern, __VA_ARGS__)
#define route_post(pattern, ...) route("POST", pattern, __VA_ARGS__)
#define route_put(pattern, ...) route("PUT", pattern, __VA_ARGS__)
#define route_patch(pattern, ...) route("PATCH", pattern, __VA_ARGS__)
#define route_delete(pattern, ...) route("DELETE", pattern, __VA_ARGS__)
#define route_del(pattern, ...) route_delete(pattern, __VA_ARGS__)
#define route_options(pattern, ...) route("OPTIONS", pattern, __VA_ARGS__)
#endif

/*
 * The other way round: the path that a pattern is for, out of names and values of its parameters.
 * route_path_to(ctx, "/users/:id", "id", "a b") is "/users/a%20b"; NULL stands for no parameters.
 *
 * Each byte of a value that is not a letter, a digit or one of - _ . ! ~ * ' ( ) is
 * percent-encoded. Optional parameters may be missing; those that repeat may come several times.
 *
 * In memory of the ctx. NULL if there is none, if the pattern is wrong, a parameter missing, or a
 * value not what it takes: then an error is thrown that says so, for the caller to return
 * UV_EINVAL.
 */
char *route_path_of(ctx_t *ctx, const char *pattern, const char *const *params);

#ifndef __cplusplus
#define route_path_to(ctx, pattern, ...) route_path_of((ctx), (pattern), ACACIA_LIST(__VA_ARGS__))
#endif

/* --- Several as one --------------------------------------------------------------------------- */

/*
 * Several middlewares as one (koa-compose): `compose(middleware(a), route_get("/b", b))`. next() in
 * the last of them goes on after the whole. Takes them over; their errors become its own.
 */
middleware_t compose_list(const middleware_t *list, size_t count);

#ifndef __cplusplus
#define compose(...)                                                                               \
    compose_list((const middleware_t[]){__VA_ARGS__},                                              \
                 sizeof((const middleware_t[]){__VA_ARGS__}) / sizeof(middleware_t))
#endif

/* --- Mounting --------------------------------------------------------------------------------- */

/*
 * A middleware for all paths under a prefix, as in koa-mount: mount_at("/static", files).
 *
 * It sees the path without the prefix: of "/static/a.css?v=2" ctx->path is "/a.css", and ctx->url
 * "/a.css?v=2"; of "/static" itself it is "/". What it calls by next() sees the whole path again,
 * and so does what runs after it. "/statics" is not under the prefix, nor is "/Static": case
 * matters. A prefix with a trailing '/' is not for the path without it. "/" is for all.
 */
middleware_t mount_fn(const char *prefix, middleware_fn *fn);
middleware_t mount_middleware(const char *prefix, middleware_t middleware);

#ifndef __cplusplus
#define mount_at(prefix, ...)                                                                      \
    _Generic((__VA_ARGS__), int (*)(ctx_t *)                                                       \
             : mount_fn, middleware_t                                                              \
             : mount_middleware)((prefix), (__VA_ARGS__))
#endif

/*
 * All layers of another app under a prefix: those of app_use as one layer of `app`, and those of
 * app_ws_use, if it has any, as one layer for WebSockets. `mounted` is complete then; it belongs to
 * `app`, and is freed by it.
 *
 * As in Koa only its layers count: its settings, values and error listener don't, and in its
 * handlers ctx->app is `app`. What keeps it from starting keeps `app` from it. Returns app.
 */
app_t *app_mount(app_t *app, const char *prefix, app_t *mounted);

/* The prefix that was taken off the path, "/static", or all of them together: ctx_mount_path(ctx)
 * before ctx->path is the path as it came. "" outside of mounts. */
const char *ctx_mount_path(ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
