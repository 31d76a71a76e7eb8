/* What a handler does with its WebSocket. */
#include "websocket.h"

#include "context/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Receiving -------------------------------------------------------------------------------- */

int ws_on_message(websocket_t *ws, ws_message_handler *handler) {
    ws->on_message = handler;
    return ws_accept(ws);
}

int ws_on_close(websocket_t *ws, ws_close_handler *handler) {
    ws->on_close = handler;
    return ws_accept(ws);
}

int ws_on_error(websocket_t *ws, ws_error_handler *handler) {
    ws->on_error = handler;
    return ws_accept(ws);
}

int ws_on_ping(websocket_t *ws, ws_control_handler *handler) {
    ws->on_ping = handler;
    return ws_accept(ws);
}

int ws_on_pong(websocket_t *ws, ws_control_handler *handler) {
    ws->on_pong = handler;
    return ws_accept(ws);
}

may_await bool ws_recv(websocket_t *ws, ws_message_t *message) {
    if (!coroutine_self() || ws->recv.co)
        return false;
    ws_accept(ws);
    ws_incoming_free(ws->received);
    ws->received = NULL;
    if (ws->state != WS_OPEN)
        return false;
    ws_peer_want(&ws->peer, true);
    int result = wait_for(&ws->recv);
    if (result != 1 || !ws->received)
        return false;
    *message = (ws_message_t){ws->received->data, ws->received->length, ws->received->binary};
    return true;
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* The socket's own handler waits for a slow peer; nobody else waits for somebody else's. */
static int wait_for_drain(websocket_t *ws) {
    bool own = ws->runner && ws->runner == coroutine_self();
    if (!own || ws->context->host->sends_never_wait || ws->drain.co)
        return 1;
    return wait_for(&ws->drain);
}

static int send_message(websocket_t *ws, enum opcode opcode, const void *data, size_t length) {
    int err = ws_accept(ws);
    if (!err)
        err = ws_peer_send(&ws->peer, opcode, true, data, length);
    return err == 1 ? wait_for_drain(ws) : err;
}

may_await int ws_send(websocket_t *ws, ws_message_t message) {
    return send_message(ws, message.binary ? OPCODE_BINARY : OPCODE_TEXT, message.data,
                        message.length);
}

may_await int ws_send_text(websocket_t *ws, const char *text) {
    return text ? send_message(ws, OPCODE_TEXT, text, strlen(text)) : UV_EINVAL;
}

may_await int ws_send_binary(websocket_t *ws, const void *data, size_t length) {
    return send_message(ws, OPCODE_BINARY, data, length);
}

may_await int ws_sendf(websocket_t *ws, const char *format, ...) {
    char small[512], *text = small;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    if (n >= (int)sizeof small && (text = malloc((size_t)n + 1)))
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    if (n < 0 || !text)
        return n < 0 ? UV_EINVAL : UV_ENOMEM;
    int err = send_message(ws, OPCODE_TEXT, text, (size_t)n);
    if (text != small)
        free(text);
    return err;
}

static int send_control(websocket_t *ws, enum opcode opcode, const void *data, size_t length) {
    if (length > 125)
        return UV_EINVAL;
    int err = ws_accept(ws);
    return err ? err : ws_peer_send(&ws->peer, opcode, true, data, length);
}

int ws_ping(websocket_t *ws, const void *data, size_t length) {
    return send_control(ws, OPCODE_PING, data, length);
}

int ws_pong(websocket_t *ws, const void *data, size_t length) {
    return send_control(ws, OPCODE_PONG, data, length);
}

size_t ws_buffered(const websocket_t *ws) {
    return ws->peer.connection ? ws->peer.connection->pending : 0;
}

/* --- Closing ---------------------------------------------------------------------------------- */

int ws_close(websocket_t *ws, int code, const char *reason) {
    size_t length = reason ? strlen(reason) : 0;
    if (length > 123 || (code ? !ws_close_code_is_valid(code) : length > 0))
        return UV_EINVAL;
    int err = ws_accept(ws);
    if (!err)
        ws_peer_close(&ws->peer, code, reason, length);
    return err == UV_ENOTCONN ? 0 : err;
}

void ws_terminate(websocket_t *ws) {
    if (ws->state == WS_CONNECTING)
        ws->terminated = true;
    else
        ws_peer_terminate(&ws->peer, CONNECTION_DONE);
}

ws_state_t ws_state(const websocket_t *ws) {
    if (ws->state != WS_OPEN)
        return ws->state;
    bool open = ws->peer.state == WS_PEER_OPEN && connection_is_open(ws->peer.connection);
    return open ? WS_OPEN : WS_CLOSING;
}

int ws_close_code(const websocket_t *ws) {
    return ws->state == WS_CLOSED ? ws->peer.code : 0;
}

const char *ws_protocol(const websocket_t *ws) {
    return ws->handshake->protocol ? ws->handshake->protocol : "";
}

const char *ws_close_reason(const websocket_t *ws) {
    return ws->state == WS_CLOSED && ws->peer.reason ? ws->peer.reason : "";
}

/* --- Everybody -------------------------------------------------------------------------------- */

ctx_t *ws_ctx(const websocket_t *ws) {
    return &ws->context->ctx;
}
