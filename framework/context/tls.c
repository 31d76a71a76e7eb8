/* What is known of the connection that a request came by. */
#include "context/context.h"
#include "protocols/openssl/tls_info.h"

const tls_info_t *ctx_tls(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    struct exchange *exchange = context->exchange;
    if (!exchange->secure || !exchange->ops->connection)
        return NULL;
    struct asked *asked = context_asked(context);
    if (!asked || asked->tls)
        return asked ? asked->tls : NULL;
    const tls_info_t *info = NULL;
    int err = tls_info_make(&info, exchange->ops->connection(exchange), context->home.arena);
    if (err == UV_ENOMEM)
        context_no_memory(context);
    if (!err)
        asked->tls = info;
    return asked->tls;
}

const tls_peer_certificate_t *ctx_client_certificate(ctx_t *ctx) {
    const tls_info_t *info = ctx_tls(ctx);
    return info ? info->certificate : NULL;
}
