/* How a response ends: who is told, what was sent, and pages for errors. */
#include <acacia.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* What was told when it was over. */
static char seen[512];

static void note(const char *format, ...) {
    va_list args;
    size_t length = strlen(seen);
    va_start(args, format);
    vsnprintf(seen + length, sizeof seen - length, format, args);
    va_end(args);
}

static void on_finish(ctx_t *ctx, bool complete, void *arg) {
    const char *length = ctx_response_get(ctx, "Content-Length");
    note("%s %d %s %llu of %s;", (const char *)arg, ctx->status, complete ? "complete" : "broken",
         (unsigned long long)ctx_bytes_sent(ctx), length ? length : "?");
}

static void on_free(void *arg) {
    note("%s;", (const char *)arg);
}

static int tells(ctx_t *ctx) {
    assert_int_equal(ctx_bytes_sent(ctx), 0);
    assert_int_equal(ctx_on_finish(ctx, on_finish, "first"), 0);
    return next(ctx);
}

/* Answers `layer` behind `tells`, and frees the app; `seen` is what the finisher was told. */
static app_response_t *ask(middleware_fn *layer, const app_request_t *request) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    seen[0] = '\0';
    app_use(app, tells);
    app_use_fn(app, layer, "layer");
    app_response_t *response = app_inject(app, request);
    assert_non_null(response);
    app_free(app);
    return response;
}

static void check(middleware_fn *layer, const char *method, const char *expected) {
    app_response_free(ask(layer, &(app_request_t){.method = method}));
    assert_string_equal(seen, expected);
}

/* --- The end ---------------------------------------------------------------------------------- */

static int nothing(ctx_t *ctx) {
    return 0;
}

static int text(ctx_t *ctx) {
    ctx_defer(ctx, on_free, "freed");
    ctx_set_value(ctx, "v", "value", on_free);
    ctx_on_finish(ctx, on_finish, "second");
    return ctx_text(ctx, "hello");
}

static int writes(ctx_t *ctx) {
    int err = ctx_write(ctx, "he", 2);
    assert_int_equal(ctx_bytes_sent(ctx), strcmp(ctx->method, "HEAD") ? 2 : 0);
    return err ? err : ctx_write(ctx, "llo", 3);
}

static int throws(ctx_t *ctx) {
    ctx_text(ctx, "forgotten");
    return ctx_throw(ctx, 418, NULL);
}

static int throws_behind_the_head(ctx_t *ctx) {
    ctx_write(ctx, "he", 2);
    return ctx_throw(ctx, 500, NULL);
}

static int writes_too_little(ctx_t *ctx) {
    ctx_length(ctx, 9);
    return ctx_write(ctx, "hello", 5);
}

static ssize_t read_some(ctx_t *ctx, void *left, void *buffer, size_t size) {
    int *pieces = left;
    if (*pieces == 0)
        return *ctx_get(ctx, "X-Fail") ? UV_EIO : 0;
    --*pieces;
    memset(buffer, 'x', 100);
    return 100;
}

static int streams(ctx_t *ctx) {
    int *pieces = ctx_new(ctx, int);
    *pieces = 3;
    return ctx_stream(ctx, (body_stream_t){read_some, NULL, pieces});
}

static void test_it_is_told(void **state) {
    check(nothing, "GET", "first 404 complete 9 of 9;");
    check(text, "GET", "second 200 complete 5 of 5;first 200 complete 5 of 5;freed;value;");
    check(text, "HEAD", "second 200 complete 0 of 5;first 200 complete 0 of 5;freed;value;");
    check(writes, "GET", "first 200 complete 5 of ?;");
    check(writes, "HEAD", "first 200 complete 0 of ?;");
    check(streams, "GET", "first 200 complete 300 of ?;");
    check(throws, "GET", "first 418 complete 12 of 12;");
    check(throws_behind_the_head, "GET", "first 200 broken 2 of ?;");
    check(writes_too_little, "GET", "first 200 broken 5 of 9;");
}

