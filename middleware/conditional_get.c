#include "conditional_get.h"

may_await int conditional_get(ctx_t *ctx) {
    int err = next(ctx);
    if (err || ctx_header_sent(ctx) || !ctx_fresh(ctx))
        return err;
    ctx->status = 304;
    return ctx_empty(ctx);
}
