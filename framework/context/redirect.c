/* Elsewhere: redirects. */
#include "context/context.h"
#include "context/escape.h"
#include "context/url.h"

#include <string.h>
#include <strings.h>

static bool is_absolute(const char *url) {
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

static bool is_redirect(int status) {
    return (status >= 300 && status <= 303) || status == 305 || status == 307 || status == 308;
}

/* As browsers would read it, so that nothing is hidden in how it is written. */
static int normalize(struct context *context, const char **url) {
    struct arena *arena = context->home.arena;
    struct url parsed;
    int err = url_parse(&parsed, arena, *url, strlen(*url), NULL);
    if (err == UV_EINVAL) {
        ctx_throw(&context->ctx, 500, "redirect: not a URL: %s", *url);
        return -500;
    }
    if (!err && !(*url = url_serialize(arena, &parsed)))
        err = UV_ENOMEM;
    return err ? context_no_memory(context) : 0;
}

int ctx_redirect(ctx_t *ctx, const char *url) {
    struct context *context = context_of(ctx);
    if (context->header_sent)
        return UV_EALREADY;
    int err = is_absolute(url) ? normalize(context, &url) : 0;
    if (!err)
        err = ctx_set(ctx, "Location", escape_url(context->home.arena, url));
    if (err)
        return err;
    if (!is_redirect(ctx->status))
        ctx->status = 302;
    const char *const html[] = {"html", NULL};
    bool is_html = ctx_accepts_one_of(ctx, html);
    if (is_html && !(url = escape_html(context->home.arena, url)))
        return context_no_memory(context);
    err = ctx_set(ctx, "Content-Type",
                  is_html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8");
    return err ? err : ctx_textf(ctx, "Redirecting to %s.", url);
}

/* Where we are. A proxy may call it wss, from which nothing is relative to us. */
static const char *base_url(ctx_t *ctx) {
    const char *here = ctx_href(ctx);
    return is_absolute(here) ? here
                             : ctx_printf(ctx, "http://%s%s", ctx_host(ctx), ctx->original_url);
}

/* Is `reference`, seen from where we are, on this host? 1, 0, or an error. */
static int is_here(struct context *context, const char *reference) {
    ctx_t *ctx = &context->ctx;
    struct arena *arena = context->home.arena;
    struct url base, url;
    const char *here = base_url(ctx);
    int err = here ? url_parse(&base, arena, here, strlen(here), NULL) : UV_ENOMEM;
    if (!err)
        err = url_parse(&url, arena, reference, strlen(reference), &base);
    if (err == UV_EINVAL)
        return ctx_throw(ctx, 500, "back: not a URL: %s", reference);
    const char *host = err ? NULL : url_host(arena, &url);
    if (!host)
        return context_no_memory(context);
    return *host && strcmp(host, ctx_host(ctx)) == 0; /* "": another scheme, javascript: say */
}

int ctx_back(ctx_t *ctx, const char *alternative) {
    const char *referrer = ctx_get(ctx, "Referrer");
    int here = *referrer ? is_here(context_of(ctx), referrer) : 0;
    if (here < 0)
        return here;
    if (here)
        return ctx_redirect(ctx, referrer);
    return ctx_redirect(ctx, alternative && *alternative ? alternative : "/");
}
