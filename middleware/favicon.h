/*
 * /favicon.ico out of memory, as koa-favicon: browsers ask for it all the time.
 *
 *     app_use(app, favicon("public/favicon.ico", NULL));
 *
 * GET and HEAD are answered with the icon, OPTIONS with what is allowed, everything else with 405.
 * Put it in front of the logger, to keep it out of there.
 */
#ifndef ACACIA_FAVICON_H
#define ACACIA_FAVICON_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* A file of more bytes is none. */
#define FAVICON_SIZE_MAX (1024 * 1024)

/* Zero is the default. Strings are copied. */
typedef struct {
    uint64_t max_age; /* one day, in milliseconds, until a browser asks again; at most a year */
    bool no_cache;    /* it asks every time */
    const char *mime; /* NULL: "image/x-icon" */
} favicon_options_t;

/*
 * The icon is read here, once; one that can't be read keeps the app from starting. NULL in place of
 * `path` is no icon: then /favicon.ico is 404, and nothing below is asked. `options` may be NULL.
 */
middleware_t favicon(const char *path, const favicon_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