static void test_stream_that_breaks(void **state) {
    app_response_t *r = ask(streams, &(app_request_t){.headers = HEADERS("X-Fail", "1")});
    assert_true(r->failed);
    assert_string_equal(seen, "first 200 broken 300 of ?;");
    app_response_free(r);
}

static void end_later(app_t *app, void *arg) {
    note("later;");
    ctx_text(arg, "late");
    ctx_end(arg);
}

static int detaches(ctx_t *ctx) {
    ctx_detach(ctx);
    return app_post(ctx->app, end_later, ctx);
}

static void test_detached(void **state) {
    check(detaches, "GET", "later;first 200 complete 4 of 4;");
}

/* --- The method on the wire ------------------------------------------------------------------- */

static int becomes_get(ctx_t *ctx) {
    ctx_set_method(ctx, "GET");
    return ctx_text(ctx, "hello");
}

static int becomes_head(ctx_t *ctx) {
    ctx_set_method(ctx, "HEAD");
    return ctx_text(ctx, "hello");
}

/* Whether a body follows is what the client knows by its own method. */
static void test_method_that_is_rewritten(void **state) {
    app_response_t *r = ask(becomes_get, &(app_request_t){.method = "HEAD"});
    assert_int_equal(r->body.length, 0);
    assert_string_equal(app_response_get(r, "Content-Length"), "5");
    app_response_free(r);
    r = ask(becomes_head, &(app_request_t){.method = "POST"});
    assert_string_equal(r->body.data, "hello");
    app_response_free(r);
}

/* --- Pages for errors ------------------------------------------------------------------------- */

static int page(ctx_t *ctx, const ctx_error_t *error, void *arg) {
    assert_int_equal(ctx->status, error->status);
    assert_null(ctx_response_get(ctx, "X-Set"));
    assert_string_equal(ctx_response_get(ctx, "X-Thrown"), "1");
    assert_string_equal(ctx_body_bytes(ctx).data,
                        error->expose ? error->message : "Internal Server Error");
    assert_int_equal(await_sleep(0), 0);
    ctx_remove(ctx, "X-Thrown");
    ctx_set(ctx, "X-Page", "1");
    ctx->status = *(const int *)arg ? *(const int *)arg : ctx->status;
    ctx_remove(ctx, "Content-Type");
    return ctx_html(ctx, "<h1>sorry</h1>");
}

static int has_page(ctx_t *ctx) {
    static int status;
    status = atoi(ctx_get(ctx, "X-Status"));
    ctx_set_error_page(ctx, page, &status);
    ctx_set(ctx, "X-Set", "1");
    ctx_throw_header(ctx, "X-Thrown", "1");
    return *ctx_get(ctx, "X-Code") ? atoi(ctx_get(ctx, "X-Code")) : ctx_throw(ctx, 418, "tea");
}

static void test_pages(void **state) {
    app_response_t *r = ask(has_page, &(app_request_t){0});
    assert_int_equal(r->status, 418);
    assert_string_equal(r->body.data, "<h1>sorry</h1>");
    assert_string_equal(app_response_get(r, "X-Page"), "1");
    assert_string_equal(app_response_get(r, "Content-Type"), "text/html; charset=utf-8");
    assert_null(app_response_get(r, "X-Thrown"));
    assert_string_equal(seen, "first 418 complete 14 of 14;");
    app_response_free(r);
    r = ask(has_page, &(app_request_t){.method = "HEAD", .headers = HEADERS("X-Code", "-2")});
    assert_int_equal(r->status, 500);
    assert_int_equal(r->body.length, 0);
    assert_string_equal(app_response_get(r, "Content-Length"), "14");
    app_response_free(r);
    r = ask(has_page, &(app_request_t){.headers = HEADERS("X-Status", "404")});
    assert_int_equal(r->status, 404);
    app_response_free(r);
    r = ask(has_page, &(app_request_t){.headers = HEADERS("X-Status", "204")});
    assert_int_equal(r->status, 204);
    assert_int_equal(r->body.length, 0);
    app_response_free(r);
}

