/*
 * The response: what the client gets.
 *
 * It is a value until the last middleware has returned: status (ctx->status), headers, and one
 * body, which everybody upstream may still look at and replace. Only ctx_write and
 * ctx_flush_headers send something before.
 *
 * Once the head has been sent nothing of it can change: setters return UV_EALREADY.
 */
#ifndef ACACIA_RESPONSE_H
#define ACACIA_RESPONSE_H

#include "ctx.h"
#include "request.h"

#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* --- Status ----------------------------------------------------------------------------------- */

/* ctx->status is a field: 200 to 999; anything else is a 500 when the response is sent. 204, 205
 * and 304 have no body, whatever was set. */

/* The reason phrase, in place of the status's own. It belongs to the status that is set now: with
 * another one it is forgotten. UV_EINVAL for what a status line can't hold. */
int ctx_message(ctx_t *ctx, const char *message);

/* The reason phrase as it will be sent; NULL for a status that has none. */
const char *ctx_response_message(const ctx_t *ctx);

/* --- The body --------------------------------------------------------------------------------- */

/*
 * Each sets the body in place of an earlier one, 200 if ctx->status is 0, Content-Type if there is
 * none yet, and Content-Length.
 */
int ctx_text(ctx_t *ctx, const char *text); /* text/plain */
int ctx_textf(ctx_t *ctx, const char *format, ...) ACACIA_PRINTF(2, 3);
int ctx_html(ctx_t *ctx, const char *html);                 /* text/html */
int ctx_bytes(ctx_t *ctx, const void *data, size_t length); /* application/octet-stream */

/* Koa's ctx.body = "…": text/html if it begins with '<', blanks aside, else text/plain. Where the
 * text is a stranger's, ctx_text is the safe one. */
int ctx_body(ctx_t *ctx, const char *text);

/* No body: 204 unless the status is 204, 205 or 304 already. A status that is set afterwards stays,
 * with Content-Length: 0 (Koa's ctx.body = null). If the type is application/json the body is
 * "null" instead, and the status stays as it is. */
int ctx_empty(ctx_t *ctx);

#ifdef ACACIA_HAVE_JSON
/* JSON, written as by JSON.stringify. Takes over the caller's reference, so that ctx_json(ctx,
 * json_pack(…)) is complete. Keeps a Content-Type that is JSON of some kind. UV_EINVAL for NULL
 * (the packing failed), and for what can't be written: it holds itself, has more than 256 levels of
 * arrays and objects, for which the stack of a coroutine is too small, or is not UTF-8. */
int ctx_json(ctx_t *ctx, json_t *json);
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
 * A stream: where the body comes from, piece by piece, after the last middleware has returned.
 * `read` gives at most `size` bytes and returns how many, 0 at the end, or a negative error; it may
 * suspend. `close` (may be NULL) is called once: at the end, when the client goes, when another
 * body takes its place, and when ctx_stream fails.
 *
 * Chunked unless Content-Length is set, afterwards or, by the first body, before. An error before
 * the first byte is a 500; behind it the connection is cut, so that the client can tell.
 */
typedef struct {
    ssize_t (*read)(ctx_t *ctx, void *state, void *buffer, size_t size);
    void (*close)(void *state);
    void *state;
} body_stream_t;
int ctx_stream(ctx_t *ctx, body_stream_t stream);

/* What the body is now, for middleware that looks at it or wraps it. */
typedef enum {
    CTX_BODY_UNSET,  /* nobody has set one: the reason phrase is sent */
    CTX_BODY_EMPTY,  /* ctx_empty */
    CTX_BODY_BYTES,  /* in memory */
    CTX_BODY_STREAM, /* ctx_stream, or ctx_file */
} body_kind_t;
body_kind_t ctx_body_kind(const ctx_t *ctx);

/* Is it what ctx_file has set? Then `*stat` is that file's, as it was opened. */
bool ctx_body_file(const ctx_t *ctx, uv_stat_t *stat);

/* The bytes of a body in memory; {"", 0} for others. They live as long as the ctx. */
bytes_t ctx_body_bytes(const ctx_t *ctx);

/* Take the body away, of whatever kind, as a stream to read from: for middleware that sets another
 * one around it. The caller has to call its `close` (may be NULL) in the end. Its `read` is NULL if
 * there was no body. Content-Length and the other headers stay. */
body_stream_t ctx_take_body(ctx_t *ctx);

/* --- Writing at once -------------------------------------------------------------------------- */

/*
 * Write a piece of the body at once. The first call sends status and headers, chunked unless
 * Content-Length is set. Suspends while more than http.high_water bytes wait for a slow client. The
 * body ends when the last middleware has returned.
 *
 * Outside of a handler, for a ctx that was detached, it never suspends and returns 1 when that much
 * waits: written all the same.
 *
 * Returns 0 or 1; UV_ECANCELED when the client is gone; UV_EPIPE past the announced Content-Length.
 */
may_await int ctx_write(ctx_t *ctx, const void *data, size_t length);
may_await int ctx_writef(ctx_t *ctx, const char *format, ...) ACACIA_PRINTF(2, 3);

/* Send status and headers now. A body set by ctx_text and so on follows chunked, unless
 * Content-Length was set before. */
int ctx_flush_headers(ctx_t *ctx);

/* Has the head of the response been sent? */
bool ctx_header_sent(const ctx_t *ctx);

/* Can anything still be written? False when the response is over or the client is gone. */
bool ctx_writable(const ctx_t *ctx);

