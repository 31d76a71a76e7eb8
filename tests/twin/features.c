/*
 * The usual routes, the usual stack of middleware around them, and what a WebSocket can do:
 * features.js is the same in Koa, and e2e/twin_features.test.mjs compares the two.
 *
 * MIDDLEWARE in the environment names those that are used, such as cors,etag; without it all are.
 */
#include <acacia.h>

#include "middleware/basic_auth.h"
#include "middleware/body_parser.h"
#include "middleware/byte_ranges.h"
#include "middleware/compression.h"
#include "middleware/conditional_get.h"
#include "middleware/cors.h"
#include "middleware/etag.h"
#include "middleware/rate_limit.h"
#include "middleware/response_time.h"
#include "middleware/serve.h"
#include "middleware/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Errors ----------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* Those below /api are answered in JSON. */
static int json_errors(ctx_t *ctx) {
    int err = next(ctx);
    if (!err || !starts_with(ctx->path, "/api"))
        return err;
    const ctx_error_t *error = ctx_catch(ctx);
    ctx->status = error->status;
    ctx_report(ctx, error);
    return ctx_json(
        ctx, json_pack("{s:s}", "error", error->expose ? error->message : "Internal Server Error"));
}

static void ignore(ctx_t *ctx, const ctx_error_t *error) {
}

/* --- Middleware ------------------------------------------------------------------------------- */

static int whoever_asks(ctx_t *ctx, const char **origin) {
    const char *asks = ctx_get(ctx, "Origin");
    *origin = *asks ? asks : "*";
    return 0;
}

static bool is_used(const char *name) {
    const char *list = getenv("MIDDLEWARE");
    size_t n = strlen(name);
    if (!list)
        return true;
    for (; *list; list += strcspn(list, ","), list += *list == ',')
        if (strcspn(list, ",") == n && strncmp(list, name, n) == 0)
            return true;
    return false;
}

static void use_if(app_t *app, const char *name, middleware_t middleware) {
    if (is_used(name))
        app_use_middleware(app, middleware, name);
    else if (middleware.destroy)
        middleware.destroy(middleware.state);
}

static const char *everybody(ctx_t *ctx) {
    return "all";
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(name, "w");
    if (!file || fputs(text, file) < 0 || fclose(file))
        perror(name);
}

/* A directory with two files, as in features.js. The middleware reads what it needs at the time. */
static middleware_t static_files(void) {
    static char root[] = "/tmp/features-XXXXXX";
    char name[64], big[4096 + 1];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    if (!mkdtemp(root))
        perror(root);
    snprintf(name, sizeof name, "%s/index.html", root);
    write_file(name, "<!doctype html><h1>static</h1>");
    snprintf(name, sizeof name, "%s/big.txt", root);
    write_file(name, big);
    return serve(root, &(serve_options_t){.max_age = 1,
                                          .weak_etag = true, /* as koa-etag's of files */
                                          .no_etag = !is_used("etag"),
                                          .no_ranges = true});
}

/* koa-bodyparser looks at the bodies of all, and tells the client no reason. */
static const char *const all_methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                          "PATCH", "DELETE", "OPTIONS", NULL};

static int throw_bare(ctx_t *ctx, const ctx_error_t *error) {
    if (error->status == 413)
        return ctx_throw(ctx, 413, "%s", error->message);
    return ctx_throw(ctx, error->status, NULL);
}

/* zstd is not in node 20, with which the tests compare. */
static const char *const encodings[] = {"br", "gzip", "deflate", NULL};

static void use_middleware(app_t *app) {
    use_if(app, "response-time", response_time(NULL));
    app_use(app, json_errors);
    use_if(app, "cors",
           cors(&(cors_options_t){.find_origin = whoever_asks,
                                  .credentials = true,
                                  .max_age = 600,
                                  .expose_headers = "X-Response-Time"}));
    use_if(app, "compress",
           compression(&(compression_options_t){.threshold = 1024, .encodings = encodings}));
    use_if(app, "conditional", middleware(conditional_get));
    use_if(app, "etag", etag(NULL));
    use_if(app, "session", session(&(session_options_t){.key = "sid", .max_age = 60000}));
    use_if(
        app, "body-parser",
        body_parser(&(body_parser_options_t){
            .json_limit = 16 << 10, .text = true, .methods = all_methods, .on_error = throw_bare}));
    if (is_used("static"))
        app_use(app, mount_at("/static", static_files()));
    use_if(app, "rate-limit",
           mount_at("/limited", rate_limit(&(rate_limit_options_t){
                                    .max = 2, .duration = 60000, .find_key = everybody})));
    use_if(app, "basic-auth",
           mount_at("/admin", basic_auth(&(basic_auth_options_t){.name = "u", .password = "p"})));
    use_if(app, "range", mount_at("/ranged", byte_ranges));
}

