/*
 * The request: what the client asked for.
 *
 * Getters never fail: what is missing is "", or NULL or false where it says so. What they return
 * lives as long as the ctx.
 */
#ifndef ACACIA_REQUEST_H
#define ACACIA_REQUEST_H

#include "ctx.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* --- The URL ---------------------------------------------------------------------------------- */

/* ctx->method, ctx->url, ctx->original_url, ctx->path and ctx->querystring are fields. */

/* The query with its '?': "?full=1"; "" if there is none. */
const char *ctx_search(ctx_t *ctx);

/*
 * Rewriting: what comes downstream sees another request. ctx->original_url stays. ctx_set_path
 * keeps the query and escapes '?' and '#'; ctx_set_querystring keeps the path, and takes its
 * argument with '?' or without. The strings are copied; ctx->url, path and querystring follow.
 * Return 0 or UV_ENOMEM; UV_EINVAL for a method that is no token.
 */
int ctx_set_method(ctx_t *ctx, const char *method);
int ctx_set_url(ctx_t *ctx, const char *url);
int ctx_set_path(ctx_t *ctx, const char *path);
int ctx_set_querystring(ctx_t *ctx, const char *querystring);

/* The query out of names and values, in turn, NULL at the end, encoded as a form is:
 * {"q", "a b", "page", "2", NULL} is "q=a+b&page=2". */
int ctx_set_query(ctx_t *ctx, const char *const *pairs);

/* What percent-encoded text stands for, such as ctx->path: in memory of the ctx. 0; UV_EINVAL if it
 * is malformed, not UTF-8, or has a NUL in it; or UV_ENOMEM: then *decoded is NULL. A '/' may come
 * out of "%2F", and so may "../": never take the result for the name of a file without looking. */
int ctx_decode(ctx_t *ctx, const char *text, const char **decoded);

/* The first value of `name` in the query, decoded ('+' is a space); NULL if it is missing. */
const char *ctx_query(ctx_t *ctx, const char *name);

/* The query, one pair after the other, repeated names included: false past the last. */
bool ctx_query_at(ctx_t *ctx, size_t index, const char **name, const char **value);

/* A parameter of the route that matched, decoded; NULL if the pattern has none of that name, or if
 * it is an optional one that is absent. By name, or by position from 0. */
const char *ctx_param(const ctx_t *ctx, const char *name);
const char *ctx_param_at(const ctx_t *ctx, size_t index);

/* --- Who asks whom ---------------------------------------------------------------------------- */

/*
 * With app_options_t.proxy the first item of X-Forwarded-Host and X-Forwarded-Proto, and the
 * addresses of X-Forwarded-For, are believed; with `trusted_proxies` only if the peer is one of
 * them; with `forwarded` it is the field Forwarded of RFC 7239 instead.
 */
const char *ctx_host(ctx_t *ctx);     /* "example.org:8080", "[::1]:8080" */
const char *ctx_hostname(ctx_t *ctx); /* "example.org", "[::1]"; "" if it can't be one */
const char *ctx_protocol(ctx_t *ctx); /* "http", "https", or what the proxy says, in lower case */
bool ctx_secure(ctx_t *ctx);          /* the protocol is "https" */
const char *ctx_href(ctx_t *ctx);     /* "http://example.org/users/7?full=1", of the original URL */
const char *ctx_origin(ctx_t *ctx);   /* the header Origin; NULL if it is missing (Koa 3) */

/* The address of the client: the first of ctx_ip_at, else that of the peer ("127.0.0.1", "::1"). A
 * middleware that knows better may set it. */
const char *ctx_ip(ctx_t *ctx);
int ctx_set_ip(ctx_t *ctx, const char *ip);

/* Koa's ctx.ips: the client, then the proxies on the way, as they say; at most
 * app_options_t.max_ips, the last ones. NULL past the last, and for all if no proxy is believed. */
const char *ctx_ip_at(ctx_t *ctx, size_t index);

/* The address at the other end of the connection, whatever headers say; "" for a unix socket. */
const char *ctx_peer(ctx_t *ctx);

/* Of "tobi.ferrets.example.com": "ferrets", then "tobi", then NULL. app_options_t.subdomain_offset
 * says how many parts are the domain. An address has none. */
const char *ctx_subdomain_at(ctx_t *ctx, size_t index);

