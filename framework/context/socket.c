/* The life of a WebSocket, from the handshake to the last handler. */
#include "context/socket.h"

#include <string.h>

struct websocket *socket_new(struct context *context, struct handshake *handshake) {
    struct websocket *ws = arena_zalloc(context->home.arena, sizeof *ws);
    if (!ws)
        return NULL;
    ws->context = context;
    ws->handshake = handshake;
    ws->protocol = handshake->protocol;
    ws->state = WS_CONNECTING;
    ws->runner = coroutine_self();
    context->ctx.websocket = ws;
    context->host->handshakes++;
    return ws;
}

struct websocket *socket_open(struct context *context, const ws_options_t *given) {
    struct arena *arena = context->home.arena;
    struct websocket *ws = arena_zalloc(arena, sizeof *ws);
    ws_options_t *options = arena_alloc(arena, sizeof *options);
    if (!ws || !options)
        return NULL;
    *options = context->host->options->ws;
    options->deflate = NULL;
    socket_merge_options(options, given);
    if (given->deflate || !(options->deflate = arena_zalloc(arena, sizeof(ws_deflate_t))))
        options->deflate = given->deflate;
    ws->context = context;
    ws->options = options;
    ws->state = WS_OPEN;
    context->ctx.websocket = ws;
    context->header_sent = context->written = true;
    return ws;
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

/* A whole message to one handler, a piece of one to the other. */
static int call_handler(struct websocket *ws, const struct ws_incoming *in) {
    ctx_t *ctx = &ws->context->ctx;
    if (ws->on_part)
        return ws->on_part(ctx,
                           &(ws_part_t){in->data, in->length, in->binary, in->first, in->last});
    return ws->on_message(ctx, &(ws_message_t){in->data, in->length, in->binary});
}

static void run_message(void *arg) {
    struct delivery delivery = *(struct delivery *)arg;
    struct websocket *ws = delivery.ws;
    struct scope scope = {.arena = &delivery.message->arena};
    begin_handler(ws, &scope);
    int err = call_handler(ws, delivery.message);
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
    if (incoming->last)
        ws->peer.loop->counts.messages_received++;
    if (ws->context->host->overloaded(ws->context->host)) {
        ws_incoming_free(incoming);
        ws_peer_fail(&ws->peer, 1013, CLOSE_OVERLOAD, UV_ENOMEM, "too much memory is used");
        return;
    }
    if (wait_pending(&ws->recv)) {
        ws->received = incoming;
        ws_peer_want(&ws->peer, false);
        wait_done(&ws->recv, 1);
        return;
    }
    if (!ws->on_part && (!ws->on_message || !incoming->first || !incoming->last)) {
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
    bool was_high = ws->is_high;
    ws->is_high = false;
    if (wait_pending(&ws->drain))
        wait_done(&ws->drain, 0);
    if (was_high && ws->on_drain)
        ws->on_drain(&ws->context->ctx);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void destroy(struct websocket *ws) {
    struct context *context = ws->context;
    struct arena arena = *context->home.arena;
    loop_timer_stop(ws->peer.loop, &ws->retry);
    loop_unpost(ws->peer.loop, &ws->close_task);
    ws_incoming_free(ws->received);
    ws->received = NULL;
    socket_leave_crowd(ws);
    if (ws->client)
        context->host->client_gone(context->host, ws);
    context_end(context, ws->peer.code != 1006);
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
    socket_leave_set(ws);
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
        socket_go_on(ws);
}

void socket_release(struct websocket *ws) {
    ws->chain_done = true;
    ws->runner = NULL;
    settle(ws);
}

void socket_go_on(struct websocket *ws) {
    ws->peer.pieces = ws->on_part;
    ws_peer_want(&ws->peer, !ws->paused);
}

const struct ws_peer_events socket_events = {
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
    socket_leave_crowd(ws);
    exchange->last = true; /* frames may follow, which are no requests */
    if (!ws->terminated) {
        context_finish(context, err);
        return;
    }
    context_end(context, false);
    exchange->ops->end(exchange, true);
}

void socket_chain_done(struct websocket *ws, int err) {
    ws->chain_done = true;
    ws->handshake = NULL;
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
