/* Pages for errors: negotiated, escaped, and silent in production. */
#include "middleware/error_page.h"

#include "test_operations.h"

static ssize_t read_nothing(ctx_t *ctx, void *state, void *buffer, size_t size) {
    return UV_EIO;
}

/* Fails in the way that the path says. */
static int fails(ctx_t *ctx) {
    const char *how = ctx->path + 1;
    ctx_set(ctx, "X-Set", "1");
    ctx_throw_header(ctx, "X-Thrown", "1");
    if (strcmp(how, "exposed") == 0)
        return ctx_throw(ctx, 418, "<b>\"tea\"</b> & '%s'", ctx_get(ctx, "X-Text"));
    if (strcmp(how, "hidden") == 0)
        return ctx_throw(ctx, 503, "password is 1234");
    if (strcmp(how, "missing") == 0)
        return ctx_file(ctx, "/nonexistent");
    if (strcmp(how, "stream") == 0)
        return ctx_stream(ctx, (body_stream_t){read_nothing, NULL, NULL});
    if (strcmp(how, "begun") == 0)
        ctx_write(ctx, "begun", 5);
    if (strcmp(how, "code") == 0 || strcmp(how, "begun") == 0)
        return UV_ECONNREFUSED;
    return ctx_throw(ctx, 404, NULL);
}

static app_t *app_of(const char *env, const error_page_options_t *options) {
    app_t *app = app_new_with(&(app_options_t){.silent = true, .env = env});
    app_use(app, error_page(options));
    app_use(app, fails);
    return app;
}

static app_response_t *get(app_t *app, const char *url, const char *accept) {
    return send_to(app, &(app_request_t){.url = url,
                                         .headers = HEADERS("Accept", accept, "Authorization",
                                                            "Basic eA==", "X-Api-Key", "k1234",
                                                            "X-Text", "<script>")});
}

static void answers(app_t *app, const char *url, const char *accept, int status, const char *type,
                    const char *body) {
    app_response_t *r = get(app, url, accept);
    expect(r, status, body);
    expect_header(r, "Content-Type", type);
    expect_header(r, "X-Thrown", "1");
    expect_header(r, "X-Set", NULL);
    expect_header(r, "Vary", "Accept");
    app_response_free(r);
}

static const char text[] = "text/plain; charset=utf-8", json[] = "application/json; charset=utf-8",
                  html[] = "text/html; charset=utf-8";

static void test_production(void **state) {
    app_t *app = app_of("production", NULL);
    answers(app, "/exposed", "text/plain", 418, text, "<b>\"tea\"</b> & '<script>'");
    answers(app, "/exposed", "application/json", 418, json,
            "{\"error\":\"<b>\\\"tea\\\"</b> & '<script>'\"}");
    answers(app, "/exposed", "image/png", 418, text, NULL);
    answers(app, "/hidden", "text/plain", 503, text, "Service Unavailable");
    answers(app, "/hidden", "application/json", 503, json, "{\"error\":\"Service Unavailable\"}");
    answers(app, "/code", "application/json", 500, json, "{\"error\":\"Internal Server Error\"}");
    answers(app, "/missing", "text/plain", 404, text, "Not Found");
    answers(app, "/stream", "text/plain", 500, text, "Internal Server Error");
    answers(app, "/", "application/json", 404, json, "{\"error\":\"Not Found\"}");
    app_free(app);
}

