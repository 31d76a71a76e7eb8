/*
 * A name for each request, by which it is found again in the logs of all who had to do with it:
 *
 *     app_use(app, request_id(NULL));
 *     app_use(app, logger(NULL));
 *
 * It is taken over from the header X-Request-Id, if a proxy has set one there that can do no harm:
 * at most 128 letters, digits and - _ . : + / = @. Else one is made, of random bytes that nobody
 * can guess. The answer has it in the same header, that of an error, too. The logger shows it.
 *
 * In the stack of WebSockets it goes with the 101.
 */
#ifndef ACACIA_REQUEST_ID_H
#define ACACIA_REQUEST_ID_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef enum {
    REQUEST_ID_UUID, /* RFC 9562, version 4: "0f8fad5b-d9cb-469f-a165-70867728950e" */
    REQUEST_ID_ULID  /* sorts by time: "01HZY3W2M8Q4T6R9VXKJ5D7NAB" */
} request_id_kind_t;

/* Zero is the default. Strings are copied. */
typedef struct {
    const char *header; /* NULL: "X-Request-Id" */
    bool no_incoming;   /* never taken over: where clients come without a proxy, and could choose
                           the same one for two requests */
    size_t max_length;  /* 128 bytes are taken over; what is longer is replaced */
    bool no_outgoing;   /* the answer doesn't tell */
    request_id_kind_t kind;

    /* Makes one, in place of `kind`, that lives as long as the ctx; what has other characters than
     * those above is an error. NULL: out of memory. May suspend. */
    const char *(*make)(ctx_t *ctx);
} request_id_options_t;

/* `options` may be NULL. */
middleware_t request_id(const request_id_options_t *options);

/* The id of this request; NULL if the middleware has not run. Lives as long as the ctx. */
const char *request_id_of(const ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
