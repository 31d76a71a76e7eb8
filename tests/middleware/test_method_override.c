/* A POST that means another method. */
#include "middleware/body_parser.h"
#include "middleware/method_override.h"

#include "test_operations.h"

static int show_method(ctx_t *ctx) {
    return ctx_text(ctx, ctx->method);
}

static const method_override_options_t *options; /* of the app that is asked */

static void expect_method(const char *method, const char *url, const char *header, int status,
                          const char *expected) {
    app_t *app = app_with(method_override(options), show_method);
    const char *name = options && options->header ? options->header : "X-HTTP-Method-Override";
    app_response_t *r = send_to(
        app, &(app_request_t){.method = method, .url = url, .headers = HEADERS(name, header)});
    expect(r, status, expected);
    app_response_free(r);
    app_free(app);
}

static void test_header(void **state) {
    options = NULL;
    expect_method("POST", "/", "DELETE", 200, "DELETE");
    expect_method("POST", "/", "put", 200, "PUT");
    expect_method("POST", "/", "m-search", 200, "M-SEARCH");
    expect_method("POST", "/", "", 200, "POST");
    expect_method("GET", "/", "DELETE", 200, "GET");
    expect_method("PUT", "/", "DELETE", 200, "PUT");
    expect_method("POST", "/", "HEAD", 200, "HEAD"); /* the client has sent a POST */
    expect_method("POST", "/", "FOO", 400, "invalid override method: \"FOO\"");
    expect_method("POST", "/", "<b>", 400, "invalid override method: \"<B>\"");
    expect_method("POST", "/", "DELETE ", 400, NULL);
    expect_method("HEAD", "/", "GET", 200, "");
}

static void test_query(void **state) {
    options = NULL;
    expect_method("POST", "/?a=1&_method=delete", "", 200, "DELETE");
    expect_method("POST", "/?_method=delete", "PUT", 200, "PUT");
    expect_method("POST", "/?_method=", "", 200, "POST");
    expect_method("POST", "/?_method=%00", "", 400, NULL);
    expect_method("GET", "/?_method=delete", "", 200, "GET");
}

static void expect_body(const char *type, const char *body, const char *expected) {
    app_t *app = quiet_app();
    app_use(app, body_parser(NULL));
    app_use(app, method_override(options));
    app_use(app, show_method);
    app_response_t *r = send_to(
        app,
        &(app_request_t){.method = "POST",
                         .url = "/?_method=PATCH",
                         .headers = HEADERS("Content-Type", type, "X-HTTP-Method-Override", "PUT"),
                         .body = body,
                         .body_length = strlen(body)});
    expect(r, 200, expected);
    app_response_free(r);
    app_free(app);
}

static void test_body(void **state) {
    static const char form[] = "application/x-www-form-urlencoded";
    options = NULL;
    expect_body(form, "a=1&_method=delete", "DELETE");
    expect_body(form, "a=1", "PUT");
    expect_body(form, "_method=", "PUT");
#ifdef ACACIA_HAVE_JSON
    expect_body("application/json", "{\"_method\": \"Delete\"}", "DELETE");
    expect_body("application/json", "{\"_method\": 1}", "PUT");
    expect_body("application/json", "[\"_method\"]", "PUT");
#endif
    expect_body("text/plain", "_method=DELETE", "PUT");
    options = &(method_override_options_t){.no_body = true};
    expect_body(form, "_method=delete", "PUT");
    options = &(method_override_options_t){.field = "m"};
    expect_body(form, "m=delete&_method=GET", "DELETE");
}

static void test_options(void **state) {
    options = &(method_override_options_t){.allowed_methods = HEADERS("PUT", "PATCH")};
    expect_method("PUT", "/", "DELETE", 200, "DELETE");
    expect_method("POST", "/", "DELETE", 200, "POST");
    options = &(method_override_options_t){.methods = HEADERS("PUT")};
    expect_method("POST", "/", "put", 200, "PUT");
    expect_method("POST", "/", "DELETE", 400, NULL);
    options = &(method_override_options_t){.header = "X-Method", .field = "m"};
    expect_method("POST", "/", "PUT", 200, "PUT");
    expect_method("POST", "/?m=PUT", "", 200, "PUT");
    expect_method("POST", "/?_method=PUT", "", 200, "POST");
    options = &(method_override_options_t){.no_header = true};
    expect_method("POST", "/?_method=PATCH", "DELETE", 200, "PATCH");
    options = &(method_override_options_t){.no_query = true};
    expect_method("POST", "/?_method=PATCH", "", 200, "POST");
}

static void test_routes(void **state) {
    app_t *app = app_with(method_override(NULL), NULL);
    app_use(app, route_delete("/users/:id", show_method));
    check(app, "POST", "/users/7?_method=DELETE", 200, "DELETE");
    check(app, "POST", "/users/7", 404, NULL);
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),  cmocka_unit_test(test_query),  cmocka_unit_test(test_body),
        cmocka_unit_test(test_options), cmocka_unit_test(test_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
