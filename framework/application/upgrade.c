/* A request asks for a WebSocket. */
#include "application/application.h"
#include "context/crowd.h"
#include "context/origin.h"
#include "context/socket.h"
#include "protocols/handshake.h"
#include "protocols/status.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* What is not needed any more when the stack has returned. */
struct upgrade {
    struct context *context;
    struct handshake handshake;
    struct response response;
};

/* Count it among those from its address. False, and answered, if there are too many. */
static bool enter_crowd(struct websocket *ws) {
    struct context_host *host = ws->context->host;
    if (!host->crowd)
        return true;
    ws->crowd = crowd_enter(host->crowd, ctx_ip(&ws->context->ctx));
    if (!ws->crowd)
        context_no_memory(ws->context);
    else if (crowd_count(ws->crowd) <= host->options->ws.sockets_per_ip)
        return true;
    ((struct app *)host)->stats.handshakes_refused++;
    socket_chain_done(ws, ctx_throw(&ws->context->ctx, ws->crowd ? 429 : 503, NULL));
    return false;
}

static void run_upgrade(void *arg) {
    struct upgrade upgrade = *(struct upgrade *)arg;
    struct app *app = (struct app *)upgrade.context->host;
    struct websocket *ws = socket_new(upgrade.context, &upgrade.handshake);
    upgrade.context->response = &upgrade.response;
    context_enter(upgrade.context);
    if (!ws)
        context_finish(upgrade.context, UV_ENOMEM);
    else if (enter_crowd(ws))
        socket_chain_done(ws, stack_run(&app->ws, upgrade.context));
}

/* The app hears of it: ws's wsClientError. Not of what many may cause at once, by being many. */
static void report_refusal(struct context *context, const struct handshake *handshake) {
    if (handshake->status >= 500)
        return;
    context_report(context, ctx_throw(&context->ctx, handshake->status, "%s", handshake->message));
    ctx_catch(&context->ctx);
}

/* What the npm package ws answers to a handshake that is none. */
static void refuse_handshake(struct context *context, const struct handshake *handshake) {
    struct exchange *exchange = context->exchange;
    char length[24];
    report_refusal(context, handshake);
    snprintf(length, sizeof length, "%zu", strlen(handshake->message));
    context_set_header(context, "Connection", "close");
    context_set_header(context, "Content-Type", "text/html");
    context_set_header(context, "Content-Length", length);
    if (handshake->name_versions)
        context_set_header(context, "Sec-WebSocket-Version", "13, 8");
    struct response_head head = {
        .status = handshake->status,
        .message = status_phrase(handshake->status),
        .headers = &context->response->headers,
        .kind = BODY_LENGTH,
        .length = strlen(handshake->message),
        .bare = true,
    };
    int err = exchange->ops->head(exchange, &head);
    if (!err)
        err = exchange->ops->write(exchange, handshake->message, (size_t)head.length);
    exchange->ops->end(exchange, err < 0);
}

/* --- Who may come in -------------------------------------------------------------------------- */

/* RFC 6455 10.2: a page of somebody else's makes the browser send our cookies along. */
static bool is_foreign(const struct app *app, struct context *context) {
    const ws_options_t *options = &app->options.ws;
    const char *origin = headers_get(&context->exchange->headers, "Origin");
    if (!origin) /* the version before the RFC */
        origin = headers_get(&context->exchange->headers, "Sec-WebSocket-Origin");
    if (!origin || options->any_origin)
        return false;
    if (options->origins)
        return !origin_is_listed(origin, options->origins);
    return headers_get(&context->exchange->headers, "Cookie") &&
           !origin_is_host(origin, ctx_host(&context->ctx));
}

static void check_limits(struct app *app, struct context *context, struct handshake *handshake) {
    if (app->host.handshakes >= app->options.ws.sockets)
        *handshake = (struct handshake){.status = 503, .message = "Too many WebSockets"};
    else if (is_foreign(app, context))
        *handshake = (struct handshake){.status = 403, .message = "Foreign origin"};
    app->stats.handshakes_refused += handshake->status != 101;
}

/* The path and the query are copied if there are both; of the subprotocols the first, unless it is
 * ours; and the peer's address. What else handlers allocate comes on top of it. */
size_t app_upgrade_memory(struct exchange *exchange) {
    char peer[INET6_ADDRSTRLEN];
    exchange->ops->peer(exchange, peer, sizeof peer);
    size_t size = arena_round(sizeof(struct context)) + arena_round(sizeof(struct websocket)) +
                  arena_round(strlen(peer) + 1);
    const char *protocols = headers_get(&exchange->headers, "Sec-WebSocket-Protocol");
    if (strpbrk(exchange->url, "?#"))
        size += arena_round(strlen(exchange->url) + 1) + 16;
    if (protocols)
        size += arena_round(strcspn(protocols, " \t,") + 1);
    return size;
}

int app_start_upgrade(struct app *app, struct exchange *exchange) {
    struct upgrade upgrade = {0};
    struct handshake *handshake = &upgrade.handshake;
    struct deflate_options memory;
    struct context *context = context_new_for_socket(&app->host, exchange, &upgrade.response);
    if (!context)
        return UV_ENOMEM;
    upgrade.context = context;
    handshake_check(handshake, exchange, app->options.ws.protocols);
    if (handshake->status == 101)
        handshake_agree(handshake, exchange,
                        socket_deflate_options(app->options.ws.deflate, &memory));
    if (handshake->status == 101)
        check_limits(app, context, handshake);
    if (handshake->status == 101)
        return coroutine_start(&app->loop.coroutines, run_upgrade, &upgrade);
    refuse_handshake(context, handshake);
    return 0;
}
