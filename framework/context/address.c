/* Who asks whom: the client's address, the host it asked for, and what proxies say of both. */
#include "context/context.h"
#include "context/forwarded.h"
#include "context/host.h"
#include "context/url.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

const char *ctx_peer(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    char text[64];
    if (!context->peer) {
        context->exchange->ops->peer(context->exchange, text, sizeof text);
        context->peer = arena_copy(context->home.arena, text, strlen(text));
    }
    return context->peer ? context->peer : (context_no_memory(context), "");
}

/* --- Proxies ---------------------------------------------------------------------------------- */

/* Whoever comes by a unix socket is on this machine. */
static const char *peer_address(struct context *context) {
    const char *peer = ctx_peer(&context->ctx);
    return *peer ? peer : "127.0.0.1";
}

/* Is what headers say of client and host to be believed at all? */
static bool believes_peer(struct context *context) {
    const app_options_t *options = context->host->options;
    if (context->host->trusted)
        return proxies_trust(context->host->trusted, peer_address(context));
    return options->proxy || options->forwarded;
}

/* How many of these, from the right, are true? */
static size_t count_believed(struct context *context, const char *const *addresses, size_t count) {
    const struct proxies *trusted = context->host->trusted;
    return trusted ? proxies_believed(trusted, peer_address(context), addresses, count) : count;
}

/* What Forwarded says of the client: the words of the first proxy that is believed. False if
 * nothing, or if the app does not look at this field. */
static bool read_forwarded(struct context *context, struct forwarded *element) {
    struct forwarded_list list;
    const char *field = context_get(context, "Forwarded");
    if (!field || forwarded_parse(&list, context->home.arena, field))
        return false;
    size_t believed = count_believed(context, list.nodes, list.count);
    if (believed == 0)
        believed = 1; /* the peer's own words */
    *element = list.elements[list.count - believed];
    return true;
}

static int make_ips(struct context *context, const char *const **list) {
    static const char *const none[] = {NULL};
    const app_options_t *options = context->host->options;
    struct arena *arena = context->home.arena;
    struct forwarded_list forwarded = {0};
    size_t count = 0;
    *list = none;
    if (!believes_peer(context))
        return 0;
    const char *field =
        context_get(context, options->forwarded ? "Forwarded" : options->proxy_ip_header);
    if (!field || !*field)
        return 0;
    const char *const *all;
    if (options->forwarded) {
        int err = forwarded_parse(&forwarded, arena, field);
        if (err)
            return err == UV_ENOMEM ? err : 0;
        all = forwarded.nodes;
        count = forwarded.count;
    } else if (!(all = forwarded_split(arena, field, options->max_ips, &count))) {
        return UV_ENOMEM;
    }
    size_t believed = count_believed(context, all, count);
    if (options->max_ips && believed > options->max_ips)
        believed = options->max_ips;
    *list = all + (count - believed);
    return 0;
}

const char *ctx_ip_at(ctx_t *ctx, size_t index) {
    return context_list_at(context_of(ctx), LIST_IPS, make_ips, index);
}

const char *ctx_ip(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    struct asked *asked = context_asked(context);
    if (!asked)
        return "";
    if (!asked->ip) {
        const char *first = ctx_ip_at(ctx, 0);
        asked->ip = first && *first ? first : ctx_peer(ctx);
    }
    return asked->ip;
}

int ctx_set_ip(ctx_t *ctx, const char *ip) {
    struct context *context = context_of(ctx);
    struct asked *asked = context_asked(context);
    ip = arena_copy(context->home.arena, ip, strlen(ip));
    if (!asked || !ip)
        return context_no_memory(context);
    asked->ip = ip;
    return 0;
}

/* --- The host --------------------------------------------------------------------------------- */

/* The first item of a header that a proxy may have set; NULL if there is none. */
static const char *first_item(struct context *context, const char *header) {
    const char *field = context_get(context, header);
    size_t length;
    if (!field || !*field)
        return NULL;
    const char *item = forwarded_first(field, &length);
    item = arena_copy(context->home.arena, item, length);
    return item ? item : (context_no_memory(context), NULL);
}

/* "user@example.org" names a user, who does not belong there. */
static const char *without_user(struct context *context, const char *host) {
    struct arena *arena = context->home.arena;
    struct url url;
    const char *text = ctx_printf(&context->ctx, "http://%s", host);
    if (!strchr(host, '@'))
        return host;
    if (!text || url_parse(&url, arena, text, strlen(text), NULL))
        return "";
    host = url_host(arena, &url);
    return host ? host : "";
}

static const char *forwarded_host(struct context *context) {
    struct forwarded element;
    if (!believes_peer(context))
        return NULL;
    if (!context->host->options->forwarded)
        return first_item(context, "X-Forwarded-Host");
    return read_forwarded(context, &element) ? element.host : NULL;
}

const char *ctx_host(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    struct asked *asked = context_asked(context);
    if (!asked)
        return "";
    if (asked->host_name)
        return asked->host_name;
    const char *host = forwarded_host(context);
    if (!host)
        host = first_item(context, "Host");
    return asked->host_name = host ? without_user(context, host) : "";
}

/* "[::0:1]:80" is "[::1]", as it is in URLs. */
static const char *ipv6_name(struct context *context, const char *host) {
    struct arena *arena = context->home.arena;
    struct url url;
    const char *text = ctx_printf(&context->ctx, "http://%s", host);
    if (host[strcspn(host, "/?#\\ \t\r\n\v\f")] || !text ||
        url_parse(&url, arena, text, strlen(text), NULL))
        return "";
    return url.host;
}

const char *ctx_hostname(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    const char *host = ctx_host(ctx);
    if (*host == '[')
        return ipv6_name(context, host);
    const char *name = arena_copy(context->scope->arena, host, strcspn(host, ":"));
    return name ? name : (context_no_memory(context), "");
}

/* --- The rest --------------------------------------------------------------------------------- */

static const char *forwarded_proto(struct context *context) {
    struct forwarded element;
    if (!believes_peer(context))
        return NULL;
    if (context->host->options->forwarded)
        return read_forwarded(context, &element) ? element.proto : NULL;
    char *proto = (char *)first_item(context, "X-Forwarded-Proto");
    for (char *at = proto; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return proto;
}

const char *ctx_protocol(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    if (context->exchange->secure)
        return "https";
    const char *proto = forwarded_proto(context);
    return proto ? proto : "http";
}

bool ctx_secure(ctx_t *ctx) {
    return strcmp(ctx_protocol(ctx), "https") == 0;
}

const char *ctx_href(ctx_t *ctx) {
    const char *url = ctx->original_url;
    if (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0)
        return url;
    const char *href = ctx_printf(ctx, "%s://%s%s", ctx_protocol(ctx), ctx_host(ctx), url);
    return href ? href : "";
}

static int make_subdomains(struct context *context, const char *const **list) {
    size_t offset = (size_t)context->host->options->subdomain_offset;
    *list = host_subdomains(context->home.arena, ctx_hostname(&context->ctx), offset);
    return *list ? 0 : UV_ENOMEM;
}

const char *ctx_subdomain_at(ctx_t *ctx, size_t index) {
    return context_list_at(context_of(ctx), LIST_SUBDOMAINS, make_subdomains, index);
}
