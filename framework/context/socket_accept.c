/* The handshake is accepted: what was agreed on, and the 101. */
#include "context/socket.h"

#include <string.h>

/* --- The answer ------------------------------------------------------------------------------- */

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

static struct connection *connection_of(struct exchange *exchange) {
    const struct context *context = exchange->ctx;
    const struct websocket *ws = context ? context->ctx.websocket : NULL;
    return ws ? ws->peer.connection : NULL;
}

const struct exchange_ops socket_exchange_ops = {
    .read = no_read,
    .head = no_head,
    .write = no_write,
    .peer = no_peer,
    .connection = connection_of,
};

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
static int write_101(struct websocket *ws, const struct handshake *handshake,
                     struct connection *connection) {
    const struct headers *headers = &ws->context->response->headers;
    const char *protocol = ws->protocol;
    size_t size = 256 + sizeof handshake->agreement.text + (protocol ? strlen(protocol) : 0);
    for (uint32_t i = 0; i < headers->count; i++)
        size += headers->list[i].name_length + headers->list[i].value_length + 4;
    char *start = connection_reserve(connection, size);
    if (!start)
        return UV_ENOTCONN;
    char *at = put(start, "HTTP/1.1 101 Switching Protocols\r\n");
    at = put_line(at, "Upgrade", "websocket");
    at = put_line(at, "Connection", "Upgrade");
    at = put_line(at, "Sec-WebSocket-Accept", handshake->accept);
    if (protocol)
        at = put_line(at, "Sec-WebSocket-Protocol", protocol);
    if (handshake->compressed)
        at = put_line(at, "Sec-WebSocket-Extensions", handshake->agreement.text);
    for (uint32_t i = 0; i < headers->count; i++)
        at = put_line(at, headers->list[i].name, headers->list[i].value);
    at = put(at, "\r\n");
    connection_commit(connection, (size_t)(at - start));
    return 0;
}

int ws_accept(websocket_t *ws) {
    struct context *context = ws->context;
    struct context_host *host = context->host;
    struct exchange *exchange = context->exchange;
    const struct handshake *handshake = ws->handshake;
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
    exchange->ops = &socket_exchange_ops;
    context->header_sent = context->written = true;
    context->ctx.status = 101;
    ws->state = WS_OPEN;
    socket_join_set(ws);
    const struct ws_peer_setup setup = {
        .all = host->peers,
        .connection = connection,
        .agreement = handshake->compressed ? &handshake->agreement : NULL,
        .early = early,
        .early_length = early_length,
    };
    if (!ws_peer_start(&ws->peer, &setup)) {
        connection_close(connection, CLOSE_NO_MEMORY, UV_ENOMEM);
        return UV_ENOMEM;
    }
    socket_go_on(ws);
    return write_101(ws, handshake, connection);
}

/* --- Before it is accepted -------------------------------------------------------------------- */

static void take_size(size_t *size, size_t given) {
    if (given)
        *size = given;
}

static void take_time(uint64_t *time, uint64_t given) {
    if (given)
        *time = given > UINT64_MAX / 4 ? UINT64_MAX / 4 : given;
}

void socket_merge_options(ws_options_t *options, const ws_options_t *given) {
    take_size(&options->message_size, given->message_size);
    take_size(&options->fragment_count, given->fragment_count);
    take_size(&options->message_rate, given->message_rate);
    take_size(&options->buffered_size, given->buffered_size);
    take_time(&options->close_timeout, given->close_timeout);
    take_time(&options->heartbeat, given->heartbeat);
    take_time(&options->idle_timeout, given->idle_timeout);
    if (given->overflow)
        options->overflow = given->overflow;
}

const struct deflate_options *socket_deflate_options(const ws_deflate_t *options,
                                                     struct deflate_options *memory) {
    if (!options)
        return NULL;
    *memory = (struct deflate_options){
        .server_no_context_takeover = options->server_no_context_takeover,
        .client_no_context_takeover = options->client_no_context_takeover,
        .server_max_window_bits = options->server_max_window_bits,
        .client_max_window_bits = options->client_max_window_bits,
        .level = options->level,
        .memory_level = options->memory_level,
        .threshold = options->threshold,
    };
    return memory;
}

/* Agree on compression anew. */
static int set_deflate(struct websocket *ws, ws_options_t *own, const ws_deflate_t *given) {
    struct context *context = ws->context;
    struct deflate_options memory;
    const struct deflate_options *options = socket_deflate_options(given, &memory);
    const char *error = deflate_options_check(options);
    if (error)
        return ctx_throw(&context->ctx, 500, "ws_configure: %s", error);
    ws_deflate_t *copy = arena_alloc(context->home.arena, sizeof *copy);
    if (!copy)
        return context_no_memory(context);
    *copy = *given;
    own->deflate = copy;
    if (handshake_agree(ws->handshake, context->exchange, options))
        return 0;
    return ctx_throw(&context->ctx, ws->handshake->status, "%s", ws->handshake->message);
}

int ws_configure(websocket_t *ws, const ws_options_t *given) {
    if (ws->state != WS_CONNECTING)
        return UV_EALREADY;
    ws_options_t *own = ws->configured ? (ws_options_t *)ws->peer.options
                                       : arena_alloc(ws->context->home.arena, sizeof *own);
    if (!own)
        return context_no_memory(ws->context);
    *own = *ws->peer.options;
    socket_merge_options(own, given);
    ws->peer.options = own;
    ws->configured = true;
    return given->deflate ? set_deflate(ws, own, given->deflate) : 0;
}

const char *ws_offered_protocol(const websocket_t *ws, size_t index) {
    return handshake_offered(ws->context->exchange, index);
}

int ws_set_protocol(websocket_t *ws, const char *protocol) {
    const char *offered = NULL;
    if (ws->state != WS_CONNECTING)
        return UV_EALREADY;
    for (size_t i = 0; protocol && (offered = ws_offered_protocol(ws, i)); i++)
        if (strcmp(offered, protocol) == 0)
            break;
    if (protocol && !offered)
        return ws->context->no_memory ? UV_ENOMEM : UV_EINVAL;
    ws->protocol = offered;
    return 0;
}

const char *ws_protocol(const websocket_t *ws) {
    return ws->protocol ? ws->protocol : "";
}

const char *ws_extensions(const websocket_t *ws) {
    return ws_deflate_is_on(&ws->peer.deflate) ? "permessage-deflate" : "";
}
