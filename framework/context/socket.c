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
    ws->peer.options = &context->host->options->ws;
    ws->state = WS_CONNECTING;
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
    socket_merge_options(options, given);
    options->deflate = given->deflate ? given->deflate : arena_zalloc(arena, sizeof(ws_deflate_t));
    if (!options->deflate)
        return NULL;
    ws->context = context;
    ws->peer.options = options;
    ws->state = WS_OPEN;
    context->ctx.websocket = ws;
    return ws;
}

struct socket_extras *socket_extras(struct websocket *ws) {
    if (!ws->extras)
        ws->extras = arena_zalloc(ws->context->home.arena, sizeof *ws->extras);
    if (!ws->extras)
        context_no_memory(ws->context);
    return ws->extras;
}

/* --- Running handlers ------------------------------------------------------------------------- */

static void settle(struct websocket *ws);

static bool is_busy(const struct websocket *ws) {
    return ws->context->handler;
}

static struct loop *loop_of(const struct websocket *ws) {
    return ws->context->host->loop;
}

/* An error of a handler. What comes of the peer's leaving is none. */
static void handler_failed(struct websocket *ws, int err) {
    struct context *context = ws->context;
    bool gone = err == UV_ENOTCONN || err == UV_ECANCELED || err == UV_ENOBUFS || err == UV_EPIPE;
    if (gone && ws_state(ws) != WS_OPEN)
        return;
    context_report(context, err);
    ctx_catch(&context->ctx);
    if (ws_state(ws) == WS_OPEN) {
        connection_blame(ws->peer.connection, CLOSE_WS_HANDLER);
        ws_peer_close(&ws->peer, 1011, "", 0);
    }
}

static void begin_handler(struct websocket *ws, struct scope *scope) {
    ws->context->scope = scope;
    context_enter(ws->context);
}

static void end_handler(struct websocket *ws, struct scope *scope) {
    scope_end(scope);
    ws->context->scope = &ws->context->home;
    context_leave(ws->context);
}

struct delivery {
    struct websocket *ws;
    struct ws_incoming *message;
};

/* A whole message to one handler, a piece of one to the other. */
static int call_handler(struct websocket *ws, const struct ws_incoming *in) {
    ctx_t *ctx = &ws->context->ctx;
    ws_part_handler *on_part = socket_on_part(ws);
    if (on_part)
        return on_part(ctx, &(ws_part_t){in->data, in->length, in->binary, in->first, in->last});
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
    context_forget_response(ws->context);
    settle(ws);
}

static bool waits_for_message(const struct websocket *ws) {
    return ws->recv && wait_pending(ws->recv);
}

