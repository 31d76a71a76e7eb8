#include "application/ws_dial.h"

#include "application/ws_tls.h"
#include "context/percent.h"
#include "context/socket.h"
#include "context/url.h"
#include "protocols/client_handshake.h"
#include "protocols/openssl/digest.h"
#include "runtime/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX 16384 /* bytes of a server's answer, without its body */

/* --- Where to --------------------------------------------------------------------------------- */

struct address {
    struct url url;   /* with the scheme of HTTP */
    const char *path; /* of a unix socket, or NULL */
    bool secure;
};

/* ws+unix:/tmp/app.sock:/chat */
static int parse_unix(struct address *address, struct arena *arena, const char *text) {
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    const char *target = colon ? colon + 1 : "/";
    const char *query = strchr(target, '?');
    size_t path_length = query ? (size_t)(query - target) : strlen(target);
    if (length == 0 || *target != '/')
        return UV_EINVAL;
    address->path = arena_copy(arena, text, length);
    address->url = (struct url){
        .scheme = "http",
        .host = "localhost",
        .path = arena_copy(arena, target, path_length),
        .query = query ? arena_copy(arena, query + 1, strlen(query + 1)) : NULL,
    };
    return address->path && address->url.path ? 0 : UV_ENOMEM;
}

static bool skip(const char **text, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncasecmp(*text, prefix, n) != 0)
        return false;
    *text += n;
    return true;
}

/* The rules of URLs are for http; ws is the same under another name. */
static int parse(struct address *address, struct arena *arena, const char *text,
                 const struct url *base) {
    *address = (struct address){0};
    if (skip(&text, "ws+unix:"))
        return parse_unix(address, arena, text);
    const char *scheme = skip(&text, "ws:") ? "http:" : skip(&text, "wss:") ? "https:" : "";
    size_t length = strlen(scheme) + strlen(text);
    char *url = arena_alloc(arena, length + 1);
    if (!url)
        return UV_ENOMEM;
    stpcpy(stpcpy(url, scheme), text);
    int err = url_parse(&address->url, arena, url, length, base);
    if (err)
        return err;
    if (!address->url.host || address->url.fragment)
        return UV_EINVAL;
    address->secure = strcmp(address->url.scheme, "https") == 0;
    return 0;
}

int ws_dial_check(const char *url) {
    struct address address;
    struct arena arena;
    arena_init(&arena, NULL);
    int err = parse(&address, &arena, url, NULL);
    arena_release(&arena);
    return err;
}

/* --- A call ----------------------------------------------------------------------------------- */

struct call {
    struct app *app;
    const ws_client_options_t *options;
    ws_failure_t *failure;
    struct arena arena; /* becomes that of the ctx */
    uint64_t deadline;
    struct address address;
    bool other_host;               /* than the one that was asked for, by a redirect */
    const char *authorization;     /* of the URL's user, or NULL */
    struct tls_material *material; /* for wss; NULL: none was needed yet */
    struct connection *connection;
    struct wait wait; /* for the head of the answer */
    char *data;       /* of it, and what comes behind */
    size_t length, head_length;
    size_t skipped; /* of interim answers */
    struct http1_response response;
    struct client_handshake handshake;
    struct client_agreement agreement;
    struct deflate_options deflate;
};

static int fail(struct call *call, int err, const char *reason) {
    call->failure->error = err;
    snprintf(call->failure->reason, sizeof call->failure->reason, "%s",
             reason                ? reason
             : err == UV_ETIMEDOUT ? "Opening handshake has timed out"
                                   : uv_strerror(err));
    return err;
}

/* --- The answer comes ------------------------------------------------------------------------- */

static void on_data(struct connection *c, char *data, size_t n) {
    struct call *call = c->owner;
    char *all =
        call ? arena_resize(&call->arena, call->data, call->length, call->length + n) : NULL;
    if (!call)
        return;
    connection_read_stop(c);
    if (!all) {
        wait_done(&call->wait, UV_ENOMEM);
        return;
    }
    memcpy(all + call->length, data, n);
    call->data = all;
    call->length += n;
    call->head_length = http1_response_head(all, call->length);
    if (call->head_length)
        wait_done(&call->wait, 0);
    else if (call->length > HEAD_MAX)
        wait_done(&call->wait, UV_EMSGSIZE);
    else
        connection_read_start(c);
}

static void on_end(struct connection *c) {
    struct call *call = c->owner;
    if (call)
        wait_done(&call->wait, UV_ECONNRESET);
}

