/* Numbers for Prometheus. */
#include "middleware/metrics.h"

#include "test_operations.h"

#include <math.h>

/* --- The registry ----------------------------------------------------------------------------- */

/* The whole page is this. */
static void shows(metrics_t *registry, const char *expected) {
    size_t length;
    char *text = metrics_text(registry, &length);
    assert_non_null(text);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
    free(text);
}

static void test_counters_and_gauges(void **state) {
    metrics_t *r = metrics_new(0);
    shows(r, "");
    metric_t *plain = metrics_counter(r, "plain_total", "Plain.", NULL);
    metric_t *orders = metrics_counter(r, "orders_total", NULL, HEADERS("kind", "paid"));
    metric_t *level = metrics_gauge(r, "level", "Goes up\nand \\ down.", NULL);
    metric_add(orders, 1, METRIC_LABELS("book", "yes"));
    metric_add(orders, 2.5, METRIC_LABELS("book", "no"));
    metric_add(orders, 1, METRIC_LABELS("book", "yes"));
    metric_add(orders, -1, METRIC_LABELS("book", "yes"));
    metric_add(orders, NAN, METRIC_LABELS("book", "yes"));
    metric_set(orders, 7, METRIC_LABELS("book", "yes")); /* not for counters */
    metric_set(level, 5, NULL);
    metric_add(level, -7.25, NULL);
    metric_observe(plain, 1, NULL);
    shows(r, "# HELP plain_total Plain.\n# TYPE plain_total counter\nplain_total 0\n"
             "# HELP orders_total \n# TYPE orders_total counter\n"
             "orders_total{kind=\"book\",paid=\"yes\"} 2\n"
             "orders_total{kind=\"book\",paid=\"no\"} 2.5\n"
             "# HELP level Goes up\\\\nand \\\\ down.\n# TYPE level gauge\nlevel -2.25\n");
    assert_null(metrics_error(r));
    metrics_free(r);
}

static void test_numbers(void **state) {
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0, "0"},          {1e6, "1000000"},   {123456789012345, "123456789012345"},
                 {0.1, "0.1"},      {1e20, "1e+20"},    {1.0 / 3, "0.3333333333333333"},
                 {-1e-7, "-1e-07"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"},
                 {NAN, "NaN"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[128];
        metrics_t *r = metrics_new(0);
        metric_set(metrics_gauge(r, "g", "", NULL), cases[i].number, NULL);
        snprintf(expected, sizeof expected, "# HELP g \n# TYPE g gauge\ng %s\n", cases[i].text);
        shows(r, expected);
        metrics_free(r);
    }
}

static void test_histograms(void **state) {
    static const double buckets[] = {0.5, 2, 0};
    metrics_t *r = metrics_new(0);
    metric_t *bare = metrics_histogram(r, "bare", "", NULL, buckets);
    metric_t *labelled = metrics_histogram(r, "labelled", "", HEADERS("a"), buckets);
    metric_observe(bare, 0.5, NULL); /* a bound belongs to its bucket */
    metric_observe(bare, 0.1, NULL);
    metric_observe(bare, 1.5, NULL);
    metric_observe(bare, 100, NULL);
    metric_observe(bare, NAN, NULL);
    metric_observe(labelled, 3, METRIC_LABELS("b"));
    shows(r, "# HELP bare \n# TYPE bare histogram\nbare_bucket{le=\"0.5\"} 2\n"
             "bare_bucket{le=\"2\"} 3\nbare_bucket{le=\"+Inf\"} 4\nbare_sum 102.1\nbare_count 4\n"
             "# HELP labelled \n# TYPE labelled histogram\nlabelled_bucket{a=\"b\",le=\"0.5\"} 0\n"
             "labelled_bucket{a=\"b\",le=\"2\"} 0\nlabelled_bucket{a=\"b\",le=\"+Inf\"} 1\n"
             "labelled_sum{a=\"b\"} 3\nlabelled_count{a=\"b\"} 1\n");
    metrics_free(r);
}

static void test_escaping(void **state) {
    metrics_t *r = metrics_new(0);
    metric_t *m = metrics_counter(r, "m", "", HEADERS("v"));
    metric_add(m, 1, METRIC_LABELS("a\"b\\c\nd"));
    metric_add(m, 1, METRIC_LABELS("\xff\xe2\x80\xae gr\u00fcn"));
    metric_add(m, 1, METRIC_LABELS(""));
    shows(r, "# HELP m \n# TYPE m counter\nm{v=\"a\\\"b\\\\c\\\\nd\"} 1\n"
             "m{v=\"\\\\xff\\\\u202e gr\u00fcn\"} 1\nm{v=\"\"} 1\n");
    metrics_free(r);
}

