/* Tokens against cross-site request forgery: who needs one, and which ones are good. */
#include "browser.h"

#include <middleware/body_parser.h>
#include <middleware/csrf.h>

static int form(ctx_t *ctx) {
    const char *token = csrf_token(ctx);
    return token ? ctx_text(ctx, token) : -500;
}

static int change(ctx_t *ctx) {
    return ctx_text(ctx, "changed");
}

static int rotate(ctx_t *ctx) {
    int err = csrf_rotate(ctx);
    return err ? err : form(ctx);
}

static int verify(ctx_t *ctx) {
    return ctx_text(ctx, csrf_verify(ctx, ctx_query(ctx, "token")) ? "yes" : "no");
}

/* The secret of koa-csrf's tokens, for tokens that it has made. */
static int set_secret(ctx_t *ctx) {
    int err = session_set(ctx, "secret", ctx_query(ctx, "secret"));
    return err ? err : ctx_text(ctx, "set");
}

static app_t *app_with(const csrf_options_t *options) {
    app_t *app = app_with_keys();
    app_use(app, session(NULL));
    app_use(app, csrf(options));
    app_use(app, route_get("/form", form));
    app_use(app, route_get("/rotate", rotate));
    app_use(app, route_get("/verify", verify));
    app_use(app, route_get("/secret", set_secret));
    app_use(app, change);
    return app;
}

static void send_it(struct browser *browser, const char *method, const char *url, bool is_good) {
    browse(browser, method, url);
    const char *expected = strcmp(method, "HEAD") == 0 ? "" : "Invalid CSRF token";
    if (is_good ? browser->status != 200
                : browser->status != 403 || strcmp(browser->body, expected) != 0)
        fail_msg("%s %s: %d %s", method, url, browser->status, browser->body);
}

static char token[100];

static void get_token(struct browser *browser) {
    visit(browser, "/form", 200, NULL);
    snprintf(token, sizeof token, "%.99s", browser->body);
}

/* --- Tokens ----------------------------------------------------------------------------------- */

static void are_good(void **state) {
    struct browser browser = {.app = app_with(NULL)};
    char url[200], first[100];
    visit(&browser, "/", 200, "changed");
    assert_int_equal(browser.set_cookies, 0); /* nobody has asked for a token */
    get_token(&browser);
    assert_int_equal(browser.set_cookies, 2);
    assert_int_equal(strlen(token), 8 + 1 + 27);
    snprintf(first, sizeof first, "%s", token);
    get_token(&browser);
    assert_int_equal(browser.set_cookies, 0);
    assert_string_not_equal(token, first);
    snprintf(url, sizeof url, "/?_csrf=%s", first);
    send_it(&browser, "POST", url, true);
    send_it(&browser, "POST", url, true); /* any number of times */
    snprintf(url, sizeof url, "/?_csrf=%s", token);
    send_it(&browser, "DELETE", url, true);
    app_free(browser.app);
}

static void are_wrong(void **state) {
    static const char *const tokens[] = {
        "", "x", "-", "a-b", "%20", "abcdefgh-", "abcdefgh-AAAAAAAAAAAAAAAAAAAAAAAAAAA", "--"};
    struct browser browser = {.app = app_with(NULL)}, other = {.app = browser.app};
    char url[200];
    send_it(&browser, "POST", "/", false); /* without a session */
    get_token(&other);
    get_token(&browser);
    send_it(&browser, "POST", "/", false);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        snprintf(url, sizeof url, "/?_csrf=%s", tokens[i]);
        send_it(&browser, "POST", url, false);
    }
    for (size_t i = 0; token[i]; i++) { /* one letter is another one */
        char is = token[i];
        token[i] = is == 'A' ? 'B' : 'A';
        snprintf(url, sizeof url, "/?_csrf=%s", token);
        send_it(&browser, "POST", url, false);
        token[i] = is;
    }
    snprintf(url, sizeof url, "/?_csrf=%sA", token);
    send_it(&browser, "POST", url, false);
    snprintf(url, sizeof url, "/?_csrf=%.*s", (int)strlen(token) - 1, token);
    send_it(&browser, "POST", url, false);
    snprintf(url, sizeof url, "/?_csrf=%s", token);
    send_it(&other, "POST", url, false); /* of another session */
    send_it(&browser, "POST", url, true);
    app_free(browser.app);
}

