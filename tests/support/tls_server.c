/*
 * The server of tests/e2e/tls*.test.mjs. Its options are JSON in the environment: TLS has the
 * fields of tls_options_t, of which `asked` is what ask_passphrase says, and `dynamic` certificates
 * by name for on_server_name. PLAIN=1: a second listener without TLS, and a third that redirects to
 * the first.
 */
#include <acacia.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *settings;

/* --- Options ---------------------------------------------------------------------------------- */

static const char *text_of(json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static uint64_t number_of(json_t *object, const char *name) {
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static bool flag(json_t *object, const char *name) {
    return json_is_true(json_object_get(object, name));
}

/* NULL at the end; it stays as long as the program. */
static const char *const *list_of(json_t *object, const char *name) {
    json_t *array = json_object_get(object, name);
    if (!array)
        return NULL;
    static const char *lists[16][16];
    static size_t used;
    const char **list = lists[used++];
    for (size_t i = 0; i < json_array_size(array); i++)
        list[i] = json_string_value(json_array_get(array, i));
    return list;
}

static tls_certificate_t certificate_of(json_t *object) {
    return (tls_certificate_t){
        .cert_file = text_of(object, "cert_file"),
        .key_file = text_of(object, "key_file"),
        .pkcs12_file = text_of(object, "pkcs12_file"),
        .passphrase = text_of(object, "passphrase"),
        .ocsp_file = text_of(object, "ocsp_file"),
        .names = list_of(object, "names"),
    };
}

static int ask_passphrase(char *buffer, size_t size, const char *file, void *state) {
    const char *answer = text_of(settings, "asked");
    if (!answer)
        return -1;
    return snprintf(buffer, size, "%s", answer);
}

/* Read when it is asked for, and given up at once: the connection holds what it needs. */
static tls_identity_t *on_server_name(const char *name, void *state) {
    static tls_identity_t *last;
    char why[256];
    json_t *found = json_object_get(json_object_get(settings, "dynamic"), name);
    tls_identity_free(last);
    last = NULL;
    if (!found)
        return NULL;
    tls_certificate_t certificate = certificate_of(found);
    last = tls_identity_new(&certificate, why, sizeof why);
    if (!last)
        fprintf(stderr, "%s: %s\n", name, why);
    return last;
}

static tls_options_t options(void) {
    static tls_certificate_t sni[16];
    json_t *array = json_object_get(settings, "sni");
    for (size_t i = 0; i < json_array_size(array); i++)
        sni[i] = certificate_of(json_array_get(array, i));
    const tls_certificate_t first = certificate_of(settings);
    return (tls_options_t){
        .cert_file = first.cert_file,
        .key_file = first.key_file,
        .pkcs12_file = first.pkcs12_file,
        .passphrase = first.passphrase,
        .ocsp_file = first.ocsp_file,
        .ask_passphrase = ask_passphrase,
        .sni = sni,
        .on_server_name = on_server_name,
        .request_client_cert = flag(settings, "request_client_cert"),
        .require_client_cert = flag(settings, "require_client_cert"),
        .any_client_cert = flag(settings, "any_client_cert"),
        .ca_file = text_of(settings, "ca_file"),
        .min_version = flag(settings, "only_1_3") ? TLS_1_3 : 0,
        .ciphers = text_of(settings, "ciphers"),
        .ciphersuites = text_of(settings, "ciphersuites"),
        .no_tickets = flag(settings, "no_tickets"),
        .ticket_lifetime = number_of(settings, "ticket_lifetime"),
        .ticket_key_files = list_of(settings, "ticket_key_files"),
        .handshake_timeout = number_of(settings, "handshake_timeout"),
        .handshakes = number_of(settings, "handshakes"),
        .key_log_file = text_of(settings, "key_log_file"),
    };
}

/* --- What it answers -------------------------------------------------------------------------- */

static json_t *certificate_json(const tls_peer_certificate_t *certificate) {
    if (!certificate)
        return json_null();
    json_t *names = json_array();
    for (const char *const *name = certificate->names; *name; name++)
        json_array_append_new(names, json_string(*name));
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:b, s:s?}", "subject", certificate->subject,
        "common_name", certificate->common_name, "issuer", certificate->issuer, "serial",
        certificate->serial, "fingerprint", certificate->fingerprint, "names", names, "not_before",
        (json_int_t)certificate->not_before, "not_after", (json_int_t)certificate->not_after,
        "verified", certificate->verified, "error", certificate->error);
}

static json_t *info_json(ctx_t *ctx) {
    const tls_info_t *info = ctx_tls(ctx);
    if (!info)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "version", info->version, "cipher",
                     info->cipher, "server_name", info->server_name, "alpn", info->alpn, "resumed",
                     info->resumed, "certificate", certificate_json(ctx_client_certificate(ctx)));
}

