#include "loopback.h"

#include <stdio.h>
#include <string.h>

struct loopback_exchange {
    struct exchange exchange; /* first */
    struct loopback *loopback;
};

static struct loopback *of(struct exchange *exchange) {
    return ((struct loopback_exchange *)exchange)->loopback;
}

static ssize_t loop_read(struct exchange *exchange, void *buffer, size_t size) {
    struct loopback *l = of(exchange);
    size_t n = l->request_body ? strlen(l->request_body) : 0;
    if (l->await_reads)
        await_sleep(0);
    if (n > size)
        n = size;
    if (l->piece && n > l->piece)
        n = l->piece;
    if (n)
        memcpy(buffer, l->request_body, n);
    l->request_body += n;
    return (ssize_t)n;
}

static int loop_head(struct exchange *exchange, const struct response_head *head) {
    struct loopback *l = of(exchange);
    size_t used = 0;
    l->status = head->status;
    snprintf(l->message, sizeof l->message, "%s", head->message);
    for (uint32_t i = 0; i < head->headers->count; i++)
        used += (size_t)snprintf(l->headers + used, sizeof l->headers - used, "%s: %s\n",
                                 head->headers->list[i].name, head->headers->list[i].value);
    return 0;
}

static int loop_write(struct exchange *exchange, const void *data, size_t length) {
    struct loopback *l = of(exchange);
    memcpy(l->body + l->body_length, data, length);
    l->body_length += length;
    l->body[l->body_length] = '\0';
    return 0;
}

static void loop_end(struct exchange *exchange, bool failed) {
    struct loopback *l = of(exchange);
    l->ended = true;
    l->failed = failed;
    arena_release(&exchange->arena);
}

static void loop_peer(struct exchange *exchange, char *text, size_t size) {
    snprintf(text, size, "192.0.2.1");
}

static const struct exchange_ops ops = {
    .read = loop_read,
    .head = loop_head,
    .write = loop_write,
    .end = loop_end,
    .peer = loop_peer,
};

static void run(void *arg) {
    struct context *context = arg;
    struct app *app = (struct app *)context->host;
    context_chain_done(context, stack_run(&app->http, context));
}

static const struct loopback *awaited;

static void stop_when_ended(struct loop *loop) {
    if (awaited->ended)
        uv_stop(loop->uv);
}

void loopback_request(app_t *app, struct loopback *loopback, const char *method, const char *url) {
    struct arena arena;
    arena_init(&arena, &app->loop.arenas);
    struct loopback_exchange *l = arena_zalloc(&arena, sizeof *l);
    l->loopback = loopback;
    l->exchange.arena = arena;
    l->exchange.ops = &ops;
    l->exchange.method = method;
    l->exchange.url = arena_copy(&l->exchange.arena, url, strlen(url));
    l->exchange.content_length =
        loopback->request_body ? (int64_t)strlen(loopback->request_body) : 0;
    headers_add(&l->exchange.headers, &l->exchange.arena, "Host", 4, "loopback", 8);
    coroutine_start(&app->loop.coroutines, run, context_new(&app->host, &l->exchange));
    awaited = loopback;
    app->loop.settled = stop_when_ended;
    uv_ref((uv_handle_t *)&app->awake);
    if (!loopback->ended)
        uv_run(app->uv, UV_RUN_DEFAULT);
    app->loop.settled = NULL;
    uv_unref((uv_handle_t *)&app->awake);
}
