/* A listener that knows nothing but where https is. */
#include "application/application.h"

struct redirector {
    struct http1_server server; /* first */
    struct app *app;
    int port; /* of https */
};

struct redirected {
    const struct redirector *redirector;
    struct context *context;
};

/* RFC 9110 15.4: a browser may make a GET of what was moved by 301; not by 308. */
static int redirect(ctx_t *ctx, int port) {
    const char *host = ctx_hostname(ctx);
    bool is_get = strcmp(ctx->method, "GET") == 0 || strcmp(ctx->method, "HEAD") == 0;
    if (!*host)
        return ctx_throw(ctx, 400, "There is no Host to redirect to");
    const char *authority = port == 443 ? host : ctx_printf(ctx, "%s:%d", host, port);
    const char *url = authority ? ctx_printf(ctx, "https://%s%s%s", authority,
                                             *ctx->path == '/' ? ctx->path : "/", ctx_search(ctx))
                                : NULL;
    if (!url)
        return UV_ENOMEM;
    ctx->status = is_get ? 301 : 308;
    return ctx_redirect(ctx, url);
}

static void run_redirect(void *arg) {
    struct redirected redirected = *(struct redirected *)arg;
    struct context *context = redirected.context;
    context_enter(context);
    context_chain_done(context, redirect(&context->ctx, redirected.redirector->port));
}

static void on_request(void *owner, struct exchange *exchange) {
    struct redirector *redirector = owner;
    struct app *app = redirector->app;
    app->stats.requests++;
    struct context *context = context_new(&app->host, exchange);
    struct redirected *redirected =
        context ? arena_alloc(context->home.arena, sizeof *redirected) : NULL;
    int err = UV_ENOMEM;
    if (redirected) {
        *redirected = (struct redirected){redirector, context};
        err = coroutine_start(&app->loop.coroutines, run_redirect, redirected);
    }
    if (err)
        http1_refuse(exchange, 503, err == UV_ENOMEM ? CLOSE_NO_MEMORY : CLOSE_OVERLOAD);
}

static void on_closed(void *owner, struct connection *connection) {
    struct redirector *redirector = owner;
    app_report_close(redirector->app, "http", connection);
}

static const struct http1_events events = {
    .request = on_request,
    .closed = on_closed,
    .upgrade_memory = app_upgrade_memory,
};

const struct http1_server *app_https_redirector(struct app *app, int port) {
    struct redirector *redirector = arena_alloc(&app->arena, sizeof *redirector);
    if (!redirector)
        return NULL;
    *redirector = (struct redirector){.app = app, .port = port};
    http1_server_init(&redirector->server, &app->options.http, &events, redirector);
    return &redirector->server;
}
