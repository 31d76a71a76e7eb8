#include "report.h"

#include <stdlib.h>

static const char *const reasons[CLOSE_REASONS] = {
    [CLOSE_HEAD_TIMEOUT] = "HEAD_TIMEOUT",
    [CLOSE_REQUEST_TIMEOUT] = "REQUEST_TIMEOUT",
    [CLOSE_WRITE_TIMEOUT] = "WRITE_TIMEOUT",
    [CLOSE_BAD_REQUEST] = "BAD_REQUEST",
    [CLOSE_HEAD_TOO_LARGE] = "HEAD_TOO_LARGE",
    [CLOSE_BODY_NOT_READ] = "BODY_NOT_READ",
    [CLOSE_ABORTED] = "ABORTED",
    [CLOSE_HANDLER_FAILED] = "HANDLER_FAILED",
    [CLOSE_OVERLOAD] = "OVERLOAD",
    [CLOSE_NO_MEMORY] = "NO_MEMORY",
    [CLOSE_READ_ERROR] = "READ_ERROR",
    [CLOSE_WRITE_ERROR] = "WRITE_ERROR",
    [CLOSE_DRAIN_TIMEOUT] = "DRAIN_TIMEOUT",
    [CLOSE_TLS_HANDSHAKE] = "TLS_HANDSHAKE",
    [CLOSE_TLS_TIMEOUT] = "TLS_TIMEOUT",
    [CLOSE_TLS_PLAINTEXT] = "TLS_PLAINTEXT",
    [CLOSE_TLS_RECORD] = "TLS_RECORD",
    [CLOSE_TLS_TRUNCATED] = "TLS_TRUNCATED",
    [CLOSE_WS_PROTOCOL] = "WS_PROTOCOL",
    [CLOSE_WS_UTF8] = "WS_UTF8",
    [CLOSE_WS_DEFLATE] = "WS_DEFLATE",
    [CLOSE_WS_TOO_BIG] = "WS_TOO_BIG",
    [CLOSE_WS_FRAGMENTS] = "WS_FRAGMENTS",
    [CLOSE_WS_SLOW] = "WS_SLOW",
    [CLOSE_WS_RATE] = "WS_RATE",
    [CLOSE_WS_IDLE] = "WS_IDLE",
    [CLOSE_WS_HEARTBEAT] = "WS_HEARTBEAT",
    [CLOSE_WS_HANDLER] = "WS_HANDLER",
    [CLOSE_WS_NO_ANSWER] = "WS_NO_ANSWER",
    [CLOSE_WS_ABNORMAL] = "WS_ABNORMAL",
};

static const char *closed_of(ctx_t *ctx, const app_stats_t *stats) {
    const char *text = "";
    for (int i = 0; text && i < CLOSE_REASONS; i++)
        if (stats->closed[i])
            text = ctx_printf(ctx, "%s%s\"%s\":%llu", text, *text ? "," : "", reasons[i],
                              (unsigned long long)stats->closed[i]);
    return text;
}

int report_stats(ctx_t *ctx) {
    app_stats_t s;
    size_t rss = 0;
    app_stats(ctx->app, &s);
    uv_resident_set_memory(&rss);
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"requests", s.requests},
        {"errors", s.errors},
        {"messages_received", s.messages_received},
        {"messages_sent", s.messages_sent},
        {"messages_dropped", s.messages_dropped},
        {"handshakes_refused", s.handshakes_refused},
        {"connections", s.connections},
        {"websockets", s.websockets},
        {"coroutines", s.coroutines},
        {"coroutines_pooled", s.coroutines_pooled},
        {"requests_active", s.requests_active},
        {"frame_contexts", s.frame_contexts},
        {"messages_active", s.messages_active},
        {"read_buffers", s.read_buffers},
        {"write_buffers", s.write_buffers},
        {"timers", s.timers},
        {"rss", rss},
    };
    const char *text = ctx_printf(ctx, "{\"closed\":{%s}", closed_of(ctx, &s));
    for (size_t i = 0; text && i < sizeof counters / sizeof *counters; i++)
        text = ctx_printf(ctx, "%s,\"%s\":%llu", text, counters[i].name,
                          (unsigned long long)counters[i].value);
    return text ? ctx_textf(ctx, "%s}", text) : UV_ENOMEM;
}

uint64_t report_setting(const char *name) {
    const char *value = getenv(name);
    return value ? strtoull(value, NULL, 10) : 0;
}
