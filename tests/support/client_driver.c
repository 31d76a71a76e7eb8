/*
 * What tests/e2e/client.test.mjs drives: WebSockets to other servers, as its requests say.
 *
 *     GET /connect?url=ws://…      ws_connect in a handler: "open …", or "failed …"
 *     GET /client?id=x&url=ws://…  ws_client: what happens is noted, and read by GET /log?id=x
 *
 * Options are parameters of the same names; lists are separated by "|".
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Notes ------------------------------------------------------------------------------------ */

/* A client of ws_client, and what happens to it. */
struct client {
    struct client *next;
    char id[32], greeting[64];
    char *text;
};

static struct client *clients;

static struct client *client_named(const char *id) {
    struct client *client = clients;
    while (client && strcmp(client->id, id) != 0)
        client = client->next;
    if (!client && (client = calloc(1, sizeof *client))) {
        snprintf(client->id, sizeof client->id, "%s", id);
        client->text = strdup("");
        client->next = clients;
        clients = client;
    }
    return client;
}

ACACIA_PRINTF(2, 3) static void note(struct client *client, const char *format, ...) {
    char line[400];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t length = strlen(client->text);
    client->text = realloc(client->text, length + strlen(line) + 2);
    if (!client->text)
        abort();
    sprintf(client->text + length, "%s\n", line);
}

static int show_log(ctx_t *ctx) {
    return ctx_text(ctx, ctx_strdup(ctx, client_named(ctx_query(ctx, "id"))->text));
}

static void free_clients(void) {
    while (clients) {
        struct client *client = clients;
        clients = client->next;
        free(client->text);
        free(client);
    }
}

/* --- Options ---------------------------------------------------------------------------------- */

static uint64_t number(ctx_t *ctx, const char *name) {
    const char *text = ctx_query(ctx, name);
    return text ? strtoull(text, NULL, 10) : 0;
}

/* "a|b" → a, b, NULL. */
static const char *const *list(ctx_t *ctx, const char *name) {
    const char *text = ctx_query(ctx, name);
    const char **items = ctx_alloc(ctx, 32 * sizeof *items);
    size_t count = 0;
    if (!text || !items)
        return NULL;
    for (char *rest = ctx_strdup(ctx, text), *item; (item = strsep(&rest, "|")) && count < 31;)
        items[count++] = item;
    items[count] = NULL;
    return items;
}

/* Options of TLS, if there are any. */
static const tls_client_options_t *tls_options(ctx_t *ctx) {
    tls_client_options_t *tls = ctx_new(ctx, tls_client_options_t);
    *tls = (tls_client_options_t){
        .ca_file = ctx_query(ctx, "ca"),
        .server_name = ctx_query(ctx, "server_name"),
        .insecure = number(ctx, "insecure"),
        .cert_file = ctx_query(ctx, "cert"),
        .key_file = ctx_query(ctx, "key"),
        .pkcs12_file = ctx_query(ctx, "pkcs12"),
        .passphrase = ctx_query(ctx, "passphrase"),
        .min_version = number(ctx, "only_1_3") ? TLS_1_3 : 0,
        .key_log_file = ctx_query(ctx, "key_log"),
    };
    return number(ctx, "no_tls") ? NULL : tls;
}

