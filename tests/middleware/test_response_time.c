/* X-Response-Time. */
#include "middleware/response_time.h"

#include "test_operations.h"

static int waits(ctx_t *ctx) {
    if (ctx_query(ctx, "throw"))
        return ctx_throw(ctx, 418, NULL);
    if (ctx_query(ctx, "write"))
        return ctx_write(ctx, "x", 1);
    /* A timer counts from when the loop last looked at its clock, which may be a while ago. */
    int err = 0;
    for (uint64_t start = uv_hrtime(); !err && uv_hrtime() - start < 20000000;)
        err = await_sleep(5);
    return err ? err : ctx_text(ctx, "done");
}

static const char *time_of(app_t *app, const char *url, char *text, size_t size) {
    app_response_t *r = send_to(app, &(app_request_t){.url = url});
    const char *value = app_response_get(r, "X-Response-Time");
    snprintf(text, size, "%s", value ? value : "none");
    app_response_free(r);
    return text;
}

static void test_milliseconds(void **state) {
    char text[64], *end;
    app_t *app = app_with(response_time(NULL), waits);
    time_of(app, "/", text, sizeof text);
    assert_true(strtol(text, &end, 10) >= 19);
    assert_string_equal(end, "ms");
    assert_string_equal(time_of(app, "/?throw", text, sizeof text), "none");
    assert_string_equal(time_of(app, "/?write", text, sizeof text), "none");
    app_free(app);
}

static void test_nanoseconds(void **state) {
    char text[64], *end;
    app_t *app = app_with(response_time(&(response_time_options_t){.hrtime = true}), waits);
    time_of(app, "/", text, sizeof text);
    assert_true(strtod(text, &end) >= 19);
    assert_string_equal(end, "ms");
    assert_non_null(strchr(text, '.')); /* it would be strange without */
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_milliseconds),
        cmocka_unit_test(test_nanoseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
