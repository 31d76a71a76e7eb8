/* How a response ends, for those who want to know: access logs, metrics. */
#include "context/context.h"

int context_write_body(struct context *context, const void *data, size_t length) {
    struct exchange *exchange = context->exchange;
    int err = exchange->ops->write(exchange, data, length);
    if (err >= 0)
        context->response->body_sent += length;
    return err;
}

uint64_t ctx_bytes_sent(const ctx_t *ctx) {
    return context_of(ctx)->response->body_sent;
}

int ctx_on_finish(ctx_t *ctx, finish_handler *fn, void *arg) {
    struct context *context = context_of(ctx);
    struct finisher *finisher = arena_alloc(context->home.arena, sizeof *finisher);
    if (!finisher)
        return context_no_memory(context);
    *finisher = (struct finisher){context->finishers, fn, arg};
    context->finishers = finisher;
    return 0;
}

void context_call_finishers(struct context *context, bool complete) {
    while (context->finishers) {
        struct finisher *finisher = context->finishers;
        context->finishers = finisher->next;
        finisher->fn(&context->ctx, complete, finisher->arg);
    }
}
