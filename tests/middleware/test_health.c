/* The two pages for whoever watches the server. */
#include "middleware/health.h"
#include "middleware/timeout.h"

#include "test_operations.h"

static int runs, results[3]; /* of the checks, by their number */

static int look(app_t *app, void *arg) {
    int *result = arg;
    runs++;
    assert_int_equal(await_sleep(1), 0);
    return *result;
}

static int hang(app_t *app, void *arg) {
    runs++;
    return await_sleep(60000);
}

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "hello");
}

static app_t *app_of(const health_options_t *options) {
    runs = 0;
    memset(results, 0, sizeof results);
    return app_with(health(options), hello);
}

/* The times that checks took are taken out. */
static void shows(app_t *app, const char *url, int status, const char *expected) {
    char text[512];
    size_t length = 0;
    app_response_t *r = send_to(app, &(app_request_t){.url = url});
    for (const char *at = r->body.data; *at && length < sizeof text - 1; at++) {
        text[length++] = *at;
        if (strncmp(at, "\"ms\":", 5) == 0) {
            memcpy(text + length, "ms\":_", 5);
            length += 5;
            at += 4 + strspn(at + 5, "0123456789");
        }
    }
    text[length] = '\0';
    if (r->status != status || strcmp(text, expected) != 0)
        fail_msg("%s: %d %s, not %d %s", url, r->status, text, status, expected);
    expect_header(r, "Content-Type", "application/json; charset=utf-8");
    expect_header(r, "Cache-Control", "no-store");
    app_response_free(r);
}

static void test_without_checks(void **state) {
    app_t *app = app_of(NULL);
    shows(app, "/healthz", 200, "{\"status\":\"ok\"}");
    shows(app, "/readyz?full", 200, "{\"status\":\"ok\"}");
    check(app, "GET", "/healthz/", 200, "hello");
    check(app, "GET", "/", 200, "hello");
    check_header(app, "POST", "/healthz", 405, "Allow", "GET, HEAD");
    check_header(app, "HEAD", "/readyz", 200, "Content-Length", "15");
    app_free(app);
    app = app_of(&(health_options_t){.live = "/live", .ready = "/ready"});
    shows(app, "/live", 200, "{\"status\":\"ok\"}");
    shows(app, "/ready", 200, "{\"status\":\"ok\"}");
    check(app, "GET", "/healthz", 200, "hello");
    app_free(app);
}

static const health_check_t checks[] = {
    {"data\"base", look, &results[0], 0}, {"cache", look, &results[1], 0}, {0}};

static void test_checks(void **state) {
    app_t *app = app_of(&(health_options_t){.checks = checks, .cache_time = 1});
    shows(app, "/healthz", 200, "{\"status\":\"ok\"}");
    assert_int_equal(runs, 0);
    shows(app, "/readyz", 200,
          "{\"status\":\"ok\",\"checks\":{\"data\\\"base\":{\"status\":\"ok\",\"ms\":_},"
          "\"cache\":{\"status\":\"ok\",\"ms\":_}}}");
    assert_int_equal(runs, 2);
    usleep(2000); /* until the result is no good any more */
    results[1] = UV_ECONNREFUSED;
    shows(app, "/readyz", 503,
          "{\"status\":\"failed\",\"checks\":{\"data\\\"base\":{\"status\":\"ok\",\"ms\":_},"
          "\"cache\":{\"status\":\"failed\",\"ms\":_,\"error\":\"connection refused\"}}}");
    app_free(app);
    app = app_of(&(health_options_t){.checks = checks, .quiet = true});
    results[0] = UV_EIO;
    shows(app, "/readyz", 503, "{\"status\":\"failed\"}");
    shows(app, "/healthz", 200, "{\"status\":\"ok\"}");
    app_free(app);
}

