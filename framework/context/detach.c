/* Koa's ctx.respond = false: a response that outlives its handler. */
#include "context/context.h"

static struct request_context *request_of(const ctx_t *ctx) {
    return (struct request_context *)ctx;
}

void ctx_detach(ctx_t *ctx) {
    struct request_context *request = request_of(ctx);
    if (!ctx->websocket && !request->chain_done)
        request->detached = true;
}

static void link_detached(struct request_context *request) {
    struct context_host *host = request->context.host;
    request->next = host->detached;
    request->link = &host->detached;
    if (host->detached)
        host->detached->link = &request->next;
    host->detached = request;
    request->context.exchange->detached = true;
}

static void unlink_detached(struct request_context *request) {
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
}

bool context_park(struct context *context, int err) {
    struct request_context *request = (struct request_context *)context;
    if (!request->detached || request->end_called)
        return false;
    request->chain_done = true;
    request->err = err;
    link_detached(request);
    return true;
}

static void run_end(void *arg) {
    struct request_context *request = arg;
    context_finish(&request->context, request->err);
}

/* On a coroutine, since the body may be a stream; without one the connection can only be cut. */
static void start_end(struct task *task) {
    struct request_context *request =
        (struct request_context *)((char *)task - offsetof(struct request_context, end_task));
    struct context *context = &request->context;
    struct exchange *exchange = context->exchange;
    if (coroutine_start(&context->host->loop->coroutines, run_end, request)) {
        context_end(context, false);
        exchange->ops->end(exchange, true);
    }
}

void ctx_end(ctx_t *ctx) {
    struct request_context *request = request_of(ctx);
    if (ctx->websocket || !request->detached || request->end_called)
        return;
    request->end_called = true;
    if (!request->chain_done)
        return; /* the handler is still at work: it ends when that has returned */
    unlink_detached(request);
    request->end_task.run = start_end;
    loop_post(request->context.host->loop, &request->end_task);
}

void context_cut_detached(struct context_host *host) {
    while (host->detached) {
        struct request_context *request = host->detached;
        request->err = UV_ECANCELED;
        ctx_end(&request->context.ctx);
    }
}
