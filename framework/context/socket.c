/* The life of a WebSocket, from the handshake to the last handler. */
#include "context/socket.h"

#include "protocols/status.h"

#include <string.h>

static const struct ws_peer_events peer_events;

struct websocket *socket_new(struct context *context, const struct handshake *handshake) {
    struct websocket *ws = arena_zalloc(context->home.arena, sizeof *ws);
    if (!ws)
        return NULL;
    ws->context = context;
    ws->handshake = handshake;
    ws->state = WS_CONNECTING;
    ws->runner = coroutine_self();
    context->ctx.websocket = ws;
    return ws;
}

/* --- The handshake ---------------------------------------------------------------------------- */

/* After the connection was taken over, the exchange carries nothing any more. */
static ssize_t no_read(struct exchange *exchange, void *buffer, size_t size) {
    return 0;
}

static int no_head(struct exchange *exchange, const struct response_head *head) {
    return UV_EALREADY;
}

static int no_write(struct exchange *exchange, const void *data, size_t length) {
    return UV_EALREADY;
}

static void no_peer(struct exchange *exchange, char *text, size_t size) {
    text[0] = '\0';
}

static const struct exchange_ops taken_over = {
    .read = no_read, .head = no_head, .write = no_write, .peer = no_peer};

static char *put(char *at, const char *text) {
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

static char *put_line(char *at, const char *name, const char *value) {
    at = put(at, name);
    at = put(at, ": ");
    at = put(at, value);
    return put(at, "\r\n");
}

/* The 101: ws's own fields in ws's order, then what the stack has set. */
static int write_101(struct websocket *ws, struct connection *connection) {
    const struct headers *headers = &ws->context->headers;
    const char *protocol = ws->handshake->protocol;
    size_t size = 256 + (protocol ? strlen(protocol) : 0);
    for (uint32_t i = 0; i < headers->count; i++)
        size += headers->list[i].name_length + headers->list[i].value_length + 4;
    char *start = connection_reserve(connection, size);
    if (!start)
        return UV_ENOTCONN;
    char *at = put(start, "HTTP/1.1 101 Switching Protocols\r\n");
    at = put_line(at, "Upgrade", "websocket");
    at = put_line(at, "Connection", "Upgrade");
    at = put_line(at, "Sec-WebSocket-Accept", ws->handshake->accept);
    if (protocol)
        at = put_line(at, "Sec-WebSocket-Protocol", protocol);
    for (uint32_t i = 0; i < headers->count; i++)
        at = put_line(at, headers->list[i].name, headers->list[i].value);
    at = put(at, "\r\n");
    connection_commit(connection, (size_t)(at - start));
    return 0;
}

static void join_set(struct websocket *ws) {
    struct context_host *host = ws->context->host;
    ws->next = host->sockets;
    ws->link = &host->sockets;
    if (ws->next)
        ws->next->link = &ws->next;
    host->sockets = ws;
    host->socket_count++;
}

static void leave_set(struct websocket *ws) {
    if (!ws->link)
        return;
    *ws->link = ws->next;
    if (ws->next)
        ws->next->link = ws->link;
    ws->link = NULL;
    ws->context->host->socket_count--;
}

int ws_accept(websocket_t *ws) {
    struct context *context = ws->context;
    struct context_host *host = context->host;
    struct exchange *exchange = context->exchange;
    char *early;
    size_t early_length;
    if (ws->state != WS_CONNECTING)
        return ws->state == WS_OPEN ? 0 : UV_ENOTCONN;
    if (ws->chain_done || ws->terminated || context->header_sent)
        return UV_ENOTCONN;
    ctx_peer(&context->ctx); /* asked for while the exchange can still tell */
    struct connection *connection = exchange->ops->take_over(exchange, &early, &early_length);
    if (!connection)
        return UV_ENOTCONN;
    exchange->ops = &taken_over;
    context->header_sent = context->written = true;
    ws->state = WS_OPEN;
    join_set(ws);
    if (!ws_peer_start(&ws->peer, connection, host->codec, &host->options->ws,
                       host->options->http.read_ahead, &peer_events, ws, early, early_length)) {
        connection_close(connection, CLOSE_NO_MEMORY, UV_ENOMEM);
        return UV_ENOMEM;
    }
    return write_101(ws, connection);
}

/* --- Running handlers ------------------------------------------------------------------------- */

static void settle(struct websocket *ws);

/* An error of a handler. What comes of the peer's leaving is none. */
static void handler_failed(struct websocket *ws, int err) {
    struct context *context = ws->context;
    bool gone = err == UV_ENOTCONN || err == UV_ECANCELED || err == UV_ENOBUFS || err == UV_EPIPE;
    if (gone && ws_state(ws) != WS_OPEN)
        return;
    const ctx_error_t *error = context_error(context, err);
    context->error.header_sent = true;
    context->host->error(context->host, context, error);
    ctx_catch(&context->ctx);
    if (ws_state(ws) == WS_OPEN) {
        connection_blame(ws->peer.connection, CLOSE_WS_HANDLER);
        ws_peer_close(&ws->peer, 1011, "", 0);
    }
}

static void begin_handler(struct websocket *ws, struct scope *scope) {
    ws->runner = coroutine_self();
    ws->context->scope = scope;
    context_enter(ws->context);
}

static void end_handler(struct websocket *ws, struct scope *scope) {
    scope_end(scope);
    ws->context->scope = &ws->context->home;
    context_leave(ws->context);
    ws->runner = NULL;
}

struct delivery {
    struct websocket *ws;
    struct ws_incoming *message;
};

static void run_message(void *arg) {
    struct delivery delivery = *(struct delivery *)arg;
    struct websocket *ws = delivery.ws;
    struct scope scope = {.arena = &delivery.message->arena};
    ws_message_t message = {delivery.message->data, delivery.message->length,
                            delivery.message->binary};
    begin_handler(ws, &scope);
    int err = ws->on_message(&ws->context->ctx, &message);
    if (ws->context->no_memory && err >= 0)
        err = UV_ENOMEM;
    ws->context->no_memory = false;
    end_handler(ws, &scope);
    ws_incoming_free(delivery.message);
    if (err < 0)
        handler_failed(ws, err);
    settle(ws);
}

static void on_message(void *owner, struct ws_incoming *incoming) {
    struct websocket *ws = owner;
    if (wait_pending(&ws->recv)) {
        ws->received = incoming;
        ws_peer_want(&ws->peer, false);
        wait_done(&ws->recv, 1);
        return;
    }
    if (!ws->on_message) {
        ws_incoming_free(incoming);
        return;
    }
    struct delivery delivery = {ws, incoming};
    int err = coroutine_start(&ws->peer.loop->coroutines, run_message, &delivery);
    if (err) {
        ws_incoming_free(incoming);
        ws_peer_fail(&ws->peer, 1013, CLOSE_OVERLOAD, err, "too many handlers are at work");
    } else if (ws->runner && !wait_pending(&ws->recv)) {
        /* it waits for something else than a message: one at a time */
        ws_peer_want(&ws->peer, false);
    }
}

static void on_control(struct websocket *ws, ws_control_handler *handler, const char *data,
                       size_t length) {
    struct scope *outer = ws->context->scope;
    struct arena arena;
    struct scope scope = {.arena = &arena};
    char text[126];
    if (!handler)
        return;
    arena_init(&arena, &ws->peer.loop->arenas);
    memcpy(text, data, length);
    text[length] = '\0';
    ws->context->scope = &scope;
    handler(&ws->context->ctx, text, length);
    ws->context->scope = outer;
    scope_end(&scope);
    arena_release(&arena);
}

static void on_ping(void *owner, const char *data, size_t length) {
    struct websocket *ws = owner;
    on_control(ws, ws->on_ping, data, length);
}

static void on_pong(void *owner, const char *data, size_t length) {
    struct websocket *ws = owner;
    on_control(ws, ws->on_pong, data, length);
}

static void on_drained(void *owner) {
    struct websocket *ws = owner;
    if (wait_pending(&ws->drain))
        wait_done(&ws->drain, 0);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void destroy(struct websocket *ws) {
    struct context *context = ws->context;
    struct arena arena = *context->home.arena;
    loop_timer_stop(ws->peer.loop, &ws->retry);
    loop_unpost(ws->peer.loop, &ws->close_task);
    ws_incoming_free(ws->received);
    ws->received = NULL;
    context_end(context);
    ws_peer_free(&ws->peer);
    arena_release(&arena);
}

static void run_close(void *arg) {
    struct websocket *ws = arg;
    struct arena arena;
    arena_init(&arena, &ws->peer.loop->arenas);
    struct scope scope = {.arena = &arena};
    begin_handler(ws, &scope);
    if (ws->on_error && ws->peer.error)
        ws->on_error(&ws->context->ctx, ws->peer.error, ws->peer.error_text);
    if (ws->on_close)
        ws->on_close(&ws->context->ctx, ws_close_code(ws), ws_close_reason(ws));
    end_handler(ws, &scope);
    arena_release(&arena);
    destroy(ws);
}

static void try_again(struct timer *timer) {
    struct websocket *ws = (struct websocket *)((char *)timer - offsetof(struct websocket, retry));
    loop_post(ws->peer.loop, &ws->close_task);
}

/* Runs on the loop's stack. The close handler is called once, whatever happens: if there is no
 * coroutine to be had it is tried again. */
static void start_close(struct task *task) {
    struct websocket *ws =
        (struct websocket *)((char *)task - offsetof(struct websocket, close_task));
    if (ws->runner || !ws->chain_done || ws->close_began)
        return;
    ws->close_began = true;
    if (!ws->on_close && !(ws->on_error && ws->peer.error)) {
        destroy(ws);
    } else if (coroutine_start(&ws->peer.loop->coroutines, run_close, ws)) {
        ws->close_began = false;
        ws->retry.fn = try_again;
        loop_timer_start(ws->peer.loop, &ws->retry, 10);
    }
}

static void on_closed(void *owner, struct connection *connection) {
    struct websocket *ws = owner;
    leave_set(ws);
    ws->state = WS_CLOSED;
    ws->context->exchange->aborted = true;
    if (ws->context->exchange->cancel)
        coroutine_cancel(ws->context->exchange->cancel);
    ws->context->host->socket_closed(ws->context->host, connection);
    if (wait_pending(&ws->recv))
        wait_done(&ws->recv, 0);
    if (wait_pending(&ws->drain))
        wait_done(&ws->drain, UV_ENOTCONN);
    ws->close_task.run = start_close;
    loop_post(ws->peer.loop, &ws->close_task);
}

/* A handler has returned, and with it goes what it has received: on to the next message, or to the
 * end. */
static void settle(struct websocket *ws) {
    ws_incoming_free(ws->received);
    ws->received = NULL;
    if (ws->state == WS_CLOSED)
        loop_post(ws->peer.loop, &ws->close_task);
    else if (ws->chain_done)
        ws_peer_want(&ws->peer, true);
}

static const struct ws_peer_events peer_events = {
    .message = on_message,
    .ping = on_ping,
    .pong = on_pong,
    .drained = on_drained,
    .closed = on_closed,
};

static void answer_request(struct websocket *ws, int err) {
    struct context *context = ws->context;
    struct exchange *exchange = context->exchange;
    ws->state = WS_CLOSED;
    exchange->last = true; /* frames may follow, which are no requests */
    if (!ws->terminated) {
        context_finish(context, err);
        return;
    }
    context_end(context);
    exchange->ops->end(exchange, true);
}

void socket_chain_done(struct websocket *ws, int err) {
    ws->chain_done = true;
    ws->runner = NULL;
    context_leave(ws->context);
    if (ws->state == WS_CONNECTING) {
        answer_request(ws, err);
        return;
    }
    if (ws->context->no_memory && err >= 0)
        err = UV_ENOMEM;
    ws->context->no_memory = false;
    if (err < 0)
        handler_failed(ws, err);
    settle(ws);
}