/* Made by the npm package csrf 3.1.0. */
static void of_koa(void **state) {
    struct browser browser = {.app = app_with(NULL)};
    visit(&browser, "/secret?secret=ZXhhbXBsZSBzZWNyZXQhISE", 200, "set");
    send_it(&browser, "POST", "/?_csrf=8GyKit3G-q53trmYvt4vCKPMuGnzvtBiNhQ8", true);
    visit(&browser, "/verify?token=8GyKit3G-q53trmYvt4vCKPMuGnzvtBiNhQ8", 200, "yes");
    visit(&browser, "/verify?token=x", 200, "no");
    visit(&browser, "/verify", 200, "no");
    app_free(browser.app);
}

static void rotates(void **state) {
    struct browser browser = {.app = app_with(NULL)};
    char url[200];
    get_token(&browser);
    snprintf(url, sizeof url, "/?_csrf=%s", token);
    visit(&browser, "/rotate", 200, NULL);
    snprintf(token, sizeof token, "%.99s", browser.body);
    send_it(&browser, "POST", url, false);
    snprintf(url, sizeof url, "/?_csrf=%s", token);
    send_it(&browser, "POST", url, true);
    app_free(browser.app);
}

/* --- Places ----------------------------------------------------------------------------------- */

static void in_headers(void **state) {
    static const char *const names[] = {"CSRF-Token", "xsrf-token", "X-Csrf-Token", "X-XSRF-TOKEN"};
    struct browser browser = {.app = app_with(&(csrf_options_t){.no_query = true})};
    char url[200];
    get_token(&browser);
    for (size_t i = 0; i < 4; i++) {
        browser.header[0] = names[i];
        browser.header[1] = token;
        send_it(&browser, "PUT", "/", true);
        browser.header[1] = "x";
        send_it(&browser, "PUT", "/", false);
    }
    browser.header[0] = NULL;
    snprintf(url, sizeof url, "/?_csrf=%s", token);
    send_it(&browser, "PUT", url, false);
    app_free(browser.app);
}

static void check_body(app_t *app, const char *cookies, const char *type, const char *body,
                       int status) {
    const char *const headers[] = {"Cookie", cookies, "Content-Type", type, NULL};
    app_response_t *response = app_inject(
        app, &(app_request_t){
                 .method = "POST", .headers = headers, .body = body, .body_length = strlen(body)});
    assert_non_null(response);
    if (response->status != status)
        fail_msg("%s: %d", body, response->status);
    app_response_free(response);
}

static void in_bodies(void **state) {
    static const char form_type[] = "application/x-www-form-urlencoded";
    app_t *app = app_with_keys();
    app_use(app, session(NULL));
    app_use(app, body_parser(NULL));
    app_use(app, csrf(NULL));
    app_use(app, route_get("/form", form));
    app_use(app, change);
    struct browser browser = {.app = app};
    char body[200];
    get_token(&browser);
    snprintf(body, sizeof body, "a=b&_csrf=%s", token);
    check_body(app, browser.cookies, form_type, body, 200);
    check_body(app, browser.cookies, "text/plain", body, 403);
    check_body(app, browser.cookies, form_type, "_csrf=x", 403);
    check_body(app, browser.cookies, form_type, "", 403);
    snprintf(body, sizeof body, "{\"a\":1,\"_csrf\":\"%s\"}", token);
    check_body(app, browser.cookies, "application/json", body, 200);
    check_body(app, browser.cookies, "application/json", "{\"_csrf\":[1]}", 403);
    check_body(app, browser.cookies, "application/json", "[]", 403);
    app_free(app);
}

