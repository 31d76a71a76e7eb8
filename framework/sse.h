/*
 * Server-sent events (WHATWG HTML 9.2): a response that goes on, one event after the other.
 *
 *     static int ticks(ctx_t *ctx) {
 *         int err = sse_begin(ctx);
 *         for (int i = 1; !err; i++) {
 *             err = sse_sendf(ctx, "tick %d", i);
 *             if (!err)
 *                 err = await_sleep(1000);
 *         }
 *         return err;
 *     }
 */
#ifndef ACACIA_SSE_H
#define ACACIA_SSE_H

#include "ctx.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/*
 * Send the head: text/event-stream, not to be cached nor held back by proxies. From now on awaits
 * of this handler end with UV_ECANCELED when the client goes (see ctx_cancel_on_abort), and when
 * the server begins to drain; to return that is no error, but how a stream ends. The client comes
 * again by itself, and what it has seen last is then ctx_get(ctx, "Last-Event-ID").
 */
int sse_begin(ctx_t *ctx);

typedef struct {
    const char *data;  /* any text; each of its lines becomes a line of data */
    const char *event; /* the type; NULL: "message" */
    const char *id;    /* NULL: none */
    uint32_t retry; /* milliseconds until the client comes again when it is cut off; 0: its own */
} sse_event_t;

/*
 * Send an event. UV_EINVAL for an event type or id with a line break, or an id with a NUL; else as
 * ctx_write: suspends while the client is slow.
 */
may_await int sse_send(ctx_t *ctx, const sse_event_t *event);
may_await int sse_sendf(ctx_t *ctx, const char *format, ...) ACACIA_PRINTF(2, 3);

/* A comment, which the client does not see: every 15 seconds or so one keeps proxies from taking
 * the connection for dead. `text` may be NULL. */
may_await int sse_comment(ctx_t *ctx, const char *text);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