/* Values that are not the same must not meet. */
static void test_series_are_kept_apart(void **state) {
    metrics_t *r = metrics_new(2000);
    metric_t *m = metrics_counter(r, "m", "", HEADERS("a", "b"));
    char a[24], b[24];
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 1000; i++) {
            snprintf(a, sizeof a, "%d", i / 10);
            snprintf(b, sizeof b, "%d", i);
            metric_add(m, i, METRIC_LABELS(a, b));
        }
    metric_add(m, 1, METRIC_LABELS("ab", "c"));
    metric_add(m, 2, METRIC_LABELS("a", "bc"));
    char *text = metrics_text(r, NULL);
    assert_non_null(strstr(text, "m{a=\"99\",b=\"999\"} 2997\n"));
    assert_non_null(strstr(text, "m{a=\"1\",b=\"17\"} 51\n"));
    assert_non_null(strstr(text, "m{a=\"ab\",b=\"c\"} 1\nm{a=\"a\",b=\"bc\"} 2\n"));
    free(text);
    metrics_free(r);
}

static void test_too_many_series(void **state) {
    metrics_t *r = metrics_new(2);
    metric_t *m = metrics_counter(r, "m", "", HEADERS("a", "b"));
    char a[24];
    for (int i = 0; i < 1000; i++) {
        snprintf(a, sizeof a, "%d", i);
        metric_add(m, 1, METRIC_LABELS(a, "x"));
    }
    metric_add(m, 1, METRIC_LABELS("1", "x"));
    shows(r, "# HELP m \n# TYPE m counter\nm{a=\"0\",b=\"x\"} 1\nm{a=\"1\",b=\"x\"} 2\n"
             "m{a=\"other\",b=\"other\"} 998\n");
    metrics_free(r);
}

static void is_refused(const char *name, const char *const *labels, const double *buckets,
                       const char *why) {
    metrics_t *r = metrics_new(0);
    metrics_counter(r, "taken", "", NULL);
    metric_t *metric = buckets ? metrics_histogram(r, name, "", labels, buckets)
                               : metrics_counter(r, name, "", labels);
    assert_null(metric);
    assert_string_equal(metrics_error(r), why);
    metric_add(metric, 1, METRIC_LABELS("x")); /* no harm */
    metric_set(metric, 1, NULL);
    metric_observe(metric, 1, NULL);
    refuse(metrics(&(metrics_options_t){.registry = r}), why);
    metrics_free(r);
}

static void test_refused(void **state) {
    is_refused("1a", NULL, NULL, "metric \"1a\": no name for a metric");
    is_refused("", NULL, NULL, "metric \"\": no name for a metric");
    is_refused("a-b", NULL, NULL, "metric \"a-b\": no name for a metric");
    is_refused("taken", NULL, NULL, "metric \"taken\": there is one of that name");
    is_refused("m", HEADERS("a:b"), NULL, "metric \"m\": a label that can't be one");
    is_refused("m", HEADERS("__a"), NULL, "metric \"m\": a label that can't be one");
    is_refused("m", HEADERS("le"), (const double[]){1, 0},
               "metric \"m\": a label that can't be one");
    is_refused("m", NULL, (const double[]){1, 1, 0}, "metric \"m\": buckets must ascend");
    is_refused("m", NULL, (const double[]){NAN, 0}, "metric \"m\": buckets must ascend");
    is_refused("m", HEADERS("a", "b", "c", "d", "e", "f", "g", "h", "i"), NULL,
               "metric \"m\": more than 8 labels");
    assert_string_equal(metrics_error(NULL), "out of memory");
    assert_null(metrics_counter(NULL, "a", "", NULL));
    metrics_free(NULL);
}

/* --- The middleware --------------------------------------------------------------------------- */

static int show_user(ctx_t *ctx) {
    return ctx_text(ctx, "Ada");
}

static int throws(ctx_t *ctx) {
    return ctx_throw(ctx, 503, NULL);
}

/* The page has this line. */
static void has_line(app_t *app, const char *line) {
    char expected[256];
    app_response_t *r = ask(app, "GET", "/metrics");
    snprintf(expected, sizeof expected, "\n%s\n", line);
    expect(r, 200, NULL);
    if (!strstr(r->body.data, expected))
        fail_msg("no \"%s\" in %s", line, r->body.data);
    app_response_free(r);
}

