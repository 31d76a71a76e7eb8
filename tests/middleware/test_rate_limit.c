/* So many requests in so much time, by a clock of our own. */
#include "test_guard.h"

#include "middleware/rate_limit.h"
#include "middleware/rate_limit_table.h"

#include <inttypes.h>
#include <sys/time.h>

#define MS UINT64_C(1000000)

static uint64_t now_ns;

static uint64_t fake_clock(void) {
    return now_ns;
}

static int handled;

static int page(ctx_t *ctx) {
    const rate_limit_result_t *result = rate_limit_result(ctx);
    handled++;
    return ctx_text(ctx, result ? result->key : "not counted");
}

static app_t *app_for(rate_limit_options_t options) {
    now_ns = 1000 * MS;
    handled = 0;
    options.clock = fake_clock;
    return app_with(rate_limit(&options), page);
}

static app_response_t *ask_from(app_t *app, const char *peer, const char *url) {
    app_response_t *response = app_inject(app, &(app_request_t){.url = url, .peer = peer});
    assert_non_null(response);
    return response;
}

/* `remaining` NULL: it is one too many. */
static void check_from(app_t *app, const char *peer, const char *remaining) {
    app_response_t *response = ask_from(app, peer, "/");
    expect_header(response, "X-RateLimit-Remaining", remaining ? remaining : "0");
    expect(response, remaining ? 200 : 429, NULL);
}

/* --- Through the app -------------------------------------------------------------------------- */

static void test_window(void **state) {
    app_t *app = app_for((rate_limit_options_t){.max = 3, .duration = 10000});
    check_from(app, "192.0.2.1", "2");
    now_ns += 4000 * MS;
    check_from(app, "192.0.2.1", "1");
    check_from(app, "192.0.2.2", "2"); /* somebody else */
    check_from(app, "192.0.2.1", "0");
    check_from(app, "192.0.2.1", NULL);
    now_ns += 5999 * MS;
    check_from(app, "192.0.2.1", NULL); /* what is refused doesn't put it off */
    now_ns += 1 * MS;
    check_from(app, "192.0.2.1", "2"); /* the window is over */
    check_from(app, "192.0.2.2", "1"); /* his is not */
    assert_int_equal(handled, 6);
    app_free(app);
}

static void test_bucket(void **state) {
    app_t *app = app_for((rate_limit_options_t){.max = 3, .duration = 9000, .token_bucket = true});
    check_from(app, "192.0.2.1", "2");
    check_from(app, "192.0.2.1", "1");
    check_from(app, "192.0.2.1", "0");
    check_from(app, "192.0.2.1", NULL);
    now_ns += 2999 * MS;
    check_from(app, "192.0.2.1", NULL);
    now_ns += 1 * MS;
    check_from(app, "192.0.2.1", "0"); /* one token every three seconds */
    check_from(app, "192.0.2.1", NULL);
    now_ns += 6000 * MS;
    check_from(app, "192.0.2.1", "1");
    now_ns += 1000000 * MS;
    check_from(app, "192.0.2.1", "2"); /* it never holds more than 3 */
    app_free(app);
}

static int64_t seconds_since_1970(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return now.tv_sec;
}

static void test_headers(void **state) {
    app_t *app = app_for((rate_limit_options_t){.max = 2, .duration = 90500});
    int64_t before = seconds_since_1970();
    app_response_t *response = ask_from(app, NULL, "/");
    int64_t reset = strtoll(app_response_get(response, "X-RateLimit-Reset"), NULL, 10);
    assert_in_range(reset, before + 90, seconds_since_1970() + 92);
    expect_header(response, "X-RateLimit-Limit", "2");
    expect_header(response, "X-RateLimit-Remaining", "1");
    expect_header(response, "Retry-After", NULL);
    expect_header(response, "RateLimit", NULL);
    expect(response, 200, "127.0.0.1");
    check_from(app, NULL, "0");
    now_ns += 30000 * MS;
    response = ask_from(app, NULL, "/");
    expect_header(response, "Retry-After", "61");
    expect_header(response, "X-RateLimit-Limit", "2");
    expect_header(response, "Content-Type", "text/plain; charset=utf-8");
    expect(response, 429, "Rate limit exceeded, retry in 1 minute.");
    now_ns += 60500 * MS - 1;
    response = ask_from(app, NULL, "/");
    expect_header(response, "Retry-After", "1"); /* who waits so long gets in */
    expect(response, 429, "Rate limit exceeded, retry in 1 ms.");
    app_free(app);
}

