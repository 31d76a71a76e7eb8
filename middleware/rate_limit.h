/*
 * So many requests of each client in so much time, as koa-ratelimit:
 *
 *     app_use(app, rate_limit(&(rate_limit_options_t){.max = 100, .duration = 60 * 1000}));
 *
 * Each answer says how many are left; beyond that it is 429 with Retry-After, and nothing below
 * runs. In the stack of WebSockets it is handshakes that are counted, and one that is refused gets
 * the 429 in plain HTTP.
 *
 * Times are milliseconds.
 */
#ifndef ACACIA_RATE_LIMIT_H
#define ACACIA_RATE_LIMIT_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct {
    uint64_t max, duration;

    /* False: a fixed window; it begins with the first request, and when `duration` is over, all
     * `max` are there again. True: a bucket of `max` tokens, into which one drops every duration /
     * max; so that nobody can send 2 * max around the end of a window. */
    bool token_bucket;
} rate_limit_rule_t;

/* What became of a request. */
typedef struct {
    const char *key;      /* whose it is; lives as long as the ctx */
    bool limited;         /* it is one too many */
    uint64_t limit;       /* the rule's max */
    uint64_t remaining;   /* that may follow now */
    uint64_t reset;       /* from now until all `limit` are there again */
    uint64_t retry_after; /* from now until the next one may come; 0 if it may come now */
} rate_limit_result_t;

/*
 * Where the counts are kept, if not in the table that each layer has by itself: in a database, for
 * several processes. `take` counts one request of `key` and fills in *result, save its key. Returns
 * 0 or an error. May suspend. `state` is the program's, and must live until app_free.
 */
typedef struct {
    int (*take)(ctx_t *ctx, void *state, const char *key, const rate_limit_rule_t *rule,
                rate_limit_result_t *result);
    void *state;
} rate_limit_store_t;

/* Counted since the start, but for `keys`. */
typedef struct {
    uint64_t passed, limited, refused; /* by blacklist */
    uint64_t evicted; /* keys whose count was forgotten early, because the table was full */
    size_t keys;      /* in the table now */
} rate_limit_stats_t;

typedef struct {
    uint64_t max;      /* 0: 2,500 … */
    uint64_t duration; /* 0: … in one hour */
    bool token_bucket;

    /* Who is asking; NULL: not counted. By default it is ctx_ip: behind a proxy, say so in the
     * options of the app, or all clients are one. Must live as long as the ctx. May suspend. */
    const char *(*find_key)(ctx_t *ctx);
    int ipv6_prefix; /* 0: the first 64 bits of an IPv6 address are one client, since each has 2^64
                        of them; up to 128, for all bits */

    bool (*whitelist)(ctx_t *ctx); /* true: not counted. May suspend */
    bool (*blacklist)(ctx_t *ctx); /* true: 403. May suspend */

    /* The answer. Strings are copied. */
    bool no_headers;              /* none but Retry-After */
    const char *limit_header;     /* NULL: "X-RateLimit-Limit" */
    const char *remaining_header; /* NULL: "X-RateLimit-Remaining" */
    const char *reset_header;     /* NULL: "X-RateLimit-Reset", in seconds since 1970 */
    bool draft_headers;  /* RateLimit-Policy and RateLimit as well (the IETF's draft, version 10) */
    const char *policy;  /* its name there; NULL: "default" */
    int status;          /* 0: 429 */
    const char *message; /* NULL: "Rate limit exceeded, retry in 2 minutes." */
    bool throws;         /* throw it, for a middleware above to catch */
    int (*on_limited)(ctx_t *ctx); /* called when the answer is set, which it may change. Returns 0,
                                      or an error to answer with. May suspend */

    /*
     * The table holds so many keys, 64 bytes each; 0: 100,000. Those whose time is over go first.
     * If none are, the one goes that would go next: whoever has so many addresses can make it
     * forget others, but can't make it refuse them. rate_limit_stats_t.evicted counts them.
     */
    size_t keys;

    rate_limit_store_t store;  /* in place of the table */
    bool pass_on_error;        /* if the store fails, let the request pass; else its error is
                                  answered */
    uint64_t (*clock)(void);   /* of the table: nanoseconds, never back; NULL: uv_hrtime */
    rate_limit_stats_t *stats; /* kept up to date here; must live until app_free. NULL: nowhere */
} rate_limit_options_t;

/* `options` may be NULL. Each layer counts by itself. Wrong options keep the app from starting. */
middleware_t rate_limit(const rate_limit_options_t *options);

/* What became of this request, in the layer that ran last; NULL if it was not counted. Lives as
 * long as the ctx. */
const rate_limit_result_t *rate_limit_result(const ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
