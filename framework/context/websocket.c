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
    struct socket_extras *extras = socket_extras(ws);
    if (!extras)
        return UV_ENOMEM;
    extras->on_error = handler;
    return ws_accept(ws);
}

int ws_on_ping(websocket_t *ws, ws_control_handler *handler) {
    struct socket_extras *extras = socket_extras(ws);
    if (!extras)
        return UV_ENOMEM;
    extras->on_ping = handler;
    return ws_accept(ws);
}

int ws_on_pong(websocket_t *ws, ws_control_handler *handler) {
    struct socket_extras *extras = socket_extras(ws);
    if (!extras)
        return UV_ENOMEM;
    extras->on_pong = handler;
    return ws_accept(ws);
}

int ws_on_part(websocket_t *ws, ws_part_handler *handler) {
    struct socket_extras *extras = socket_extras(ws);
    if (!extras)
        return UV_ENOMEM;
    extras->on_part = handler;
    ws->peer.pieces = handler;
    return ws_accept(ws);
}

int ws_on_drain(websocket_t *ws, ws_drain_handler *handler) {
    struct socket_extras *extras = socket_extras(ws);
    if (!extras)
        return UV_ENOMEM;
    extras->on_drain = handler;
    return ws_accept(ws);
}

void ws_pause(websocket_t *ws) {
    ws->paused = true;
    socket_go_on(ws);
}

void ws_resume(websocket_t *ws) {
    ws->paused = false;
    if (ws->state == WS_OPEN)
        socket_go_on(ws);
}

/* Wait for the next that comes, whole or a piece. */
static bool receive(websocket_t *ws, bool pieces) {
    ws_accept(ws);
    ws_incoming_free(ws->received);
    ws->received = NULL;
    if (ws->state != WS_OPEN)
        return false;
    struct wait wait = {0};
    ws->recv = &wait;
    ws->peer.pieces = pieces;
    ws_peer_want(&ws->peer, WS_WANTS_MESSAGES);
    int result = wait_for(&wait);
    ws->recv = NULL;
    return result == 1 && ws->received;
}

may_await bool ws_recv(websocket_t *ws, ws_message_t *message) {
    if (!coroutine_self() || ws->recv)
        return false;
    do /* pieces of a message that ws_recv_part has begun are no message */
        if (!receive(ws, false))
            return false;
    while (!ws->received->first || !ws->received->last);
    *message = (ws_message_t){ws->received->data, ws->received->length, ws->received->binary};
    return true;
}

may_await bool ws_recv_part(websocket_t *ws, ws_part_t *part) {
    if (!coroutine_self() || ws->recv || !receive(ws, true))
        return false;
    const struct ws_incoming *in = ws->received;
    *part = (ws_part_t){in->data, in->length, in->binary, in->first, in->last};
    return true;
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* Nothing is on its way: what waits, waits for the last fragment of a message, and for no peer. */
static bool waits_for_us(const websocket_t *ws) {
    const struct connection *c = ws->peer.connection;
    return c && connection_is_open(c) && !c->in_flight;
}

/* The socket's own handler waits for a slow peer; nobody else waits for somebody else's. */
static int wait_for_drain(websocket_t *ws) {
    const struct coroutine *self = coroutine_self();
    bool own = self && ws->context->handler == self;
    if (!own || ws->context->host->sends_never_wait || ws->drain || waits_for_us(ws)) {
        ws->is_high = true;
        return 1;
    }
    struct wait wait = {0};
    ws->drain = &wait;
    int result = wait_for(&wait);
    ws->drain = NULL;
    return result;
}

static int send_out(websocket_t *ws, const struct ws_outgoing *out) {
    int err = ws->state == WS_OPEN ? 0 : ws_accept(ws);
    if (!err)
        err = ws_peer_send(&ws->peer, out);
    return err == 1 ? wait_for_drain(ws) : err;
}

may_await int ws_send_with(websocket_t *ws, ws_message_t message,
                           const ws_send_options_t *options) {
    return send_out(ws, &(struct ws_outgoing){.data = message.data,
                                              .length = message.length,
                                              .binary = message.binary,
                                              .plain = options && options->uncompressed});
}

may_await int ws_send(websocket_t *ws, ws_message_t message) {
    return ws_send_with(ws, message, NULL);
}

may_await int ws_send_text(websocket_t *ws, const char *text) {
    return text ? ws_send(ws, (ws_message_t){.data = text, .length = strlen(text)}) : UV_EINVAL;
}

may_await int ws_send_binary(websocket_t *ws, const void *data, size_t length) {
    return ws_send(ws, (ws_message_t){.data = data, .length = length, .binary = true});
}

may_await int ws_send_fragment(websocket_t *ws, ws_message_t fragment, bool last) {
    return send_out(ws, &(struct ws_outgoing){.data = fragment.data,
                                              .length = fragment.length,
                                              .binary = fragment.binary,
                                              .fragment = true,
                                              .last = last});
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
    int err = ws_send(ws, (ws_message_t){.data = text, .length = (size_t)n});
    if (text != small)
        free(text);
    return err;
}

static int send_control(websocket_t *ws, enum opcode opcode, const void *data, size_t length) {
    if (length > 125)
        return UV_EINVAL;
    int err = ws_accept(ws);
    return err ? err : ws_peer_control(&ws->peer, opcode, data, length);
}

int ws_ping(websocket_t *ws, const void *data, size_t length) {
    return send_control(ws, OPCODE_PING, data, length);
}

int ws_pong(websocket_t *ws, const void *data, size_t length) {
    return send_control(ws, OPCODE_PONG, data, length);
}

size_t ws_buffered(const websocket_t *ws) {
    return ws_peer_waiting(&ws->peer);
}

may_await int ws_flush(websocket_t *ws) {
    while (ws_state(ws) == WS_OPEN) {
        if (!ws->peer.connection->in_flight)
            connection_flush(ws->peer.connection);
        if (ws_buffered(ws) == 0)
            return 0;
        int err = ws_state(ws) == WS_OPEN ? wait_for_drain(ws) : UV_ENOTCONN;
        if (err)
            return err;
    }
    return UV_ENOTCONN;
}

/* --- Closing ---------------------------------------------------------------------------------- */

int ws_close(websocket_t *ws, int code, const char *reason) {
    size_t length = reason ? strlen(reason) : 0;
    if (length > 123 || (code ? !ws_close_code_is_valid(code) : length > 0))
        return UV_EINVAL;
    int err = ws_accept(ws);
    ws->closed_by_us = true;
    if (!err)
        ws_peer_close(&ws->peer, code, reason, length);
    return err == UV_ENOTCONN ? 0 : err;
}

void ws_terminate(websocket_t *ws) {
    ws->closed_by_us = true;
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

const char *ws_close_reason(const websocket_t *ws) {
    return ws->state == WS_CLOSED && ws->peer.reason ? ws->peer.reason : "";
}

/* --- Everybody -------------------------------------------------------------------------------- */

ctx_t *ws_ctx(const websocket_t *ws) {
    return &ws->context->ctx;
}
