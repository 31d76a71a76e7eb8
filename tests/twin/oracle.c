/* A route for each part of ctx, each kind of body and of pattern, and for what a WebSocket does:
 * oracle.mjs is the same in Koa, and e2e/twin_oracle.test.mjs compares the two. */
#include <acacia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What JavaScript does by itself ----------------------------------------------------------- */

/* node takes the bytes of a header for Latin-1; JSON is UTF-8. */
static json_t *latin1(ctx_t *ctx, const char *bytes) {
    char *text = ctx_alloc(ctx, 2 * strlen(bytes) + 1);
    char *at = text;
    if (!text)
        return NULL;
    for (; *bytes; bytes++) {
        unsigned char c = (unsigned char)*bytes;
        if (c < 0x80) {
            *at++ = *bytes;
        } else {
            *at++ = (char)(0xc0 | c >> 6);
            *at++ = (char)(0x80 | (c & 0x3f));
        }
    }
    return json_string(text);
}

static json_t *or_false(ctx_t *ctx, const char *text) {
    return text ? latin1(ctx, text) : json_false();
}

static json_t *or_null(ctx_t *ctx, const char *text) {
    return text ? latin1(ctx, text) : json_null();
}

static json_t *list(ctx_t *ctx, const char *(*item_at)(ctx_t *ctx, size_t index)) {
    json_t *array = json_array();
    const char *item;
    for (size_t i = 0; (item = item_at(ctx, i)); i++)
        json_array_append_new(array, latin1(ctx, item));
    return array;
}

/* Number(text), as far as a status or a close code may be it: -1 for all others. */
static int to_integer(const char *text, int least, int most) {
    char *end;
    double number = strtod(text, &end);
    end += strspn(end, " ");
    return !*end && number >= least && number <= most && number == (int)number ? (int)number : -1;
}

static int to_status(const char *text) {
    return to_integer(text, 100, 999);
}

/* What ctx.query holds under a name, as text: an array is joined by commas. */
static const char *query_text(ctx_t *ctx, const char *wanted) {
    const char *text = NULL, *name, *value;
    for (size_t i = 0; ctx_query_at(ctx, i, &name, &value); i++)
        if (strcmp(name, wanted) == 0)
            text = text ? ctx_printf(ctx, "%s,%s", text, value) : value;
    return text;
}

/* --- The request ------------------------------------------------------------------------------ */

static int hello(ctx_t *ctx) {
    return ctx_body(ctx, "hello");
}

static json_t *is(ctx_t *ctx, const char *const *types) {
    return ctx_has_body(ctx) ? or_false(ctx, ctx_is_one_of(ctx, types)) : json_null();
}

static json_t *content_length(ctx_t *ctx) {
    int64_t length = ctx_request_length(ctx);
    return length < 0 ? json_null() : json_integer(length);
}

static json_t *inspect_url(ctx_t *ctx) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "method", ctx->method, "url", ctx->url,
                     "originalUrl", ctx->original_url, "path", ctx->path, "search", ctx_search(ctx),
                     "querystring", ctx->querystring, "query", ctx_query_json(ctx));
}

static json_t *inspect_hosts(ctx_t *ctx) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "href",
                     latin1(ctx, ctx_href(ctx)), "origin", or_null(ctx, ctx_origin(ctx)), "host",
                     latin1(ctx, ctx_host(ctx)), "hostname", latin1(ctx, ctx_hostname(ctx)),
                     "subdomains", list(ctx, ctx_subdomain_at), "protocol",
                     latin1(ctx, ctx_protocol(ctx)), "secure", ctx_secure(ctx), "ip",
                     latin1(ctx, ctx_ip(ctx)), "ips", list(ctx, ctx_ip_at));
}