static void test_header_names(void **state) {
    app_t *app = app_for((rate_limit_options_t){
        .limit_header = "A", .remaining_header = "B", .reset_header = "C", .max = 10});
    app_response_t *response = ask_from(app, NULL, "/");
    expect_header(response, "A", "10");
    expect_header(response, "B", "9");
    assert_non_null(app_response_get(response, "C"));
    expect_header(response, "X-RateLimit-Limit", NULL);
    expect(response, 200, NULL);
    app_free(app);

    app = app_for((rate_limit_options_t){.no_headers = true, .draft_headers = true, .max = 1});
    expect(ask_from(app, NULL, "/"), 200, NULL);
    response = ask_from(app, NULL, "/");
    expect_header(response, "X-RateLimit-Limit", NULL);
    expect_header(response, "RateLimit", NULL);
    expect_header(response, "Retry-After", "3600");
    expect(response, 429, "Rate limit exceeded, retry in 1 hour.");
    app_free(app);
}

static void test_draft_headers(void **state) {
    app_t *app = quiet_app();
    now_ns = 0;
    app_use(app, rate_limit(&(rate_limit_options_t){
                     .max = 100, .duration = 1500, .clock = fake_clock, .draft_headers = true}));
    app_use(app, rate_limit(&(rate_limit_options_t){.max = 2,
                                                    .duration = 60000,
                                                    .clock = fake_clock,
                                                    .draft_headers = true,
                                                    .policy = "slow",
                                                    .throws = true}));
    app_use(app, page);
    app_response_t *response = ask_from(app, NULL, "/");
    const char *name, *value, *found[4] = {NULL};
    for (size_t i = 0, n = 0; app_response_header_at(response, i, &name, &value); i++)
        if (strncmp(name, "RateLimit", 9) == 0 && n < 4)
            found[n++] = value;
    assert_string_equal(found[0], "\"default\";q=100;w=2");
    assert_string_equal(found[1], "\"default\";r=99;t=2");
    assert_string_equal(found[2], "\"slow\";q=2;w=60");
    assert_string_equal(found[3], "\"slow\";r=1;t=60");
    expect(response, 200, NULL);
    expect(ask_from(app, NULL, "/"), 200, NULL);
    response = ask_from(app, NULL, "/");
    expect_header(response, "RateLimit-Policy", "\"slow\";q=2;w=60");
    expect_header(response, "RateLimit", "\"slow\";r=0;t=60");
    expect(response, 429, NULL);
    app_free(app);
}

/* --- Who is asking ---------------------------------------------------------------------------- */

static void check_key(app_t *app, const char *peer, const char *key) {
    expect(ask_from(app, peer, "/"), 200, key);
}