static const char *token_of_header(ctx_t *ctx) {
    await_sleep(0);
    return ctx_get(ctx, "X-Elsewhere");
}

static void elsewhere(void **state) {
    struct browser browser = {.app = app_with(&(csrf_options_t){.get_token = token_of_header})};
    char url[200];
    get_token(&browser);
    snprintf(url, sizeof url, "/?_csrf=%s", token);
    send_it(&browser, "POST", url, true); /* it is not there: the query */
    browser.header[0] = "X-Elsewhere";
    browser.header[1] = token;
    send_it(&browser, "POST", "/?_csrf=x", true); /* asked first */
    browser.header[1] = "x";
    send_it(&browser, "POST", url, false);
    app_free(browser.app);
}

static void methods(void **state) {
    struct browser browser = {.app = app_with(NULL)};
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS"};
    static const char *const others[] = {"POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "X"};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        send_it(&browser, safe[i], "/", true);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        send_it(&browser, others[i], "/", false);
    app_free(browser.app);
    const char *const own[] = {"GET", "PURGE", NULL};
    browser = (struct browser){.app = app_with(&(csrf_options_t){.excluded_methods = own})};
    send_it(&browser, "PURGE", "/", true);
    send_it(&browser, "HEAD", "/", false);
    app_free(browser.app);
}

static void check_path(const char *glob, const char *path, bool is_ignored) {
    const char *const globs[] = {"/other", glob, NULL};
    struct browser browser = {.app = app_with(&(csrf_options_t){.ignored_paths = globs})};
    browse(&browser, "POST", path);
    if ((browser.status == 200) != is_ignored)
        fail_msg("%s for %s: %d", glob, path, browser.status);
    app_free(browser.app);
}

static void paths(void **state) {
    check_path("/hook", "/hook", true);
    check_path("/hook", "/hook?a=b", true);
    check_path("/hook", "/other", true);
    check_path("/hook", "/hooks", false);
    check_path("/hook", "/hook/", false);
    check_path("/hook", "/Hook", false);
    check_path("/hooks/*", "/hooks/a", true);
    check_path("/hooks/*", "/hooks/", true);
    check_path("/hooks/*", "/hooks/a/b", false);
    check_path("/hooks/*", "/hooks", false);
    check_path("/hooks/*", "/hooks/.a", false);
    check_path("/hooks/*/b", "/hooks/a/b", true);
    check_path("/hooks/*/b", "/hooks/a/c/b", false);
    check_path("/h*s/*b", "/hooks/ab", true);
    check_path("/h*s/*b", "/hs/abab", true);
    check_path("/h*s/*b", "/hsx/b", false);
    check_path("/*a*b*c", "/xxaxbabcxbc", true);
    check_path("/*a*b*c", "/xxaxbabcxb", false);
    check_path("/?/b", "/a/b", true);
    check_path("/?/b", "//b", false);
    check_path("/?/b", "/./b", false);
    check_path("/api/**", "/api/a", true);
    check_path("/api/**", "/api/a/b/c", true);
    check_path("/api/**", "/api/", true);
    check_path("/api/**", "/api", false);
    check_path("/api/**", "/apis/a", false);
    check_path("/api/**", "/api/../admin", false);
    check_path("/api/**", "/api/a/.git", false);
    check_path("/*/x/**", "/a/x/b", true);
    check_path("/*/x/**", "/a/b/x/b", false);
    check_path("/*/x/**", "/a/x", false);
    check_path("/**", "/a/b", true);
    check_path("/**", "/", true);
    check_path("/a", "*", false);
}

/* --- Origins ---------------------------------------------------------------------------------- */

static int with_token(ctx_t *ctx) {
    return ctx_text(ctx, "sent");
}

static void check_origin(const char *origin, const char *site, const char *expected) {
    static const char *const trusted[] = {"https://friend.example", NULL};
    const char *const headers[] = {"Host",
                                   "a.example:8080",
                                   origin ? "Origin" : "X-None",
                                   origin ? origin : "",
                                   site ? "Sec-Fetch-Site" : "X-None",
                                   site ? site : "",
                                   NULL};
    app_t *app = app_with(&(csrf_options_t){.check_origin = true, .origins = trusted});
    app_use(app, with_token);
    app_response_t *response =
        app_inject(app, &(app_request_t){.method = "POST", .headers = headers});
    assert_non_null(response);
    if (strcmp(response->body.data, expected) != 0)
        fail_msg("%s, %s: %s", origin, site, response->body.data);
    app_response_free(response);
    app_free(app);
}

/* What passes here has no token. */
static void origins(void **state) {
    static const char passes[] = "Invalid CSRF token", refused[] = "Cross-origin request";
    check_origin(NULL, NULL, passes);
    check_origin("http://a.example:8080", NULL, passes);
    check_origin("https://A.example:8080", NULL, passes);
    check_origin("http://a.example", NULL, refused);
    check_origin("http://b.a.example:8080", NULL, refused);
    check_origin("http://evil.example", NULL, refused);
    check_origin("null", NULL, refused);
    check_origin("https://friend.example", NULL, passes);
    check_origin("http://friend.example", NULL, refused);
    check_origin("https://friend.example", "cross-site", passes);
    check_origin("http://a.example:8080", "cross-site", refused);
    check_origin("http://evil.example", "same-origin", passes); /* the host may be another's name */
    check_origin(NULL, "same-origin", passes);
    check_origin(NULL, "none", passes);
    check_origin(NULL, "same-site", refused);
    check_origin(NULL, "cross-site", refused);
    check_origin(NULL, "", passes);
}

/* --- Errors ----------------------------------------------------------------------------------- */

static int own_error(ctx_t *ctx) {
    ctx->status = 400;
    return ctx_text(ctx, "go away");
}

static void own_answer(void **state) {
    struct browser browser = {.app = app_with(&(csrf_options_t){.on_error = own_error})};
    browse(&browser, "POST", "/");
    assert_int_equal(browser.status, 400);
    assert_string_equal(browser.body, "go away");
    app_free(browser.app);
}

/* koa-csrf lets everybody pass then. */
static void without_a_session(void **state) {
    app_t *app = app_with_keys();
    app_use(app, csrf(NULL));
    app_use(app, route_get("/form", form));
    app_use(app, rotate);
    struct browser browser = {.app = app};
    browse(&browser, "POST", "/");
    assert_int_equal(browser.status, 500);
    check_told("there is no session");
    visit(&browser, "/form", 500, NULL);
    check_told("there is no session");
    visit(&browser, "/", 500, NULL);
    app_free(app);
}

static void wrong_options(void **state) {
    const char *const path[] = {"/a", "b", NULL}, *const origin[] = {"https://a/", NULL},
                      *const host[] = {"a", NULL};
    check_complaint(csrf(&(csrf_options_t){.ignored_paths = path}), "begins with '/'");
    check_complaint(csrf(&(csrf_options_t){.origins = origin}), "without a path");
    check_complaint(csrf(&(csrf_options_t){.origins = host}), "an origin is");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_good),      cmocka_unit_test(are_wrong),
        cmocka_unit_test(of_koa),        cmocka_unit_test(rotates),
        cmocka_unit_test(in_headers),    cmocka_unit_test(in_bodies),
        cmocka_unit_test(elsewhere),     cmocka_unit_test(methods),
        cmocka_unit_test(paths),         cmocka_unit_test(origins),
        cmocka_unit_test(own_answer),    cmocka_unit_test(without_a_session),
        cmocka_unit_test(wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
