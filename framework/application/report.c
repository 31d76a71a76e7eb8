/* What the app says of itself: errors, ends of connections, counters. */
#include "application/application.h"
#include "protocols/frame.h"
#include "runtime/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void app_fail_setup(struct app *app, const char *format, ...) {
    char text[512];
    va_list args;
    if (app->setup_error || app->out_of_memory)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    app->setup_error = strdup(text);
    app->out_of_memory = !app->setup_error;
}

int app_check_setup(const struct app *app) {
    if (app->out_of_memory)
        return UV_ENOMEM;
    if (!app->setup_error)
        return 0;
    if (!app->options.silent)
        fprintf(stderr, "acacia: %s\n", app->setup_error);
    return UV_EINVAL;
}

/* Koa's rule: what the client was told, and what was merely not found, is no news. */
void app_log_error(ctx_t *ctx, const ctx_error_t *error) {
    if (error->status == 404 || error->expose || ctx->app->options.silent)
        return;
    fprintf(stderr, "\n  Error: %s\n      at %s %s\n\n", error->message, ctx->method, ctx->url);
}

void app_report_error(struct context_host *host, struct context *context,
                      const ctx_error_t *error) {
    struct app *app = (struct app *)host;
    app->stats.errors++;
    error_listener_t *listener = app->on_error ? app->on_error : app_log_error;
    listener(&context->ctx, error);
}

static const char *const reason_texts[CLOSE_REASONS] = {
    [CLOSE_HEAD_TIMEOUT] = "headers not complete in time",
    [CLOSE_REQUEST_TIMEOUT] = "request not complete in time",
    [CLOSE_WRITE_TIMEOUT] = "the client took nothing of its answer",
    [CLOSE_BAD_REQUEST] = "bad request",
    [CLOSE_HEAD_TOO_LARGE] = "request line or headers too large",
    [CLOSE_BODY_NOT_READ] = "too much of the body was not read",
    [CLOSE_ABORTED] = "the client went away",
    [CLOSE_HANDLER_FAILED] = "an error after the headers were sent",
    [CLOSE_OVERLOAD] = "too many connections or handlers",
    [CLOSE_NO_MEMORY] = "out of memory",
    [CLOSE_READ_ERROR] = "reading failed",
    [CLOSE_WRITE_ERROR] = "writing failed",
    [CLOSE_DRAIN_TIMEOUT] = "not done when the server stopped",
    [CLOSE_TLS_HANDSHAKE] = "the TLS handshake failed",
    [CLOSE_TLS_TIMEOUT] = "TLS handshake not complete in time",
    [CLOSE_TLS_PLAINTEXT] = "plain HTTP came to a port for https",
    [CLOSE_TLS_RECORD] = "a record of TLS is broken",
    [CLOSE_TLS_TRUNCATED] = "the request broke off without a word of TLS",
    [CLOSE_WS_PROTOCOL] = "a frame that the protocol does not allow (1002)",
    [CLOSE_WS_UTF8] = "text that is not UTF-8 (1007)",
    [CLOSE_WS_DEFLATE] = "compressed data that can't be inflated (1007)",
    [CLOSE_WS_TOO_BIG] = "a message that is too big (1009)",
    [CLOSE_WS_FRAGMENTS] = "too many fragments (1008)",
    [CLOSE_WS_SLOW] = "too much waited to be sent (1013)",
    [CLOSE_WS_RATE] = "too many messages in a second (1008)",
    [CLOSE_WS_IDLE] = "no message for too long (1001)",
    [CLOSE_WS_HEARTBEAT] = "a ping was not answered",
    [CLOSE_WS_HANDLER] = "a handler failed (1011)",
    [CLOSE_WS_NO_ANSWER] = "the close frame was not answered",
    [CLOSE_WS_ABNORMAL] = "gone without a close frame (1006)",
};

const char *close_reason_text(close_reason_t reason) {
    return (unsigned)reason < CLOSE_REASONS ? reason_texts[reason] : "closed";
}