/* --- Routes ----------------------------------------------------------------------------------- */

static int index_page(ctx_t *ctx) {
    return ctx_body(ctx, "features");
}

static int cookies(ctx_t *ctx) {
    int err = ctx_set_cookie(ctx, "plain", "1", NULL);
    if (!err)
        err = ctx_set_cookie(
            ctx, "signed", "2",
            &(cookie_options_t){.is_signed = true, .same_site = "lax", .max_age = 60000});
    if (err)
        return err;
    const char *plain = ctx_cookie(ctx, "plain");
    const char *is_signed = ctx_signed_cookie(ctx, "signed", &err);
    if (err)
        return err;
    return ctx_json(ctx, json_pack("{s:s?, s:s?}", "plain", plain, "signed", is_signed));
}

static int redirect(ctx_t *ctx) {
    return ctx_redirect(ctx, "/");
}

static int go_back(ctx_t *ctx) {
    return ctx_back(ctx, "/fallback");
}

static int download(ctx_t *ctx) {
    int err = ctx_attachment(ctx, "résumé €.txt");
    return err ? err : ctx_body(ctx, "data");
}

static int no_content(ctx_t *ctx) {
    ctx->status = 204;
    return 0;
}

static int null(ctx_t *ctx) {
    int err = ctx_empty(ctx);
    ctx->status = 200;
    return err;
}

/* "a", and "b" in the next turn of the loop. */
static ssize_t read_ab(ctx_t *ctx, void *state, void *buffer, size_t size) {
    size_t *sent = state;
    int err = *sent == 1 ? await_sleep(0) : 0;
    if (err || *sent == 2)
        return err;
    memcpy(buffer, *sent == 0 ? "a" : "b", 1);
    ++*sent;
    return 1;
}

static int stream(ctx_t *ctx) {
    size_t *sent = ctx_alloc(ctx, sizeof *sent);
    if (!sent)
        return UV_ENOMEM;
    *sent = 0;
    int err = ctx_type(ctx, "text");
    return err ? err : ctx_stream(ctx, (body_stream_t){read_ab, NULL, sent});
}

static int events(ctx_t *ctx) {
    ctx->status = 200;
    ctx_type(ctx, "text/event-stream");
    ctx_set(ctx, "Cache-Control", "no-cache");
    int err = ctx_flush_headers(ctx);
    for (int i = 1; i <= 3 && !err; i++) {
        err = await_sleep(5);
        if (!err)
            err = ctx_writef(ctx, "id: %d\ndata: tick %d\n\n", i, i);
    }
    return err;
}

static int negotiate(ctx_t *ctx) {
    const char *type = ctx_accepts(ctx, "json", "html", "text");
    if (!type)
        return ctx_throw(ctx, 406, "json, html, or text only");
    if (strcmp(type, "json") == 0)
        return ctx_json(ctx, json_pack("{s:b}", "ok", true));
    return ctx_body(ctx, strcmp(type, "html") == 0 ? "<p>ok</p>" : "ok");
}

static int whoami(ctx_t *ctx) {
    int err = await_sleep(0);
    if (err)
        return err;
    return ctx_json(ctx, json_pack("{s:s, s:s, s:s, s:b, s:b}", "ip", ctx_ip(ctx), "host",
                                   ctx_host(ctx), "protocol", ctx_protocol(ctx), "secure",
                                   ctx_secure(ctx), "same", ctx_current() == ctx));
}

static int show_user(ctx_t *ctx) {
    const char *id = ctx_param(ctx, "id");
    if (strcmp(id, "0") == 0)
        return ctx_throw(ctx, 404, "no such user");
    const char *url = router_url(ctx, ctx_router(ctx), "user", "id", id);
    if (!url)
        return UV_EINVAL;
    return ctx_json(ctx, json_pack("{s:s, s:s}", "id", id, "url", url));
}

static int put_user(ctx_t *ctx) {
    ctx->status = 201;
    return ctx_json(ctx, json_pack("{s:s}", "put", ctx_param(ctx, "id")));
}

