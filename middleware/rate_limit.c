/* So many requests of each client in so much time, as in koa-ratelimit 6. */
#include "rate_limit_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define RESULT "acacia rate_limit"       /* its name among the values of a ctx */
#define SECOND UINT64_C(1000)            /* in milliseconds */
#define DURATION_MAX ((uint64_t)1 << 40) /* 34 years: as nanoseconds they fit in 64 bits */

struct rate_limit {
    rate_limit_options_t options; /* with defaults filled in; strings are copies */
    rate_limit_rule_t rule;
    rate_limit_stats_t own_stats; /* if nobody wants them */
    struct rate_table *table;
};

const rate_limit_result_t *rate_limit_result(const ctx_t *ctx) {
    return ctx_value(ctx, RESULT);
}

/* --- Who is asking ---------------------------------------------------------------------------- */

/* An address of IPv6 without the bits that the client may choose, and one that wraps IPv4 as that.
 * Everything else is taken as it is. */
static int client_key(ctx_t *ctx, int prefix, const char **key) {
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    unsigned char bytes[16];
    char text[INET6_ADDRSTRLEN];
    *key = ctx_ip(ctx);
    if (uv_inet_pton(AF_INET6, *key, bytes))
        return 0;
    bool is_mapped = memcmp(bytes, mapped, sizeof mapped) == 0;
    for (int bit = prefix; bit < 128 && !is_mapped; bit++)
        bytes[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
    uv_inet_ntop(is_mapped ? AF_INET : AF_INET6, is_mapped ? bytes + 12 : bytes, text, sizeof text);
    *key = ctx_strdup(ctx, text);
    return *key ? 0 : UV_ENOMEM;
}

/* *key is NULL if the request is not counted. */
static int find_key(ctx_t *ctx, const rate_limit_options_t *o, const char **key) {
    *key = NULL;
    if (o->whitelist && o->whitelist(ctx))
        return 0;
    if (!o->find_key)
        return client_key(ctx, o->ipv6_prefix, key);
    *key = o->find_key(ctx);
    return 0;
}

static int count(ctx_t *ctx, struct rate_limit *limit, const char *key,
                 rate_limit_result_t *result) {
    const rate_limit_store_t *store = &limit->options.store;
    if (store->take)
        return store->take(ctx, store->state, key, &limit->rule, result);
    return rate_table_take(limit->table, key, &limit->rule, limit->options.clock(), result,
                           limit->options.stats);
}

/* --- The answer ------------------------------------------------------------------------------- */

static uint64_t seconds(uint64_t milliseconds) {
    return milliseconds / SECOND + (milliseconds % SECOND > 0);
}

static uint64_t milliseconds_since_1970(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_usec / 1000;
}

/* ctx_set, or ctx_throw_header for an error. */
typedef int set_fn(ctx_t *ctx, const char *name, const char *value);

static int set_number(ctx_t *ctx, set_fn *set, const char *name, uint64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    return set(ctx, name, text);
}

/* draft-ietf-httpapi-ratelimit-headers-10: lists, to which each layer adds its own. */
static int set_draft(ctx_t *ctx, set_fn *set, const struct rate_limit *limit,
                     const rate_limit_result_t *result) {
    const char *policy = limit->options.policy;
    char *text = ctx_printf(ctx, "\"%s\";q=%" PRIu64 ";w=%" PRIu64, policy, result->limit,
                            seconds(limit->rule.duration));
    int err = text ? set(ctx, "RateLimit-Policy", text) : UV_ENOMEM;
    if (err)
        return err;
    text = ctx_printf(ctx, "\"%s\";r=%" PRIu64 ";t=%" PRIu64, policy, result->remaining,
                      seconds(result->reset));
    return text ? set(ctx, "RateLimit", text) : UV_ENOMEM;
}

static int set_headers(ctx_t *ctx, set_fn *set, const struct rate_limit *limit,
                       const rate_limit_result_t *result) {
    const rate_limit_options_t *o = &limit->options;
    if (o->no_headers)
        return 0;
    uint64_t reset = seconds(milliseconds_since_1970() + result->reset);
    int err = set_number(ctx, set, o->limit_header, result->limit);
    if (!err)
        err = set_number(ctx, set, o->remaining_header, result->remaining);
    if (!err)
        err = set_number(ctx, set, o->reset_header, reset);
    if (!err && o->draft_headers)
        err = set_draft(ctx, set == ctx_set ? ctx_append : set, limit, result);
    return err;
}

static uint64_t retry_after(const rate_limit_result_t *result) {
    return result->retry_after ? seconds(result->retry_after) : 1;
}

/* "2 minutes", as npm's ms says it. */
static const char *in_words(ctx_t *ctx, uint64_t milliseconds) {
    static const struct {
        const char *name;
        uint64_t length;
    } units[] = {{"day", 24 * 3600 * SECOND},
                 {"hour", 3600 * SECOND},
                 {"minute", 60 * SECOND},
                 {"second", SECOND}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        uint64_t length = units[i].length;
        if (milliseconds >= length)
            return ctx_printf(ctx, "%" PRIu64 " %s%s", (milliseconds + length / 2) / length,
                              units[i].name, 2 * milliseconds >= 3 * length ? "s" : "");
    }
    return ctx_printf(ctx, "%" PRIu64 " ms", milliseconds);
}

static const char *message_of(ctx_t *ctx, const struct rate_limit *limit,
                              const rate_limit_result_t *result) {
    if (limit->options.message)
        return limit->options.message;
    const char *words = in_words(ctx, result->retry_after);
    return words ? ctx_printf(ctx, "Rate limit exceeded, retry in %s.", words) : NULL;
}

static int throw_it(ctx_t *ctx, const struct rate_limit *limit, const rate_limit_result_t *result,
                    const char *message) {
    int err = set_headers(ctx, ctx_throw_header, limit, result);
    if (!err)
        err = set_number(ctx, ctx_throw_header, "Retry-After", retry_after(result));
    return err ? err : ctx_throw(ctx, limit->options.status, "%s", message);
}

static int answer(ctx_t *ctx, const struct rate_limit *limit, const rate_limit_result_t *result) {
    const char *message = message_of(ctx, limit, result);
    if (!message)
        return UV_ENOMEM;
    int err = ctx_body(ctx, message);
    if (!err)
        err = set_number(ctx, ctx_set, "Retry-After", retry_after(result));
    ctx->status = limit->options.status;
    if (!err && limit->options.on_limited)
        err = limit->options.on_limited(ctx);
    return err || !limit->options.throws ? err : throw_it(ctx, limit, result, message);
}

/* --- The middleware --------------------------------------------------------------------------- */

static int run_counted(ctx_t *ctx, struct rate_limit *limit, const char *key) {
    rate_limit_result_t *result = ctx_new(ctx, rate_limit_result_t);
    if (!result)
        return UV_ENOMEM;
    int err = count(ctx, limit, key, result);
    if (err < 0)
        return limit->options.pass_on_error ? next(ctx) : err;
    result->key = key;
    err = ctx_set_value(ctx, RESULT, result, NULL);
    if (!err)
        err = set_headers(ctx, ctx_set, limit, result);
    if (err)
        return err;
    if (result->limited) {
        limit->options.stats->limited++;
        return answer(ctx, limit, result);
    }
    limit->options.stats->passed++;
    return next(ctx);
}

static int run_rate_limit(ctx_t *ctx, void *state) {
    struct rate_limit *limit = state;
    const rate_limit_options_t *o = &limit->options;
    if (o->blacklist && o->blacklist(ctx)) {
        o->stats->refused++;
        return ctx_throw(ctx, 403, "Forbidden");
    }
    const char *key;
    int err = find_key(ctx, o, &key);
    if (err)
        return err;
    return key ? run_counted(ctx, limit, key) : next(ctx);
}

/* --- Making one ------------------------------------------------------------------------------- */

static void free_rate_limit(void *state) {
    struct rate_limit *limit = state;
    const rate_limit_options_t *o = &limit->options;
    rate_table_free(limit->table);
    free((char *)o->limit_header);
    free((char *)o->remaining_header);
    free((char *)o->reset_header);
    free((char *)o->policy);
    free((char *)o->message);
    free(limit);
}

/* *text becomes a copy of its own, if it is anything. */
static bool copy_text(const char **text, const char *given, const char *otherwise) {
    given = given ? given : otherwise;
    *text = given ? strdup(given) : NULL;
    return *text || !given;
}

static bool copy_options(struct rate_limit *limit, const rate_limit_options_t *given) {
    rate_limit_options_t *o = &limit->options;
    *o = *given;
    bool copied = copy_text(&o->limit_header, given->limit_header, "X-RateLimit-Limit");
    copied &= copy_text(&o->remaining_header, given->remaining_header, "X-RateLimit-Remaining");
    copied &= copy_text(&o->reset_header, given->reset_header, "X-RateLimit-Reset");
    copied &= copy_text(&o->policy, given->policy, "default");
    copied &= copy_text(&o->message, given->message, NULL);
    return copied;
}

static void fill_in_defaults(struct rate_limit *limit) {
    rate_limit_options_t *o = &limit->options;
    limit->rule = (rate_limit_rule_t){
        .max = o->max ? o->max : 2500,
        .duration = o->duration ? o->duration : 3600 * SECOND,
        .token_bucket = o->token_bucket,
    };
    o->ipv6_prefix = o->ipv6_prefix ? o->ipv6_prefix : 64;
    o->status = o->status ? o->status : 429;
    o->keys = o->keys ? o->keys : RATE_TABLE_KEYS;
    o->clock = o->clock ? o->clock : uv_hrtime;
    o->stats = o->stats ? o->stats : &limit->own_stats;
}

static bool is_field_name(const char *text) {
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return *text && !text[strspn(text, token)];
}

static bool is_policy_name(const char *text) {
    while (*text >= ' ' && *text <= '~' && *text != '"' && *text != '\\')
        text++;
    return !*text;
}

/* What is wrong with the options, or NULL. */
static const char *check(const struct rate_limit *limit) {
    const rate_limit_options_t *o = &limit->options;
    if (limit->rule.duration > DURATION_MAX)
        return "a duration is at most 34 years, in milliseconds";
    if (limit->rule.max > limit->rule.duration * SECOND)
        return "max is at most 1,000 in a millisecond";
    if (o->ipv6_prefix < 1 || o->ipv6_prefix > 128)
        return "an address of IPv6 has 128 bits";
    if (o->status < 400 || o->status > 599)
        return "status is that of an error, 400 to 599";
    if (o->keys > RATE_TABLE_KEYS_MAX)
        return "the table has at most 16,777,216 keys";
    if (!is_field_name(o->limit_header) || !is_field_name(o->remaining_header) ||
        !is_field_name(o->reset_header))
        return "the name of a header is a token";
    return is_policy_name(o->policy) ? NULL : "policy is a name in ASCII, without quotes";
}

middleware_t rate_limit(const rate_limit_options_t *options) {
    static const rate_limit_options_t defaults;
    static const char no_memory[] = "out of memory";
    struct rate_limit *limit = calloc(1, sizeof *limit);
    if (!limit)
        return (middleware_t){.name = "rate_limit", .error = no_memory};
    middleware_t layer = {run_rate_limit, limit, free_rate_limit, "rate_limit", NULL};
    bool copied = copy_options(limit, options ? options : &defaults);
    fill_in_defaults(limit);
    layer.error = copied ? check(limit) : no_memory;
    if (!layer.error && !limit->options.store.take &&
        !(limit->table = rate_table_new(limit->options.keys)))
        layer.error = no_memory;
    return layer;
}
