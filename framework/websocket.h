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
 * Nothing that the peer sends is lost in between: messages wait until somebody listens, or the
 * stack has returned.
 *
 * Messages come to a callback, one at a time and in order; while it waits for something the next
 * one is not looked at, so that a fast sender is slowed down:
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
 * Pings are answered meanwhile, as long as no message waits before them. A close is, too, unless a
 * message is at work, whose answer shall still arrive: then it waits as the next message does. A
 * stack that only sends hears of it at once, and its sends return UV_ENOTCONN.
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
 * `binary`. What is received lives until the handler returns, or until the next ws_recv, and is
 * aligned as memory of malloc's is. It must not be changed: ws_send may leave it where it lies
 * until what others have sent has been looked at, too. */
typedef struct {
    const char *data;
    size_t length;
    bool binary;
} ws_message_t;

/* A piece of a message that is larger than memory should hold: as much of it as has come. Pieces
 * have nothing to do with the fragments that the peer has made of it; one of text may end in the
 * middle of a character. An empty message is one empty piece. */
typedef struct {
    const char *data;
    size_t length;
    bool binary;
    bool first, last; /* of the message */
} ws_part_t;

/* --- Receiving -------------------------------------------------------------------------------- */

/*
 * Returns 0, or a negative error: that closes the socket with 1011 and goes to the app's error
 * listener. Sending to a socket that is gone is no such error, so `return ws_send(…)` is fine.
 * A handler runs on a coroutine, and may suspend.
 */
typedef int ws_message_handler(ctx_t *ctx, const ws_message_t *message);

/* The same for pieces; they are not bound to ws.message_size. */
typedef int ws_part_handler(ctx_t *ctx, const ws_part_t *part);

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

/* What was sent has gone, down to http.high_water bytes, after some function had returned 1. Must
 * not suspend. */
typedef void ws_drain_handler(ctx_t *ctx);

/* Attach a handler: accepts the handshake. NULL detaches. One of each kind; a later one replaces an
 * earlier one. They return 0, or why the handshake could not be accepted. */
int ws_on_message(websocket_t *ws, ws_message_handler *handler);
int ws_on_part(websocket_t *ws, ws_part_handler *handler); /* in place of ws_on_message */
int ws_on_close(websocket_t *ws, ws_close_handler *handler);
int ws_on_error(websocket_t *ws, ws_error_handler *handler);
int ws_on_ping(websocket_t *ws, ws_control_handler *handler);
int ws_on_pong(websocket_t *ws, ws_control_handler *handler);
int ws_on_drain(websocket_t *ws, ws_drain_handler *handler);

/*
 * Wait for the next message. False once the socket is closed and everything before that was
 * received (ws_close_code tells why), or when nobody can wait here. While somebody waits, messages
 * go to him and not to the callback. One coroutine of a socket at a time.
 */
may_await bool ws_recv(websocket_t *ws, ws_message_t *message);

/*
 * Wait for the next piece of a message, as ws_recv does for a whole one: of the one that has begun,
 * or else of the next. A ws_recv in the middle of a message skips what is left of it.
 *
 *     ws_part_t part;
 *     while (ws_recv_part(ws, &part) && await_fs_write(file, part.data, part.length) >= 0)
 *         if (part.last)
 *             break;
 */
may_await bool ws_recv_part(websocket_t *ws, ws_part_t *part);

/* Look at nothing more, until ws_resume: beyond http.read_ahead the peer's messages wait in its own
 * buffers, none is lost. Its pings wait, too, and a peer that is not read is not cut for silence. A
 * call of ws_recv reads in any case. */
void ws_pause(websocket_t *ws);
void ws_resume(websocket_t *ws);

/* --- The handshake ---------------------------------------------------------------------------- */

/* Accept the handshake now: the 101 is sent, with the headers that were set by ctx_set, and
 * ctx->status is 101. 0 if it has been accepted already; UV_ENOTCONN if the socket is gone. From
 * then on setters of the response return UV_EALREADY; once the socket's stack has returned the
 * response is forgotten, and its getters find nothing. */
int ws_accept(websocket_t *ws);

/*
 * Other limits for this socket than the app's: those that are not zero in `options`. Before it is
 * accepted; what is for the handshake itself (protocols, origins, sockets) is left alone. With
 * `deflate` compression is agreed on for this socket.
 *
 * 0, or an error for the handler to return: a 400 if the client's offer of compression is malformed
 * or not acceptable, UV_EALREADY when the handshake has been accepted, UV_ENOMEM.
 */
int ws_configure(websocket_t *ws, const ws_options_t *options);

/* Number `index` (from 0) of the subprotocols that the client offers; NULL past the last. */
const char *ws_offered_protocol(const websocket_t *ws, size_t index);