static int crash(ctx_t *ctx) {
    return ctx_throw(ctx, 500, "secret");
}

static int counter(ctx_t *ctx) {
    int64_t n = session_get_int(ctx, "n") + 1;
    int err = session_set_int(ctx, "n", n);
    return err ? err : ctx_json(ctx, json_pack("{s:I}", "n", (json_int_t)n));
}

/* Text as JavaScript decodes it: without a mark of its order at the start, and what is no UTF-8 is
 * U+FFFD. */
static json_t *decode(ctx_t *ctx, bytes_t bytes) {
    char *text = ctx_alloc(ctx, 3 * bytes.length + 1), *end = text;
    size_t at = bytes.length >= 3 && memcmp(bytes.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (text && at < bytes.length) {
        size_t length = 1;
        json_t *character = NULL;
        for (; length <= 4 && at + length <= bytes.length && !character; length++)
            character = json_stringn(bytes.data + at, length);
        const char *from = character ? bytes.data + at : "\xEF\xBF\xBD";
        length = character ? length - 1 : 3;
        memcpy(end, from, length);
        end += length;
        at += character ? length : 1;
        json_decref(character);
    }
    return text ? json_stringn(text, (size_t)(end - text)) : NULL;
}

/* What body_parser has made of it; {} if it is of no type that is parsed. */
static int form(ctx_t *ctx) {
    const char *text = body_text(ctx);
    json_t *parsed = body_parsed(ctx);
    json_t *body = parsed ? json_incref(parsed) : text ? json_string(text) : json_object();
    json_t *raw = parsed || text ? decode(ctx, body_raw(ctx)) : json_null();
    return ctx_json(ctx, json_pack("{s:o, s:o}", "body", body, "raw", raw));
}

static int log_out(ctx_t *ctx) {
    int err = session_destroy(ctx);
    return err ? err : ctx_body(ctx, "bye");
}

static int limited(ctx_t *ctx) {
    return ctx_body(ctx, "ok");
}

static int admin(ctx_t *ctx) {
    return ctx_body(ctx, "admin");
}

static int ranged(ctx_t *ctx) {
    return ctx_bytes(ctx, "0123456789", 10);
}

static int big(ctx_t *ctx) {
    char text[5000 + 1];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    return ctx_body(ctx, text);
}

static int respond_false(ctx_t *ctx) {
    ctx_detach(ctx);
    ctx->status = 200;
    ctx_set(ctx, "Content-Type", "text/plain");
    ctx_write(ctx, "raw", 3);
    ctx_end(ctx);
    return 0;
}

/* --- WebSockets ------------------------------------------------------------------------------- */

static int authorize(ctx_t *ctx) {
    if (!starts_with(ctx->url, "/private") ||
        strcmp(ctx_get(ctx, "Authorization"), "Bearer good") == 0)
        return next(ctx);
    ctx_throw_header(ctx, "WWW-Authenticate", "Bearer");
    return ctx_throw(ctx, 401, NULL);
}

static int send_back(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int echo(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, send_back);
}

static int info(ctx_t *ctx) {
    websocket_t *ws = ctx->websocket;
    int err = ws_accept(ws);
    if (err)
        return err;
    json_t *all = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s?, s:s, s:b}", "path", ctx->path, "query",
                            ctx_query_json(ctx), "protocol", ws_protocol(ws), "extensions",
                            ws_extensions(ws), "ip", ctx_ip(ctx), "cookie",
                            ctx_cookie(ctx, "plain"), "method", ctx->method, "hasRes", false);
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    if (!text)
        return UV_ENOMEM;
    err = ws_send_text(ws, text);
    free(text);
    return err;
}

static int say_goodbye(ctx_t *ctx) {
    return ws_close(ctx->websocket, atoi(ctx_param(ctx, "code")), "as asked");
}

static int terminate(ctx_t *ctx) {
    int err = ws_accept(ctx->websocket);
    if (!err)
        err = await_sleep(0); /* the handshake leaves at the end of this turn of the loop */
    ws_terminate(ctx->websocket);
    return err;
}

static int tell_others(ctx_t *ctx, const ws_message_t *message) {
    ws_broadcast(ctx->app, *message, ctx->websocket);
    return 0;
}

static int broadcast(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, tell_others);
}