static void on_message(struct ws_peer *peer, struct ws_incoming *incoming) {
    struct websocket *ws = (struct websocket *)peer;
    if (incoming->last)
        loop_of(ws)->counts.messages_received++;
    if (ws->context->host->overloaded(ws->context->host)) {
        ws_incoming_free(incoming);
        ws_peer_fail(&ws->peer, 1013, CLOSE_OVERLOAD, UV_ENOMEM, "too much memory is used");
        return;
    }
    if (waits_for_message(ws)) {
        ws->received = incoming;
        ws_peer_want(&ws->peer, ws->paused ? WS_WANTS_NOTHING : WS_WANTS_PINGS);
        wait_done(ws->recv, 1);
        return;
    }
    if (!socket_on_part(ws) && (!ws->on_message || !incoming->first || !incoming->last)) {
        ws_incoming_free(incoming);
        return;
    }
    struct delivery delivery = {ws, incoming};
    int err = coroutine_start(&loop_of(ws)->coroutines, run_message, &delivery);
    if (err) {
        ws_incoming_free(incoming);
        ws_peer_fail(&ws->peer, 1013, CLOSE_OVERLOAD, err, "too many handlers are at work");
    } else if (is_busy(ws) && !waits_for_message(ws)) {
        socket_go_on(ws); /* it waits for something else than a message: one at a time */
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
    arena_init(&arena, &loop_of(ws)->arenas);
    memcpy(text, data, length);
    text[length] = '\0';
    ws->context->scope = &scope;
    handler(&ws->context->ctx, text, length);
    ws->context->scope = outer;
    scope_end(&scope);
    arena_release(&arena);
}

static void on_ping(struct ws_peer *peer, const char *data, size_t length) {
    struct websocket *ws = (struct websocket *)peer;
    if (ws->extras)
        on_control(ws, ws->extras->on_ping, data, length);
}

static void on_pong(struct ws_peer *peer, const char *data, size_t length) {
    struct websocket *ws = (struct websocket *)peer;
    if (ws->extras)
        on_control(ws, ws->extras->on_pong, data, length);
}

static void on_drained(struct ws_peer *peer) {
    struct websocket *ws = (struct websocket *)peer;
    bool was_high = ws->is_high;
    ws->is_high = false;
    if (ws->drain)
        wait_done(ws->drain, 0);
    if (was_high && ws->extras && ws->extras->on_drain)
        ws->extras->on_drain(&ws->context->ctx);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void destroy(struct websocket *ws) {
    struct context *context = ws->context;
    struct arena arena = *context->home.arena;
    loop_unpost(loop_of(ws), &ws->peer.task);
    ws_incoming_free(ws->received);
    ws->received = NULL;
    socket_leave_crowd(ws);
    if (ws->peer.client && ws->client)
        context->host->client_gone(context->host, ws);
    context_end(context, ws->peer.code != 1006);
    ws_peer_free(&ws->peer);
    arena_release(&arena);
}

static bool hears_error(const struct websocket *ws) {
    return ws->peer.error && ws->extras && ws->extras->on_error;
}

static void run_close(void *arg) {
    struct websocket *ws = arg;
    struct arena arena;
    arena_init(&arena, &loop_of(ws)->arenas);
    struct scope scope = {.arena = &arena};
    begin_handler(ws, &scope);
    if (hears_error(ws))
        ws->extras->on_error(&ws->context->ctx, ws->peer.error, ws->peer.error_text);
    if (ws->on_close)
        ws->on_close(&ws->context->ctx, ws_close_code(ws), ws_close_reason(ws));
    end_handler(ws, &scope);
    arena_release(&arena);
    destroy(ws);
}

static void try_again(struct timer *timer) {
    struct context_host *host =
        (struct context_host *)((char *)timer - offsetof(struct context_host, retry));
    for (struct websocket *ws = host->retired; ws; ws = ws->next)
        loop_post(loop_of(ws), &ws->peer.task);
    host->retired = NULL;
}

/* There is no coroutine to be had: once more, in a moment. */
static void retire(struct websocket *ws) {
    struct context_host *host = ws->context->host;
    ws->next = host->retired;
    host->retired = ws;
    host->retry.fn = try_again;
    if (!timer_pending(&host->retry))
        loop_timer_start(host->loop, &host->retry, 10);
}

/* Runs on the loop's stack. The close handler is called once, whatever happens. */
static void start_close(struct task *task) {
    struct websocket *ws =
        (struct websocket *)((char *)task - offsetof(struct websocket, peer.task));
    if (is_busy(ws) || !ws->chain_done || ws->close_began)
        return;
    ws->close_began = true;
    if (!ws->on_close && !hears_error(ws)) {
        destroy(ws);
    } else if (coroutine_start(&loop_of(ws)->coroutines, run_close, ws)) {
        ws->close_began = false;
        retire(ws);
    }
}

static void on_closed(struct ws_peer *peer, struct connection *connection) {
    struct websocket *ws = (struct websocket *)peer;
    socket_leave_set(ws);
    ws->state = WS_CLOSED;
    ws->context->exchange->aborted = true;
    if (ws->context->exchange->cancel)
        coroutine_cancel(ws->context->exchange->cancel);
    ws->context->host->socket_closed(ws->context->host, connection);
    if (ws->recv)
        wait_done(ws->recv, 0);
    if (ws->drain)
        wait_done(ws->drain, UV_ENOTCONN);
    ws->peer.task.run = start_close;
    loop_post(loop_of(ws), &ws->peer.task);
}

/* A handler has returned, and with it goes what it has received: on to the next message, or to the
 * end. */
static void settle(struct websocket *ws) {
    ws_incoming_free(ws->received);
    ws->received = NULL;
    if (ws->state == WS_CLOSED)
        loop_post(loop_of(ws), &ws->peer.task);
    else if (ws->chain_done)
        socket_go_on(ws);
}

void socket_hold(struct websocket *ws) {
    ws->context->handler = coroutine_self();
}

void socket_release(struct websocket *ws) {
    ws->chain_done = true;
    context_leave(ws->context);
    settle(ws);
}

/* While a message is at work a close waits, as the next message does: its answer shall still
 * arrive. */
static enum ws_peer_wants wants(const struct websocket *ws) {
    if (ws->paused)
        return WS_WANTS_NOTHING;
    if (ws->chain_done)
        return is_busy(ws) ? WS_WANTS_PINGS : WS_WANTS_MESSAGES;
    return ws->received ? WS_WANTS_PINGS : WS_WANTS_CONTROL;
}

void socket_go_on(struct websocket *ws) {
    if (waits_for_message(ws))
        return;
    ws->peer.pieces = socket_on_part(ws);
    ws_peer_want(&ws->peer, wants(ws));
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
    ws->link = NULL;
    socket_leave_set(ws); /* it may have an id */
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
    context_forget_response(ws->context);
    settle(ws);
}