/* --- Headers ---------------------------------------------------------------------------------- */

/* The version of HTTP that the client speaks: "1.1" or "1.0". */
const char *ctx_http_version(const ctx_t *ctx);

/* A header of the request, "" if it is missing. Any case; "referer" and "referrer" are one.
 * Repeated ones are joined as node does: ", ", or "; " for Cookie, or the first wins. */
const char *ctx_get(ctx_t *ctx, const char *name);

/* The date that a header of the request says, in seconds since 1970; -1 if it says none. */
int64_t ctx_get_date(ctx_t *ctx, const char *name);

/* The headers of the request as they came, one after the other: false past the last. */
bool ctx_header_at(const ctx_t *ctx, size_t index, const char **name, const char **value);

/* --- What the client takes -------------------------------------------------------------------- */

/*
 * const char *type = ctx_accepts(ctx, "json", "html");
 *
 * Which of these the client likes best, as given; NULL if it takes none of them: 406 then. Types
 * are names or extensions. Quality decides, then how specific the client was, then its order, then
 * ours. Without the header everything is accepted, but of encodings only "identity".
 *
 * The macros end the list with NULL; the functions behind them take one that ends so.
 */
const char *ctx_accepts_one_of(ctx_t *ctx, const char *const *types);
const char *ctx_accepts_encoding_of(ctx_t *ctx, const char *const *encodings);
const char *ctx_accepts_charset_of(ctx_t *ctx, const char *const *charsets);
const char *ctx_accepts_language_of(ctx_t *ctx, const char *const *languages);

/* As ctx_accepts_encoding_of, but of those that the client likes equally well the first of ours,
 * where that takes the order of the client: of {"br", "gzip", NULL} it is "br" for "gzip, br". */
const char *ctx_prefers_encoding_of(ctx_t *ctx, const char *const *encodings);

/* Everything that the client takes, best first: NULL past the last. */
const char *ctx_accepts_at(ctx_t *ctx, size_t index);
const char *ctx_accepts_encoding_at(ctx_t *ctx, size_t index);
const char *ctx_accepts_charset_at(ctx_t *ctx, size_t index);
const char *ctx_accepts_language_at(ctx_t *ctx, size_t index);

#ifndef __cplusplus
#define ACACIA_LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ctx_accepts(ctx, ...) ctx_accepts_one_of((ctx), ACACIA_LIST(__VA_ARGS__))
#define ctx_accepts_encodings(ctx, ...) ctx_accepts_encoding_of((ctx), ACACIA_LIST(__VA_ARGS__))
#define ctx_accepts_charsets(ctx, ...) ctx_accepts_charset_of((ctx), ACACIA_LIST(__VA_ARGS__))
#define ctx_accepts_languages(ctx, ...) ctx_accepts_language_of((ctx), ACACIA_LIST(__VA_ARGS__))
#define ctx_is(ctx, ...) ctx_is_one_of((ctx), ACACIA_LIST(__VA_ARGS__))
#endif

/*
 * Is what the client has still good? For GET and HEAD with a status of 2xx or 304: compares
 * If-None-Match and If-Modified-Since with ETag and Last-Modified as set on the response. Then
 * answer 304. ctx_stale is the contrary.
 */
bool ctx_fresh(ctx_t *ctx);
bool ctx_stale(ctx_t *ctx);

/* GET, HEAD, PUT, DELETE, OPTIONS or TRACE: may be sent twice. */
bool ctx_idempotent(const ctx_t *ctx);

/* --- The body --------------------------------------------------------------------------------- */

/* Bytes and how many. `data` is followed by a NUL that `length` does not count. */
typedef struct {
    const char *data;
    size_t length;
} bytes_t;

/* Content-Type without parameters, "" if it is missing; its charset, "" likewise; Content-Length,
 * -1 if it is missing. */
const char *ctx_request_type(ctx_t *ctx);
const char *ctx_request_charset(ctx_t *ctx);
int64_t ctx_request_length(ctx_t *ctx);

/* Has the request a body, an empty one included? */
bool ctx_has_body(const ctx_t *ctx);

/*
 * ctx_is(ctx, "json", "urlencoded"): which of these the body is; NULL if none, or if there is no
 * body. A plain type or extension is returned as given; for "text/…", "+json" and the like with a
 * wildcard it is the actual type. "urlencoded" and "multipart" are short for the form types.
 */