static int send_fragments(ctx_t *ctx) {
    websocket_t *ws = ctx->websocket;
    ws_send_fragment(ws, (ws_message_t){"one ", 4, false}, false);
    ws_send_fragment(ws, (ws_message_t){"two ", 4, false}, false);
    return ws_send_fragment(ws, (ws_message_t){"three", 5, false}, true);
}

/* Not ws_sendf, for which a text ends at a NUL. */
static int send_late(ctx_t *ctx, const ws_message_t *message) {
    static const char start[] = "late but kept: ";
    size_t length = sizeof start - 1 + message->length;
    char *text = ctx_alloc(ctx, length);
    if (!text)
        return UV_ENOMEM;
    memcpy(text, start, sizeof start - 1);
    memcpy(text + sizeof start - 1, message->data, message->length);
    return ws_send(ctx->websocket, (ws_message_t){text, length, false});
}

static int slow(ctx_t *ctx) {
    int err = ws_accept(ctx->websocket);
    if (!err)
        err = await_sleep(50);
    return err ? err : ws_on_message(ctx->websocket, send_late);
}

static int welcome(ctx_t *ctx) {
    return ws_send_text(ctx->websocket, "welcome");
}

static int no_route(ctx_t *ctx) {
    return ws_close(ctx->websocket, 4404, "no route");
}

/* --- All of it -------------------------------------------------------------------------------- */

static void use_routes(app_t *app) {
    router_t *router = router_new(NULL);
    router_get(router, "/", index_page);
    router_get(router, "/cookies", cookies);
    router_get(router, "/counter", counter);
    router_get(router, "/logout", log_out);
    router_post(router, "/form", form);
    router_get(router, "/redirect", redirect);
    router_get(router, "/back", go_back);
    router_get(router, "/download", download);
    router_get(router, "/nocontent", no_content);
    router_get(router, "/null", null);
    router_get(router, "/stream", stream);
    router_get(router, "/sse", events);
    router_get(router, "/negotiate", negotiate);
    router_get(router, "/whoami", whoami);
    router_add_with(router, "GET", "/api/users/:id", show_user, &(route_options_t){.name = "user"});
    router_get(router, "/api/crash", crash);
    router_put(router, "/api/users/:id", put_user);
    router_get(router, "/limited", limited);
    router_get(router, "/admin", admin);
    router_get(router, "/ranged", ranged);
    router_get(router, "/big", big);
    router_get(router, "/respond-false", respond_false);
    app_use(app, router_routes(router));
    use_if(app, "allowed-methods", router_allowed_methods(router, NULL));
    router_free(router);
}

static void use_sockets(app_t *app) {
    app_ws_use(app, authorize);
    app_ws_use(app, route_all("/echo", echo));
    app_ws_use(app, route_all("/info", info));
    app_ws_use(app, route_all("/close/:code", say_goodbye));
    app_ws_use(app, route_all("/terminate", terminate));
    app_ws_use(app, route_all("/broadcast", broadcast));
    app_ws_use(app, route_all("/fragments", send_fragments));
    app_ws_use(app, route_all("/slow", slow));
    app_ws_use(app, route_all("/private", welcome));
    app_ws_use(app, no_route);
}

/* The port is that of the command line, or PORT, as for features.js. */
int main(int argc, char **argv) {
    static const char *const keys[] = {"newkey", "oldkey", NULL};
    static const char *const protocols[] = {"chat.v1", NULL};
    const ws_deflate_t deflate = {.threshold = 256, .own_compressor = true};
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    app_t *app = app_new_with(&(app_options_t){.ws.message_size = 64 << 10,
                                               .ws.any_origin = true,
                                               .ws.protocols = protocols,
                                               .ws.deflate = is_used("deflate") ? &deflate : NULL,
                                               .keys = keys});
    app_on_error(app, ignore);
    use_middleware(app);
    use_routes(app);
    use_sockets(app);
    const tls_options_t tls = {
        .cert_file = getenv("ACACIA_TLS_CERT"),
        .key_file = getenv("ACACIA_TLS_KEY"),
    };
    listen_options_t local = {
        .port = port ? atoi(port) : 0,
        .host = "127.0.0.1",
        .tls = tls.cert_file ? &tls : NULL,
    };
    int err = app_bind(app, &local);
    if (!err) {
        printf("listening on %s://127.0.0.1:%d\n", local.tls ? "https" : "http", app_port(app));
        fflush(stdout);
        err = app_run(app);
    }
    app_free(app);
    return err != 0;
}