static const char *const reason_names[CLOSE_REASONS] = {
    [CLOSE_HEAD_TIMEOUT] = "head_timeout",
    [CLOSE_REQUEST_TIMEOUT] = "request_timeout",
    [CLOSE_WRITE_TIMEOUT] = "write_timeout",
    [CLOSE_BAD_REQUEST] = "bad_request",
    [CLOSE_HEAD_TOO_LARGE] = "head_too_large",
    [CLOSE_BODY_NOT_READ] = "body_not_read",
    [CLOSE_ABORTED] = "aborted",
    [CLOSE_HANDLER_FAILED] = "handler_failed",
    [CLOSE_OVERLOAD] = "overload",
    [CLOSE_NO_MEMORY] = "no_memory",
    [CLOSE_READ_ERROR] = "read_error",
    [CLOSE_WRITE_ERROR] = "write_error",
    [CLOSE_DRAIN_TIMEOUT] = "drain_timeout",
    [CLOSE_TLS_HANDSHAKE] = "tls_handshake",
    [CLOSE_TLS_TIMEOUT] = "tls_timeout",
    [CLOSE_TLS_PLAINTEXT] = "tls_plaintext",
    [CLOSE_TLS_RECORD] = "tls_record",
    [CLOSE_TLS_TRUNCATED] = "tls_truncated",
    [CLOSE_WS_PROTOCOL] = "ws_protocol",
    [CLOSE_WS_UTF8] = "ws_utf8",
    [CLOSE_WS_DEFLATE] = "ws_deflate",
    [CLOSE_WS_TOO_BIG] = "ws_too_big",
    [CLOSE_WS_FRAGMENTS] = "ws_fragments",
    [CLOSE_WS_SLOW] = "ws_slow",
    [CLOSE_WS_RATE] = "ws_rate",
    [CLOSE_WS_IDLE] = "ws_idle",
    [CLOSE_WS_HEARTBEAT] = "ws_heartbeat",
    [CLOSE_WS_HANDLER] = "ws_handler",
    [CLOSE_WS_NO_ANSWER] = "ws_no_answer",
    [CLOSE_WS_ABNORMAL] = "ws_abnormal",
};

const char *close_reason_name(close_reason_t reason) {
    return (unsigned)reason < CLOSE_REASONS ? reason_names[reason] : "closed";
}

void app_report_close(struct app *app, const char *protocol, const struct connection *connection) {
    if (connection->reason == CONNECTION_DONE)
        return;
    app->stats.closed[connection->reason]++;
    bool told = strcmp(protocol, "ws") == 0    ? app->trace_ws
                : strcmp(protocol, "tls") == 0 ? app->trace_tls
                                               : app->trace_http;
    if (!told)
        return;
    const char *error = connection_error_text(connection);
    fprintf(stderr, "%s: closed: %s%s%s\n", protocol, close_reason_text(connection->reason),
            error ? ": " : "", error ? error : "");
}

static bool names(const char *list, const char *name) {
    return list && (header_has_token(list, name) || header_has_token(list, "*"));
}

void app_read_debug(struct app *app) {
    const char *list = getenv("DEBUG");
    app->trace_app = names(list, "app");
    app->trace_http = names(list, "http");
    app->trace_ws = names(list, "ws");
    app->trace_tls = names(list, "tls");
}

void app_stats(const app_t *app, app_stats_t *stats) {
    const struct loop *loop = &app->loop;
    *stats = app->stats;
    stats->connections = loop->counts.connections;
    app_tls_stats(app, stats);
    stats->websockets = app->host.socket_count;
    stats->coroutines = loop->coroutines.live_count;
    stats->coroutines_pooled = loop->coroutines.idle_count;
    stats->requests_active = loop->counts.exchanges;
    stats->frame_contexts = frame_contexts_in_use(app->peers.codec);
    stats->bytes_received = loop->counts.bytes_received;
    stats->bytes_sent = loop->counts.bytes_sent;
    stats->messages_received = loop->counts.messages_received;
    stats->messages_sent = loop->counts.messages_sent;
    stats->messages_dropped = loop->counts.messages_dropped;
    stats->messages_active = loop->counts.messages;
    stats->read_buffers = loop->counts.held_buffers;
    stats->write_buffers = loop->counts.write_chunks;
    stats->timers = loop->wheel.count;
}
