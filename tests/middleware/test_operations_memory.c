/*
 * Allocations fail, each in turn, while an app with the logger, metrics, error pages and so on is
 * made and asked. Either it can't start, or its answer is a 500, or it is the right one.
 */
#include "../support/countdown.h"
#include "test_operations.h"

#include "middleware/error_page.h"
#include "middleware/favicon.h"
#include "middleware/health.h"
#include "middleware/json_pretty.h"
#include "middleware/logger.h"
#include "middleware/method_override.h"
#include "middleware/metrics.h"
#include "middleware/request_id.h"
#include "middleware/response_time.h"
#include "middleware/timeout.h"

#include <fcntl.h>

/* --- An app with all of them ------------------------------------------------------------------ */

static char icon[] = "/tmp/icon-XXXXXX";
static int null_fd;

static int make_icon(void **state) {
    int fd = mkstemp(icon);
    null_fd = open("/dev/null", O_WRONLY);
    return fd < 0 || write(fd, "icon", 4) != 4 || close(fd);
}

static int remove_icon(void **state) {
    close(null_fd);
    return unlink(icon);
}

static int page(ctx_t *ctx) {
    if (ctx_query(ctx, "throw"))
        return ctx_throw(ctx, 418, "short <and> stout");
    int err = await_sleep(1);
    if (!err)
        err = ctx_type(ctx, "json");
    return err ? err
               : ctx_bytes(ctx, ctx_printf(ctx, "[\"%s\"]", ctx->method), strlen(ctx->method) + 4);
}

static int good(app_t *app, void *arg) {
    return 0;
}

static app_t *new_app(void) {
    const health_check_t checks[] = {{"good", good, NULL, 0}, {0}};
    app_t *app = quiet_app();
    app_use(app, metrics(NULL));
    app_use(app, health(&(health_options_t){.checks = checks, .quiet = true}));
    app_use(app, favicon(icon, NULL));
    app_use(app, request_id(NULL));
    app_use(app, logger(&(logger_options_t){.format = LOGGER_JSON, .fd = null_fd}));
    app_use(app, error_page(&(error_page_options_t){.details = ERROR_PAGE_DETAILS}));
    app_use(app, response_time(NULL));
    app_use(app, json_pretty(NULL));
    app_use(app, timeout(NULL));
    app_use(app, method_override(NULL));
    app_use(app, route_all("/page", page));
    return app;
}

/* It was out of memory, and says so: health by 503; what was thrown lacks its message, or its page.
 */
static bool is_failure(const app_response_t *response) {
    return !response || response->failed || response->status == 500 || response->status == 503 ||
           response->status == 418;
}

static void ask_without_memory(const char *url, int status, const char *body) {
    bool failed = true;
    for (long n = 0; failed; n++) {
        countdown = n;
        app_t *app = new_app();
        app_response_t *r = app_inject(
            app, &(app_request_t){.method = strstr(url, "/page") ? "POST" : "GET",
                                  .url = url,
                                  .headers = HEADERS("X-HTTP-Method-Override", "PATCH", "Accept",
                                                     "text/html", "X-Request-Id", "id1")});
        failed = countdown < 0;
        countdown = -1;
        bool is_right = r && r->status == status && strstr(r->body.data, body);
        if (!is_right && !(failed && is_failure(r)))
            fail_msg("allocation %ld: %d %s", n, r ? r->status : 0, r ? r->body.data : "");
        app_response_free(r);
        app_free(app);
        assert_true(n < 5000);
    }
}

static void without_memory(void **state) {
    ask_without_memory("/page", 200, "[\n  \"PATCH\"\n]");
    ask_without_memory("/page?throw", 418, "<p>short &lt;and&gt; stout</p>");
    ask_without_memory("/none", 404, "Not Found");
    ask_without_memory("/favicon.ico", 200, "icon");
    ask_without_memory("/metrics", 200, "\nhttp_requests_in_flight 1\n");
    ask_without_memory("/readyz", 200, "{\"status\":\"ok\"}");
}

/* --- A registry ------------------------------------------------------------------------------- */

/* What can't be counted is missing, and nothing else. */
static void count_without_memory(void **state) {
    bool failed = true;
    for (long n = 0; failed; n++) {
        countdown = n;
        metrics_t *registry = metrics_new(0);
        metric_t *a = metrics_counter(registry, "a", "", METRIC_LABELS("x"));
        metric_t *b = metrics_histogram(registry, "b", "", NULL, NULL);
        for (int i = 0; i < 20; i++) {
            char label[2] = {(char)('a' + i), '\0'};
            metric_add(a, 1, METRIC_LABELS(label));
            metric_observe(b, 1, NULL);
        }
        char *text = registry ? metrics_text(registry, NULL) : NULL;
        failed = countdown < 0;
        countdown = -1;
        if (!failed)
            assert_true(strstr(text, "\na{x=\"t\"} 1\n") && strstr(text, "\nb_count 20\n"));
        else if (text && a && b)
            assert_non_null(strstr(text, "\nb_count 20\n"));
        free(text);
        metrics_free(registry);
        assert_true(n < 500);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory),
        cmocka_unit_test(count_without_memory),
    };
    return cmocka_run_group_tests(tests, make_icon, remove_icon);
}