static void on_shut_down(struct connection *c) {
    connection_close(c, CONNECTION_DONE, UV_ECANCELED);
}

static void on_closed(struct connection *c) {
    struct call *call = c->owner;
    if (!call)
        return;
    call->connection = NULL;
    if (c->error == UV_EPROTO && connection_error_text(c)) /* TLS */
        fail(call, UV_EPROTO, connection_error_text(c));
    wait_done(&call->wait, c->error ? c->error : UV_ECANCELED);
}

static const struct connection_events call_events = {
    .data = on_data,
    .end = on_end,
    .shut_down = on_shut_down,
    .closed = on_closed,
};

static void hang_up(struct call *call) {
    if (!call->connection)
        return;
    connection_own(call->connection, &call_events, NULL);
    connection_close(call->connection, CONNECTION_DONE, 0);
    call->connection = NULL;
}

/* --- The request ------------------------------------------------------------------------------ */

static int port_of(const struct address *address) {
    return address->url.port ? (int)strtol(address->url.port, NULL, 10)
           : address->secure ? 443
                             : 80;
}

/* "[::1]" without its brackets. */
static const char *name_of(struct call *call, const char *host) {
    size_t n = strlen(host);
    return *host == '[' ? arena_copy(&call->arena, host + 1, n - 2) : host;
}

static const char *decoded(struct call *call, const char *text) {
    size_t n = text ? strlen(text) : 0;
    char *copy = arena_copy(&call->arena, text ? text : "", n);
    if (copy && !percent_decode_string(copy, text ? text : "", n))
        copy = arena_copy(&call->arena, text, n); /* as it is, then */
    return copy;
}

/* RFC 7617: a user in the URL, who stays when the same host redirects, and goes to no other. */
static int authorize(struct call *call) {
    const struct url *url = &call->address.url;
    if (call->other_host)
        call->authorization = NULL;
    if (call->other_host || (!url->username && !url->password))
        return 0;
    const char *user = decoded(call, url->username), *password = decoded(call, url->password);
    if (!user || !password)
        return UV_ENOMEM;
    size_t n = strlen(user) + 1 + strlen(password);
    char *plain = arena_alloc(&call->arena, n + 1);
    char *value = arena_alloc(&call->arena, 6 + (n + 2) / 3 * 4 + 1);
    if (!plain || !value)
        return UV_ENOMEM;
    stpcpy(stpcpy(stpcpy(plain, user), ":"), password);
    base64_encode(stpcpy(value, "Basic "), plain, n);
    call->authorization = value;
    return 0;
}