static json_t *inspect_body(ctx_t *ctx) {
    return json_pack(
        "{s:o, s:o, s:o, s:b, s:{s:o, s:o, s:o}}", "type", latin1(ctx, ctx_request_type(ctx)),
        "charset", latin1(ctx, ctx_request_charset(ctx)), "length", content_length(ctx),
        "idempotent", ctx_idempotent(ctx), "is", "json", is(ctx, ACACIA_LIST("json")), "text",
        is(ctx, ACACIA_LIST("text/*")), "form", is(ctx, ACACIA_LIST("urlencoded", "multipart")));
}

static json_t *inspect_headers(ctx_t *ctx) {
    return json_pack("{s:{s:o, s:o, s:o}}", "get", "referer", latin1(ctx, ctx_get(ctx, "referrer")),
                     "test", latin1(ctx, ctx_get(ctx, "X-Test")), "none",
                     latin1(ctx, ctx_get(ctx, "x-none")));
}

static int inspect(ctx_t *ctx) {
    json_t *all = inspect_url(ctx);
    json_object_update_new(all, inspect_hosts(ctx));
    json_object_update_new(all, inspect_body(ctx));
    json_object_update_new(all, inspect_headers(ctx));
    return ctx_json(ctx, all);
}

static int negotiate(ctx_t *ctx) {
    return ctx_json(ctx,
                    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "types",
                              list(ctx, ctx_accepts_at), "type",
                              or_false(ctx, ctx_accepts(ctx, "html", "json", "text/plain", "png")),
                              "encodings", list(ctx, ctx_accepts_encoding_at), "encoding",
                              or_false(ctx, ctx_accepts_encodings(ctx, "gzip", "br", "identity")),
                              "languages", list(ctx, ctx_accepts_language_at), "language",
                              or_false(ctx, ctx_accepts_languages(ctx, "en", "fr", "pt-BR")),
                              "charsets", list(ctx, ctx_accepts_charset_at), "charset",
                              or_false(ctx, ctx_accepts_charsets(ctx, "utf-8", "iso-8859-1"))));
}

static int fresh(ctx_t *ctx) {
    const time_t modified = 1580608922; /* Sun, 02 Feb 2020 02:02:02 GMT */
    ctx->status = 200;
    ctx_etag(ctx, ctx_query(ctx, "weak") ? "W/\"tag-1\"" : "tag-1");
    ctx_last_modified(ctx, modified);
    if (!ctx_fresh(ctx))
        return ctx_body(ctx, "fresh body");
    ctx->status = 304;
    return 0;
}

static int echo(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    if (err)
        return err;
    const char *type = ctx_get(ctx, "Content-Type");
    ctx_type(ctx, *type ? type : "application/octet-stream");
    return ctx_bytes(ctx, body.data, body.length);
}

/* --- The response ----------------------------------------------------------------------------- */

static ssize_t read_pieces(ctx_t *ctx, void *state, void *buffer, size_t size) {
    static const char *const pieces[] = {"one,", "two", ""};
    int *i = state;
    const char *piece = pieces[(*i)++];
    memcpy(buffer, piece, strlen(piece));
    return (ssize_t)strlen(piece);
}

static int show_stream(ctx_t *ctx) {
    int *i = ctx_new(ctx, int);
    return i ? ctx_stream(ctx, (body_stream_t){.read = read_pieces, .state = i}) : UV_ENOMEM;
}

static int show_body(ctx_t *ctx) {
    const char *kind = ctx_param(ctx, "kind");
    if (strcmp(kind, "string") == 0)
        return ctx_body(ctx, "a string");
    if (strcmp(kind, "html") == 0)
        return ctx_body(ctx, "<p>html</p>");
    if (strcmp(kind, "json") == 0)
        return ctx_json(ctx, json_pack("{s:i, s:[b, n, s]}", "a", 1, "b", true, "é"));
    if (strcmp(kind, "array") == 0)
        return ctx_json(ctx, json_pack("[i, i, i]", 1, 2, 3));
    if (strcmp(kind, "null") == 0)
        return ctx_empty(ctx);
    if (strcmp(kind, "empty") == 0)
        return ctx_body(ctx, "");
    if (strcmp(kind, "buffer") == 0)
        return ctx_bytes(ctx, "\0\1\2\377", 4);
    if (strcmp(kind, "number") == 0)
        return ctx_json(ctx, json_integer(42));
    if (strcmp(kind, "false") == 0)
        return ctx_json(ctx, json_false());
    if (strcmp(kind, "stream") == 0)
        return show_stream(ctx);
    return 0;
}

