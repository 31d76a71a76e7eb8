/*
 * Against cross-site request forgery, as koa-csrf: another site's page can make a browser send a
 * form here, with the cookies of whoever sits before it, but it can't know the token that our own
 * forms have.
 *
 *     app_use(app, session(NULL));
 *     app_use(app, body_parser(NULL));
 *     app_use(app, csrf(NULL));
 *
 *     static int form(ctx_t *ctx) {
 *         const char *token = csrf_token(ctx);
 *         return token ? ctx_html(ctx, ctx_printf(ctx, "<form method=post>"
 *             "<input type=hidden name=_csrf value=\"%s\"><button>Go</button></form>", token))
 *                      : UV_ENOMEM;
 *     }
 *
 * A request by any method but GET, HEAD and OPTIONS has to bring the token along, or is answered
 * 403 "Invalid CSRF token": as `_csrf` in the form or JSON that body_parser has read above, or in
 * the query, or in one of the headers CSRF-Token, XSRF-Token, X-CSRF-Token and X-XSRF-Token. So
 * handlers must not change anything for a GET.
 *
 * The secret that tokens are made of is in the session, under "secret", from when a token is asked
 * for first. Each token is another one, so that none can be guessed out of compressed pages. Tokens
 * by koa-csrf are good here, and the other way round.
 *
 * For WebSockets there is app_options_t.ws.origins in its place: their pages can't set headers, but
 * their origin is always told.
 */
#ifndef ACACIA_CSRF_H
#define ACACIA_CSRF_H

#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#ifdef ACACIA_HAVE_JSON

/* Zero is the default. Strings and lists are copied; lists have NULL at the end. */
typedef struct {
    const char *const *excluded_methods; /* that need no token; NULL: GET, HEAD and OPTIONS */

    /* Nor do these paths: a '*' stands for anything but a '/', a '?' for one such byte, and slash
     * and two stars at the end for all that is below; none of them for names that begin with a '.'.
     * Compared with the path as it came. Only for what looks at no cookies, such as web hooks. */
    const char *const *ignored_paths;

    /* Where else the token may be, asked first, such as in a form with files (multipart.h): NULL if
     * it is not there. May suspend. */
    may_await const char *(*get_token)(ctx_t *ctx);
    bool no_query; /* not in the query, from where it gets into logs and Referer */

    /* Answers in place of the 403, and returns as a middleware does. */
    int (*on_error)(ctx_t *ctx);

    /* Look at where the page is from as well: Sec-Fetch-Site, else Origin, which browsers send and
     * pages can't forge. What is from another origin is refused, save from these ("https://a.org");
     * what says nothing of it is no browser, or an old one, and passes on to the token. */
    bool check_origin;
    const char *const *origins;
} csrf_options_t;

/* The middleware. Options that are wrong keep the app from starting. `options` may be NULL. */
middleware_t csrf(const csrf_options_t *options);

/* A token for a form, or for a script to send along: letters, digits, '-' and '_'. Lives as long as
 * the ctx. NULL on an error, which was thrown if it is that there is no session. */
may_await const char *csrf_token(ctx_t *ctx);

/* Is this a token of this session? For tokens that come another way. */
may_await bool csrf_verify(ctx_t *ctx, const char *token);

/* Another secret: tokens until now are no good any more. To be called when somebody logs in, beside
 * session_regenerate: what the session's secret was, others may know. 0 or an error. */
may_await int csrf_rotate(ctx_t *ctx);

#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
