/*
 * A page that does what its path says, behind the layer that LAYER in the environment names. The
 * Koa app of tests/e2e/operations.test.mjs has the same.
 */
#include <acacia.h>

#include "middleware/body_parser.h"
#include "middleware/error_page.h"
#include "middleware/favicon.h"
#include "middleware/health.h"
#include "middleware/json_pretty.h"
#include "middleware/logger.h"
#include "middleware/method_override.h"
#include "middleware/metrics.h"
#include "middleware/request_id.h"
#include "middleware/response_time.h"
#include "middleware/timeout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long number(ctx_t *ctx) {
    return strtol(ctx_param_at(ctx, 0), NULL, 10);
}

/* --- Pages ------------------------------------------------------------------------------------ */

static int show_status(ctx_t *ctx) {
    ctx->status = (int)number(ctx);
    return 0;
}

static int show_text(ctx_t *ctx) {
    size_t length = (size_t)number(ctx);
    char *text = ctx_alloc(ctx, length + 1);
    if (!text)
        return UV_ENOMEM;
    memset(text, 'x', length);
    return ctx_text(ctx, text);
}

static int show_empty(ctx_t *ctx) {
    return ctx_empty(ctx);
}

static ssize_t read_some(ctx_t *ctx, void *state, void *buffer, size_t size) {
    size_t *left = state, n = *left < size ? *left : size;
    memset(buffer, 'x', n);
    *left -= n;
    return (ssize_t)n;
}

static int show_stream(ctx_t *ctx) {
    size_t *left = ctx_new(ctx, size_t);
    if (!left)
        return UV_ENOMEM;
    *left = (size_t)number(ctx);
    return ctx_stream(ctx, (body_stream_t){.read = read_some, .state = left});
}

static int show_stream_of_known_length(ctx_t *ctx) {
    ctx_length(ctx, (uint64_t)number(ctx));
    return show_stream(ctx);
}

static int throw_status(ctx_t *ctx) {
    const char *message = ctx_query(ctx, "message");
    ctx_set(ctx, "X-Set", "1");
    ctx_throw_header(ctx, "X-Thrown", "1");
    return ctx_throw_with(ctx, &(throw_options_t){.status = (int)number(ctx),
                                                  .message = message,
                                                  .expose = ctx_query(ctx, "expose") != NULL});
}

static int fail(ctx_t *ctx) {
    return UV_EIO;
}

static int miss(ctx_t *ctx) {
    return UV_ENOENT;
}

static int echo_json(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    if (!err)
        err = ctx_type(ctx, "json");
    return err ? err : ctx_bytes(ctx, body.data, body.length);
}

static int show_method(ctx_t *ctx) {
    ctx_set(ctx, "X-Method", ctx->method);
    return ctx_text(ctx, ctx->method);
}

/* --- Pages that take their time --------------------------------------------------------------- */

static int hang(ctx_t *ctx) {
    ctx_cancel_on_abort(ctx, true);
    return await_sleep(60000);
}

/* The client goes in the middle of it. */
static int write_on_and_on(ctx_t *ctx) {
    static char piece[16384];
    int err = 0;
    ctx_cancel_on_abort(ctx, true);
    while (!err) {
        err = ctx_write(ctx, piece, sizeof piece);
        if (!err)
            err = await_sleep(1);
    }
    return err;
}

static ssize_t read_for_ever(ctx_t *ctx, void *state, void *buffer, size_t size) {
    int err = await_sleep(1);
    memset(buffer, 'x', 1000);
    return err ? err : 1000;
}

static int stream_for_ever(ctx_t *ctx) {
    return ctx_stream(ctx, (body_stream_t){.read = read_for_ever});
}

static int talk(ctx_t *ctx) {
    ws_message_t message;
    while (ws_recv(ctx->websocket, &message))
        ws_send(ctx->websocket, message);
    return 0;
}

static int refuse_socket(ctx_t *ctx) {
    return ctx_throw(ctx, 401, NULL);
}