/* Bytes of the body that have been sent so far, those that wait for a slow client included; without
 * headers and chunks. 0 for a HEAD, and for a WebSocket. */
uint64_t ctx_bytes_sent(const ctx_t *ctx);

/*
 * Call `fn(ctx, complete, arg)` when the response is over (npm's on-finished), for access logs and
 * the like. `complete`: all of it was sent, or is about to be, as soon as the client takes it; else
 * the client went away, or was cut off. ctx->status, the headers and ctx_bytes_sent are then those
 * of the answer, of an error's as well.
 *
 * In the stack of WebSockets it is when the socket is closed, behind its close handler, and
 * `complete` if both sides have said goodbye; or, if it was refused, as for a page.
 *
 * The last one registered is called first, all before what was deferred. Must not suspend, and
 * there is nothing left to change. 0, or UV_ENOMEM: it will not be called.
 */
typedef void finish_handler(ctx_t *ctx, bool complete, void *arg);
int ctx_on_finish(ctx_t *ctx, finish_handler *fn, void *arg);

/*
 * Koa's ctx.respond = false: nothing is answered when the last middleware has returned. The ctx
 * lives, and ctx_write may be called from callbacks, timers, other handlers, until somebody calls
 * ctx_end: that answers as the ctx says then, or ends what was written. Both on the loop's thread.
 *
 * ctx_end is called exactly once; the ctx is gone when it returns, or when the handler that is
 * still at work has returned. If the client goes first, ctx_aborted tells, and ctx_end must come
 * all the same. A ctx that nobody has ended when the server stops is cut, and ctx_defer tells.
 */
void ctx_detach(ctx_t *ctx);
void ctx_end(ctx_t *ctx);

/* --- Headers ---------------------------------------------------------------------------------- */

/*
 * ctx_set replaces, ctx_append adds another line, ctx_remove takes away. UV_EINVAL for a name or
 * value that HTTP does not allow: nobody can split our responses. Returned by the middleware it is
 * a 500, as in Koa; nothing has been set.
 */
int ctx_set(ctx_t *ctx, const char *name, const char *value);
int ctx_setf(ctx_t *ctx, const char *name, const char *format, ...) ACACIA_PRINTF(3, 4);
int ctx_append(ctx_t *ctx, const char *name, const char *value);
int ctx_remove(ctx_t *ctx, const char *name);

/* A header of the response as set so far (the first of that name), or NULL; and is there one? */
const char *ctx_response_get(const ctx_t *ctx, const char *name);
bool ctx_has(const ctx_t *ctx, const char *name);

/* The headers as set so far, one line after the other: false past the last. */
bool ctx_response_header_at(const ctx_t *ctx, size_t index, const char **name, const char **value);

/* Content-Type by a type or by an extension: "text/css", "css", ".css" all give
 * "text/css; charset=utf-8". An extension that nobody knows removes it, as in Koa. */
int ctx_type(ctx_t *ctx, const char *type);

/* Content-Type without parameters, "" if there is none. */
const char *ctx_response_type(ctx_t *ctx);

/* As ctx_is, for the type of the response. */
const char *ctx_response_is_one_of(ctx_t *ctx, const char *const *types);
#ifndef __cplusplus
#define ctx_response_is(ctx, ...) ctx_response_is_one_of((ctx), ACACIA_LIST(__VA_ARGS__))
#endif

/* Content-Length. Does nothing while there is a Transfer-Encoding. */
int ctx_length(ctx_t *ctx, uint64_t length);

/* Content-Length as set, else of a body in memory or a file; -1 if nobody knows. */
int64_t ctx_response_length(const ctx_t *ctx);

/* Add fields to Vary, comma-separated, none twice; "*" stands for all. UV_EINVAL for what is no
 * field name. */
int ctx_vary(ctx_t *ctx, const char *fields);

/* ETag; quotes are added unless it is "…" or W/"…" already. */
int ctx_etag(ctx_t *ctx, const char *tag);

/* Last-Modified, in seconds since 1970; and what is set, -1 if nothing is. */
int ctx_last_modified(ctx_t *ctx, int64_t seconds);
int64_t ctx_response_last_modified(const ctx_t *ctx);

/* --- Elsewhere -------------------------------------------------------------------------------- */

/*
 * 302, or the status if that is 300, 301, 302, 303, 305, 307 or 308 already, with Location and a
 * short body. An absolute URL is normalized as browsers do; what has no place in a URL is
 * percent-encoded. -500 for an absolute URL that is none. Where it leads is not checked: never
 * redirect to what a client sent without checking.
 */
int ctx_redirect(ctx_t *ctx, const char *url);

/* To where the client came from (Referrer) if that is this host; else to `alternative`, or "/" for
 * NULL. */
int ctx_back(ctx_t *ctx, const char *alternative);

/*
 * Content-Disposition: to be saved under `filename` (its last part; may be NULL), and Content-Type
 * by its extension unless one is set. Names beyond ASCII go as RFC 8187 has it, with an ASCII
 * fallback beside them.
 */
typedef struct {
    const char *type;     /* NULL: "attachment"; or "inline" */
    const char *fallback; /* the ASCII name; NULL: '?' for what is not ASCII */
    bool no_fallback;     /* none at all */
} attachment_options_t;
int ctx_attachment(ctx_t *ctx, const char *filename);
int ctx_attachment_with(ctx_t *ctx, const char *filename, const attachment_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
