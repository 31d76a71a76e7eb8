/*
 * Conditional requests, as koa-conditional-get 3: if what the client has is still good, as
 * ctx_fresh says, the answer is 304 without a body.
 *
 *     app_use(app, conditional_get);
 *     app_use(app, etag(NULL));
 *
 * It looks at the ETag and Last-Modified that everything behind it has set, and only at answers
 * whose head has not been sent.
 */
#ifndef ACACIA_CONDITIONAL_GET_H
#define ACACIA_CONDITIONAL_GET_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

may_await int conditional_get(ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