static int close_server(ctx_t *ctx) {
    app_close(ctx->app);
    return ctx_text(ctx, "closing");
}

/* --- Layers ----------------------------------------------------------------------------------- */

static int always_good(app_t *app, void *arg) {
    return await_sleep(1);
}

static const struct {
    const char *name;
    logger_options_t options;
} logs[] = {
    {"logger", {.colours = LOGGER_COLOURS}},
    {"common", {.format = LOGGER_COMMON}},
    {"combined", {.format = LOGGER_COMBINED}},
    {"json", {.format = LOGGER_JSON}},
};

static void use_logger(app_t *app, const char *layer) {
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++)
        if (strcmp(layer, logs[i].name) == 0) {
            app_use(app, logger(&logs[i].options));
            app_ws_use(app, logger(&logs[i].options));
        }
}

static void use_layer(app_t *app, const char *layer) {
    static const health_check_t checks[] = {{"good", always_good, NULL, 0}, {0}};
    use_logger(app, layer);
    if (strcmp(layer, "response_time") == 0)
        app_use(app, response_time(NULL));
    else if (strcmp(layer, "hrtime") == 0)
        app_use(app, response_time(&(response_time_options_t){.hrtime = true}));
    else if (strcmp(layer, "request_id") == 0)
        app_use(app, request_id(NULL));
    else if (strcmp(layer, "error_page") == 0)
        app_use(app, error_page(NULL));
    else if (strcmp(layer, "redirect") == 0)
        app_use(app, error_page(&(error_page_options_t){.redirect = "/sorry"}));
    else if (strcmp(layer, "pretty") == 0)
        app_use(app, json_pretty(NULL));
    else if (strcmp(layer, "param") == 0)
        app_use(app, json_pretty(
                         &(json_pretty_options_t){.no_pretty = true, .param = "p", .spaces = 4}));
    else if (strcmp(layer, "favicon") == 0)
        app_use(app, favicon(getenv("ICON"), &(favicon_options_t){.max_age = 5999}));
    else if (strcmp(layer, "no_favicon") == 0)
        app_use(app, favicon(NULL, NULL));
    else if (strcmp(layer, "method_override") == 0)
        app_use(app_use(app, body_parser(NULL)),
                method_override(&(method_override_options_t){
                    .allowed_methods = (const char *const[]){"POST", "PUT", NULL}}));
    else if (strcmp(layer, "timeout") == 0)
        app_use(app, timeout(&(timeout_options_t){.after = 50}));
    else if (strcmp(layer, "metrics") == 0)
        app_use(app, metrics(NULL));
    else if (strcmp(layer, "health") == 0)
        app_use(app, health(&(health_options_t){.checks = checks}));
}

int main(void) {
    const char *layer = getenv("LAYER");
    app_t *app = app_new_with(
        &(app_options_t){.http.keep_alive_timeout = 60000, .silent = true, .drain_delay = 300});
    if (layer)
        use_layer(app, layer);
    app_use(app, route_all("/status/:n", show_status));
    app_use(app, route_all("/text/:n", show_text));
    app_use(app, route_all("/empty", show_empty));
    app_use(app, route_all("/stream/:n", show_stream));
    app_use(app, route_all("/length/:n", show_stream_of_known_length));
    app_use(app, route_all("/throw/:n", throw_status));
    app_use(app, route_all("/fail", fail));
    app_use(app, route_all("/miss", miss));
    app_use(app, route_all("/json", echo_json));
    app_use(app, route_all("/method", show_method));
    app_use(app, route_get("/hang", hang));
    app_use(app, route_get("/on-and-on", write_on_and_on));
    app_use(app, route_get("/for-ever", stream_for_ever));
    app_use(app, route_get("/close", close_server));
    app_ws_use(app, route_all("/talk", talk));
    app_ws_use(app, route_all("/refuse", refuse_socket));
    return app_listen(app, 3000);
}
