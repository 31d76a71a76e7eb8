/* Who may read what from elsewhere. */
#include "test_guard.h"

#include "middleware/cors.h"

#define SITE "https://site.example"
#define FROM_SITE HEADERS("Origin", SITE)
#define PREFLIGHT HEADERS("Origin", SITE, "Access-Control-Request-Method", "PUT")

static int handled;

static int page(ctx_t *ctx) {
    handled++;
    if (ctx_query(ctx, "vary"))
        ctx_vary(ctx, "Accept");
    if (ctx_query(ctx, "throw")) {
        ctx_throw_header(ctx, "X-Thrown", "1");
        ctx_throw_header(ctx, "Access-Control-Allow-Origin", "https://thrown.example");
        return ctx_throw(ctx, 403, "no");
    }
    return ctx_query(ctx, "fail") ? UV_EIO : ctx_text(ctx, "page");
}

static void check_simple(middleware_t layer, const char *const *headers, const char *origin,
                         const char *credentials) {
    app_t *app = app_with(layer, page);
    app_response_t *response = ask_with(app, "GET", "/", headers);
    expect_header(response, "Vary", "Origin");
    expect_header(response, "Access-Control-Allow-Origin", origin);
    expect_header(response, "Access-Control-Allow-Credentials", credentials);
    expect(response, 200, "page");
    app_free(app);
}

static void test_origin(void **state) {
    const cors_options_t one = {.origin = SITE};
    const cors_options_t list = {.origins = HEADERS("https://a.example", SITE, "null")};
    const cors_options_t any = {.origin = "*"};
    check_simple(cors(NULL), HEADERS("Host", "a"), "*", NULL);
    check_simple(cors(NULL), FROM_SITE, "*", NULL);
    check_simple(cors(&any), FROM_SITE, "*", NULL);
    check_simple(cors(&one), HEADERS("Origin", "https://other.example"), SITE, NULL);
    check_simple(cors(&list), FROM_SITE, SITE, NULL);
    check_simple(cors(&list), HEADERS("Origin", "https://a.example"), "https://a.example", NULL);
    check_simple(cors(&list), HEADERS("Origin", "null"), "null", NULL);
    check_simple(cors(&list), HEADERS("Origin", "https://b.example"), NULL, NULL);
    check_simple(cors(&list), HEADERS("Origin", "https://a.example.evil"), NULL, NULL);
    check_simple(cors(&list), HEADERS("Origin", "https://A.example"), NULL, NULL);
    check_simple(cors(&list), HEADERS("Host", "a"), NULL, NULL);
}

static int by_query(ctx_t *ctx, const char **origin) {
    int err = await_sleep(0);
    *origin = ctx_query(ctx, "origin");
    return ctx_query(ctx, "broken") ? ctx_throw(ctx, 503, "later") : err;
}

