/*
 * Pages for errors, as koa-onerror: HTML, JSON or text, whichever the client likes best.
 *
 *     app_use(app, error_page(NULL));
 *
 * The first layer of the stack, so that it answers for all others. What is answered: the error's
 * status (404 for UV_ENOENT), its headers, and its message if the client may see that. In
 * development, which is what app_env says, the message is always shown, and the page has the code
 * of the error and what the client has sent: set ACACIA_ENV=production where others can see it.
 *
 *     text/html           a small page
 *     application/json    {"error": "no user 8"}
 *     text/plain          no user 8
 *
 * The listener of app_on_error has been told before. An error that a layer above or below catches
 * is not seen here.
 */
#ifndef ACACIA_ERROR_PAGE_H
#define ACACIA_ERROR_PAGE_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* What there is to be shown. Lives until the page is made. */
typedef struct {
    int status;
    const char *message; /* as far as this client may know; never NULL, and not escaped */
    bool details;        /* all may be told */
    const ctx_error_t *error;
} error_page_t;

/* Makes a page: sets the body, by ctx_html and so on, and whatever else it likes. Returns 0, or an
 * error: then a plain text is sent. May suspend. */
typedef int error_page_template(ctx_t *ctx, const error_page_t *page);

typedef enum {
    ERROR_PAGE_AUTO, /* in development */
    ERROR_PAGE_DETAILS,
    ERROR_PAGE_NO_DETAILS
} error_page_details_t;

/* Zero is the default. Strings are copied. */
typedef struct {
    error_page_details_t details;
    error_page_template *html, *json, *text; /* in place of those above */
    error_page_template *all;                /* in place of all three */
    const char *redirect; /* where everybody is sent who doesn't want JSON, by 302; NULL: nowhere */
} error_page_options_t;

/* `options` may be NULL. For both stacks: in that of WebSockets it answers handshakes that are
 * refused. */
middleware_t error_page(const error_page_options_t *options);

/* `text` for a page of one's own, so that it can be nothing but text there, also in the quotes of
 * an attribute. In memory of the ctx; NULL if there is none. */
const char *error_page_escape(ctx_t *ctx, const char *text);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