const char *ctx_is_one_of(ctx_t *ctx, const char *const *types);

/*
 * The whole body of the request, at most http.body_size bytes. It is read once and kept, and lives
 * as long as the ctx.
 *
 * Returns 0; -413 when it is larger, announced (then nothing is read) or not; -400 when it breaks
 * off; UV_ECANCELED when the client is gone; UV_ENOMEM. The error is thrown already: return it.
 */
may_await int ctx_read_body(ctx_t *ctx, bytes_t *body);

/* The same with a limit of one's own, in bytes. */
may_await int ctx_read_body_up_to(ctx_t *ctx, bytes_t *body, size_t limit);

/*
 * The next piece of the body, at most `size` bytes into `buffer`, for bodies of any size: the
 * socket is not read before somebody asks. Returns their number, 0 at the end, or an error as
 * above; UV_EBUSY while another task of this handler waits for a piece. Trailers are read over.
 */
may_await ssize_t ctx_read(ctx_t *ctx, void *buffer, size_t size);

#ifdef ACACIA_HAVE_JSON
/* The body of the request as JSON: *json gets a reference for the caller, who gives it up by
 * json_decref. Returns what ctx_read_body and ctx_parse_json return. */
may_await int ctx_read_json(ctx_t *ctx, json_t **json);

/*
 * Any text of JSON that a client has sent: any value, in UTF-8. *json gets a reference for the
 * caller, or NULL.
 *
 * Returns 0 or -400, thrown with the reason: what is no JSON; a name twice in one object; a NUL in
 * a string; more than 200 levels of arrays and objects. jansson goes down a level by calling
 * itself, to parse, to print and to free, and what it may do by itself is too much for the stack of
 * a coroutine: give it no text of a client without this.
 */
int ctx_parse_json(ctx_t *ctx, bytes_t text, json_t **json);

/* The query as an object: {"name": "value"}, and {"name": ["a", "b"]} for a repeated one. A new
 * reference, or NULL when there is no memory. */
json_t *ctx_query_json(ctx_t *ctx);

/* The same for names that nest, "user[name]=a&user[tags][]=b", as npm's qs reads them: {"user":
 * {"name": "a", "tags": ["b"]}}. It is ctx_nest_pairs without options. */
json_t *ctx_query_nested(ctx_t *ctx);
#endif

/* --- Forms ------------------------------------------------------------------------------------ */

/* middleware/body_parser.h and middleware/multipart.h read whole forms; this is what they are made
 * of. */

/* A name and its value, decoded; never NULL. */
typedef struct {
    const char *name, *value;
} form_pair_t;

/*
 * The pairs in a text that is written as a query is, such as the body of a form,
 * application/x-www-form-urlencoded: in their order, repeated names included, in memory of the ctx.
 * No text is wrong; what is not UTF-8, and a NUL, becomes U+FFFD. Returns 0 or UV_ENOMEM.
 */
int ctx_parse_form(ctx_t *ctx, bytes_t text, form_pair_t **pairs, size_t *count);

/* What names of pairs mean. Zero is what npm's qs does without options. */
typedef struct {
    bool dots;    /* "user.name" is the same as "user[name]" */
    size_t depth; /* 5 brackets of a name count, and the rest is one key; at most 32 */
    size_t items; /* 20 in an array; with more of them, or a higher index, it becomes an object */
    size_t pairs; /* 1,000; those behind them don't count; at most 10,000 */
} nesting_options_t;

#ifdef ACACIA_HAVE_JSON
/*
 * Pairs whose names nest, as npm's qs reads them:
 *
 *     a=1&a=2, a[]=1&a[]=2    {"a": ["1", "2"]}
 *     a[b][c]=1&a[d]=2        {"a": {"b": {"c": "1"}, "d": "2"}}
 *     a[1]=x&a[0]=y           {"a": ["y", "x"]}
 *
 * Pairs are dropped that have no name, or one that all objects of JavaScript have ("__proto__").
 * `options` may be NULL. A new reference, or NULL when there is no memory.
 */
json_t *ctx_nest_pairs(ctx_t *ctx, const form_pair_t *pairs, size_t count,
                       const nesting_options_t *options);
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