/*
 * Agree on another subprotocol than ws.protocols has chosen; NULL is none. Before it is accepted.
 * (To refuse a client for what it offers: return ctx_throw(ctx, 400, …).) 0; UV_EINVAL for one that
 * was not offered; UV_EALREADY; UV_ENOMEM.
 */
int ws_set_protocol(websocket_t *ws, const char *protocol);

/* The subprotocol that was agreed on, "" if none. "permessage-deflate" if messages may be
 * compressed, "" if not; from the 101 on. */
const char *ws_protocol(const websocket_t *ws);
const char *ws_extensions(const websocket_t *ws);

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
 * with 1013 and returns UV_ENOBUFS; or it drops the message and returns 2, or older ones, as
 * ws.overflow says.
 *
 * Messages arrive in the order in which they were sent.
 *
 * Returns 0, 1 or 2; UV_ENOTCONN when the socket is closing or closed: an error value, never a
 * crash; UV_ENOMEM.
 */
may_await int ws_send(websocket_t *ws, ws_message_t message);
may_await int ws_send_text(websocket_t *ws, const char *text);
may_await int ws_send_binary(websocket_t *ws, const void *data, size_t length);
may_await int ws_sendf(websocket_t *ws, const char *format, ...) ACACIA_PRINTF(2, 3);

/* The same with options, zero being the default. */
typedef struct {
    bool uncompressed; /* as it is, though compression was agreed on */
} ws_send_options_t;
may_await int ws_send_with(websocket_t *ws, ws_message_t message, const ws_send_options_t *options);

/*
 * Send a message fragment by fragment (RFC 6455 5.4), since its length is not known or it is not
 * there yet: the first one says whether it is binary, the one with `last` ends it. Whole messages
 * that are sent meanwhile, by whomever, wait for its end, and nobody waits for them. Returns as
 * ws_send does, but nothing is dropped.
 */
may_await int ws_send_fragment(websocket_t *ws, ws_message_t fragment, bool last);

/* Wait until the system has taken all that was sent: 0. UV_ENOTCONN when the socket is closing.
 * Where ws_send would not wait either it returns 1 if something waits. */
may_await int ws_flush(websocket_t *ws);

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

/* --- Everybody who is connected --------------------------------------------------------------- */

/* The ctx of a socket: what it asked for, its state. */
ctx_t *ws_ctx(const websocket_t *ws);

/* How many sockets of `app` are open. */
size_t ws_count(const app_t *app);

/* Call `fn(ws, arg)` for each of them. `fn` may send, close and terminate, itself and others.
 * Nothing in it suspends. */
void ws_each(app_t *app, void (*fn)(websocket_t *ws, void *arg), void *arg);

/* Send a message to each of them, save `except` (may be NULL); or to those for which `filter` says
 * so. It is made into a frame, and compressed, once. Never suspends, and a slow receiver delays
 * nobody. Returns how many it was sent to. */
size_t ws_broadcast(app_t *app, ws_message_t message, const websocket_t *except);
size_t ws_broadcast_if(app_t *app, ws_message_t message, bool (*filter)(websocket_t *ws, void *arg),
                       void *arg);

/* --- Rooms ------------------------------------------------------------------------------------ */

/*
 * Put a socket into a room, any string, or take it out again. It leaves all of them when it closes.
 * A room needs no making, and is gone when the last one has left. Joining twice changes nothing.
 * ws_join accepts the handshake; 0, UV_ENOTCONN, UV_ENOMEM.
 */
int ws_join(websocket_t *ws, const char *room);
void ws_leave(websocket_t *ws, const char *room);

/* As ws_broadcast, ws_count and ws_each, for those who are in the room. */
size_t ws_publish(app_t *app, const char *room, ws_message_t message, const websocket_t *except);
size_t ws_room_count(const app_t *app, const char *room);
void ws_room_each(app_t *app, const char *room, void (*fn)(websocket_t *ws, void *arg), void *arg);

/* --- From other threads ----------------------------------------------------------------------- */

/* A number for a socket, that no other one of the app ever has: may be kept, and given to other
 * threads, when the socket is long gone. 0 is no socket: it is closed, or there is no memory. */
typedef uint64_t ws_id_t;
ws_id_t ws_id(websocket_t *ws);

/* The socket of that id, NULL if it is gone. On the thread of the loop. */
websocket_t *ws_find(app_t *app, ws_id_t id);

/*
 * Send to a socket, or close it, from any thread, between app_new and app_free: done soon, by
 * app_post, in the order of the calls. The data is copied. A socket that is gone makes no
 * difference. 0, UV_ENOMEM, UV_EINVAL as for ws_close.
 */
int ws_send_id(app_t *app, ws_id_t id, ws_message_t message);
int ws_close_id(app_t *app, ws_id_t id, int code, const char *reason);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