static int where(ctx_t *ctx) {
    return ctx_json(ctx,
                    json_pack("{s:b, s:s, s:s, s:o}", "secure", ctx_secure(ctx), "protocol",
                              ctx_protocol(ctx), "href", ctx_href(ctx), "tls", info_json(ctx)));
}

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "hello");
}

/* What came, counted and summed up as it comes. */
static int upload(ctx_t *ctx) {
    char buffer[16384];
    size_t length = 0;
    unsigned sum = 0;
    ssize_t n;
    while ((n = ctx_read(ctx, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            sum = sum * 31 + (unsigned char)buffer[i];
        length += (size_t)n;
    }
    if (n < 0)
        fprintf(stderr, "upload: failed after %zu bytes\n", length);
    return n < 0 ? (int)n : ctx_textf(ctx, "%zu %u", length, sum);
}

/* /bytes/:count, in pieces of ?piece. */
static int download(ctx_t *ctx) {
    size_t left = strtoull(ctx_param(ctx, "count"), NULL, 10);
    size_t piece = strtoull(ctx_query(ctx, "piece") ? ctx_query(ctx, "piece") : "65536", NULL, 10);
    char *data = ctx_alloc(ctx, piece);
    size_t at = 0;
    int err = data ? 0 : UV_ENOMEM;
    while (left > 0 && err >= 0) {
        size_t n = left < piece ? left : piece;
        for (size_t i = 0; i < n; i++, at++)
            data[i] = (char)('a' + at % 26);
        err = ctx_write(ctx, data, n);
        left -= n;
    }
    return err < 0 ? err : 0;
}

static int stats(ctx_t *ctx) {
    app_stats_t s;
    json_t *closed = json_object();
    size_t rss = 0;
    app_stats(ctx->app, &s);
    uv_resident_set_memory(&rss);
    for (int i = 0; i < CLOSE_REASONS; i++)
        if (s.closed[i])
            json_object_set_new(closed, close_reason_text(i),
                                json_integer((json_int_t)s.closed[i]));
    return ctx_json(
        ctx,
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "handshakes",
                  (json_int_t)s.tls_handshakes, "resumed", (json_int_t)s.tls_resumed, "active",
                  (json_int_t)s.tls_handshakes_active, "connections", (json_int_t)s.connections,
                  "write_buffers", (json_int_t)s.write_buffers, "read_buffers",
                  (json_int_t)s.read_buffers, "rss", (json_int_t)rss, "closed", closed));
}

static int reload(ctx_t *ctx) {
    int err = tls_reload(ctx->app);
    return ctx_textf(ctx, "%s%s", err ? uv_err_name(err) : "ok", tls_reload_error(ctx->app));
}

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    if (message->length == 3 && memcmp(message->data, "tls", 3) == 0) {
        json_t *info = info_json(ctx);
        char *text = json_dumps(info, JSON_COMPACT);
        int err = ws_send_text(ctx->websocket, text);
        free(text);
        json_decref(info);
        return err;
    }
    return ws_send(ctx->websocket, *message);
}

static int echo(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, on_message);
}

/* When it serves, and not before: signals are looked at from then on. */
static void announce(app_t *app, void *arg) {
    static const char *const names[] = {"plain", "redirects"};
    char address[64];
    for (size_t i = 1; app_address(app, i, address, sizeof address) == 0; i++)
        printf("%s on %s\n", names[i - 1], strrchr(address, ':') + 1);
    printf("listening on https://127.0.0.1:%d\n", app_port(app));
}

int main(void) {
    const char *plain = getenv("PLAIN");
    settings = json_loads(getenv("TLS") ? getenv("TLS") : "{}", 0, NULL);
    const tls_options_t tls = options();
    app_t *app = app_new();
    app_ws_use(app, echo);
    app_use(app, route_get("/", hello));
    app_use(app, route_get("/where", where));
    app_use(app, route_post("/upload", upload));
    app_use(app, route_get("/bytes/:count", download));
    app_use(app, route_get("/stats", stats));
    app_use(app, route_get("/reload", reload));
    setvbuf(stdout, NULL, _IOLBF, 0);
    int err = app_bind(app, &(listen_options_t){.tls = &tls});
    if (!err && plain)
        err = app_bind(app, &(listen_options_t){0});
    if (!err && plain)
        err = app_bind(app, &(listen_options_t){.https_port = app_port(app)});
    if (!err)
        err = app_spawn(app, announce, NULL);
    if (!err)
        err = app_run(app);
    app_free(app);
    json_decref(settings);
    return err ? 1 : 0;
}