static ssize_t read_nothing(ctx_t *ctx, void *state, void *buffer, size_t size) {
    return UV_EIO;
}

static int page_that_fails(ctx_t *ctx, const ctx_error_t *error, void *arg) {
    ctx_set(ctx, "X-Page", "1");
    ctx_remove(ctx, "X-Thrown");
    ctx_html(ctx, "<h1>");
    if (arg == (void *)1)
        return ctx_stream(ctx, (body_stream_t){read_nothing, NULL, NULL});
    if (arg == (void *)2)
        ctx->status = 42;
    return arg == (void *)2 ? 0 : ctx_throw(ctx, 400, "again");
}

static int has_page_that_fails(ctx_t *ctx) {
    ctx_set_error_page(ctx, page_that_fails, (void *)(intptr_t)atoi(ctx_get(ctx, "X-How")));
    ctx_throw_header(ctx, "X-Thrown", "1");
    ctx_throw_header(ctx, "X-Other", "2");
    return ctx_throw(ctx, 418, "tea");
}

static void test_page_that_fails(void **state) {
    for (int how = 0; how < 3; how++) {
        char text[] = {(char)('0' + how), '\0'};
        app_response_t *r =
            ask(has_page_that_fails, &(app_request_t){.headers = HEADERS("X-How", text)});
        assert_int_equal(r->status, 418);
        assert_string_equal(r->body.data, "tea");
        assert_string_equal(app_response_get(r, "Content-Type"), "text/plain; charset=utf-8");
        assert_string_equal(app_response_get(r, "X-Thrown"), "1");
        assert_string_equal(app_response_get(r, "X-Other"), "2");
        assert_null(app_response_get(r, "X-Page"));
        assert_string_equal(seen, "first 418 complete 3 of 3;");
        app_response_free(r);
    }
}

static int page_that_writes(ctx_t *ctx, const ctx_error_t *error, void *arg) {
    ctx_write(ctx, "one ", 4);
    return ctx_write(ctx, "two", 3);
}

static int has_page_that_writes(ctx_t *ctx) {
    ctx_set_error_page(ctx, page_that_writes, NULL);
    return UV_EIO;
}

static int takes_page_back(ctx_t *ctx) {
    ctx_set_error_page(ctx, page_that_writes, NULL);
    ctx_set_error_page(ctx, NULL, NULL);
    return UV_EIO;
}

/* A stream that fails before its first byte is an error like any other. */
static int fails_behind_the_stack(ctx_t *ctx) {
    ctx_set_error_page(ctx, page_that_writes, NULL);
    return ctx_stream(ctx, (body_stream_t){read_nothing, NULL, NULL});
}

static void test_other_pages(void **state) {
    app_response_t *r = ask(has_page_that_writes, &(app_request_t){0});
    assert_int_equal(r->status, 500);
    assert_string_equal(r->body.data, "one two");
    app_response_free(r);
    r = ask(takes_page_back, &(app_request_t){0});
    assert_string_equal(r->body.data, "Internal Server Error");
    app_response_free(r);
    r = ask(fails_behind_the_stack, &(app_request_t){0});
    assert_int_equal(r->status, 500);
    assert_string_equal(r->body.data, "one two");
    app_response_free(r);
}

/* --- An error that passes by -------------------------------------------------------------------
 */

static int looks(ctx_t *ctx) {
    assert_null(ctx_error(ctx));
    int err = next(ctx);
    const ctx_error_t *error = ctx_error(ctx);
    assert_int_equal(error->code, err);
    note("%d %d %s;", error->code, error->status, error->message);
    return err; /* it is thrown all the same */
}

static int throws_as_told(ctx_t *ctx) {
    int status = atoi(ctx_get(ctx, "X-Status"));
    ctx_throw_header(ctx, "X-Thrown", "1");
    return status > 0 ? ctx_throw(ctx, status, NULL) : status;
}

