/* Headers for browsers, and what may be said in them. */
#include "test_guard.h"

#include "middleware/security_headers.h"

#define DEFAULT_CSP                                                                                \
    "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';"          \
    "frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';"             \
    "script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"

static const char *const defaults[][2] = {
    {"Content-Security-Policy", DEFAULT_CSP},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Origin-Agent-Cluster", "?1"},
    {"Referrer-Policy", "no-referrer"},
    {"Strict-Transport-Security", "max-age=31536000; includeSubDomains"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-DNS-Prefetch-Control", "off"},
    {"X-Download-Options", "noopen"},
    {"X-Frame-Options", "SAMEORIGIN"},
    {"X-Permitted-Cross-Domain-Policies", "none"},
    {"X-XSS-Protection", "0"},
    {"Cross-Origin-Embedder-Policy", NULL},
    {"Content-Security-Policy-Report-Only", NULL},
    {"X-Powered-By", NULL},
};
enum { DEFAULTS = sizeof defaults / sizeof *defaults };

static int page(ctx_t *ctx) {
    if (ctx_query(ctx, "change"))
        ctx_set(ctx, "X-Frame-Options", "DENY");
    if (ctx_query(ctx, "remove"))
        ctx_remove(ctx, "Referrer-Policy");
    if (ctx_query(ctx, "throw"))
        return ctx_throw(ctx, 403, NULL);
    return ctx_query(ctx, "fail") ? UV_EIO : ctx_text(ctx, "page");
}

static int power(ctx_t *ctx) {
    ctx_set(ctx, "X-Powered-By", "Acacia");
    return next(ctx);
}

static app_t *app_for(const security_headers_options_t *options) {
    app_t *app = quiet_app();
    app_use(app, power);
    app_use(app, security_headers(options));
    app_use(app, page);
    return app;
}

static void expect_defaults(const app_response_t *response) {
    for (size_t i = 0; i < DEFAULTS; i++)
        expect_header(response, defaults[i][0], defaults[i][1]);
}

static void test_defaults(void **state) {
    const security_headers_options_t zero = {0};
    app_t *app = app_for(NULL);
    app_response_t *response = ask(app, "GET", "/");
    expect_defaults(response);
    expect(response, 200, "page");
    app_free(app);
    app = app_for(&zero);
    response = ask(app, "POST", "/");
    expect_defaults(response);
    expect(response, 200, "page");
    app_free(app);
}

static void test_errors(void **state) {
    app_t *app = app_for(NULL);
    app_response_t *response = ask(app, "GET", "/?throw");
    expect_defaults(response);
    expect(response, 403, "Forbidden");
    response = ask(app, "GET", "/?fail&change&remove"); /* as the handler has left them */
    expect_header(response, "X-Frame-Options", "DENY");
    expect_header(response, "Referrer-Policy", NULL);
    expect_header(response, "X-Content-Type-Options", "nosniff");
    expect_header(response, "Content-Security-Policy", DEFAULT_CSP);
    expect(response, 500, NULL);
    app_free(app);
}

static void test_handlers_may_change(void **state) {
    app_t *app = app_for(NULL);
    app_response_t *response = ask(app, "GET", "/?change&remove");
    expect_header(response, "X-Frame-Options", "DENY");
    expect_header(response, "Referrer-Policy", NULL);
    expect(response, 200, "page");
    app_free(app);
}

static void test_other_values(void **state) {
    app_t *app = app_for(&(security_headers_options_t){
        .cross_origin_embedder_policy = "credentialless",
        .cross_origin_opener_policy = "same-origin-allow-popups",
        .cross_origin_resource_policy = "cross-origin",
        .referrer_policy = "no-referrer,strict-origin-when-cross-origin",
        .strict_transport_security = "max-age=0; includeSubDomains; preload",
        .x_dns_prefetch_control = "on",
        .x_frame_options = "DENY",
        .x_permitted_cross_domain_policies = "by-content-type",
        .keep_x_powered_by = true,
    });
    app_response_t *response = ask(app, "GET", "/");
    expect_header(response, "Cross-Origin-Embedder-Policy", "credentialless");
    expect_header(response, "Cross-Origin-Opener-Policy", "same-origin-allow-popups");
    expect_header(response, "Cross-Origin-Resource-Policy", "cross-origin");
    expect_header(response, "Referrer-Policy", "no-referrer,strict-origin-when-cross-origin");
    expect_header(response, "Strict-Transport-Security", "max-age=0; includeSubDomains; preload");
    expect_header(response, "X-DNS-Prefetch-Control", "on");
    expect_header(response, "X-Frame-Options", "DENY");
    expect_header(response, "X-Permitted-Cross-Domain-Policies", "by-content-type");
    expect_header(response, "X-Powered-By", "Acacia");
    expect(response, 200, "page");
    app_free(app);
}

static void test_all_off(void **state) {
    app_t *app = app_for(&(security_headers_options_t){
        .no_csp = true,
        .cross_origin_embedder_policy = "",
        .cross_origin_opener_policy = "",
        .cross_origin_resource_policy = "",
        .origin_agent_cluster = "",
        .referrer_policy = "",
        .strict_transport_security = "",
        .x_content_type_options = "",
        .x_dns_prefetch_control = "",
        .x_download_options = "",
        .x_frame_options = "",
        .x_permitted_cross_domain_policies = "",
        .x_xss_protection = "",
    });
    for (int thrown = 0; thrown < 2; thrown++) {
        app_response_t *response = ask(app, "GET", thrown ? "/?throw" : "/");
        for (size_t i = 0; i < DEFAULTS; i++)
            expect_header(response, defaults[i][0], NULL);
        expect(response, thrown ? 403 : 200, NULL);
    }
    app_free(app);
}

/* --- Content-Security-Policy ------------------------------------------------------------------ */

#define CSP(...) ((const csp_directive_t[]){__VA_ARGS__, {NULL, NULL}})

static void check_csp(const security_headers_options_t *options, const char *expected) {
    app_t *app = app_for(options);
    app_response_t *response = ask(app, "GET", "/");
    expect_header(response, "Content-Security-Policy", expected);
    expect(response, 200, "page");
    app_free(app);
}

static void test_csp(void **state) {
    check_csp(&(security_headers_options_t){.csp = CSP({"script-src", "'self' https://cdn.example"},
                                                       {"report-uri", "/csp"},
                                                       {"upgrade-insecure-requests", NULL})},
              "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';"
              "frame-ancestors 'self';img-src 'self' data:;object-src 'none';"
              "script-src 'self' https://cdn.example;script-src-attr 'none';"
              "style-src 'self' https: 'unsafe-inline';report-uri /csp");
    check_csp(&(security_headers_options_t){.csp_no_defaults = true,
                                            .csp = CSP({"sandbox", ""}, {"default-src", "'none'"})},
              "sandbox;default-src 'none'");
    check_csp(&(security_headers_options_t){.csp_no_defaults = true,
                                            .csp_no_default_src = true,
                                            .csp = CSP({"frame-ancestors", "'none'"})},
              "frame-ancestors 'none'");
    check_csp(&(security_headers_options_t){.csp_no_default_src = true,
                                            .csp = CSP({"default-src", NULL}, {"img-src", NULL},
                                                       {"style-src", NULL}, {"font-src", NULL})},
              "base-uri 'self';form-action 'self';frame-ancestors 'self';object-src 'none';"
              "script-src 'self';script-src-attr 'none';upgrade-insecure-requests");
}

static void test_csp_without_default_src(void **state) {
    app_t *app = app_for(&(security_headers_options_t){.csp_no_default_src = true});
    app_response_t *response = ask(app, "GET", "/");
    expect_header(response, "Content-Security-Policy", &DEFAULT_CSP[strlen("default-src 'self';")]);
    expect(response, 200, "page");
    app_free(app);
}

static void test_csp_report_only(void **state) {
    app_t *app = app_for(&(security_headers_options_t){.csp_report_only = true});
    app_response_t *response = ask(app, "GET", "/");
    expect_header(response, "Content-Security-Policy-Report-Only", DEFAULT_CSP);
    expect_header(response, "Content-Security-Policy", NULL);
    expect(response, 200, "page");
    app_free(app);
}

static int show_nonce(ctx_t *ctx) {
    const char *nonce = csp_nonce(ctx);
    return ctx_query(ctx, "throw") ? ctx_throw(ctx, 400, "%s", nonce)
                                   : ctx_text(ctx, nonce ? nonce : "none");
}

static void check_nonce(app_t *app, const char *url, char nonce[40]) {
    char expected[512];
    app_response_t *response = ask(app, "GET", url);
    assert_int_equal(response->body.length, 32);
    assert_int_equal(strspn(response->body.data, "0123456789abcdef"), 32);
    memcpy(nonce, response->body.data, 33);
    snprintf(expected, sizeof expected,
             "default-src 'self';script-src 'self' 'nonce-%s';style-src 'nonce-%s'", nonce, nonce);
    expect_header(response, "Content-Security-Policy", expected);
    app_response_free(response);
}

static void test_nonce(void **state) {
    char first[40], second[40], third[40];
    app_t *app =
        app_with(security_headers(&(security_headers_options_t){
                     .csp_no_defaults = true,
                     .csp = CSP({"default-src", "'self'"}, {"script-src", "'self' 'nonce'"},
                                {"style-src", "'nonce'"})}),
                 show_nonce);
    check_nonce(app, "/", first);
    check_nonce(app, "/", second);
    check_nonce(app, "/?throw", third);
    assert_string_not_equal(first, second);
    assert_string_not_equal(second, third);
    app_free(app);
    app = app_with(security_headers(NULL), show_nonce);
    check(app, "GET", "/", 200, "none");
    app_free(app);
}

static void test_options_are_copied(void **state) {
    char value[] = "'none'", frame[] = "DENY";
    csp_directive_t directives[] = {{"default-src", value}, {NULL, NULL}};
    middleware_t layer = security_headers(&(security_headers_options_t){
        .csp = directives, .csp_no_defaults = true, .x_frame_options = frame});
    memset(value, 'x', sizeof value - 1);
    memset(frame, 'x', sizeof frame - 1);
    directives[0].name = NULL;
    app_t *app = app_with(layer, page);
    app_response_t *response = ask(app, "GET", "/");
    expect_header(response, "Content-Security-Policy", "default-src 'none'");
    expect_header(response, "X-Frame-Options", "DENY");
    expect(response, 200, "page");
    app_free(app);
}

/* --- What is refused -------------------------------------------------------------------------- */

static void refuse_csp(const csp_directive_t *csp, const char *expected) {
    refuse(security_headers(&(security_headers_options_t){.csp = csp}), expected);
}

static void test_wrong_csp(void **state) {
    static const char *const unquoted[] = {
        "none",           "self",
        "strict-dynamic", "report-sample",
        "unsafe-eval",    "unsafe-inline",
        "unsafe-hashes",  "wasm-unsafe-eval",
        "nonce",          "nonce-abc",
        "sha256-abc",     "sha384-abc",
        "sha512-abc",     "inline-speculation-rules",
    };
    for (size_t i = 0; i < sizeof unquoted / sizeof *unquoted; i++) {
        char value[64];
        snprintf(value, sizeof value, "https: %s", unquoted[i]);
        refuse_csp(CSP({"script-src", unquoted[i]}), "needs quotes");
        refuse_csp(CSP({"script-src", value}), "needs quotes");
    }
    refuse_csp(CSP({"script-src", "a;b"}), "a character that ends it");
    refuse_csp(CSP({"script-src", "a,b"}), "a character that ends it");
    refuse_csp(CSP({"script-src", "a\r\nX: b"}), "a character that ends it");
    refuse_csp(CSP({"script-src", "\xc3\xbc.example"}), "a character that ends it");
    refuse_csp(CSP({"scriptSrc", "'self'"}), "is no directive");
    refuse_csp(CSP({"", "'self'"}), "is no directive");
    refuse_csp(CSP({"script src", "'self'"}), "is no directive");
    refuse_csp(CSP({"-a", "'self'"}), "is no directive");
    refuse_csp(CSP({"a-", "'self'"}), "is no directive");
    refuse_csp(CSP({"1a", "'self'"}), "is no directive");
    refuse_csp(CSP({"img-src", "*"}, {"script-src", "*"}, {"img-src", "*"}), "two directives");
    refuse_csp(CSP({"default-src", NULL}), "without default-src");
    refuse(security_headers(&(security_headers_options_t){.csp_no_defaults = true}),
           "without default-src");
    refuse(security_headers(&(security_headers_options_t){.csp_no_defaults = true,
                                                          .csp = CSP({"img-src", "*"})}),
           "without default-src");
    refuse(security_headers(
               &(security_headers_options_t){.csp_no_defaults = true, .csp_no_default_src = true}),
           "without directives");
}

static void test_wrong_values(void **state) {
    static const char *const ages[] = {
        "31536000",    "max-age=",           "max-age=-1",
        "max-age=1.5", "max-age=1; Preload", "max-age=1;includeSubDomains",
        "max-age=1; ", "max-age=x",          "max-age=1; preload; includeSubDomains",
        " max-age=1",
    };
#define WRONG(field, value)                                                                        \
    refuse(security_headers(&(security_headers_options_t){.field = value}), "can't be")
    WRONG(cross_origin_embedder_policy, "same-origin");
    WRONG(cross_origin_opener_policy, "same");
    WRONG(cross_origin_opener_policy, "same-origin unsafe-none");
    WRONG(cross_origin_resource_policy, "same-origin\r\n");
    WRONG(origin_agent_cluster, "?0");
    WRONG(referrer_policy, "no-referrer,");
    WRONG(referrer_policy, "no-referrer, origin");
    WRONG(referrer_policy, "foo");
    WRONG(x_content_type_options, "sniff");
    WRONG(x_dns_prefetch_control, "ON");
    WRONG(x_download_options, "open");
    WRONG(x_frame_options, "ALLOW-FROM https://a.example");
    WRONG(x_permitted_cross_domain_policies, "some");
    WRONG(x_xss_protection, "1");
#undef WRONG
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        refuse(
            security_headers(&(security_headers_options_t){.strict_transport_security = ages[i]}),
            "Strict-Transport-Security is");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_handlers_may_change),
        cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_all_off),
        cmocka_unit_test(test_csp),
        cmocka_unit_test(test_csp_without_default_src),
        cmocka_unit_test(test_csp_report_only),
        cmocka_unit_test(test_nonce),
        cmocka_unit_test(test_options_are_copied),
        cmocka_unit_test(test_wrong_csp),
        cmocka_unit_test(test_wrong_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