static void test_addresses(void **state) {
    app_t *app = app_for((rate_limit_options_t){0});
    check_key(app, "192.0.2.1", "192.0.2.1");
    check_key(app, "::ffff:192.0.2.1", "192.0.2.1");
    check_key(app, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
    check_key(app, "2001:db8:1:2::", "2001:db8:1:2::");
    check_key(app, "::1", "::");
    check_key(app, "", "");
    app_free(app);
    app = app_for((rate_limit_options_t){.ipv6_prefix = 128});
    check_key(app, "2001:DB8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6");
    app_free(app);
    app = app_for((rate_limit_options_t){.ipv6_prefix = 49});
    check_key(app, "2001:db8:1:ffff:3:4:5:6", "2001:db8:1:8000::");
    app_free(app);
}

static const char *key_of_query(ctx_t *ctx) {
    return ctx_query(ctx, "key");
}

static void test_key(void **state) {
    app_t *app = app_for((rate_limit_options_t){.max = 1, .find_key = key_of_query});
    expect(ask_from(app, "192.0.2.1", "/?key=a"), 200, "a");
    expect(ask_from(app, "192.0.2.2", "/?key=a"), 429, NULL);
    expect(ask_from(app, "192.0.2.1", "/?key=b"), 200, "b");
    for (int i = 0; i < 3; i++) {
        app_response_t *response = ask_from(app, NULL, "/");
        expect_header(response, "X-RateLimit-Limit", NULL);
        expect(response, 200, "not counted");
    }
    app_free(app);
}

static bool is_white(ctx_t *ctx) {
    return await_sleep(0) == 0 && ctx_query(ctx, "white");
}

static bool is_black(ctx_t *ctx) {
    return ctx_query(ctx, "black");
}

static void test_lists(void **state) {
    rate_limit_stats_t stats = {0};
    app_t *app = app_for((rate_limit_options_t){
        .max = 1, .whitelist = is_white, .blacklist = is_black, .stats = &stats});
    for (int i = 0; i < 3; i++) {
        expect(ask_from(app, NULL, "/?white"), 200, "not counted");
        expect(ask_from(app, NULL, "/?black"), 403, "Forbidden");
        expect(ask_from(app, NULL, "/?black&white"), 403, "Forbidden");
    }
    expect(ask_from(app, NULL, "/"), 200, "127.0.0.1");
    expect(ask_from(app, NULL, "/"), 429, NULL);
    assert_int_equal(stats.passed, 1);
    assert_int_equal(stats.limited, 1);
    assert_int_equal(stats.refused, 6);
    assert_int_equal(stats.keys, 1);
    app_free(app);
}

/* --- The answer ------------------------------------------------------------------------------- */

static void test_throws(void **state) {
    app_t *app = app_for((rate_limit_options_t){
        .max = 1, .duration = 5000, .throws = true, .status = 420, .message = "<calm> 100%"});
    expect(ask_from(app, NULL, "/"), 200, NULL);
    app_response_t *response = ask_from(app, NULL, "/");
    expect_header(response, "X-RateLimit-Limit", "1");
    expect_header(response, "X-RateLimit-Remaining", "0");
    expect_header(response, "Retry-After", "5");
    assert_non_null(app_response_get(response, "X-RateLimit-Reset"));
    expect(response, 500, "<calm> 100%"); /* 420 has no name: as ctx_throw has it */
    app_free(app);

    app = app_for((rate_limit_options_t){.max = 1, .status = 503, .message = "<calm> 100%"});
    expect(ask_from(app, NULL, "/"), 200, NULL);
    response = ask_from(app, NULL, "/");
    expect_header(response, "Content-Type", "text/html; charset=utf-8");
    expect(response, 503, "<calm> 100%");
    app_free(app);
}

static int tell(ctx_t *ctx) {
    const rate_limit_result_t *result = rate_limit_result(ctx);
    assert_true(result->limited);
    assert_int_equal(ctx->status, 429);
    if (ctx_query(ctx, "fail"))
        return ctx_throw(ctx, 503, "no");
    return ctx_textf(ctx, "%s: %d of %d, %d %d", result->key, (int)result->remaining,
                     (int)result->limit, (int)result->reset, (int)result->retry_after);
}

static void test_on_limited(void **state) {
    app_t *app = app_for((rate_limit_options_t){.max = 1, .duration = 5000, .on_limited = tell});
    expect(ask_from(app, NULL, "/"), 200, NULL);
    now_ns += 1500 * MS;
    app_response_t *response = ask_from(app, NULL, "/");
    expect_header(response, "Retry-After", "4");
    expect(response, 429, "127.0.0.1: 0 of 1, 3500 3500");
    expect(ask_from(app, NULL, "/?fail"), 503, "Service Unavailable");
    app_free(app);
}

static void check_words(uint64_t duration, const char *words) {
    char expected[80];
    app_t *app = app_for((rate_limit_options_t){.max = 1, .duration = duration});
    expect(ask_from(app, NULL, "/"), 200, NULL);
    snprintf(expected, sizeof expected, "Rate limit exceeded, retry in %s.", words);
    expect(ask_from(app, NULL, "/"), 429, expected);
    app_free(app);
}

static void test_words(void **state) {
    check_words(999, "999 ms");
    check_words(1000, "1 second");
    check_words(1499, "1 second");
    check_words(1500, "2 seconds");
    check_words(59999, "60 seconds");
    check_words(60000, "1 minute");
    check_words(89999, "1 minute");
    check_words(90000, "2 minutes");
    check_words(3600000, "1 hour");
    check_words(86400000, "1 day");
    check_words(UINT64_C(30) * 86400000, "30 days");
}

/* --- Stores ----------------------------------------------------------------------------------- */

struct slow_store {
    int count, err;
};

static int take_slowly(ctx_t *ctx, void *state, const char *key, const rate_limit_rule_t *rule,
                       rate_limit_result_t *result) {
    struct slow_store *store = state;
    assert_int_equal(rule->max, 2);
    assert_int_equal(rule->duration, 1000);
    assert_string_equal(key, "127.0.0.1");
    int err = await_sleep(0);
    if (err || store->err)
        return err ? err : store->err;
    *result = (rate_limit_result_t){.limit = 2, .reset = 400, .retry_after = 0};
    result->limited = ++store->count > 2;
    result->remaining = result->limited ? 0 : (uint64_t)(2 - store->count);
    return 0;
}

static void test_store(void **state) {
    struct slow_store store = {0};
    const rate_limit_options_t options = {
        .max = 2, .duration = 1000, .store = {take_slowly, &store}};
    app_t *app = app_for(options);
    check_from(app, NULL, "1");
    check_from(app, NULL, "0");
    app_response_t *response = ask_from(app, NULL, "/");
    expect_header(response, "Retry-After", "1");
    expect(response, 429, NULL);
    store.err = UV_ECONNREFUSED;
    expect(ask_from(app, NULL, "/"), 500, NULL);
    assert_int_equal(handled, 2);
    app_free(app);

    rate_limit_options_t open = options;
    open.pass_on_error = true;
    app = app_for(open);
    response = ask_from(app, NULL, "/");
    expect_header(response, "X-RateLimit-Limit", NULL);
    expect(response, 200, "not counted");
    app_free(app);
}

/* --- The table -------------------------------------------------------------------------------- */

static rate_limit_result_t take(struct rate_table *table, const char *key,
                                const rate_limit_rule_t *rule, rate_limit_stats_t *stats) {
    rate_limit_result_t result = {0};
    assert_int_equal(rate_table_take(table, key, rule, now_ns, &result, stats), 0);
    return result;
}

static void test_full_table(void **state) {
    const rate_limit_rule_t rule = {.max = 1, .duration = 1000};
    rate_limit_stats_t stats = {0};
    struct rate_table *table = rate_table_new(3);
    now_ns = 0;
    assert_false(take(table, "a", &rule, &stats).limited);
    now_ns = 10 * MS;
    assert_false(take(table, "b", &rule, &stats).limited);
    assert_false(take(table, "c", &rule, &stats).limited);
    assert_true(take(table, "a", &rule, &stats).limited);
    assert_int_equal(stats.keys, 3);
    assert_int_equal(stats.evicted, 0);
    assert_false(take(table, "d", &rule, &stats).limited); /* "a" is the first to go */
    assert_int_equal(stats.evicted, 1);
    assert_true(take(table, "b", &rule, &stats).limited);
    assert_true(take(table, "c", &rule, &stats).limited);
    assert_false(take(table, "a", &rule, &stats).limited); /* then "b" */
    assert_int_equal(stats.evicted, 2);
    assert_true(take(table, "c", &rule, &stats).limited);
    now_ns = 1010 * MS; /* the time of all is over: nobody goes early */
    for (char key = 'e'; key <= 'g'; key++)
        assert_false(take(table, (char[]){key, '\0'}, &rule, &stats).limited);
    assert_int_equal(stats.evicted, 2);
    assert_int_equal(stats.keys, 3);
    rate_table_free(table);
}

/* A bucket that is used is not the first to go. */
static void test_full_table_of_buckets(void **state) {
    const rate_limit_rule_t rule = {.max = 2, .duration = 1000, .token_bucket = true};
    rate_limit_stats_t stats = {0};
    struct rate_table *table = rate_table_new(2);
    now_ns = 0;
    take(table, "a", &rule, &stats);
    take(table, "b", &rule, &stats);
    take(table, "a", &rule, &stats);
    assert_true(take(table, "a", &rule, &stats).limited);
    take(table, "c", &rule, &stats); /* "b" goes */
    assert_true(take(table, "a", &rule, &stats).limited);
    assert_int_equal(take(table, "b", &rule, &stats).remaining, 1);
    assert_int_equal(stats.evicted, 2);
    rate_table_free(table);
}

static uint32_t random_below(uint32_t n) {
    static uint64_t seed = 1;
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

enum { KEYS = 40, STEPS = 60000 };

/* The same without a table, and a token at a time. */
struct model {
    uint64_t start, level; /* of a window; of a bucket: tokens that are gone, in intervals */
    bool known;
};

static void check_window(struct model *model, const rate_limit_rule_t *rule,
                         rate_limit_result_t result) {
    if (!model->known || now_ns >= model->start + rule->duration * MS)
        *model = (struct model){.start = now_ns, .known = true};
    assert_int_equal(result.limited, model->level == rule->max);
    model->level += model->level < rule->max;
    assert_int_equal(result.remaining, rule->max - model->level);
    uint64_t left = model->start + rule->duration * MS - now_ns;
    assert_int_equal(result.reset, (left + MS - 1) / MS);
}

static void check_bucket(struct model *model, const rate_limit_rule_t *rule,
                         rate_limit_result_t result) {
    uint64_t interval = rule->duration * MS / rule->max, passed = now_ns - model->start;
    model->level -= passed < model->level ? passed : model->level;
    model->start = now_ns;
    assert_int_equal(result.limited, model->level > interval * (rule->max - 1));
    model->level += result.limited ? 0 : interval;
    assert_int_equal(result.remaining, rule->max - (model->level + interval - 1) / interval);
    assert_int_equal(result.reset, (model->level + MS - 1) / MS);
    bool next_passes = model->level + interval <= interval * rule->max;
    assert_int_equal(next_passes, result.retry_after == 0);
}

static void test_against_models(void **state) {
    for (int bucket = 0; bucket < 2; bucket++) {
        const rate_limit_rule_t rule = {.max = 7, .duration = 100, .token_bucket = bucket};
        struct model models[KEYS] = {{0}};
        rate_limit_stats_t stats = {0};
        struct rate_table *table = rate_table_new(KEYS + random_below(3));
        now_ns = 0;
        for (int i = 0; i < STEPS; i++) {
            char key[8];
            uint32_t number = random_below(random_below(KEYS) + 1); /* some more than others */
            snprintf(key, sizeof key, "%" PRIu32, number);
            if (random_below(4) == 0)
                now_ns += random_below(20) ? random_below(3 * MS) : random_below(300) * MS;
            rate_limit_result_t result = take(table, key, &rule, &stats);
            assert_int_equal(result.limit, rule.max);
            if (bucket)
                check_bucket(&models[number], &rule, result);
            else
                check_window(&models[number], &rule, result);
        }
        assert_int_equal(stats.evicted, 0);
        rate_table_free(table);
    }
}

/* Many keys in few places: what is left of the table stays whole, and nobody who is there twice in
 * a row is forgotten between. */
static void test_crowd(void **state) {
    const rate_limit_rule_t rule = {.max = 2, .duration = 50};
    rate_limit_stats_t stats = {0};
    struct rate_table *table = rate_table_new(100);
    now_ns = 0;
    for (int i = 0; i < STEPS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %" PRIu32, random_below(1000));
        now_ns += random_below(MS);
        uint64_t first = take(table, key, &rule, &stats).remaining;
        assert_int_equal(take(table, key, &rule, &stats).remaining, first ? first - 1 : 0);
    }
    assert_int_equal(stats.keys, 100);
    assert_true(stats.evicted > 0);
    rate_table_free(table);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void test_defaults(void **state) {
    app_t *app = app_with(rate_limit(NULL), page);
    app_response_t *response = ask_from(app, NULL, "/");
    expect_header(response, "X-RateLimit-Limit", "2500");
    expect_header(response, "X-RateLimit-Remaining", "2499");
    expect(response, 200, NULL);
    app_free(app);
}

static void test_wrong_options(void **state) {
#define WRONG(expected, ...) refuse(rate_limit(&(rate_limit_options_t){__VA_ARGS__}), expected)
    WRONG("34 years", .duration = UINT64_MAX);
    WRONG("34 years", .duration = (UINT64_C(1) << 40) + 1);
    WRONG("1,000 in a millisecond", .max = UINT64_MAX);
    WRONG("1,000 in a millisecond", .max = 1001, .duration = 1);
    WRONG("128 bits", .ipv6_prefix = -1);
    WRONG("128 bits", .ipv6_prefix = 129);
    WRONG("that of an error", .status = 200);
    WRONG("that of an error", .status = 600);
    WRONG("16,777,216", .keys = 16777217);
    WRONG("16,777,216", .keys = SIZE_MAX);
    WRONG("a token", .limit_header = "");
    WRONG("a token", .remaining_header = "a b");
    WRONG("a token", .reset_header = "a\r\n");
    WRONG("policy is", .policy = "a\"b");
    WRONG("policy is", .policy = "a\\b");
    WRONG("policy is", .policy = "\xc3\xbc");
#undef WRONG
    app_t *app = app_for((rate_limit_options_t){
        .duration = UINT64_C(1) << 40, .max = UINT64_C(1) << 40, .token_bucket = true, .keys = 1});
    expect(ask_from(app, NULL, "/"), 200, NULL);
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_bucket),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_header_names),
        cmocka_unit_test(test_draft_headers),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_throws),
        cmocka_unit_test(test_on_limited),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_full_table),
        cmocka_unit_test(test_full_table_of_buckets),
        cmocka_unit_test(test_against_models),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
