/*
 * Allocations fail, each in turn, while an app with cors, security_headers, rate_limit and jwt is
 * made and asked. Either it can't start, or its answer is a 500, or it is the right one, and nobody
 * gets in who should not.
 */
#include "../support/countdown.h"
#include "test_guard.h"

#include "middleware/cors.h"
#include "middleware/jwt.h"
#include "middleware/rate_limit.h"
#include "middleware/security_headers.h"

/* --- An app with all of them ------------------------------------------------------------------ */

#define SECRET "01234567890123456789012345678901"
#define SITE "https://site.example"

static const jwt_key_options_t key_options = {.algorithm = "HS256", .secret = SECRET, .id = "1"};
static int handled;

static int page(ctx_t *ctx) {
    handled++;
    if (ctx_query(ctx, "throw"))
        return ctx_throw(ctx, 418, "%s", csp_nonce(ctx));
    return ctx_text(ctx, json_string_value(json_object_get(jwt_claims(ctx), "sub")));
}

static uint64_t stopped_clock(void) {
    return 0;
}

static app_t *new_app(void) {
    static const csp_directive_t csp[] = {
        {"script-src", "'self' 'nonce'"}, {"x-y", "z"}, {NULL, NULL}};
    app_t *app = quiet_app();
    app_use(app, cors(&(cors_options_t){.origins = HEADERS("https://a.example", SITE),
                                        .credentials = true}));
    app_use(app, security_headers(&(security_headers_options_t){.csp = csp}));
    app_use(app, rate_limit(&(rate_limit_options_t){
                     .max = 1, .keys = 4, .draft_headers = true, .clock = stopped_clock}));
    app_use(app, jwt(&(jwt_options_t){.keys = (const jwt_key_options_t[]){key_options, {0}},
                                      .cookie = "jwt",
                                      .debug = true,
                                      .checks.issuers = HEADERS("me")}));
    app_use(app, page);
    return app;
}

static char *sign(const char *issuer) {
    jwt_key_t *key = jwt_key_new(&key_options, NULL);
    char *token;
    json_t *claims = json_pack("{s:s, s:s}", "sub", "ada", "iss", issuer);
    assert_int_equal(jwt_sign(key, claims, NULL, &token), 0);
    jwt_key_free(key);
    return token;
}

static void expect_all_headers(const app_response_t *response) {
    expect_header(response, "Vary", "Origin");
    expect_header(response, "Access-Control-Allow-Origin", SITE);
    expect_header(response, "Access-Control-Allow-Credentials", "true");
    expect_header(response, "X-Content-Type-Options", "nosniff");
    assert_non_null(
        strstr(app_response_get(response, "Content-Security-Policy"), "script-src 'self' 'nonce-"));
}

/* While memory fails, a token may look as if it were not there: that is a 401, and lets nobody in.
 */
static bool is_right(const app_response_t *response, bool failed, int status, const char *body) {
    bool is_refusal = failed && response->status == 401;
    if (!is_refusal && response->status != status)
        return false;
    expect_all_headers(response);
    return is_refusal || !body || strcmp(response->body.data, body) == 0;
}

/* `times` requests, of which the last one has this answer. */
static void ask_without_memory(const char *token, const char *url, int times, int status,
                               const char *body) {
    char cookie[512];
    snprintf(cookie, sizeof cookie, "jwt=%s", token);
    const char *const *headers = HEADERS("Origin", SITE, "Cookie", cookie);
    bool failed = true;
    for (long n = 0; failed; n++) {
        countdown = n;
        handled = 0;
        app_t *app = new_app();
        app_response_t *response = NULL;
        for (int i = 0; i < times; i++) {
            app_response_free(response);
            response = app_inject(app, &(app_request_t){.url = url, .headers = headers});
        }
        failed = countdown < 0;
        countdown = -1;
        bool is_cut = failed && (!response || response->failed || response->status == 500);
        /* the one before was a 500, and not counted, or its address was not known */
        bool was_free = failed && times > 1 && response && response->status == 200;
        if (!is_cut && !was_free && !is_right(response, failed, status, body))
            fail_msg("allocation %ld: %d %s", n, response->status, response->body.data);
        assert_true(status != 401 || handled == 0);
        assert_true(failed || handled == (status != 401));
        app_response_free(response);
        app_free(app);
        assert_true(n < 5000);
    }
}

static void without_memory(void **state) {
    char *good = sign("me"), *bad = sign("them");
    ask_without_memory(good, "/", 1, 200, "ada");
    ask_without_memory(good, "/?throw", 1, 418, NULL);
    ask_without_memory(bad, "/", 1, 401, "jwt issuer invalid. expected: me");
    ask_without_memory("x", "/", 1, 401, "jwt malformed");
    ask_without_memory(good, "/", 2, 429, "Rate limit exceeded, retry in 1 hour.");
    free(good);
    free(bad);
}

static void sign_without_memory(void **state) {
    bool failed = true;
    for (long n = 0; failed; n++) {
        countdown = n;
        jwt_key_t *key = jwt_key_new(&key_options, NULL);
        char *token = NULL;
        json_t *claims = NULL;
        int err = key ? jwt_sign(key, json_pack("{s:i}", "a", 1), NULL, &token) : UV_ENOMEM;
        const jwt_key_t *const keys[] = {key, NULL};
        if (!err)
            err = jwt_verify(keys, token, NULL, &claims, NULL);
        failed = countdown < 0;
        countdown = -1;
        assert_int_equal(err, failed ? UV_ENOMEM : 0);
        assert_true(!claims == failed);
        json_decref(claims);
        free(token);
        jwt_key_free(key);
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory),
        cmocka_unit_test(sign_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