static void test_origin_by_callback(void **state) {
    app_t *app = app_with(cors(&(cors_options_t){.find_origin = by_query}), page);
    app_response_t *response = ask_with(app, "GET", "/?origin=https://x.example", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", "https://x.example");
    expect(response, 200, "page");
    response = ask_with(app, "GET", "/?origin=", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", NULL);
    expect_header(response, "Vary", "Origin");
    expect(response, 200, "page");
    response = ask_with(app, "OPTIONS", "/", PREFLIGHT); /* nobody allowed: the app's own affair */
    expect_header(response, "Access-Control-Allow-Methods", NULL);
    expect(response, 200, "page");
    handled = 0;
    expect(ask_with(app, "GET", "/?broken", FROM_SITE), 503, NULL);
    assert_int_equal(handled, 0);
    response =
        ask_with(app, "GET", "/?origin=a%0D%0AX-Split:1", FROM_SITE); /* no header has that */
    expect_header(response, "X-Split", NULL);
    expect(response, 500, NULL);
    assert_int_equal(handled, 0);
    app_free(app);
}

static int if_asked(ctx_t *ctx) {
    return ctx_query(ctx, "broken") ? UV_EIO : ctx_query(ctx, "cookies") != NULL;
}

static void test_credentials(void **state) {
    const cors_options_t any = {.origin = "*", .credentials = true};
    const cors_options_t one = {.origin = SITE, .credentials = true};
    const cors_options_t asked = {.origin = "*", .allow_credentials = if_asked};
    check_simple(cors(&any), FROM_SITE, SITE, "true");
    check_simple(cors(&any), HEADERS("Host", "a"), "", "true");
    check_simple(cors(&one), FROM_SITE, SITE, "true");
    check_simple(cors(&one), HEADERS("Origin", "https://other.example"), SITE, "true");
    check_simple(cors(&asked), FROM_SITE, "*", NULL);
    app_t *app = app_with(cors(&asked), page);
    app_response_t *response = ask_with(app, "GET", "/?cookies", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", SITE);
    expect_header(response, "Access-Control-Allow-Credentials", "true");
    expect(response, 200, "page");
    expect(ask_with(app, "GET", "/?broken", FROM_SITE), 500, NULL);
    app_free(app);
}

static void test_preflight(void **state) {
    app_t *app = app_with(cors(NULL), page);
    handled = 0;
    app_response_t *response = ask_with(app, "OPTIONS", "/",
                                        HEADERS("Origin", SITE, "Access-Control-Request-Method",
                                                "PUT", "Access-Control-Request-Headers", "X-A, X-B",
                                                "Access-Control-Request-Private-Network", "true"));
    expect_header(response, "Vary", "Origin");
    expect_header(response, "Access-Control-Allow-Origin", "*");
    expect_header(response, "Access-Control-Allow-Methods", "GET,HEAD,PUT,POST,DELETE,PATCH");
    expect_header(response, "Access-Control-Allow-Headers", "X-A, X-B");
    expect_header(response, "Access-Control-Max-Age", NULL);
    expect_header(response, "Access-Control-Allow-Private-Network", NULL);
    expect_header(response, "Access-Control-Expose-Headers", NULL);
    expect_header(response, "Content-Type", NULL);
    expect(response, 204, "");
    assert_int_equal(handled, 0);

    response = ask_with(app, "OPTIONS", "/", FROM_SITE); /* somebody's own OPTIONS */
    expect_header(response, "Access-Control-Allow-Origin", NULL);
    expect_header(response, "Vary", "Origin");
    expect(response, 200, "page");
    assert_int_equal(handled, 1);
    app_free(app);
}

static void test_preflight_options(void **state) {
    app_t *app = app_with(cors(&(cors_options_t){.origin = SITE,
                                                 .methods = "GET, POST",
                                                 .allow_headers = "X-Only",
                                                 .expose_headers = "X-Shown",
                                                 .max_age = 600,
                                                 .credentials = true,
                                                 .secure_context = true,
                                                 .private_network_access = true}),
                          page);
    app_response_t *response = ask_with(app, "OPTIONS", "/",
                                        HEADERS("Origin", SITE, "Access-Control-Request-Method",
                                                "PUT", "Access-Control-Request-Headers", "X-A, X-B",
                                                "Access-Control-Request-Private-Network", "true"));
    expect_header(response, "Access-Control-Allow-Methods", "GET, POST");
    expect_header(response, "Access-Control-Allow-Headers", "X-Only");
    expect_header(response, "Access-Control-Max-Age", "600");
    expect_header(response, "Access-Control-Allow-Private-Network", "true");
    expect_header(response, "Access-Control-Allow-Credentials", "true");
    expect_header(response, "Access-Control-Expose-Headers", NULL);
    expect_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    expect_header(response, "Cross-Origin-Embedder-Policy", "require-corp");
    expect(response, 204, "");
    response = ask_with(app, "POST", "/", FROM_SITE);
    expect_header(response, "Access-Control-Expose-Headers", "X-Shown");
    expect_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    expect_header(response, "Access-Control-Max-Age", NULL);
    expect(response, 200, "page");
    app_free(app);

    app = app_with(cors(&(cors_options_t){.methods = "", .max_age = -1}), page);
    response = ask_with(app, "OPTIONS", "/", PREFLIGHT);
    expect_header(response, "Access-Control-Allow-Methods", NULL);
    expect_header(response, "Access-Control-Max-Age", "0");
    expect(response, 204, "");
    app_free(app);
}

static void test_errors(void **state) {
    const cors_options_t options = {
        .origin = SITE, .credentials = true, .expose_headers = "X-Shown"};
    app_t *app = app_with(cors(&options), page);
    app_response_t *response = ask_with(app, "GET", "/?throw&vary", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", SITE);
    expect_header(response, "Access-Control-Allow-Credentials", "true");
    expect_header(response, "Access-Control-Expose-Headers", "X-Shown");
    expect_header(response, "Vary", "Origin");
    expect_header(response, "X-Thrown", "1");
    expect(response, 403, "no");
    response = ask_with(app, "GET", "/?fail", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", SITE);
    expect(response, 500, "Internal Server Error");
    response = ask_with(app, "GET", "/?vary", FROM_SITE);
    expect_header(response, "Vary", "Origin, Accept");
    expect(response, 200, "page");
    app_free(app);

    cors_options_t without = options;
    without.no_headers_on_error = true;
    app = app_with(cors(&without), page);
    response = ask_with(app, "GET", "/?throw", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", "https://thrown.example");
    expect_header(response, "Access-Control-Allow-Credentials", NULL);
    expect_header(response, "Vary", NULL);
    expect(response, 403, "no");
    app_free(app);
}

/* An error that somebody above has caught leaves nothing behind for another. */
static int catch_it(ctx_t *ctx) {
    int err = next(ctx);
    if (ctx_query(ctx, "late"))
        return ctx_throw(ctx, 410, "late");
    if (err && ctx_catch(ctx))
        return ctx_query(ctx, "again") ? ctx_throw(ctx, 409, "again") : ctx_text(ctx, "caught");
    return err;
}

static void test_caught(void **state) {
    app_t *app = quiet_app();
    app_use(app, catch_it);
    app_use(app, cors(NULL));
    app_use(app, page);
    app_response_t *response = ask_with(app, "GET", "/?fail", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", "*");
    expect(response, 200, "caught");
    response = ask_with(app, "GET", "/?fail&again", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", NULL);
    expect(response, 409, "again");
    response = ask_with(app, "GET", "/?late", FROM_SITE);
    expect_header(response, "Access-Control-Allow-Origin", NULL);
    expect(response, 410, "late");
    app_free(app);
}

/* What options point to may change afterwards. */
static void test_options_are_copied(void **state) {
    char origin[] = SITE, methods[] = "GET";
    const char *origins[] = {origin, NULL};
    middleware_t layer = cors(&(cors_options_t){.origins = origins, .methods = methods});
    memset(origin, 'x', sizeof origin - 1);
    memset(methods, 'x', sizeof methods - 1);
    origins[0] = NULL;
    app_t *app = app_with(layer, page);
    app_response_t *response = ask_with(app, "OPTIONS", "/", PREFLIGHT);
    expect_header(response, "Access-Control-Allow-Origin", SITE);
    expect_header(response, "Access-Control-Allow-Methods", "GET");
    expect(response, 204, "");
    app_free(app);
}

static void test_wrong_options(void **state) {
    static const char *const origins[] = {
        "",
        "example.org",
        "https://",
        "://example.org",
        "https://example.org/",
        "https://example.org/path",
        "https://Example.org",
        "https://example.org https://b.example",
        "https://example.org?",
        "https://user@example.org",
        "https://example.org\r\nX: y",
        "Null",
        "**",
    };
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
        refuse(cors(&(cors_options_t){.origin = origins[i]}), "an origin is");
        refuse(cors(&(cors_options_t){.origins = HEADERS(SITE, origins[i])}), "an origin is");
    }
    refuse(cors(&(cors_options_t){.origins = HEADERS("*")}), "an origin is");
    refuse(cors(&(cors_options_t){.origin = SITE, .origins = HEADERS(SITE)}), "one is enough");
    refuse(cors(&(cors_options_t){.origin = SITE, .find_origin = by_query}), "one is enough");
    refuse(cors(&(cors_options_t){.credentials = true}), "whose origin");
    refuse(cors(&(cors_options_t){.allow_credentials = if_asked}), "whose origin");
    refuse(cors(&(cors_options_t){.methods = "GET POST"}), "tokens");
    refuse(cors(&(cors_options_t){.methods = "GET,"}), "tokens");
    refuse(cors(&(cors_options_t){.allow_headers = ",X-A"}), "tokens");
    refuse(cors(&(cors_options_t){.expose_headers = "X-A\r\nX-B: 1"}), "tokens");
    refuse(cors(&(cors_options_t){.expose_headers = " "}), "tokens");
}

static void test_right_options(void **state) {
    static const char *const origins[] = {"http://localhost:3000", "https://[::1]:8443",
                                          "moz-extension://0a-1b", "https://xn--bcher-kva.example"};
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++)
        check_simple(cors(&(cors_options_t){.origin = origins[i]}), FROM_SITE, origins[i], NULL);
    check_simple(cors(&(cors_options_t){.allow_headers = "X-A , X-B,*"}), FROM_SITE, "*", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_origin_by_callback),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_preflight),
        cmocka_unit_test(test_preflight_options),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_caught),
        cmocka_unit_test(test_options_are_copied),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_right_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
