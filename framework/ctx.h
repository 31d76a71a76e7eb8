/*
 * ctx: one request and its answer, or one WebSocket and the request that opened it.
 *
 *     static int response_time(ctx_t *ctx) {
 *         uint64_t start = uv_hrtime();
 *         int err = next(ctx); // suspends here until everything downstream is done
 *         ctx_setf(ctx, "X-Response-Time", "%.3fms", (uv_hrtime() - start) / 1e6);
 *         return err; // rethrow; 0 would swallow it
 *     }
 *
 * What the client asked for is in request.h, what it is answered in response.h, cookies in
 * cookies.h.
 *
 * Strings are UTF-8 or whatever bytes the client sent, NUL-terminated, and live as long as the ctx:
 * until the response has been written, or until the socket is closed. Functions that take strings
 * copy them. All functions belong to the thread of the ctx's loop; none suspends but those marked
 * may_await. Functions that return int give 0 or a negative error; when one runs out of memory
 * (UV_ENOMEM) the response becomes a 500, whether or not its result was looked at.
 */
#ifndef ACACIA_CTX_H
#define ACACIA_CTX_H

#include "acacia_features.h"
#include "app.h"
#include "await.h"

#include <stdarg.h>
#include <sys/types.h>

#ifdef ACACIA_HAVE_JSON
#include <jansson.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#if defined __GNUC__
#define ACACIA_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#define ACACIA_MUST_USE __attribute__((__warn_unused_result__))
#else
#define ACACIA_PRINTF(text, first)
#define ACACIA_MUST_USE
#endif

struct ctx {
    /* public */
    int status;  /* of the response; 0 until something sets it: 404, or 200 once there is a body */
    void *state; /* anything, for the middleware below and above (Koa's ctx.state) */

    /* read-only */
    app_t *app;
    websocket_t *websocket;   /* NULL in the stack for requests */
    const char *method;       /* "GET" */
    const char *url;          /* "/users/7?full=1": as it came, until ctx_set_url rewrites it */
    const char *original_url; /* as it came */
    const char *path;         /* "/users/7": neither decoded nor normalized, as in Koa */
    const char *querystring;  /* "full=1", "" if there is none */
    const char *route_path;   /* the pattern of the route that matched, or NULL */

    /* private: what follows in memory is not declared here; never make or copy a ctx yourself */
};

/* --- The onion -------------------------------------------------------------------------------- */

/*
 * Run everything downstream and return its result once it is done. Suspends while anything below
 * suspends. After the last middleware it returns 0. A second call from the same middleware runs
 * nothing and returns UV_EALREADY ("next() called multiple times").
 */
may_await int ctx_next(ctx_t *ctx);

/* The name that one writes. The result is an error to pass on, as a forgotten `await` would lose
 * it. */
ACACIA_MUST_USE static inline int next(ctx_t *ctx) {
    return ctx_next(ctx);
}

/* The ctx whose handler is running now, wherever in the program this is called (Koa's
 * app.currentContext); NULL outside of handlers. Tasks of await_all and its sisters have that of
 * their parent. */
ctx_t *ctx_current(void);

/* --- Errors ----------------------------------------------------------------------------------- */

/*
 * return ctx_throw(ctx, 404, "no user %s", id);
 *
 * Returns the negated status, for the caller to return. The message goes to the client if status <
 * 500; NULL stands for the reason phrase. As with http-errors, a status that is neither known nor
 * within 400 and 599 is 500.
 *
 * Nothing jumps: the errors are return values, so that free() after next() always runs. Any other
 * negative value that a middleware returns (UV_ENOENT, -EINVAL) is a 500 whose message stays
 * hidden.
 */
int ctx_throw(ctx_t *ctx, int status, const char *format, ...) ACACIA_PRINTF(3, 4);

/* 0 if `holds`; else what ctx_throw returns: if ((err = ctx_assert(ctx, user, 401, "who?"))) … */
ACACIA_MUST_USE int ctx_assert(ctx_t *ctx, bool holds, int status, const char *format, ...)
    ACACIA_PRINTF(4, 5);

/* A header for the error response, which starts without those set so far (Koa's err.headers). To be
 * called before the error is returned; belongs to the error that is thrown next. Content-Type and
 * Content-Length are the response's own and are ignored, as in Koa. */