static void passes(const char *header, int status, const char *expected) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    seen[0] = '\0';
    app_use(app, looks);
    app_use(app, throws_as_told);
    app_response_t *r = app_inject(app, &(app_request_t){.headers = HEADERS("X-Status", header)});
    assert_int_equal(r->status, status);
    assert_string_equal(seen, expected);
    assert_string_equal(app_response_get(r, "X-Thrown"), "1");
    app_response_free(r);
    app_free(app);
}

static void test_error_that_passes_by(void **state) {
    passes("404", 404, "-404 404 Not Found;");
    passes("499", 500, "-499 500 Bad Request;"); /* as http-errors calls it */
    passes("599", 500, "-599 500 Internal Server Error;");
    passes("-5", 500, "-5 500 i/o error;");
}

/* ctx_write that could not begin must not keep the error from being answered. */
static int writes_with_no_status(ctx_t *ctx) {
    ctx->status = 42;
    return ctx_write(ctx, "x", 1);
}

static void test_write_that_cannot_begin(void **state) {
    app_response_t *r = ask(writes_with_no_status, &(app_request_t){0});
    assert_int_equal(r->status, 500);
    assert_string_equal(r->body.data, "Internal Server Error");
    app_response_free(r);
}

/* --- The app ---------------------------------------------------------------------------------- */

static void test_names_of_reasons(void **state) {
    for (int i = 0; i < CLOSE_REASONS; i++) {
        const char *name = close_reason_name((close_reason_t)i);
        assert_non_null(name);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, close_reason_name((close_reason_t)j));
    }
    assert_string_equal(close_reason_name(CLOSE_REASONS), "closed");
}

/* What a handler has left behind is finished when the app goes, as nobody runs the loop again. */
static void job(app_t *app, void *arg) {
    assert_int_equal(await_sleep(3600 * 1000), UV_ECANCELED);
    *(bool *)arg = true;
}

static bool job_done;

static int leaves_a_job(ctx_t *ctx) {
    return app_spawn(ctx->app, job, &job_done);
}

static void test_jobs_that_are_left(void **state) {
    app_response_free(ask(leaves_a_job, &(app_request_t){0}));
    assert_true(job_done);
}

static void cut(app_t *app, void *arg) {
    app_free(app);
}

/* While the delay lasts it serves on. */
static void look(app_t *app, void *arg) {
    assert_true(app_draining(app));
    app_response_t *response = app_inject(app, &(app_request_t){0});
    assert_int_equal(response->status, 404);
    app_response_free(response);
    note("served;");
}

static void close_and_look(app_t *app, void *arg) {
    assert_false(app_draining(app));
    app_close(app);
    app_close(app);
    app_spawn(app, look, NULL);
}

static void test_drain_delay(void **state) {
    app_t *app = app_new_with(&(app_options_t){.drain_delay = 30, .silent = true});
    seen[0] = '\0';
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    app_post(app, close_and_look, NULL);
    uint64_t begin = uv_hrtime();
    assert_int_equal(app_run(app), 0);
    assert_true(uv_hrtime() - begin >= 29 * 1000000);
    assert_string_equal(seen, "served;");
    app_free(app);
    assert_false(app_draining(NULL));
}

/* On a loop of the program's, app_free does not wait for the delay. */
static void test_drain_delay_is_cut(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    app_t *app = app_new_with(&(app_options_t){.drain_delay = 3600 * 1000, .loop = &loop});
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    assert_int_equal(app_start(app, NULL), 0);
    app_close(app);
    app_post(app, cut, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_told),
        cmocka_unit_test(test_stream_that_breaks),
        cmocka_unit_test(test_detached),
        cmocka_unit_test(test_method_that_is_rewritten),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_page_that_fails),
        cmocka_unit_test(test_other_pages),
        cmocka_unit_test(test_error_that_passes_by),
        cmocka_unit_test(test_write_that_cannot_begin),
        cmocka_unit_test(test_jobs_that_are_left),
        cmocka_unit_test(test_names_of_reasons),
        cmocka_unit_test(test_drain_delay),
        cmocka_unit_test(test_drain_delay_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
