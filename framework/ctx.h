/*
 * ctx: one request and its answer, or one WebSocket and the request that opened it.
 *
 *     static int response_time(ctx_t *ctx) {
 *         uint64_t start = uv_hrtime();
 *         int err = next(ctx);                  // suspends here until everything downstream is
 * done ctx_setf(ctx, "X-Response-Time", "%.3fms", (uv_hrtime() - start) / 1e6); return err; //
 * rethrow; 0 would swallow it
 *     }
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
    websocket_t *websocket;  /* NULL in the stack for requests */
    const char *method;      /* "GET" */
    const char *url;         /* as it came: "/users/7?full=1" */
    const char *path;        /* "/users/7": neither decoded nor normalized, as in Koa */
    const char *querystring; /* "full=1", "" if there is none */
    const char
        *route_path; /* the pattern of the route that matched, or NULL (Koa's ctx.routePath) */

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

/* --- Errors ----------------------------------------------------------------------------------- */

/*
 * return ctx_throw(ctx, 404, "no user %s", id);
 *
 * Returns the negated status, for the caller to return. The message goes to the client if status <
 * 500; NULL stands for the reason phrase. A status that is not a known 4xx or 5xx is 500.
 *
 * Nothing jumps: the errors are return values, so that free() after next() always runs. Any other
 * negative value that a middleware returns (UV_ENOENT, -EINVAL) is a 500 whose message stays
 * hidden.
 */
int ctx_throw(ctx_t *ctx, int status, const char *format, ...) ACACIA_PRINTF(3, 4);

/* A header for the error response, which starts without those set so far (Koa's err.headers). To be
 * called before the error is returned; belongs to the error that is thrown next. */
int ctx_throw_header(ctx_t *ctx, const char *name, const char *value);

/*
 * The error that next() has just returned: catching it. The caller answers instead, and returns 0.
 * NULL if there was none. ctx->status and the headers are as the throwing middleware left them.
 */
const ctx_error_t *ctx_catch(ctx_t *ctx);

/* The client went away, or never sends the rest: nobody will see the answer. */
bool ctx_aborted(const ctx_t *ctx);

/* --- The request ------------------------------------------------------------------------------ */

/* A header of the request, "" if it is missing. Any case; "referer" and "referrer" are one.
 * Repeated ones are joined as node does: ", ", or "; " for Cookie, or the first wins. */
const char *ctx_get(ctx_t *ctx, const char *name);

/* The headers of the request as they came, one after the other: false past the last. */
bool ctx_header_at(const ctx_t *ctx, size_t index, const char **name, const char **value);

/* The first value of `name` in the query, decoded ('+' is a space); NULL if it is missing. */
const char *ctx_query(ctx_t *ctx, const char *name);

/* The query, one pair after the other: false past the last. */
bool ctx_query_at(ctx_t *ctx, size_t index, const char **name, const char **value);

/* A parameter of the route that matched, decoded; NULL if the pattern has none of that name, or if
 * it is an optional one that is absent. By name, or by position from 0. */
const char *ctx_param(const ctx_t *ctx, const char *name);
const char *ctx_param_at(const ctx_t *ctx, size_t index);

/* The address of the peer: "127.0.0.1", "::1". */
const char *ctx_ip(ctx_t *ctx);

/* Bytes and how many. `data` is followed by a NUL that `length` does not count. */
typedef struct {
    const char *data;
    size_t length;
} bytes_t;

/*
 * The whole body of the request, at most http.body_size bytes. It is read once and kept, and lives
 * as long as the ctx.
 *
 * Returns 0; -413 when it is larger, announced (then nothing is read) or not; -400 when it breaks
 * off; UV_ECANCELED when the client is gone; UV_ENOMEM. The error is thrown already: return it.
 */
may_await int ctx_read_body(ctx_t *ctx, bytes_t *body);

/*
 * The next piece of the body, at most `size` bytes into `buffer`, for bodies of any size: the
 * socket is not read before somebody asks. Returns their number, 0 at the end, or an error as
 * above.
 */
may_await ssize_t ctx_read(ctx_t *ctx, void *buffer, size_t size);

/* --- The response ----------------------------------------------------------------------------- */

/*
 * The body. Sets 200 if ctx->status is 0, Content-Type if there is none yet, and Content-Length.
 * A later body replaces an earlier one.
 */
int ctx_text(ctx_t *ctx, const char *text);
int ctx_textf(ctx_t *ctx, const char *format, ...) ACACIA_PRINTF(2, 3);
int ctx_html(ctx_t *ctx, const char *html);
int ctx_bytes(ctx_t *ctx, const void *data, size_t length); /* application/octet-stream */

/* No body: 204 unless the status is 204, 205 or 304 already. A status that is set afterwards stays,
 * with Content-Length: 0 (Koa's ctx.body = null). */
int ctx_empty(ctx_t *ctx);

#ifdef ACACIA_HAVE_JSON
/* JSON. Takes over the caller's reference, so that ctx_json(ctx, json_pack(…)) is complete; NULL
 * (the packing failed) is an error. */
int ctx_json(ctx_t *ctx, json_t *json);

/* The body of the request as JSON: *json gets a reference for the caller, who gives it up by
 * json_decref. -400 if it is not JSON, and what ctx_read_body returns. */
may_await int ctx_read_json(ctx_t *ctx, json_t **json);

/* The query as an object: {"name": "value"}, and {"name": ["a", "b"]} for a repeated one. A new
 * reference, or NULL when there is no memory. */
json_t *ctx_query_json(ctx_t *ctx);
#endif

/*
 * A file, by its name in the file system, streamed while it is read: it is never in memory whole.
 * Sets 200, Content-Type by the extension, Content-Length and Last-Modified unless they are set.
 * The file is opened here, so that a missing one can be caught (UV_ENOENT …; a directory is
 * UV_EISDIR); what it holds is sent after the last middleware has returned. The name is used as it
 * is: never make it from what a client sent without checking.
 */
may_await int ctx_file(ctx_t *ctx, const char *name);

/*
 * Write a piece of the body at once. The first call sends status and headers, chunked unless
 * Content-Length is set. Suspends while more than http.high_water bytes wait for a slow client. The
 * body ends when the last middleware has returned.
 *
 * Returns 0; UV_ECANCELED when the client is gone; UV_EPIPE past the announced Content-Length.
 */
may_await int ctx_write(ctx_t *ctx, const void *data, size_t length);

/* Has the head of the response been sent? From then on status and headers can't change. */
bool ctx_header_sent(const ctx_t *ctx);

/*
 * Headers of the response. ctx_set replaces, ctx_append adds another line, ctx_remove takes away.
 * UV_EINVAL for a name or value that HTTP does not allow: nobody can split our responses. After the
 * head was sent they change nothing and return UV_EALREADY.
 */
int ctx_set(ctx_t *ctx, const char *name, const char *value);
int ctx_setf(ctx_t *ctx, const char *name, const char *format, ...) ACACIA_PRINTF(3, 4);
int ctx_append(ctx_t *ctx, const char *name, const char *value);
int ctx_remove(ctx_t *ctx, const char *name);

/* A header of the response as set so far (the first of that name), or NULL. */
const char *ctx_response_get(const ctx_t *ctx, const char *name);

/* Content-Type by a type or by an extension: "text/css", "css", ".css" all give
 * "text/css; charset=utf-8". An extension that nobody knows removes it, as in Koa. */
int ctx_type(ctx_t *ctx, const char *type);

/* 302, or the 3xx that ctx->status is already, with Location and a short body. */
int ctx_redirect(ctx_t *ctx, const char *url);

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

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
