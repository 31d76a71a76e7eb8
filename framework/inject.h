/*
 * A request through the whole stack without a socket, for tests of one's own:
 *
 *     app_response_t *response = app_inject(app, &(app_request_t){.url = "/users/7"});
 *     assert(response && response->status == 200);
 *     assert(strcmp(response->body.data, "user 7") == 0);
 *     app_response_free(response);
 */
#ifndef ACACIA_INJECT_H
#define ACACIA_INJECT_H

#include "app.h"
#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct {
    const char *method;         /* NULL: "GET" */
    const char *url;            /* NULL: "/" */
    const char *const *headers; /* names and values in turn, NULL at the end; NULL: only Host */
    const void *body;
    size_t body_length;
    const char *peer; /* the client's address; NULL: "127.0.0.1" */
    bool secure;      /* as if it had come over TLS */
} app_request_t;

typedef struct {
    int status;
    const char *message; /* the reason phrase */
    bytes_t body;        /* of a HEAD request, too, empty */
    bool failed;         /* cut off behind the head: a real client would have lost its connection */
} app_response_t;

/*
 * Send `request` through app's stack for requests, and wait for the answer. The app need not
 * listen. What the network would refuse (a head that is too large, two Content-Lengths) is not
 * looked at: only what middleware sees is the same.
 *
 * In a handler it suspends. Outside it runs the app's own loop until the answer is there; on a loop
 * that is the program's, and not the app's, that can't be: NULL.
 *
 * The response is the caller's, to be freed by app_response_free. NULL when there is no memory, or
 * when the app can't start (its error is told on stderr).
 */
may_await app_response_t *app_inject(app_t *app, const app_request_t *request);

/* A header of the response in any case, the first of that name; NULL if it has none. */
const char *app_response_get(const app_response_t *response, const char *name);

/* Its headers, one line after the other: false past the last. */
bool app_response_header_at(const app_response_t *response, size_t index, const char **name,
                            const char **value);

void app_response_free(app_response_t *response); /* NULL is fine */

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