static int set_status(ctx_t *ctx) {
    ctx->status = to_status(ctx_param(ctx, "code"));
    return 0;
}

static int set_status_and_body(ctx_t *ctx) {
    ctx->status = to_status(ctx_param(ctx, "code"));
    return ctx_body(ctx, "body");
}

static int redirect(ctx_t *ctx) {
    const char *url = query_text(ctx, "to");
    return ctx_redirect(ctx, url ? url : "/");
}

static int go_back(ctx_t *ctx) {
    return ctx_back(ctx, "/fallback");
}

static int set_type(ctx_t *ctx) {
    int err = ctx_body(ctx, "typed");
    return err ? err : ctx_type(ctx, ctx_param(ctx, "type"));
}

static int attach(ctx_t *ctx) {
    int err = ctx_attachment(ctx, ctx_param(ctx, "name"));
    return err ? err : ctx_body(ctx, "attached");
}

static int cookies(ctx_t *ctx) {
    int err = ctx_set_cookie(ctx, "plain", "v", NULL);
    if (!err)
        err = ctx_set_cookie(ctx, "full", "a b",
                             &(cookie_options_t){.path = "/p",
                                                 .domain = "example.test",
                                                 .script_access = true,
                                                 .same_site = "lax",
                                                 .overwrite = true});
    if (err)
        return err;
    return ctx_json(ctx, json_pack("{s:o, s:o}", "a", or_null(ctx, ctx_cookie(ctx, "a")), "b",
                                   or_null(ctx, ctx_cookie(ctx, "b"))));
}

static int headers(ctx_t *ctx) {
    ctx_set(ctx, "X-One", "1");
    ctx_set(ctx, "X-Removed", "x");
    ctx_append(ctx, "X-Many", "a");
    ctx_append(ctx, "X-Many", "b");
    ctx_append(ctx, "X-Many", "c");
    ctx_vary(ctx, "Accept");
    ctx_vary(ctx, "Origin");
    ctx_remove(ctx, "X-Removed");
    return ctx_body(ctx, "headers");
}

/* --- Errors ----------------------------------------------------------------------------------- */

static int throw_it(ctx_t *ctx) {
    ctx_throw_header(ctx, "X-Thrown", "yes");
    return ctx_throw(ctx, to_status(ctx_param(ctx, "code")), "thrown here");
}

static int fail(ctx_t *ctx) {
    return ctx_throw(ctx, 500, "a secret");
}

static int assert_ok(ctx_t *ctx) {
    const char *ok = query_text(ctx, "ok");
    return ctx_assert(ctx, ok && *ok, 401, "not ok");
}

/* --- Patterns --------------------------------------------------------------------------------- */

static int show_params(ctx_t *ctx, size_t count) {
    json_t *params = json_array();
    for (size_t i = 0; i < count; i++) {
        const char *param = ctx_param_at(ctx, i);
        json_array_append_new(params, param ? json_string(param) : json_null());
    }
    return ctx_json(ctx, json_pack("{s:s, s:o}", "route", ctx->route_path, "params", params));
}

static int no_params(ctx_t *ctx) {
    return show_params(ctx, 0);
}

static int one_param(ctx_t *ctx) {
    return show_params(ctx, 1);
}

static int two_params(ctx_t *ctx) {
    return show_params(ctx, 2);
}

/* --- WebSockets ------------------------------------------------------------------------------- */

