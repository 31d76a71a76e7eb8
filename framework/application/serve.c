/* A request comes in: a ctx, a coroutine, a stack. */
#include "application/application.h"
#include "context/socket.h"

#define MEMORY_INTERVAL 50 /* milliseconds: it is a look into /proc */

static void run_request(void *arg) {
    struct context *context = arg;
    struct app *app = (struct app *)context->host;
    context_enter(context);
    context_chain_done(context, stack_run(&app->http, context));
}

int app_start_request(struct app *app, struct exchange *exchange) {
    struct context *context = context_new(&app->host, exchange);
    return !context ? UV_ENOMEM : coroutine_start(&app->loop.coroutines, run_request, context);
}

bool app_is_overloaded(struct context_host *host) {
    struct app *app = (struct app *)host;
    size_t used;
    if (app->options.memory == SIZE_MAX)
        return false;
    uint64_t now = loop_now(&app->loop);
    if (app->memory_looked_at && now - app->memory_looked_at < MEMORY_INTERVAL)
        return app->overloaded;
    app->memory_looked_at = now;
    app->overloaded = uv_resident_set_memory(&used) == 0 && used > app->options.memory;
    return app->overloaded;
}

static void on_request(void *owner, struct exchange *exchange) {
    struct app *app = owner;
    app->stats.requests++;
    if (app_is_overloaded(&app->host)) {
        http1_refuse(exchange, 503, CLOSE_OVERLOAD);
        return;
    }
    bool upgrades = exchange->upgrade && app->ws.count;
    int err = upgrades ? app_start_upgrade(app, exchange) : app_start_request(app, exchange);
    if (err)
        http1_refuse(exchange, 503, err == UV_ENOMEM ? CLOSE_NO_MEMORY : CLOSE_OVERLOAD);
}

static void on_closed(void *owner, struct connection *connection) {
    app_report_close(owner, "http", connection);
}

const struct http1_events app_http_events = {
    .request = on_request,
    .closed = on_closed,
    .upgrade_memory = app_upgrade_memory,
};
