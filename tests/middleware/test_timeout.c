/* A deadline for what is below. */
#include "middleware/timeout.h"

#include "test_operations.h"

static int told; /* by on_timeout */

static void tell(ctx_t *ctx) {
    told++;
}

static int napping(void *arg) {
    return await_sleep(60000);
}

/* Waits in the way that the path says. */
static int waits(ctx_t *ctx) {
    const char *how = ctx->path + 1;
    int err = 0;
    ctx_set(ctx, "X-Set", "1");
    ctx_throw_header(ctx, "X-Thrown", "1");
    if (strcmp(how, "quick") == 0)
        return ctx_text(ctx, "quick");
    if (strcmp(how, "throws") == 0)
        return ctx_throw(ctx, 418, NULL);
    if (strcmp(how, "own") == 0) /* a deadline of its own, and not ours */
        return await_timeout(napping, NULL, 1);
    if (strcmp(how, "begun") == 0)
        err = ctx_write(ctx, "begun", 5);
    if (!err)
        err = await_sleep(strcmp(how, "short") == 0 ? 1 : 60000);
    if (strcmp(how, "stubborn") == 0) {
        assert_int_equal(err, UV_ECANCELED);
        assert_int_equal(await_sleep(60000), UV_ECANCELED); /* once, and for all */
        return ctx_text(ctx, "all the same");
    }
    if (strcmp(how, "translated") == 0)
        return ctx_throw(ctx, 500, "it was cancelled");
    return err ? err : ctx_text(ctx, "slept");
}

static bool is_exempt(ctx_t *ctx) {
    return ctx_query(ctx, "exempt") != NULL;
}

/* A turn of the loop later: the clock, by which deadlines count, is right. */
static int refresh(ctx_t *ctx) {
    int err = await_sleep(0);
    return err ? err : next(ctx);
}

static app_t *app_of(const timeout_options_t *options) {
    app_t *app = quiet_app();
    told = 0;
    app_use(app, refresh);
    app_use(app, timeout(options));
    app_use(app, waits);
    return app;
}

static void test_in_time(void **state) {
    app_t *app = app_of(NULL); /* 30 seconds */
    check(app, "GET", "/quick", 200, "quick");
    check(app, "GET", "/short", 200, "slept");
    check(app, "GET", "/throws", 418, NULL);
    check(app, "GET", "/own", 500, NULL);
    app_free(app);
}

static void test_too_late(void **state) {
    app_t *app = app_of(&(timeout_options_t){.after = 20, .on_timeout = tell});
    app_response_t *r = send_to(app, &(app_request_t){.url = "/long"});
    expect(r, 503, "Service Unavailable");
    expect_header(r, "X-Set", NULL);
    expect_header(r, "X-Thrown", "1");
    expect_header(r, "Retry-After", NULL);
    app_response_free(r);
    assert_int_equal(told, 1);
    check(app, "GET", "/translated", 503, NULL);
    check(app, "GET", "/stubborn", 200, "all the same");
    assert_int_equal(told, 2);
    check(app, "GET", "/quick", 200, "quick");
    app_free(app);
}

static void test_answer_has_begun(void **state) {
    app_t *app = app_of(&(timeout_options_t){.after = 20});
    app_response_t *r = send_to(app, &(app_request_t){.url = "/begun"});
    expect(r, 200, "begun");
    assert_true(r->failed);
    app_response_free(r);
    app_free(app);
}

static void test_options(void **state) {
    app_t *app = app_of(&(timeout_options_t){
        .after = 5, .status = 504, .message = "too slow", .retry_after = 30, .skip = is_exempt});
    app_response_t *r = send_to(app, &(app_request_t){.url = "/long"});
    expect(r, 504, "too slow");
    expect_header(r, "Retry-After", "30");
    app_response_free(r);
    check(app, "GET", "/short?exempt", 200, "slept");
    app_free(app);
}

static void test_shortest_counts(void **state) {
    app_t *app = quiet_app();
    app_use(app, timeout(&(timeout_options_t){.after = 60000, .status = 504}));
    app_use(app, timeout(&(timeout_options_t){.after = 5}));
    app_use(app, timeout(&(timeout_options_t){.after = UINT64_MAX, .status = 504}));
    app_use(app, waits);
    check(app, "GET", "/long", 503, NULL);
    app_free(app);
    app = quiet_app();
    app_use(app, timeout(&(timeout_options_t){.after = 5}));
    app_use(app, timeout(&(timeout_options_t){.after = 60000, .status = 504}));
    app_use(app, waits);
    check(app, "GET", "/long", 503, NULL);
    app_free(app);
}

static void test_no_coroutine_is_left(void **state) {
    app_t *app = app_new_with(&(app_options_t){.coroutines = 1, .silent = true});
    app_use(app, timeout(NULL));
    app_use(app, waits);
    check(app, "GET", "/quick", 503, NULL);
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_time),          cmocka_unit_test(test_too_late),
        cmocka_unit_test(test_answer_has_begun), cmocka_unit_test(test_options),
        cmocka_unit_test(test_shortest_counts),  cmocka_unit_test(test_no_coroutine_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
