/*
 * Cross-origin resource sharing (https://fetch.spec.whatwg.org/#http-cors-protocol), as @koa/cors:
 * which other sites may read, with a browser, what this one answers.
 *
 *     app_use(app, cors(&(cors_options_t){.origin = "https://example.org"}));
 *
 * An answer gets Access-Control-Allow-Origin and its like; so does an error, which would else be
 * unreadable there. The preflight, OPTIONS with Access-Control-Request-Method, is answered 204 by
 * this middleware alone. Vary: Origin is always set.
 *
 * It is for the stack of requests: of WebSockets CORS says nothing. Who may open one is said by
 * ws_options_t.origins.
 */
#ifndef ACACIA_CORS_H
#define ACACIA_CORS_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/*
 * Who may read. An origin is "https://example.org:8443": scheme, host and port as browsers send
 * them, without a path and in lower case; "null" is that of files and sandboxes. Of the first three
 * at most one is given. Strings and lists are copied.
 */
typedef struct {
    const char *origin;         /* NULL: "*", anybody; else this one */
    const char *const *origins; /* whichever of these asks, NULL at the end; nobody else */

    /* Asked for each request: sets *origin to the one that may, or leaves it NULL: none, then no
     * header is set but Vary. The string must live as long as the ctx. Returns 0, or an error to
     * answer with. May suspend. */
    int (*find_origin)(ctx_t *ctx, const char **origin);

    const char *methods;        /* NULL: "GET,HEAD,PUT,POST,DELETE,PATCH"; "": not told */
    const char *allow_headers;  /* "X-A,X-B"; NULL: all that the preflight asks for */
    const char *expose_headers; /* that scripts may read, "X-A,X-B"; NULL: the simple ones */
    int64_t max_age;            /* seconds for which a preflight is good; 0: not told; -1: none */

    /*
     * Cookies and the like may come along. Whoever is allowed acts as the user then: so this needs
     * one of the three above. With "*", written out, it is whoever asks.
     */
    bool credentials;
    int (*allow_credentials)(ctx_t *ctx); /* or asked for each request: 1, 0, or an error to answer
                                             with. May suspend */

    bool no_headers_on_error;    /* an error goes without */
    bool secure_context;         /* Cross-Origin-Opener-Policy and -Embedder-Policy as well, for
                                    SharedArrayBuffer */
    bool private_network_access; /* let public sites ask for what is in a private network */
} cors_options_t;

/* `options` may be NULL. Wrong options keep the app from starting. */
middleware_t cors(const cors_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
