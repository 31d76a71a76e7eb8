/*
 * X-Response-Time: how long all that is below has taken, as koa-response-time.
 *
 *     app_use(app, response_time(NULL)); // X-Response-Time: 3ms
 *
 * It is set when the layers below have returned. So it is not there if they throw, if they have
 * sent the head already, nor does it count a body that is streamed afterwards.
 */
#ifndef ACACIA_RESPONSE_TIME_H
#define ACACIA_RESPONSE_TIME_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct {
    bool hrtime; /* nanoseconds, too: "3.141592ms" */
} response_time_options_t;

/* `options` may be NULL. */
middleware_t response_time(const response_time_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
