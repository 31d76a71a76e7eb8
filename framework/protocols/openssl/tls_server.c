#include "protocols/openssl/tls_server.h"

#include "protocols/openssl/tls_session.h"
#include "protocols/openssl/tls_tickets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_server {
    const tls_options_t *options;
    struct loop *loop;
    const struct tls_server_events *events;
    void *owner;
    struct tls_material *material, *prepared;
    struct tls_tickets tickets, prepared_tickets;
    struct tls_session *half_open, **half_open_end; /* the oldest first */
    struct tls_server_counts counts;
};

void tls_options_complete(tls_options_t *options) {
    if (!options->min_version)
        options->min_version = TLS_1_2;
    if (!options->ticket_lifetime)
        options->ticket_lifetime = 2 * 3600 * 1000;
    if (options->ticket_lifetime > 7 * 24 * 3600 * (uint64_t)1000) /* RFC 8446 4.6.1 */
        options->ticket_lifetime = 7 * 24 * 3600 * (uint64_t)1000;
    if (!options->handshake_timeout)
        options->handshake_timeout = 10000;
    if (options->handshake_timeout > UINT32_MAX) /* APP_NEVER: that is long enough */
        options->handshake_timeout = UINT32_MAX;
    if (!options->handshakes)
        options->handshakes = 1000;
}

/* --- Life ------------------------------------------------------------------------------------- */

/* Tickets that are shared are read from their files; others need no new keys. */
static bool read_files(struct tls_server *server, const struct tls_why *why) {
    const tls_options_t *options = server->options;
    if (!tls_tickets_init(&server->prepared_tickets, options->ticket_key_files,
                          options->ticket_lifetime, loop_now(server->loop), why))
        return false;
    server->prepared = tls_material_new(options, why);
    return server->prepared;
}

void tls_server_switch(struct tls_server *server, bool take) {
    if (take && server->prepared) {
        tls_material_release(server->material);
        server->material = server->prepared;
        server->prepared = NULL;
        if (!server->tickets.count || server->options->ticket_key_files)
            tls_tickets_adopt(&server->tickets, &server->prepared_tickets);
    }
    tls_material_release(server->prepared);
    server->prepared = NULL;
    tls_tickets_destroy(&server->prepared_tickets);
}

bool tls_server_prepare(struct tls_server *server, const struct tls_why *why) {
    if (read_files(server, why) && tls_material_check_dates(server->prepared, why))
        return true;
    tls_server_switch(server, false);
    return false;
}

struct tls_server *tls_server_new(const tls_options_t *options, struct loop *loop,
                                  const struct tls_server_events *events, void *owner,
                                  const struct tls_why *why, const struct tls_why *warning) {
    struct tls_server *server = calloc(1, sizeof *server);
    if (!server) {
        tls_say(why, NULL, "out of memory");
        return NULL;
    }
    server->options = options;
    server->loop = loop;
    server->events = events;
    server->owner = owner;
    server->half_open_end = &server->half_open;
    if (!read_files(server, why)) {
        tls_server_free(server);
        return NULL;
    }
    tls_material_check_dates(server->prepared, warning);
    tls_server_switch(server, true);
    return server;
}

void tls_server_free(struct tls_server *server) {
    if (!server)
        return;
    tls_server_switch(server, false);
    tls_material_release(server->material);
    tls_tickets_destroy(&server->tickets);
    free(server);
}

const struct tls_server_counts *tls_server_counts(const struct tls_server *server) {
    return &server->counts;
}

/* --- Those that shake hands ------------------------------------------------------------------- */

static void enter(struct tls_server *server, struct tls_session *s) {
    s->server = server;
    s->link = server->half_open_end;
    *s->link = s;
    server->half_open_end = &s->next;
    server->counts.active++;
}

static void leave(struct tls_session *s) {
    struct tls_server *server = s->server;
    if (!s->link)
        return;
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    else
        server->half_open_end = s->link;
    s->link = NULL;
    s->next = NULL;
    server->counts.active--;
}

static void on_ready(struct tls_session *s) {
    struct tls_server *server = s->server;
    struct connection *c = s->filter.connection;
    leave(s);
    server->counts.done++;
    server->counts.resumed += SSL_session_reused(s->ssl) != 0;
    connection_set_deadline(c, 0);
    server->events->ready(server->owner, c);
}

static void on_closed(struct tls_session *s) {
    leave(s);
    s->server->events->closed(s->server->owner, s->filter.connection);
}

static const struct tls_session_events session_events = {.ready = on_ready, .closed = on_closed};

/* Who takes longest is least likely to come to an end. */
static void make_room(struct tls_server *server) {
    struct tls_session *oldest = server->half_open;
    if (server->counts.active <= server->options->handshakes)
        return;
    leave(oldest);
    connection_close(oldest->filter.connection, CLOSE_OVERLOAD, 0);
}

bool tls_server_accept(struct tls_server *server, struct connection *c) {
    struct tls_session *s = tls_session_new(c, &session_events, server);
    if (!s)
        return false;
    enter(server, s);
    make_room(server);
    connection_set_deadline(c, server->options->handshake_timeout);
    connection_read_start(c);
    return true;
}

/* --- What sessions ask ------------------------------------------------------------------------ */

/* Somebody speaks HTTP to a port for https, as browsers do with a bare "host:443". */
static void answer_plaintext(struct tls_session *s) {
    static const char body[] = "Plain HTTP came to a port for https: try https://\n";
    char answer[256];
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s",
                     sizeof body - 1, body);
    filter_put(&s->filter, answer, (size_t)n);
    tls_session_fail(s, CLOSE_TLS_PLAINTEXT, NULL);
}

bool tls_server_welcome(struct tls_session *s, const char *data) {
    if (data[0] >= 'A' && data[0] <= 'Z') { /* no record of TLS begins with a letter */
        answer_plaintext(s);
        return false;
    }
    if (tls_session_begin(s, s->server->material, false))
        return true;
    connection_close(s->filter.connection, CLOSE_NO_MEMORY, UV_ENOMEM);
    return false;
}

struct tls_identity *tls_server_choose(struct tls_server *server, const char *name) {
    const tls_options_t *options = server->options;
    return options->on_server_name ? options->on_server_name(name, options->state) : NULL;
}

int tls_server_ticket_key(struct tls_server *server, unsigned char *name, unsigned char *iv,
                          EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing) {
    return tls_tickets_key(&server->tickets, loop_now(server->loop), name, iv, cipher, mac,
                           sealing);
}