static int send_back(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int ws_echo(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, send_back);
}

static int ws_room(ctx_t *ctx) {
    json_t *hello =
        json_pack("{s:s, s:s, s:o, s:s}", "id", ctx_param(ctx, "id"), "path", ctx->path, "query",
                  ctx_query_json(ctx), "protocol", ws_protocol(ctx->websocket));
    char *text = json_dumps(hello, JSON_COMPACT);
    json_decref(hello);
    if (!text)
        return UV_ENOMEM;
    int err = ws_send_text(ctx->websocket, text);
    free(text);
    return err ? err : ws_echo(ctx);
}

static int ws_bye(ctx_t *ctx) {
    return ws_close(ctx->websocket, to_integer(ctx_param(ctx, "code"), 1000, 4999), "bye");
}

static int ws_ask(ctx_t *ctx) {
    static const char question[] = "are you there";
    int err = ws_ping(ctx->websocket, question, sizeof question - 1);
    return err ? err : ws_echo(ctx);
}

/* --- All of it -------------------------------------------------------------------------------- */

static void use_routes(app_t *app) {
    app_use(app, route_get("/", hello));
    app_use(app, route_all("/inspect", inspect));
    app_use(app, route_all("/negotiate", negotiate));
    app_use(app, route_all("/fresh", fresh));
    app_use(app, route_all("/echo", echo));
    app_use(app, route_get("/body/:kind", show_body));
    app_use(app, route_all("/status/:code", set_status));
    app_use(app, route_all("/status-body/:code", set_status_and_body));
    app_use(app, route_get("/redirect", redirect));
    app_use(app, route_get("/back", go_back));
    app_use(app, route_get("/type/:type", set_type));
    app_use(app, route_get("/attachment/:name", attach));
    app_use(app, route_all("/cookies", cookies));
    app_use(app, route_all("/headers", headers));
    app_use(app, route_all("/throw/:code", throw_it));
    app_use(app, route_all("/fail", fail));
    app_use(app, route_all("/assert", assert_ok));
    app_use(app, route_get("/user/:id", one_param));
    app_use(app, route_get("/pair/:a/:b", two_params));
    app_use(app, route_get("/opt/:x?", one_param));
    app_use(app, route_get("/num/:n(\\d+)", one_param));
    app_use(app, route_get("/rest/(.*)", one_param));
    app_use(app, route_put("/only-put", no_params));
    app_use(app, route_del("/only-delete", no_params));
}

static void use_sockets(app_t *app) {
    app_ws_use(app, route_all("/ws/echo", ws_echo));
    app_ws_use(app, route_all("/ws/room/:id", ws_room));
    app_ws_use(app, route_all("/ws/close/:code", ws_bye));
    app_ws_use(app, route_all("/ws/ping", ws_ask));
}

static bool is_set(const char *name, const char *to) {
    const char *value = getenv(name);
    return value && strcmp(value, to) == 0;
}

int main(void) {
    static const char *const protocols[] = {"chat", "v2.chat", NULL};
    const char *port = getenv("PORT"), *max_payload = getenv("MAX_PAYLOAD");
    app_t *app = app_new_with(&(app_options_t){
        .ws.any_origin = true, /* as ws does */
        .ws.protocols = protocols,
        .ws.deflate = is_set("DEFLATE", "0") ? NULL : &(ws_deflate_t){0},
        .ws.message_size = max_payload ? strtoul(max_payload, NULL, 10) : 0,
        .http.body_size = 16 << 20,
        .proxy = is_set("PROXY", "1"),
        .silent = true,
    });
    use_routes(app);
    use_sockets(app);
    const tls_options_t tls = {
        .cert_file = getenv("ACACIA_TLS_CERT"),
        .key_file = getenv("ACACIA_TLS_KEY"),
    };
    listen_options_t local = {
        .port = port ? atoi(port) : 7001,
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
