/* TLS as the app has it: a server of TLS for each listener that has options for one. */
#include "application/application.h"
#include "protocols/http1.h"
#include "protocols/openssl/tls_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_listener {
    struct tls_listener *next;
    struct tls_server *server;
    tls_options_t options;
};

/* --- Copying options -------------------------------------------------------------------------- */

static const char *copy(struct app *app, const char *string) {
    const char *copied = string ? arena_copy(&app->arena, string, strlen(string)) : NULL;
    app->out_of_memory = app->out_of_memory || (string && !copied);
    return copied;
}

static const char *const *copy_list(struct app *app, const char *const *list) {
    size_t count = 0;
    while (list && list[count])
        count++;
    const char **copied = list ? arena_zalloc(&app->arena, (count + 1) * sizeof *copied) : NULL;
    app->out_of_memory = app->out_of_memory || (list && !copied);
    for (size_t i = 0; copied && i < count; i++)
        copied[i] = copy(app, list[i]);
    return copied;
}

static void copy_certificate(struct app *app, tls_certificate_t *to,
                             const tls_certificate_t *from) {
    *to = (tls_certificate_t){
        .cert_file = copy(app, from->cert_file),
        .key_file = copy(app, from->key_file),
        .pkcs12_file = copy(app, from->pkcs12_file),
        .passphrase = copy(app, from->passphrase),
        .ocsp_file = copy(app, from->ocsp_file),
        .names = copy_list(app, from->names),
    };
}

static const tls_certificate_t *copy_certificates(struct app *app, const tls_certificate_t *list) {
    size_t count = 0;
    while (list && (list[count].cert_file || list[count].pkcs12_file))
        count++;
    tls_certificate_t *copied = arena_zalloc(&app->arena, (count + 1) * sizeof *copied);
    app->out_of_memory = app->out_of_memory || !copied;
    for (size_t i = 0; copied && i < count; i++)
        copy_certificate(app, &copied[i], &list[i]);
    return copied;
}

static void copy_options(struct app *app, tls_options_t *to, const tls_options_t *from) {
    *to = *from;
    to->cert_file = copy(app, from->cert_file);
    to->key_file = copy(app, from->key_file);
    to->pkcs12_file = copy(app, from->pkcs12_file);
    to->passphrase = copy(app, from->passphrase);
    to->ocsp_file = copy(app, from->ocsp_file);
    to->sni = copy_certificates(app, from->sni);
    to->ca_file = copy(app, from->ca_file);
    to->ciphers = copy(app, from->ciphers);
    to->ciphersuites = copy(app, from->ciphersuites);
    to->ticket_key_files = copy_list(app, from->ticket_key_files);
    to->key_log_file = copy(app, from->key_log_file);
    tls_options_complete(to);
}

static void complain(const struct app *app, const char *what, const char *why) {
    if (!app->options.silent)
        fprintf(stderr, "acacia: tls: %s%s\n", what, why);
}

/* --- Connections ------------------------------------------------------------------------------ */

/* The first one is news: somebody's URL is wrong, or the configuration of a proxy. */
static void tell_plaintext(const struct app *app) {
    if (!app->stats.closed[CLOSE_TLS_PLAINTEXT] && !app->trace_tls)
        complain(app, "", "plain HTTP came to a port for https; this is told once");
}

static void on_closed(void *owner, struct connection *c) {
    if (c->reason == CLOSE_TLS_PLAINTEXT)
        tell_plaintext(owner);
    app_report_close(owner, "tls", c);
}

static void on_ready(void *owner, struct connection *c) {
    struct app *app = owner;
    if (http1_start(c, &app->http_server) == 0)
        return;
    connection_close(c, CLOSE_NO_MEMORY, UV_ENOMEM);
}

static const struct tls_server_events events = {.ready = on_ready, .closed = on_closed};

/* --- Life ------------------------------------------------------------------------------------- */

int app_open_tls(struct app *app, const tls_options_t *options, struct tls_server **server) {
    char reason[TLS_WHY] = "", note[TLS_WHY] = "";
    struct tls_why why = {reason, sizeof reason}, warning = {note, sizeof note};
    struct tls_listener *listener = arena_zalloc(&app->arena, sizeof *listener);
    app->out_of_memory = app->out_of_memory || !listener;
    if (listener)
        copy_options(app, &listener->options, options);
    if (!app->out_of_memory) {
        listener->server =
            tls_server_new(&listener->options, &app->loop, &events, app, &why, &warning);
        if (!listener->server)
            app_fail_setup(app, "tls: %s", reason);
    }
    int err = app_check_setup(app);
    if (err)
        return err;
    if (*note)
        complain(app, "", note);
    listener->next = app->tls;
    app->tls = listener;
    *server = listener->server;
    return 0;
}

void app_free_tls(struct app *app) {
    for (struct tls_listener *listener = app->tls; listener; listener = listener->next)
        tls_server_free(listener->server);
    app_forget_tls_clients(app);
}

void app_tls_stats(const struct app *app, app_stats_t *stats) {
    for (const struct tls_listener *listener = app->tls; listener; listener = listener->next) {
        const struct tls_server_counts *counts = tls_server_counts(listener->server);
        stats->tls_handshakes += counts->done;
        stats->tls_resumed += counts->resumed;
        stats->tls_handshakes_active += counts->active;
    }
}

/* --- Reloading -------------------------------------------------------------------------------- */

/* All of them are read before one is changed. */
int tls_reload(app_t *app) {
    if (!app)
        return UV_ENOMEM;
    struct tls_why why = {app->tls_error, sizeof app->tls_error};
    struct tls_listener *listener = app->tls, *failed;
    app->tls_error[0] = '\0';
    while (listener && tls_server_prepare(listener->server, &why))
        listener = listener->next;
    failed = listener;
    for (listener = app->tls; listener && listener != failed; listener = listener->next)
        tls_server_switch(listener->server, !failed);
    if (failed)
        complain(app, "not reloaded: ", app->tls_error);
    else
        app_forget_tls_clients(app);
    return failed ? UV_EINVAL : 0;
}

const char *tls_reload_error(const app_t *app) {
    return app ? app->tls_error : "";
}
