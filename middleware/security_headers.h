/*
 * Headers that tell browsers to be careful, as koa-helmet (helmet 8) sets them:
 *
 *     app_use(app, security_headers(NULL));
 *
 * They are set before the handlers run, who may change them by ctx_set, or take them away by
 * ctx_remove. Errors keep them. X-Powered-By, if somebody has set it before, goes.
 */
#ifndef ACACIA_SECURITY_HEADERS_H
#define ACACIA_SECURITY_HEADERS_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/*
 * A directive of the Content-Security-Policy (CSP): {"script-src", "'self' https://cdn.example"}.
 * A value of "" is the name alone; NULL leaves the default directive of this name out.
 *
 * 'nonce' in a value stands for 'nonce-…', with 16 random bytes that are new for each request:
 *
 *     {"script-src", "'self' 'nonce'"}
 *     ctx_html(ctx, ctx_printf(ctx, "<script nonce=\"%s\">…</script>", csp_nonce(ctx)));
 */
typedef struct {
    const char *name, *value;
} csp_directive_t;

/*
 * Each header is NULL for the default, "" if it shall not be sent, or one of the values beside it;
 * the first is the default. Strings and lists are copied.
 */
typedef struct {
    /*
     * Content-Security-Policy: these directives, with name NULL at the end, in place of the default
     * ones of the same name, and in addition to the others:
     *
     *     default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';
     *     frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';
     *     script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests
     */
    const csp_directive_t *csp;
    bool no_csp; /* not sent */
    bool
        csp_report_only; /* Content-Security-Policy-Report-Only: violations are told, and allowed */
    bool csp_no_defaults;    /* nothing but `csp` */
    bool csp_no_default_src; /* really no default-src; without this it is an error */

    const char *cross_origin_embedder_policy; /* not sent; "require-corp", "credentialless",
                                                 "unsafe-none" */
    const char *cross_origin_opener_policy;   /* "same-origin", "same-origin-allow-popups",
                                                 "noopener-allow-popups", "unsafe-none" */
    const char *cross_origin_resource_policy; /* "same-origin", "same-site", "cross-origin" */
    const char *origin_agent_cluster;         /* "?1" */
    const char *referrer_policy; /* "no-referrer", "no-referrer-when-downgrade", "same-origin",
                                    "origin", "strict-origin", "origin-when-cross-origin",
                                    "strict-origin-when-cross-origin", "unsafe-url"; or several with
                                    commas between, for browsers that don't know the last one */
    const char *strict_transport_security; /* "max-age=31536000; includeSubDomains": seconds, and
                                              "; includeSubDomains", "; preload", or both */
    const char *x_content_type_options;    /* "nosniff" */
    const char *x_dns_prefetch_control;    /* "off", "on" */
    const char *x_download_options;        /* "noopen" */
    const char *x_frame_options;           /* "SAMEORIGIN", "DENY" */
    const char *x_permitted_cross_domain_policies; /* "none", "master-only", "by-content-type",
                                                      "all" */
    const char *x_xss_protection; /* "0": browsers that have such a filter do harm by it */
    bool keep_x_powered_by;
} security_headers_options_t;

/* `options` may be NULL. Wrong options keep the app from starting. */
middleware_t security_headers(const security_headers_options_t *options);

/* What 'nonce' stands for in this request, "d34d…": for nonce="…" in HTML. NULL if no directive has
 * one. Lives as long as the ctx. */
const char *csp_nonce(const ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
