/*
 * A page and a chat by https and wss alone, with a certificate that is made on the first start:
 * secure.cert.pem and secure.key.pem, in the current directory or in CERTIFICATES. SIGHUP reads
 * them again. With HTTP_PORT in the environment there is a second port, which redirects to https.
 */
#include <acacia.h>
#include <middleware/security_headers.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef PAGE_DIR
#define PAGE_DIR "."
#endif

#define TEXT_BYTES 2000 /* bytes of a message */

static unsigned long guests;

/* --- The chat --------------------------------------------------------------------------------- */

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    const char *line;
    if (message->binary || message->length == 0 || message->length > TEXT_BYTES)
        return ws_close(ctx->websocket, 1008, "a text of at most 2000 bytes");
    line = ctx_printf(ctx, "%s: %s", (const char *)ctx->state, message->data);
    if (!line)
        return UV_ENOMEM;
    ws_broadcast(ctx->app, (ws_message_t){.data = (char *)line, .length = strlen(line)}, NULL);
    return 0;
}

/* The first message says how safe one is here. */
static int talk(ctx_t *ctx) {
    const tls_info_t *tls = ctx_tls(ctx);
    ctx->state = ctx_printf(ctx, "guest %lu", ++guests);
    if (!tls || !ctx->state)
        return UV_ENOMEM;
    ws_on_message(ctx->websocket, on_message);
    return ws_sendf(ctx->websocket, "You are %s, by %s with %s", (const char *)ctx->state,
                    tls->version, tls->cipher);
}

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/secure.html");
}

static int script(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/secure.js");
}

/* --- The certificate -------------------------------------------------------------------------- */

/* Unless it is there. Browsers warn of it, since nobody whom they know vouches for it. */
static int make_certificate(const char *cert_file, const char *key_file) {
    char host[256] = "localhost";
    size_t size = sizeof host;
    uv_os_gethostname(host, &size);
    const char *const names[] = {"localhost", "127.0.0.1", "::1", host, NULL};
    if (access(cert_file, F_OK) == 0 && access(key_file, F_OK) == 0)
        return 0;
    int err = tls_make_self_signed(cert_file, key_file, names, 365);
    if (err)
        fprintf(stderr, "%s: %s\n", cert_file, uv_strerror(err));
    else
        printf("made %s\n", cert_file);
    return err;
}

/* --- The ports -------------------------------------------------------------------------------- */

static int port_of(const char *variable, int otherwise) {
    const char *text = getenv(variable);
    return text && *text ? atoi(text) : otherwise;
}

static int listen_on(app_t *app, const tls_options_t *tls) {
    int err = app_bind(app, &(listen_options_t){.port = port_of("PORT", 3443), .tls = tls});
    if (err || !getenv("HTTP_PORT"))
        return err;
    return app_bind(app, &(listen_options_t){
                             .port = port_of("HTTP_PORT", 0),
                             .https_port = app_port(app),
                         });
}

/* When it serves, and not before: signals are looked at from then on. */
static void announce(app_t *app, void *arg) {
    char http[64];
    if (app_address(app, 1, http, sizeof http) == 0)
        printf("redirecting from http://127.0.0.1%s\n", strrchr(http, ':'));
    printf("listening on https://127.0.0.1:%d\n", app_port(app));
}

int main(void) {
    char cert_file[512], key_file[512];
    const char *folder = getenv("CERTIFICATES") ? getenv("CERTIFICATES") : ".";
    snprintf(cert_file, sizeof cert_file, "%s/secure.cert.pem", folder);
    snprintf(key_file, sizeof key_file, "%s/secure.key.pem", folder);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (make_certificate(cert_file, key_file))
        return 1;

    app_t *app = app_new();
    app_use(app, security_headers(NULL)); /* this host is https only, they say among others */
    app_use(app, route_get("/", page));
    app_use(app, route_get("/secure.js", script));
    app_ws_use(app, route_all("/chat", talk));
    int err = listen_on(app, &(tls_options_t){.cert_file = cert_file, .key_file = key_file});
    if (!err)
        err = app_spawn(app, announce, NULL);
    if (!err)
        err = app_run(app);
    if (err)
        fprintf(stderr, "can't serve: %s\n", uv_strerror(err));
    app_free(app);
    return err ? 1 : 0;
}
