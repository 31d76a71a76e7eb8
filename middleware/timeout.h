/*
 * A deadline for all that is below:
 *
 *     app_use(app, timeout(&(timeout_options_t){.after = 5 * 1000}));
 *     app_use(app, route_get("/report", compose(timeout(&(timeout_options_t){.after = 60 * 1000}),
 *                                               middleware(report))));
 *
 * When the time is up whatever the handler waits for ends with UV_ECANCELED, and so does all that
 * it would wait for after that; when it has returned, the answer is 503. Of several deadlines the
 * shortest counts. What await.h says of cancelling holds here: a handler is never stopped, so that
 * code which doesn't wait, and work that a thread has begun, takes the time that it takes; and one
 * that succeeds all the same has succeeded.
 *
 * If the answer has begun already (ctx_write, server-sent events) the client can only be cut off:
 * see `skip` for those. A body that is streamed after the handlers have returned has no deadline
 * here, but http.write_timeout. WebSockets have none.
 */
#ifndef ACACIA_TIMEOUT_H
#define ACACIA_TIMEOUT_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Zero is the default. Strings are copied. */
typedef struct {
    uint64_t after;                 /* 30,000 milliseconds */
    int status;                     /* 503; 504 for a gateway */
    const char *message;            /* for the client; NULL: the reason phrase */
    uint64_t retry_after;           /* seconds, told by Retry-After; 0: not told */
    bool (*skip)(ctx_t *ctx);       /* true: no deadline for this one */
    void (*on_timeout)(ctx_t *ctx); /* when it is over; must not suspend */
} timeout_options_t;

/* `options` may be NULL. Each request that it watches counts twice among app_options_t.coroutines;
 * beyond that it is 503. */
middleware_t timeout(const timeout_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
