/*
 * ctx->websocket: one WebSocket (RFC 6455).
 *
 * The stack of app_ws_use runs for every request that asks for a WebSocket, before it is accepted.
 * What it does decides:
 *
 *   - it attaches a handler, receives, sends, or calls ws_accept: the handshake is accepted (101);
 *   - it returns ctx_throw(ctx, 401, …), or answers as for a page (ctx_text, ctx->status): that is
 * the answer, in plain HTTP;
 *   - it does nothing: 404.
 *
 * Nothing that the peer sends is lost in between: reading starts when somebody listens, or when the
 * stack has returned.
 *
 * Messages come to a callback, one at a time and in order; while it waits for something the socket
 * is not read, so that a fast sender is slowed down:
 *
 *     static int on_message(ctx_t *ctx, const ws_message_t *message) {
 *         return ws_send(ctx->websocket, *message);
 *     }
 *
 * or to a loop, which keeps its coroutine for the life of the socket:
 *
 *     ws_message_t message;
 *     while (ws_recv(ctx->websocket, &message))
 *         ws_send(ctx->websocket, message);
 *
 * A websocket_t is valid until its close handler has returned: whoever keeps a pointer to it (a
 * room, a list) forgets it there. Everything here belongs to the thread of the socket's loop.
 */
#ifndef ACACIA_WEBSOCKET_H
#define ACACIA_WEBSOCKET_H

#include "app.h"
#include "await.h"
#include "ctx.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* A message. `data` is followed by a NUL that `length` does not count; it is valid UTF-8 unless
 * `binary`. What is received lives until the handler returns, or until the next ws_recv. */
typedef struct {
    const char *data;
    size_t length;
    bool binary;
} ws_message_t;

/* --- Receiving -------------------------------------------------------------------------------- */

/*
 * Returns 0, or a negative error: that closes the socket with 1011 and goes to the app's error
 * listener. Sending to a socket that is gone is no such error, so `return ws_send(…)` is fine.
 * A handler runs on a coroutine, and may suspend.
 */
typedef int ws_message_handler(ctx_t *ctx, const ws_message_t *message);

/* `code` and `reason` are the peer's; 1005 if its close frame had none, 1006 if there was no close
 * frame. Called once, after all messages and when no other handler of this socket runs. It may
 * suspend; the socket is gone when it returns. */
typedef void ws_close_handler(ctx_t *ctx, int code, const char *reason);

/* What ended the socket early, before its close handler: `error` is a negative code (UV_ECONNRESET,
 * UV_EPROTO, UV_EMSGSIZE, UV_ETIMEDOUT …), `reason` says it in words. At most once. May suspend. */
typedef void ws_error_handler(ctx_t *ctx, int error, const char *reason);

/* `data` is the payload of a ping or pong, at most 125 bytes; pings are answered already. Must not
 * suspend. */
typedef void ws_control_handler(ctx_t *ctx, const char *data, size_t length);

/* Attach a handler: accepts the handshake. NULL detaches. One of each kind; a later one replaces an
 * earlier one. They return 0, or why the handshake could not be accepted. */
int ws_on_message(websocket_t *ws, ws_message_handler *handler);
int ws_on_close(websocket_t *ws, ws_close_handler *handler);
int ws_on_error(websocket_t *ws, ws_error_handler *handler);
int ws_on_ping(websocket_t *ws, ws_control_handler *handler);
int ws_on_pong(websocket_t *ws, ws_control_handler *handler);

/*
 * Wait for the next message. False once the socket is closed and everything before that was
 * received (ws_close_code tells why), or when nobody can wait here. While somebody waits, messages
 * go to him and not to the callback. One coroutine of a socket at a time.
 */
may_await bool ws_recv(websocket_t *ws, ws_message_t *message);

/* Accept the handshake now: the 101 is sent, with the headers that were set by ctx_set. 0 if it has
 * been accepted already; UV_ENOTCONN if the socket is gone. */
int ws_accept(websocket_t *ws);

/* --- Sending ---------------------------------------------------------------------------------- */

/*
 * Send a message, text or binary; the data is the caller's again on return. Text must be UTF-8:
 * that is not checked here.
 *
 * ws_sendf formats as printf does: a NUL in an argument of %s ends it. ws_send keeps all bytes.
 *
 * In a handler of the same socket it suspends while more than http.high_water bytes wait for a slow
 * peer. Everywhere else (another socket's handler, a callback of the loop) it never suspends, and
 * returns 1 when that much waits: sent all the same. More than ws.buffered_size closes the socket
 * with 1013 and returns UV_ENOBUFS.
 *
 * Returns 0 or 1; UV_ENOTCONN when the socket is closing or closed: an error value, never a crash;
 * UV_ENOMEM.
 */
may_await int ws_send(websocket_t *ws, ws_message_t message);
may_await int ws_send_text(websocket_t *ws, const char *text);
may_await int ws_send_binary(websocket_t *ws, const void *data, size_t length);
may_await int ws_sendf(websocket_t *ws, const char *format, ...) ACACIA_PRINTF(2, 3);

/* A ping, or an unasked pong. UV_EINVAL for more than 125 bytes. Never suspends. */
int ws_ping(websocket_t *ws, const void *data, size_t length);
int ws_pong(websocket_t *ws, const void *data, size_t length);

/* Bytes that wait to be sent, frame headers included. */
size_t ws_buffered(const websocket_t *ws);

/* --- Closing ---------------------------------------------------------------------------------- */

/*
 * Say goodbye: a close frame with `code` and `reason` (at most 123 bytes, may be NULL); code 0
 * sends an empty one. What was sent before still arrives. The peer has ws.close_timeout to answer.
 * Before the handshake was accepted it accepts first, so that the peer sees the code. From
 * anywhere, any number of times: later calls change nothing.
 *
 * Returns 0; UV_EINVAL for a code that may not be sent (allowed: 1000-1003, 1007-1014, 3000-4999)
 * or a reason that is too long.
 */
int ws_close(websocket_t *ws, int code, const char *reason);

/* Cut the connection now: the peer sees 1006. */
void ws_terminate(websocket_t *ws);

typedef enum { WS_CONNECTING, WS_OPEN, WS_CLOSING, WS_CLOSED } ws_state_t;
ws_state_t ws_state(const websocket_t *ws);

/* The code and reason that the close handler gets; 0 and "" before the socket is closed. */
int ws_close_code(const websocket_t *ws);
const char *ws_close_reason(const websocket_t *ws);

/* The subprotocol that was agreed on (see ws_options_t.protocols), "" if none. */
const char *ws_protocol(const websocket_t *ws);

/* --- Everybody who is connected --------------------------------------------------------------- */

/* The ctx of a socket: what it asked for, its state. */
ctx_t *ws_ctx(const websocket_t *ws);

/* How many sockets of `app` are open. */
size_t ws_count(const app_t *app);

/* Call `fn(ws, arg)` for each of them. `fn` may send, close and terminate, itself and others.
 * Nothing in it suspends. */
void ws_each(app_t *app, void (*fn)(websocket_t *ws, void *arg), void *arg);

/* Send a message to each of them, save `except` (may be NULL). Never suspends. Returns how many. */
size_t ws_broadcast(app_t *app, ws_message_t message, const websocket_t *except);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