static void read_options(ctx_t *ctx, ws_client_options_t *options, ws_deflate_t *deflate) {
    *deflate = (ws_deflate_t){
        .server_no_context_takeover = (int)number(ctx, "server_no_context_takeover"),
        .client_no_context_takeover = (int)number(ctx, "client_no_context_takeover"),
        .server_max_window_bits = (int)number(ctx, "server_max_window_bits"),
        .client_max_window_bits = (int)number(ctx, "client_max_window_bits"),
        .threshold = number(ctx, "threshold"),
        .own_compressor = number(ctx, "own"),
    };
    *options = (ws_client_options_t){
        .ws.message_size = number(ctx, "message_size"),
        .ws.heartbeat = number(ctx, "heartbeat"),
        .ws.close_timeout = number(ctx, "close_timeout"),
        .ws.deflate = number(ctx, "deflate") ? deflate : NULL,
        .no_deflate = number(ctx, "no_deflate"),
        .protocols = list(ctx, "protocols"),
        .headers = list(ctx, "headers"),
        .origin = ctx_query(ctx, "origin"),
        .tls = tls_options(ctx),
        .handshake_timeout = number(ctx, "handshake_timeout"),
        .redirects = (int)number(ctx, "redirects"),
        .reconnect = number(ctx, "reconnect"),
        .reconnect_min = number(ctx, "reconnect_min"),
        .reconnect_max = number(ctx, "reconnect_max"),
        .reconnect_tries = (unsigned)number(ctx, "reconnect_tries"),
    };
}

static const char *failure_text(ctx_t *ctx, const ws_failure_t *failure) {
    const char *certificate =
        failure->certificate ? ctx_printf(ctx, " (%d)", failure->certificate) : "";
    return ctx_printf(ctx, "failed %s %d %d %s%s",
                      failure->error ? uv_err_name(failure->error) : "-", failure->status,
                      failure->code, failure->reason, certificate);
}

/* --- ws_connect ------------------------------------------------------------------------------- */

/* What it says after all has been read: how the socket has ended. */
static const char *ending(ctx_t *ctx, websocket_t *ws) {
    return ctx_printf(ctx, "closed %d %s", ws_close_code(ws), ws_close_reason(ws));
}

/* `messages` are sent; as many answers as ?receive says, or all there are, are read. */
static const char *talk(ctx_t *ctx, websocket_t *ws, const char *told) {
    const char *const *messages = list(ctx, "messages");
    ws_message_t message;
    size_t left = ctx_query(ctx, "receive") ? number(ctx, "receive") : SIZE_MAX;
    size_t size = number(ctx, "size");
    for (; messages && *messages; messages++)
        ws_send_text(ws, *messages);
    if (size) {
        char *data = calloc(1, size);
        ws_send_binary(ws, data, size);
        free(data);
    }
    for (; left > 0 && ws_recv(ws, &message); left--) {
        if (message.length > 1000)
            told = ctx_printf(ctx, "%s\n%s of %zu", told, message.binary ? "binary" : "text",
                              message.length);
        else
            told = ctx_printf(ctx, "%s\n%s %.*s", told, message.binary ? "binary" : "text",
                              (int)message.length, message.data);
    }
    return left > 0 ? ctx_printf(ctx, "%s\n%s", told, ending(ctx, ws)) : told;
}

static int on_late_message(ctx_t *ctx, const ws_message_t *message) {
    note(client_named("late"), "message %s", message->data);
    return ws_send(ctx->websocket, *message);
}

static void on_late_close(ctx_t *ctx, int code, const char *reason) {
    note(client_named("late"), "close %d %s", code, reason);
}

/* As ?release says: "callback" leaves it to handlers, "close" and "terminate" end it before. */
static void release(ctx_t *ctx, websocket_t *ws) {
    const char *how = ctx_query(ctx, "release");
    if (how && strcmp(how, "callback") == 0)
        ws_on_message(ws, on_late_message);
    if (how)
        ws_on_close(ws, on_late_close);
    if (how && strcmp(how, "close") == 0)
        ws_close(ws, 4000, "enough");
    if (how && strcmp(how, "terminate") == 0)
        ws_terminate(ws);
    ws_release(ws);
}

