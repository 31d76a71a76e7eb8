/*
 * Routes, as in koa-route: middleware that runs its handler when method and path match, and passes
 * on to the next one when they don't. They work in both stacks: a WebSocket's method is GET.
 *
 *     app_use(app, route_get("/users/:id", show_user));
 *     app_ws_use(app, route_all("/echo", echo));
 *
 * A pattern is literal text and `:name` parameters. A parameter takes one or more characters up to
 * the next '/', '#' or '?', as few as the rest allows; a '.' or '/' before it belongs to it. Case
 * doesn't matter, and one trailing '/' is allowed. The rest of path-to-regexp's grammar, the
 * characters ( ) { } ? * + and \, is refused: a wrong pattern keeps the app from starting, with the
 * position and the reason.
 *
 * A match sets ctx->route_path and the parameters, percent-decoded; a malformed % answers 400.
 * Within a handler they are those of its own route, also after next() has run other routes.
 */
#ifndef ACACIA_ROUTE_H
#define ACACIA_ROUTE_H

#include "app.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/*
 * A route for `method` ("GET" also serves HEAD; NULL is every method) and `pattern`; both are
 * copied. The macros below are the usual way to call them. Any thread, before the app listens.
 */
middleware_t route_fn(const char *method, const char *pattern, middleware_fn *handler);
middleware_t route_middleware(const char *method, const char *pattern, middleware_t handler);

#ifndef __cplusplus
#define route(method, pattern, ...)                                                                \
    _Generic((__VA_ARGS__), int (*)(ctx_t *)                                                       \
             : route_fn, middleware_t                                                              \
             : route_middleware)((method), (pattern), (__VA_ARGS__))
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
 * Several middlewares as one (koa-compose): `compose(middleware(a), route_get("/b", b))`. next() in
 * the last of them goes on after the whole. Takes them over; their errors become its own.
 */
middleware_t compose_list(const middleware_t *list, size_t count);

#ifndef __cplusplus
#define compose(...)                                                                               \
    compose_list((const middleware_t[]){__VA_ARGS__},                                              \
                 sizeof((const middleware_t[]){__VA_ARGS__}) / sizeof(middleware_t))
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