static void test_html(void **state) {
    app_t *app = app_of("production", NULL);
    app_response_t *r = get(app, "/exposed", "text/html");
    expect(r, 418, NULL);
    expect_header(r, "Content-Type", html);
    expect_header(r, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    expect_header(r, "X-Content-Type-Options", "nosniff");
    assert_non_null(strstr(r->body.data,
                           "<h1>418</h1>\n<p>&lt;b&gt;&quot;tea&quot;&lt;/b&gt; &amp; "
                           "&#39;&lt;script&gt;&#39;</p>"));
    assert_null(strstr(r->body.data, "<script>"));
    assert_null(strstr(r->body.data, "X-Text")); /* no details */
    app_response_free(r);
    r = get(app, "/hidden", "*/*");
    expect_header(r, "Content-Type", html);
    assert_null(strstr(r->body.data, "1234"));
    assert_non_null(strstr(r->body.data, "Service Unavailable"));
    app_response_free(r);
    app_free(app);
}

static void test_development(void **state) {
    app_t *app = app_of("development", NULL);
    answers(app, "/hidden", "text/plain", 503, text, "password is 1234");
    answers(app, "/code", "application/json", 500, json, "{\"error\":\"connection refused\"}");
    app_response_t *r = get(app, "/code?%3Cscript%3E<script>", "text/html");
    const char *body = r->body.data;
    assert_non_null(strstr(body, "<p>connection refused</p>"));
    assert_non_null(strstr(body, "<td>code</td><td>ECONNREFUSED -111</td>"));
    assert_non_null(strstr(body, "<td>url</td><td>/code?%3Cscript%3E&lt;script&gt;</td>"));
    assert_non_null(strstr(body, "<td>X-Text</td><td>&lt;script&gt;</td>"));
    assert_non_null(strstr(body, "<td>Authorization</td><td>(not shown)</td>"));
    assert_non_null(strstr(body, "<td>X-Api-Key</td><td>(not shown)</td>"));
    assert_null(strstr(body, "eA=="));
    assert_null(strstr(body, "k1234"));
    assert_null(strstr(body, "<script>"));
    app_response_free(r);
    r = get(app, "/exposed", "text/html");
    assert_non_null(strstr(r->body.data, "<td>code</td><td>-418</td>"));
    app_response_free(r);
    app_free(app);
}

static void test_details_by_option(void **state) {
    app_t *app = app_of("production", &(error_page_options_t){.details = ERROR_PAGE_DETAILS});
    answers(app, "/hidden", "text/plain", 503, text, "password is 1234");
    app_free(app);
    app = app_of("development", &(error_page_options_t){.details = ERROR_PAGE_NO_DETAILS});
    answers(app, "/hidden", "text/plain", 503, text, "Service Unavailable");
    app_free(app);
}

static int show_own(ctx_t *ctx, const error_page_t *page) {
    assert_int_equal(await_sleep(0), 0);
    return ctx_html(ctx, ctx_printf(ctx, "<p title='%s'>%d, %d</p>",
                                    error_page_escape(ctx, page->message), page->status,
                                    page->error->code));
}

static int show_number(ctx_t *ctx, const error_page_t *page) {
    return ctx_textf(ctx, "no. %d", page->status);
}

static int fail_too(ctx_t *ctx, const error_page_t *page) {
    ctx_html(ctx, "<p>");
    return UV_EIO;
}

static void test_templates(void **state) {
    app_t *app = app_of("production", &(error_page_options_t){.html = show_own, .json = fail_too});
    answers(app, "/exposed", "text/html", 418, html,
            "<p title='&lt;b&gt;&quot;tea&quot;&lt;/b&gt; &amp; &#39;&lt;script&gt;&#39;'>418, "
            "-418</p>");
    answers(app, "/missing", "text/html", 404, html, "<p title='Not Found'>404, -2</p>");
    answers(app, "/hidden", "text/plain", 503, text, "Service Unavailable");
    app_response_t *r = get(app, "/hidden", "application/json");
    expect(r, 503, "Service Unavailable");
    expect_header(r, "Content-Type", text);
    app_response_free(r);
    app_free(app);
    app = app_of("production", &(error_page_options_t){.text = show_number});
    answers(app, "/hidden", "text/plain", 503, text, "no. 503");
    answers(app, "/hidden", "application/json", 503, json, NULL);
    app_free(app);
    app = app_of("production", &(error_page_options_t){.all = show_own, .json = fail_too});
    answers(app, "/hidden", "application/json", 503, html,
            "<p title='Service Unavailable'>503, -503</p>");
    app_free(app);
}

static void test_redirect(void **state) {
    app_t *app = app_of("production", &(error_page_options_t){.redirect = "/sorry"});
    app_response_t *r = get(app, "/hidden", "text/html");
    expect(r, 302, NULL);
    expect_header(r, "Location", "/sorry");
    app_response_free(r);
    answers(app, "/hidden", "application/json", 503, json, NULL);
    app_free(app);
}

static void test_begun(void **state) {
    app_t *app = app_of("production", NULL);
    app_response_t *r = get(app, "/begun", "text/html");
    expect(r, 200, "begun");
    assert_true(r->failed);
    app_response_free(r);
    r = send_to(app, &(app_request_t){.method = "HEAD", .url = "/hidden"});
    expect(r, 503, "");
    expect_header(r, "Content-Type", html);
    app_response_free(r);
    app_free(app);
}

/* What others catch is none of its business. */
static int catches(ctx_t *ctx) {
    int err = next(ctx);
    return err < 0 && ctx_catch(ctx) ? ctx_text(ctx, "caught") : err;
}

static void test_caught(void **state) {
    app_t *app = quiet_app();
    app_use(app, error_page(NULL));
    app_use(app, catches);
    app_use(app, fails);
    check(app, "GET", "/hidden", 200, "caught");
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_production),  cmocka_unit_test(test_html),
        cmocka_unit_test(test_development), cmocka_unit_test(test_details_by_option),
        cmocka_unit_test(test_templates),   cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_begun),       cmocka_unit_test(test_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