static int do_connect(ctx_t *ctx) {
    ws_client_options_t options;
    ws_deflate_t deflate;
    ws_failure_t failure;
    read_options(ctx, &options, &deflate);
    options.state = "the state";
    ctx_cancel_on_abort(ctx, number(ctx, "cancel"));
    websocket_t *ws = ws_connect(ctx->app, ctx_query(ctx, "url"), &options,
                                 ctx_query(ctx, "blind") ? NULL : &failure);
    if (!ws && ctx_query(ctx, "id"))
        note(client_named(ctx_query(ctx, "id")), "%s", failure_text(ctx, &failure));
    if (!ws)
        return ctx_text(ctx, ctx_query(ctx, "blind") ? "failed" : failure_text(ctx, &failure));
    ctx_t *its = ws_ctx(ws);
    const char *told = ctx_printf(ctx, "open %s|%s|%s|%s|%s|%s|%s", ws_protocol(ws),
                                  ws_extensions(ws), its->path, its->querystring, ctx_ip(its),
                                  ctx_get(its, "X-Answer"), (const char *)its->state);
    if (ctx_tls(its))
        told = ctx_printf(ctx, "%s\n%s %s", told, ctx_tls(its)->version,
                          ctx_client_certificate(its)->subject);
    told = talk(ctx, ws, told);
    release(ctx, ws);
    return ctx_text(ctx, told);
}

/* --- ws_client -------------------------------------------------------------------------------- */

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    struct client *client = ctx->state;
    note(client, "message %s", message->data);
    if (strcmp(message->data, "close") == 0)
        return ws_close(ctx->websocket, 4001, "as you say");
    if (strcmp(message->data, "terminate") == 0)
        ws_terminate(ctx->websocket);
    if (strcmp(message->data, "fail") == 0)
        return UV_EINVAL;
    return 0;
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    note(ctx->state, "close %d %s", code, reason);
}

static void on_error(ctx_t *ctx, int error, const char *reason) {
    note(ctx->state, "error %s %s", uv_err_name(error), reason);
}

static int on_open(ctx_t *ctx) {
    struct client *client = ctx->state;
    note(client, "open %s", ctx->path);
    ws_on_message(ctx->websocket, on_message);
    ws_on_close(ctx->websocket, on_close);
    ws_on_error(ctx->websocket, on_error);
    if (strcmp(client->greeting, "throw") == 0)
        return ctx_throw(ctx, 400, "thrown");
    return *client->greeting ? ws_send_text(ctx->websocket, client->greeting) : 0;
}

static void on_failure(app_t *app, const ws_failure_t *failure, void *state) {
    note(state, "failed %s %d %d %s", failure->error ? uv_err_name(failure->error) : "-",
         failure->status, failure->code, failure->reason);
}

static int do_client(ctx_t *ctx) {
    struct client *client = client_named(ctx_query(ctx, "id"));
    ws_client_options_t options;
    ws_deflate_t deflate;
    const char *greeting = ctx_query(ctx, "greeting");
    read_options(ctx, &options, &deflate);
    options.state = client;
    options.on_failure = ctx_query(ctx, "quiet") ? NULL : on_failure;
    snprintf(client->greeting, sizeof client->greeting, "%s", greeting ? greeting : "");
    int err = ws_client(ctx->app, ctx_query(ctx, "url"), on_open, &options);
    return ctx_text(ctx, err ? uv_err_name(err) : "begun");
}

static int do_reload(ctx_t *ctx) {
    int err = tls_reload(ctx->app);
    return ctx_text(ctx, err ? uv_err_name(err) : "ok");
}

static int do_stop(ctx_t *ctx) {
    app_close(ctx->app);
    return ctx_text(ctx, "stopping");
}

static void on_app_error(ctx_t *ctx, const ctx_error_t *error) {
    struct client *client = client_named("errors");
    note(client, "%d %s", error->code, error->message);
}

int main(void) {
    app_t *app = app_new_with(&(app_options_t){
        .drain_timeout = report_setting("DRAIN_TIMEOUT"),
        .coroutines = report_setting("COROUTINES"),
    });
    app_on_error(app, on_app_error);
    app_use(app, route_get("/connect", do_connect));
    app_use(app, route_get("/client", do_client));
    app_use(app, route_get("/log", show_log));
    app_use(app, route_get("/reload", do_reload));
    app_use(app, route_get("/stop", do_stop));
    app_use(app, route_get("/stats", report_stats));
    int err = app_listen(app, 0);
    free_clients();
    return err ? 1 : 0;
}
