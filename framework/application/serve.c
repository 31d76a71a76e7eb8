/* A request comes in: a ctx, a coroutine, a stack. */
#include "application/application.h"
#include "context/socket.h"
#include "protocols/handshake.h"
#include "protocols/http1.h"
#include "protocols/status.h"

#include <stdio.h>
#include <string.h>

static void run_request(void *arg) {
    struct context *context = arg;
    struct app *app = (struct app *)context->host;
    context_enter(context);
    context_chain_done(context, stack_run(&app->http, context));
}

int app_start_request(struct app *app, struct context *context) {
    return coroutine_start(&app->loop.coroutines, run_request, context);
}

struct upgrade {
    struct context *context;
    const struct handshake *handshake;
};

static void run_upgrade(void *arg) {
    struct upgrade upgrade = *(struct upgrade *)arg;
    struct app *app = (struct app *)upgrade.context->host;
    struct websocket *ws = socket_new(upgrade.context, upgrade.handshake);
    context_enter(upgrade.context);
    if (ws)
        socket_chain_done(ws, stack_run(&app->ws, upgrade.context));
    else
        context_finish(upgrade.context, UV_ENOMEM);
}

/* What the npm package ws answers to a handshake that is none. */
static void refuse_handshake(struct context *context, const struct handshake *handshake) {
    struct exchange *exchange = context->exchange;
    char length[24];
    snprintf(length, sizeof length, "%zu", strlen(handshake->message));
    context_set_header(context, "Connection", "close");
    context_set_header(context, "Content-Type", "text/html");
    context_set_header(context, "Content-Length", length);
    if (handshake->name_versions)
        context_set_header(context, "Sec-WebSocket-Version", "13, 8");
    struct response_head head = {
        .status = handshake->status,
        .message = status_phrase(handshake->status),
        .headers = &context->headers,
        .kind = BODY_LENGTH,
        .length = strlen(handshake->message),
        .bare = true,
    };
    int err = exchange->ops->head(exchange, &head);
    if (!err)
        err = exchange->ops->write(exchange, handshake->message, (size_t)head.length);
    exchange->ops->end(exchange, err < 0);
}

static int start_upgrade(struct app *app, struct context *context) {
    struct handshake *handshake = arena_alloc(context->home.arena, sizeof *handshake);
    if (!handshake)
        return UV_ENOMEM;
    handshake_check(handshake, context->exchange, app->options.ws.protocols);
    if (handshake->status != 101) {
        refuse_handshake(context, handshake);
        return 0;
    }
    struct upgrade upgrade = {context, handshake};
    return coroutine_start(&app->loop.coroutines, run_upgrade, &upgrade);
}

static void on_request(void *owner, struct exchange *exchange) {
    struct app *app = owner;
    struct context *context = context_new(&app->host, exchange);
    int err = UV_ENOMEM;
    app->stats.requests++;
    if (context && exchange->upgrade && app->ws.count)
        err = start_upgrade(app, context);
    else if (context)
        err = app_start_request(app, context);
    if (err)
        http1_refuse(exchange, 503, err == UV_ENOMEM ? CLOSE_NO_MEMORY : CLOSE_OVERLOAD);
}

static void on_closed(void *owner, struct connection *connection) {
    app_report_close(owner, "http", connection);
}

const struct http1_events app_http_events = {.request = on_request, .closed = on_closed};