static void test_result_is_kept(void **state) {
    app_t *app =
        app_of(&(health_options_t){.checks = checks, .cache_time = 3600000, .quiet = true});
    for (int i = 0; i < 5; i++)
        shows(app, "/readyz", 200, "{\"status\":\"ok\"}");
    results[0] = UV_EIO;
    shows(app, "/readyz", 200, "{\"status\":\"ok\"}");
    assert_int_equal(runs, 2);
    app_free(app);
}

static void test_check_that_hangs(void **state) {
    const health_check_t hanging[] = {{"slow", hang, NULL, 20}, {0}};
    app_t *app = app_of(&(health_options_t){.checks = hanging});
    shows(app, "/readyz", 503,
          "{\"status\":\"failed\",\"checks\":{\"slow\":{\"status\":\"failed\",\"ms\":_,"
          "\"error\":\"connection timed out\"}}}");
    app_free(app);
}

/* A crowd asks at once: the checks run once. */
struct crowd {
    app_t *app;
    int good;
};

static int ask_one(void *arg) {
    struct crowd *crowd = arg;
    app_response_t *r = app_inject(crowd->app, &(app_request_t){.url = "/readyz"});
    crowd->good += r && r->status == 200;
    app_response_free(r);
    return 0;
}

static int ask_many(ctx_t *ctx) {
    struct crowd crowd = {.app = ctx->app};
    await_task_t tasks[100];
    for (size_t i = 0; i < 100; i++)
        tasks[i] = (await_task_t){.fn = ask_one, .arg = &crowd};
    int err = await_all(tasks, 100);
    return err ? err : ctx_textf(ctx, "%d", crowd.good);
}

static void test_crowd(void **state) {
    runs = 0;
    results[0] = results[1] = 0;
    app_t *app = app_with(health(&(health_options_t){.checks = checks}), ask_many);
    check(app, "GET", "/", 200, "100");
    assert_int_equal(runs, 2);
    app_free(app);
}

/* Who is cancelled while the checks run does not wait for them, and they go on without him. */
static void test_who_asks_is_cancelled(void **state) {
    const health_check_t hanging[] = {{"slow", hang, NULL, 200}, {0}};
    app_t *app = quiet_app();
    app_use(app, timeout(&(timeout_options_t){.after = 5}));
    app_use(app, health(&(health_options_t){.checks = hanging}));
    check(app, "GET", "/readyz", 503, "Service Unavailable");
    check(app, "GET", "/readyz", 503, "Service Unavailable");
    app_free(app);
}

static void close_and_look(app_t *app, void *arg) {
    app_close(app);
    shows(app, "/readyz", 503, "{\"status\":\"draining\"}");
    shows(app, "/healthz", 200, "{\"status\":\"ok\"}");
    *(bool *)arg = true;
}

static void spawn(app_t *app, void *arg) {
    app_spawn(app, close_and_look, arg);
}

static void test_draining(void **state) {
    bool has_looked = false;
    app_t *app = app_of(&(health_options_t){.checks = checks});
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    app_post(app, spawn, &has_looked);
    assert_int_equal(app_run(app), 0);
    assert_true(has_looked);
    assert_int_equal(runs, 0);
    app_free(app);
}

static void test_no_coroutine_is_left(void **state) {
    app_t *app = app_new_with(&(app_options_t){.coroutines = 1, .silent = true});
    app_use(app, health(&(health_options_t){.checks = checks}));
    shows(app, "/healthz", 200, "{\"status\":\"ok\"}");
    shows(app, "/readyz", 503, "{\"status\":\"overloaded\"}");
    app_free(app);
}

static void test_wrong_checks(void **state) {
    const health_check_t none[] = {{.name = "none"}, {0}};
    refuse(health(&(health_options_t){.checks = none}), "a check needs a function");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_checks), cmocka_unit_test(test_checks),
        cmocka_unit_test(test_result_is_kept), cmocka_unit_test(test_check_that_hangs),
        cmocka_unit_test(test_crowd),          cmocka_unit_test(test_who_asks_is_cancelled),
        cmocka_unit_test(test_draining),       cmocka_unit_test(test_no_coroutine_is_left),
        cmocka_unit_test(test_wrong_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
