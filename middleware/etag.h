/*
 * ETag, as koa-etag 5 (@koa/etag) makes it: for every answer with a status of 2xx and a body in
 * memory, a strong one, the SHA-1 of the bytes; for a body that is a file (ctx_file), a weak one of
 * size and time. Other streams get none, since nobody knows what they will say; and an ETag that
 * has been set already stays.
 *
 * It saves no work, but bytes, together with conditional_get, which comes before it:
 *
 *     app_use(app, conditional_get);
 *     app_use(app, etag(NULL));
 *     app_use(app, show_page);
 *
 * Files that are served by serve() have an ETag already.
 */
#ifndef ACACIA_ETAG_H
#define ACACIA_ETAG_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Zero is the default. */
typedef struct {
    bool weak;   /* W/"…" for all: what is sent may be written otherwise, but means the same */
    bool strong; /* none is weak, not even a file's: who changes files sees to it that time or size
                    tell it */
} etag_options_t;

/* `options` may be NULL. */
middleware_t etag(const etag_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