int ctx_throw_header(ctx_t *ctx, const char *name, const char *value);

/* ctx_throw with everything that can be said of an error. The strings are copied. */
typedef struct {
    int status;          /* 0: 500 */
    const char *message; /* NULL: the reason phrase */
    bool expose;         /* show the message to the client though status is 500 or more … */
    bool hide;           /* … or not though it is less */
    int code;            /* what is returned: negative; 0: the negated status */
    void *data;          /* anything, for whoever catches it, or listens */
} throw_options_t;
int ctx_throw_with(ctx_t *ctx, const throw_options_t *options);

/*
 * The error that next() has just returned: catching it. The caller answers instead, and returns 0.
 * NULL if there was none. ctx->status and the headers are as the throwing middleware left them.
 */
const ctx_error_t *ctx_catch(ctx_t *ctx);

/* The same without catching it, for those who only want to know, and return it. */
const ctx_error_t *ctx_error(const ctx_t *ctx);

/* Tell the error listener of an error that was caught (Koa's ctx.app.emit('error', err, ctx)). */
void ctx_report(ctx_t *ctx, const ctx_error_t *error);

/*
 * How an error that nobody catches is answered, in place of plain text (a ctx.onerror of one's own,
 * in Koa). `page` is called when the stack has returned, or the body that it has set has failed:
 * the listener knows of the error, and the response is what it would be without a page: its status,
 * its headers alone, and as a text its message, if the client may see that. All of it may be
 * changed, as a handler does it. It is not called when the head has been sent.
 *
 * Returns 0, or an error: plain text is sent then, after all. May suspend. The last page that was
 * set is asked; NULL takes it back.
 */
typedef int error_page_fn(ctx_t *ctx, const ctx_error_t *error, void *arg);
void ctx_set_error_page(ctx_t *ctx, error_page_fn *page, void *arg);

/* --- When the client goes --------------------------------------------------------------------- */

/* The client went away, or never sends the rest: nobody will see the answer. Handlers run to their
 * end all the same, as in Koa, and that is no error. */
bool ctx_aborted(const ctx_t *ctx);

/* From now on, when the client goes: whatever this handler awaits, and all that it would await
 * after that, returns UV_ECANCELED at once, so that no work is done for nobody. False (the default)
 * takes it back. While its handler is at work; what await_all and its sisters run is included. */
void ctx_cancel_on_abort(ctx_t *ctx, bool cancel);

/* --- Memory ----------------------------------------------------------------------------------- */

/*
 * From the arena of the ctx: zeroed, aligned for anything, never freed by hand. It goes with the
 * ctx; what a message or close handler of a WebSocket allocates goes when that handler has
 * returned, so that a socket that lives for days does not grow. NULL when there is no memory.
 */
void *ctx_alloc(ctx_t *ctx, size_t size);
char *ctx_strdup(ctx_t *ctx, const char *string);
char *ctx_printf(ctx_t *ctx, const char *format, ...) ACACIA_PRINTF(2, 3);
#define ctx_new(ctx, type) ((type *)ctx_alloc((ctx), sizeof(type)))

/*
 * Call `fn(arg)` when this memory goes: after the response has been written, after the message
 * handler has returned, or after the socket's close handler. The last one registered runs first.
 * Must not suspend. On UV_ENOMEM `fn` has been called already: nothing leaks.
 */
int ctx_defer(ctx_t *ctx, void (*fn)(void *arg), void *arg);

/* --- Values ----------------------------------------------------------------------------------- */

/*
 * Something of the program's own under a name, for the other middleware: ctx_set_value(ctx, "user",
 * user, free). `destroy` (may be NULL) is called once: when the ctx goes, when the name gets
 * another value, or at once on UV_ENOMEM. NULL as a value takes the name away.
 */
int ctx_set_value(ctx_t *ctx, const char *name, void *value, void (*destroy)(void *value));

/* The value of that name: of the ctx, else of the app (app_set_value), as Koa's ctx inherits from
 * app.context; NULL if neither has it. */
void *ctx_value(const ctx_t *ctx, const char *name);

#ifdef ACACIA_HAVE_JSON
/* What Koa's ctx.toJSON() shows: request, response and app, for logs. A new reference, or NULL when
 * there is no memory. */
json_t *ctx_to_json(ctx_t *ctx);
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
