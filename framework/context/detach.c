/* Koa's ctx.respond = false: a response that outlives its handler. */
#include "context/context.h"

void ctx_detach(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    if (ctx->websocket || context->chain_done)
        return;
    context->detached = true;
}

static void link_detached(struct context *context) {
    struct context_host *host = context->host;
    context->next_detached = host->detached;
    context->detached_link = &host->detached;
    if (host->detached)
        host->detached->detached_link = &context->next_detached;
    host->detached = context;
    context->exchange->detached = true;
}

static void unlink_detached(struct context *context) {
    *context->detached_link = context->next_detached;
    if (context->next_detached)
        context->next_detached->detached_link = context->detached_link;
}

bool context_park(struct context *context, int err) {
    if (!context->detached || context->end_called)
        return false;
    context->chain_done = true;
    context->detached_err = err;
    link_detached(context);
    return true;
}

static void run_end(void *arg) {
    struct context *context = arg;
    context_finish(context, context->detached_err);
}

/* On a coroutine, since the body may be a stream; without one the connection can only be cut. */
static void start_end(struct task *task) {
    struct context *context = (struct context *)((char *)task - offsetof(struct context, end_task));
    struct exchange *exchange = context->exchange;
    if (coroutine_start(&context->host->loop->coroutines, run_end, context)) {
        context_end(context, false);
        exchange->ops->end(exchange, true);
    }
}

void ctx_end(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    if (!context->detached || context->end_called)
        return;
    context->end_called = true;
    if (!context->chain_done)
        return; /* the handler is still at work: it ends when that has returned */
    unlink_detached(context);
    context->end_task.run = start_end;
    loop_post(context->host->loop, &context->end_task);
}

void context_cut_detached(struct context_host *host) {
    while (host->detached) {
        struct context *context = host->detached;
        context->detached_err = UV_ECANCELED;
        ctx_end(&context->ctx);
    }
}