/* What is of the handshake, and what would announce a body. */
static bool is_reserved(const char *name) {
    static const char *const names[] = {"Connection", "Upgrade", "Content-Length",
                                        "Transfer-Encoding"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return strncasecmp(name, "Sec-WebSocket-", 14) == 0;
}

/* Each is a token, and there but once (RFC 6455 4.1). */
static bool protocols_are_valid(const char *const *protocols) {
    for (const char *const *at = protocols; at && *at; at++) {
        if (!is_token(*at))
            return false;
        for (const char *const *before = protocols; before < at; before++)
            if (strcmp(*before, *at) == 0)
                return false;
    }
    return true;
}

static int check_headers(struct call *call) {
    const ws_client_options_t *options = call->options;
    for (const char *const *at = options->headers; at && *at; at += 2)
        if (!is_token(at[0]) || is_reserved(at[0]) || !at[1] || !is_field_value(at[1]))
            return fail(call, UV_EINVAL, "A header that can't be sent");
    if (!protocols_are_valid(options->protocols))
        return fail(call, UV_EINVAL, "An invalid subprotocol");
    if (options->origin && !is_field_value(options->origin))
        return fail(call, UV_EINVAL, "An invalid origin");
    return 0;
}

static int make_request(struct call *call, const char **request, size_t *length) {
    static const ws_deflate_t defaults;
    const ws_client_options_t *options = call->options;
    const struct url *url = &call->address.url;
    char *target =
        arena_alloc(&call->arena, strlen(url->path) + (url->query ? strlen(url->query) : 0) + 2);
    if (!target)
        return UV_ENOMEM;
    char *end = stpcpy(target, url->path);
    if (url->query)
        stpcpy(stpcpy(end, "?"), url->query);
    call->handshake = (struct client_handshake){
        .target = target,
        .host = url_host(&call->arena, url),
        .origin = options->origin,
        .protocols = options->protocols,
        .headers = call->other_host ? NULL : options->headers,
    };
    if (!options->no_deflate && deflate_is_available())
        call->handshake.deflate = socket_deflate_options(
            options->ws.deflate ? options->ws.deflate : &defaults, &call->deflate);
    int err = call->handshake.host ? authorize(call) : UV_ENOMEM;
    call->handshake.authorization = call->authorization;
    return err ? err : client_handshake_write(&call->handshake, &call->arena, request, length);
}

/* --- There and back --------------------------------------------------------------------------- */

/* By TLS to whom it is meant for. */
static int secure(struct call *call, const char *host) {
    const tls_client_options_t *options = call->options->tls;
    struct tls_failure failure = {0};
    const char *name =
        options && options->server_name && !call->other_host ? options->server_name : host;
    struct connection *c = call->connection;
    call->connection = NULL;
    int err = tls_client_open(c, call->material, name, call->deadline, &failure);
    if (!err)
        call->connection = c;
    call->failure->certificate = (int)failure.verify;
    return err && *failure.text ? fail(call, err, failure.text) : err;
}

/* The files first: what is wrong with them is nobody else's affair. */
static int read_files(struct call *call) {
    char text[TLS_WHY] = "";
    tls_material_release(call->material);
    call->material = ws_tls_material(call->app, call->options->tls, call->other_host,
                                     &(struct tls_why){text, sizeof text});
    return call->material ? 0 : fail(call, UV_EINVAL, text);
}

static int reach(struct call *call) {
    struct loop *loop = &call->app->loop;
    const struct address *address = &call->address;
    const struct dial_target target = {
        .host = name_of(call, address->url.host),
        .port = port_of(address),
        .path = address->path,
    };
    if (!target.host)
        return UV_ENOMEM;
    int err = address->secure ? read_files(call) : 0;
    if (!err)
        err = dial(loop, &target, call->deadline, &call->connection);
    if (!err && address->secure)
        err = secure(call, target.host);
    if (!err)
        connection_own(call->connection, &call_events, call);
    return err;
}

/* RFC 9110 15.2: any number of these may come before the answer; we read as much as that may have.
 */
static bool is_interim(int status) {
    return status >= 100 && status < 200 && status != 101;
}

/* What is behind an interim answer is the beginning of the next one. */
static void skip_interim(struct call *call) {
    call->skipped += call->head_length;
    call->length -= call->head_length;
    memmove(call->data, call->data + call->head_length, call->length);
    call->head_length = http1_response_head(call->data, call->length);
}

static int read_answer(struct call *call) {
    int err = 0;
    if (call->head_length)
        skip_interim(call);
    if (call->skipped > HEAD_MAX)
        err = UV_EMSGSIZE;
    if (!err && !call->head_length) {
        connection_read_start(call->connection);
        err = wait_until(&call->wait, call->deadline);
    }
    if (err)
        return err == UV_EMSGSIZE ? fail(call, err, "The server's answer is too long") : err;
    err = http1_response_parse(&call->response, &call->arena, call->data, call->head_length);
    return err == UV_EPROTO ? fail(call, err, "The server's answer is no HTTP") : err;
}

static int ask(struct call *call) {
    const char *request;
    size_t length;
    int err = make_request(call, &request, &length);
    if (!err)
        err = connection_write(call->connection, request, length);
    if (err)
        return err;
    call->data = NULL;
    call->length = call->head_length = call->skipped = 0;
    do
        err = read_answer(call);
    while (!err && is_interim(call->response.status));
    return err;
}

static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_same_host(const struct address *a, const struct address *b) {
    return strcmp(a->url.host, b->url.host) == 0 && port_of(a) == port_of(b) &&
           a->secure == b->secure;
}

/* Is it more than a path (RFC 3986 4.2)? */
static bool names_host(const char *reference) {
    size_t n = strcspn(reference, ":/?#");
    return reference[n] == ':' || strncmp(reference, "//", 2) == 0;
}

/* RFC 9110 15.4: what is meant for one host is not for another. */
static int follow(struct call *call) {
    const struct address from = call->address;
    const char *location = headers_get(&call->response.headers, "Location");
    hang_up(call);
    if (!location)
        return fail(call, UV_EPROTO, "A redirect without a Location");
    int err = parse(&call->address, &call->arena, location, &from.url);
    struct address *to = &call->address;
    if (!err && to->path)
        err = UV_EINVAL; /* no server sends us to a socket of this machine */
    if (err)
        return err == UV_EINVAL ? fail(call, err, "A redirect to an invalid URL") : err;
    if (from.path && !names_host(location))
        to->path = from.path;
    if (from.path ? !to->path : !is_same_host(to, &from))
        call->other_host = true;
    return 0;
}

static int refused(struct call *call) {
    char reason[64];
    call->failure->status = call->response.status;
    snprintf(reason, sizeof reason, "Unexpected server response: %d", call->response.status);
    return fail(call, UV_EPROTO, reason);
}

static int shake_hands(struct call *call) {
    const char *why;
    int err = check_headers(call);
    for (int left = call->options->redirects; !err; left--) {
        if (!(err = reach(call)))
            err = ask(call);
        if (err || call->response.status == 101)
            break;
        if (!is_redirect(call->response.status) || call->options->redirects <= 0)
            return refused(call);
        if (left <= 0)
            return fail(call, UV_ELOOP, "Maximum redirects exceeded");
        err = follow(call);
    }
    if (err)
        return call->failure->error ? err : fail(call, err, NULL);
    err = client_handshake_check(&call->handshake, &call->arena, &call->response, &call->agreement,
                                 &why);
    return err ? fail(call, err, err == UV_EPROTO ? why : NULL) : 0;
}

/* --- The socket ------------------------------------------------------------------------------- */

/* Everything that it holds moves into its own exchange. */
static struct websocket *make_socket(struct call *call) {
    struct app *app = call->app;
    struct connection *connection = call->connection;
    struct exchange *exchange = arena_zalloc(&call->arena, sizeof *exchange);
    char *peer = arena_alloc(&call->arena, 64);
    if (!exchange || !peer)
        return NULL;
    *exchange = (struct exchange){
        .ops = &socket_exchange_ops,
        .arena = call->arena,
        .method = "GET",
        .url = call->handshake.target,
        .headers = call->response.headers,
        .secure = call->address.secure,
    };
    connection_peer(connection, peer, 64);
    struct context *context = context_new_for_socket(&app->host, exchange, NULL);
    struct websocket *ws = context ? socket_open(context, &call->options->ws) : NULL;
    call->arena = exchange->arena;
    if (!ws)
        return NULL;
    context->peer = peer;
    context->ctx.state = call->options->state;
    ws->protocol = call->agreement.protocol ? arena_copy(&exchange->arena, call->agreement.protocol,
                                                         strlen(call->agreement.protocol))
                                            : NULL;
    return ws;
}

static int start_socket(struct call *call, struct websocket *ws) {
    struct app *app = call->app;
    struct connection *connection = call->connection;
    connection->limits = &app->options.http;
    const struct ws_peer_setup setup = {
        .all = &app->peers,
        .connection = connection,
        .client = true,
        .agreement = call->agreement.compressed ? &call->agreement.deflate : NULL,
        .early = call->data + call->head_length,
        .early_length = call->length - call->head_length,
    };
    if (!ws_peer_start(&ws->peer, &setup)) {
        connection_close(connection, CLOSE_NO_MEMORY, UV_ENOMEM);
        return UV_ENOMEM;
    }
    socket_go_on(ws);
    return 0;
}

int ws_dial(struct app *app, const char *url, const ws_client_options_t *options,
            ws_failure_t *failure, struct websocket **ws) {
    struct call call = {.app = app, .options = options, .failure = failure};
    uint64_t timeout = options->handshake_timeout ? options->handshake_timeout : 30000;
    *failure = (ws_failure_t){0};
    arena_init(&call.arena, &app->loop.arenas);
    call.deadline = timeout == APP_NEVER ? 0 : loop_now(&app->loop) + timeout;
    int err = parse(&call.address, &call.arena, url, NULL);
    if (err)
        err = fail(&call, err, err == UV_EINVAL ? "Invalid URL" : NULL);
    else if (!(err = shake_hands(&call)) && !call.connection)
        err = fail(&call, UV_ECONNRESET, NULL);
    tls_material_release(call.material);
    *ws = err ? NULL : make_socket(&call);
    if (!err && !*ws)
        err = fail(&call, UV_ENOMEM, NULL);
    if (err) {
        hang_up(&call);
        arena_release(&call.arena);
        return err;
    }
    start_socket(&call, *ws); /* or it closes at once */
    return 0;
}