static void test_requests(void **state) {
    app_t *app = app_with(metrics(NULL), NULL);
    app_use(app, route_get("/users/:id", show_user));
    app_use(app, route_all("/fails", throws));
    for (int i = 0; i < 3; i++) {
        char url[32];
        snprintf(url, sizeof url, "/users/%d", i);
        check(app, "GET", url, 200, "Ada");
    }
    check(app, "HEAD", "/users/1", 200, "");
    check(app, "BREW", "/fails", 503, NULL);
    check(app, "GET", "/%0a", 404, NULL);
    has_line(app, "http_requests_total{method=\"GET\",route=\"/users/:id\",status=\"200\"} 3");
    has_line(app, "http_requests_total{method=\"HEAD\",route=\"/users/:id\",status=\"200\"} 1");
    has_line(app, "http_requests_total{method=\"other\",route=\"/fails\",status=\"503\"} 1");
    has_line(app, "http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1");
    has_line(app, "http_request_duration_seconds_count{method=\"GET\",route=\"/users/:id\"} 3");
    has_line(app, "http_request_duration_seconds_bucket{method=\"GET\",route=\"/users/:id\","
                  "le=\"+Inf\"} 3");
    has_line(app, "http_requests_in_flight 1"); /* the page itself */
    has_line(app, "http_requests_aborted_total 0");
    app_free(app);
}

static void test_app(void **state) {
    app_t *app = app_with(metrics(NULL), throws);
    check(app, "GET", "/", 503, NULL);
    has_line(app, "acacia_errors_total 1");
    has_line(app, "acacia_connections 0");
    has_line(app, "acacia_websockets 0");
    has_line(app, "acacia_draining 0");
    has_line(app, "acacia_info{version=\"" ACACIA_VERSION "\"} 1");
    has_line(app, "acacia_connections_closed_total{reason=\"head_timeout\"} 0");
    has_line(app, "acacia_connections_closed_total{reason=\"ws_abnormal\"} 0");
    app_response_t *r = ask(app, "GET", "/metrics");
    expect_header(r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    char *memory = strstr(r->body.data, "\nprocess_resident_memory_bytes ");
    assert_true(memory && strtod(memory + 31, NULL) > 1e6);
    app_response_free(r);
    check_header(app, "POST", "/metrics", 405, "Allow", "GET, HEAD");
    check(app, "HEAD", "/metrics", 200, "");
    app_free(app);
}

static int only_inside(ctx_t *ctx) {
    await_sleep(0);
    return strcmp(ctx_ip(ctx), "127.0.0.1") == 0 ? 0 : ctx_throw(ctx, 403, NULL);
}

static void test_guard(void **state) {
    app_t *app = app_with(metrics(&(metrics_options_t){.guard = only_inside}), show_user);
    check(app, "GET", "/metrics", 200, NULL);
    app_response_t *r = send_to(app, &(app_request_t){.url = "/metrics", .peer = "192.0.2.1"});
    expect(r, 403, "Forbidden");
    app_response_free(r);
    app_free(app);
}

static metric_t *orders;

static void look(void *arg) {
    metric_set(arg, 42, NULL);
}

static int order(ctx_t *ctx) {
    metric_add(orders, 1, METRIC_LABELS("book"));
    return ctx_text(ctx, "thanks");
}

static void test_registry_of_the_program(void **state) {
    static const double buckets[] = {60, 0};
    metrics_t *r = metrics_new(0);
    orders = metrics_counter(r, "orders_total", "Orders.", METRIC_LABELS("kind"));
    metrics_on_collect(r, look, metrics_gauge(r, "looked_at", "", NULL));
    app_t *app = app_with(
        metrics(&(metrics_options_t){.registry = r, .path = "/numbers", .buckets = buckets}),
        order);
    check(app, "GET", "/metrics", 200, "thanks");
    app_response_t *response = ask(app, "GET", "/numbers");
    assert_non_null(strstr(response->body.data, "\norders_total{kind=\"book\"} 1\n"));
    assert_non_null(strstr(response->body.data, "\nlooked_at 42\n"));
    assert_non_null(strstr(response->body.data, "le=\"60\"} 1\n"));
    assert_null(strstr(response->body.data, "le=\"0.5\""));
    app_response_free(response);
    app_free(app);
    char *text = metrics_text(r, NULL); /* what the app has left behind */
    assert_non_null(strstr(text, "\nhttp_requests_in_flight 1\n"));
    free(text);
    metrics_free(r);
}

static void test_two_layers(void **state) {
    metrics_t *r = metrics_new(0);
    app_t *app = app_with(metrics(&(metrics_options_t){.registry = r, .no_page = true}), order);
    orders = NULL;
    check(app, "GET", "/metrics", 200, "thanks");
    app_free(app);
    refuse(metrics(&(metrics_options_t){.registry = r}),
           "metric \"http_requests_total\": there is one of that name");
    metrics_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_and_gauges),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_series_are_kept_apart),
        cmocka_unit_test(test_too_many_series),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_app),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_registry_of_the_program),
        cmocka_unit_test(test_two_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
