/*
 * Who has asked for what, and what came of it: a log of all requests.
 *
 *     app_use(app, logger(NULL)); // as koa-logger:
 *
 *       <-- GET /users/7
 *       --> GET /users/7 200 2ms 13b
 *
 * It shows the URL as it came, whatever the layers below make of it. An error that passes by is
 * marked `xxx`, and an answer that the client has not got whole `-x-`. The other formats have one
 * line for each request, when it is over.
 *
 * Nothing that a client sends can end a line, or write elsewhere on a terminal: what is not
 * printable is escaped. If request_id.h runs above it, the id is shown.
 *
 * The loop does not wait for the log: lines are collected while a turn of it lasts, and written by
 * a thread. (To a terminal they are written at once, so that they stand in order with what the
 * program prints.) If nobody reads them, and more than `buffer_size` bytes wait, further ones are
 * dropped; how many is told on stderr.
 *
 * In the stack of WebSockets the second line comes when the socket is closed, with status 101.
 */
#ifndef ACACIA_LOGGER_H
#define ACACIA_LOGGER_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef enum {
    LOGGER_KOA, /* the two lines above */

    /* Apache's Common Log Format: address, user of basic authentication, time, request, status,
     * bytes of the body that were sent:
     * 192.0.2.1 - ada [21/Nov/2026:11:05:00 +0000] "GET /users/7 HTTP/1.1" 200 13 */
    LOGGER_COMMON,
    LOGGER_COMBINED, /* the same with "Referer" and "User-Agent" behind it */

    /* An object: time, id, ip, method, url, route (the pattern that matched), version, status,
     * bytes, ms, referrer, user_agent, error (its message), aborted (true). What there is not is
     * left out. */
    LOGGER_JSON
} logger_format_t;

typedef enum {
    LOGGER_AUTO, /* if it is a terminal, and neither NO_COLOR nor TERM=dumb is in the environment;
                    FORCE_COLOR there means yes in any case */
    LOGGER_COLOURS,
    LOGGER_PLAIN
} logger_colours_t;

/* Zero is the default. */
typedef struct {
    logger_format_t format;
    logger_colours_t colours; /* of LOGGER_KOA */
    int fd;                   /* where it goes: a descriptor; 0: stdout */
    size_t buffer_size;       /* 1 MiB of lines that wait to be written */

    /* Called with each line, at once, in place of writing it: without its end, and followed by a
     * NUL that `length` doesn't count. Must not suspend. */
    void (*output)(const char *line, size_t length, void *arg);
    void *arg;

    /* True: not this one. Asked before a line is written; of LOGGER_KOA's two the first has no
     * ctx->status yet. Must not suspend. */
    bool (*skip)(ctx_t *ctx);
} logger_options_t;

/* `options` may be NULL. */
middleware_t logger(const logger_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
