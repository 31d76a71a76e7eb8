/* WebSockets to other servers: as a call, or with a handler that is run again and again. */
#include "application/ws_dial.h"
#include "application/ws_tls.h"
#include "context/socket.h"
#include "protocols/openssl/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECONNECT_MIN 500
#define RECONNECT_MAX 30000

struct ws_client {
    struct ws_client *next, **link; /* in app->clients */
    struct app *app;
    struct arena arena; /* of all that it points to */
    const char *url;
    middleware_fn *handler;
    ws_client_options_t options;
    unsigned tries; /* in a row */
    struct timer timer;
};

/* --- As a call -------------------------------------------------------------------------------- */

may_await websocket_t *ws_connect(app_t *app, const char *url, const ws_client_options_t *options,
                                  ws_failure_t *failure) {
    static const ws_client_options_t defaults;
    ws_failure_t ignored;
    struct websocket *ws = NULL;
    failure = failure ? failure : &ignored;
    if (!coroutine_self() || !app) {
        *failure = (ws_failure_t){.error = UV_EINVAL, .reason = "Nobody can wait here"};
        return NULL;
    }
    if (ws_dial(app, url, options ? options : &defaults, failure, &ws))
        return NULL;
    socket_hold(ws);
    return ws;
}

void ws_release(websocket_t *ws) {
    if (!ws)
        return;
    if (!ws->on_message && !socket_on_part(ws))
        ws_close(ws, 1000, NULL);
    socket_release(ws);
}

/* --- With a handler --------------------------------------------------------------------------- */

static void client_free(struct ws_client *client) {
    loop_timer_stop(&client->app->loop, &client->timer);
    *client->link = client->next;
    if (client->next)
        client->next->link = client->link;
    arena_release(&client->arena);
    free(client);
}

void app_free_clients(struct app *app) {
    while (app->clients)
        client_free(app->clients);
}

static void run_client(app_t *app, void *arg);

/* Twice as long each time, and not all at once when a server comes back. */
static uint64_t delay(const struct ws_client *client) {
    uint64_t least = client->options.reconnect_min ? client->options.reconnect_min : RECONNECT_MIN;
    uint64_t most = client->options.reconnect_max ? client->options.reconnect_max : RECONNECT_MAX;
    uint64_t time = least;
    uint32_t chance = 0;
    for (unsigned i = 1; i < client->tries && time < most; i++)
        time *= 2;
    if (time > most)
        time = most;
    random_bytes(&chance, sizeof chance);
    return time / 2 + chance % (time / 2 + 1);
}

static void try_again(struct timer *timer) {
    struct ws_client *client =
        (struct ws_client *)((char *)timer - offsetof(struct ws_client, timer));
    int err = app_spawn(client->app, run_client, client);
    if (err == UV_EAGAIN || err == UV_ENOMEM)
        loop_timer_start(&client->app->loop, &client->timer, delay(client));
    else if (err)
        client_free(client);
}

static void tell(struct ws_client *client, const ws_failure_t *failure) {
    if (client->options.on_failure)
        client->options.on_failure(client->app, failure, client->options.state);
    else if (failure->error && !client->app->options.silent)
        fprintf(stderr, "acacia: %s: %s\n", client->url, failure->reason);
}

/* There is no connection. */
static void lost(struct ws_client *client, const ws_failure_t *failure, bool wanted) {
    const ws_client_options_t *options = &client->options;
    struct app *app = client->app;
    tell(client, failure);
    bool again = options->reconnect && !wanted && !app->draining && !app->loop.torn_down &&
                 (!options->reconnect_tries || client->tries < options->reconnect_tries);
    if (!again) {
        client_free(client);
        return;
    }
    client->tries++;
    client->timer.fn = try_again;
    loop_timer_start(&app->loop, &client->timer, delay(client));
}

static void run_client(app_t *app, void *arg) {
    struct ws_client *client = arg;
    struct websocket *ws;
    ws_failure_t failure;
    if (ws_dial(app, client->url, &client->options, &failure, &ws)) {
        lost(client, &failure, false);
        return;
    }
    client->tries = 0;
    ws->client = client;
    context_enter(ws->context);
    socket_chain_done(ws, client->handler(&ws->context->ctx));
}

/* The socket is gone, and its handlers have returned. */
void app_client_gone(struct context_host *host, struct websocket *ws) {
    ws_failure_t failure = {.error = ws->peer.error, .code = ws_close_code(ws)};
    const char *text = ws->peer.error_text;
    snprintf(failure.reason, sizeof failure.reason, "%s",
             text                   ? text
             : *ws_close_reason(ws) ? ws_close_reason(ws)
                                    : "Closed");
    lost(ws->client, &failure, ws->closed_by_us);
}

/* --- Making one ------------------------------------------------------------------------------- */

static const char *copy(struct ws_client *client, const char *text, bool *failed) {
    const char *copied = text ? arena_copy(&client->arena, text, strlen(text)) : NULL;
    *failed = *failed || (text && !copied);
    return copied;
}

static const char *const *copy_list(struct ws_client *client, const char *const *list,
                                    bool *failed) {
    size_t count = 0;
    while (list && list[count])
        count++;
    if (!list)
        return NULL;
    const char **copied = arena_zalloc(&client->arena, (count + 1) * sizeof *copied);
    *failed = *failed || !copied;
    for (size_t i = 0; copied && i < count; i++)
        copied[i] = copy(client, list[i], failed);
    return copied;
}

/* False when there is no memory. */
static bool copy_options(struct ws_client *client, const char *url) {
    ws_client_options_t *options = &client->options;
    bool failed = false;
    client->url = copy(client, url, &failed);
    options->protocols = copy_list(client, options->protocols, &failed);
    options->headers = copy_list(client, options->headers, &failed);
    options->origin = copy(client, options->origin, &failed);
    if (options->tls && !(options->tls = ws_tls_copy(&client->arena, options->tls)))
        failed = true;
    if (options->ws.deflate) {
        ws_deflate_t *deflate = arena_alloc(&client->arena, sizeof *deflate);
        if (deflate)
            *deflate = *options->ws.deflate;
        failed = failed || !deflate;
        options->ws.deflate = deflate;
    }
    return !failed;
}

int ws_client(app_t *app, const char *url, middleware_fn *handler,
              const ws_client_options_t *options) {
    int err = app ? ws_dial_check(url) : UV_ENOMEM;
    if (err)
        return err;
    struct ws_client *client = calloc(1, sizeof *client);
    if (!client)
        return UV_ENOMEM;
    if (options)
        client->options = *options;
    client->app = app;
    client->handler = handler;
    client->next = app->clients;
    client->link = &app->clients;
    if (client->next)
        client->next->link = &client->next;
    app->clients = client;
    arena_init(&client->arena, NULL);
    err = copy_options(client, url) ? app_spawn(app, run_client, client) : UV_ENOMEM;
    if (err)
        client_free(client);
    return err;
}
