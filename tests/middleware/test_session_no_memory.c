/*
 * Allocations fail, each in turn, under sessions, tokens and basic authentication: the answer is
 * the right one, or a refusal; nothing crashes or leaks; and nobody gets in who should not.
 */
#include "../support/countdown.h"
#include "browser.h"

#include <inttypes.h>
#include <middleware/basic_auth.h>
#include <middleware/csrf.h>
#include <middleware/session_memory.h>

/* --- The app ---------------------------------------------------------------------------------- */

static int count_views(ctx_t *ctx) {
    int err = session_set_int(ctx, "views", session_get_int(ctx, "views") + 1);
    err = err ? err : session_set(ctx, "user", "ada");
    return err ? err : ctx_textf(ctx, "%" PRId64, session_get_int(ctx, "views"));
}

static int show_user(ctx_t *ctx) {
    const char *user = session_get(ctx, "user");
    return ctx_text(ctx, user ? user : "nobody");
}

static int renew_key(ctx_t *ctx) {
    int err = session_regenerate(ctx);
    err = err ? err : session_set_max_age(ctx, 5000);
    return err ? err : ctx_text(ctx, "renewed");
}

static int leave(ctx_t *ctx) {
    int err = session_destroy(ctx);
    return err ? err : ctx_text(ctx, "bye");
}

static int form(ctx_t *ctx) {
    const char *token = csrf_token(ctx);
    return token ? ctx_text(ctx, token) : UV_ENOMEM;
}

static int changed(ctx_t *ctx) {
    return ctx_text(ctx, "changed");
}

static int secret(ctx_t *ctx) {
    return ctx_text(ctx, basic_auth_name(ctx));
}

static const char *const hooks[] = {"/hook/*", NULL};

static app_t *make_app(bool has_store) {
    app_t *app = app_with_keys();
    session_memory_t *memory = has_store ? session_memory_new(NULL) : NULL;
    if (has_store && app_set_value(app, "sessions", memory, session_memory_free))
        memory = NULL;
    app_use(app, mount_at("/secret", compose(basic_auth(&(basic_auth_options_t){
                                                 .name = "tobi", .password = "ferret"}),
                                             middleware(secret))));
    app_use(app, session(&(session_options_t){.store = has_store ? session_memory_store(memory)
                                                                 : (session_store_t){0},
                                              .prefix = has_store ? "p" : NULL}));
    app_use(app, csrf(&(csrf_options_t){.ignored_paths = hooks, .excluded_methods = NULL}));
    app_use(app, route_get("/count", count_views));
    app_use(app, route_get("/user", show_user));
    app_use(app, route_get("/renew", renew_key));
    app_use(app, route_get("/leave", leave));
    app_use(app, route_get("/form", form));
    app_use(app, changed);
    return app;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* A right answer, an error, or none at all; `body` NULL: any right one. */
static void check_answer(const struct browser *browser, const char *method, const char *url,
                         int status, const char *body) {
    const char *const headers[] = {"Cookie", browser->cookies,
                                   browser->header[0] ? browser->header[0] : NULL,
                                   browser->header[1], NULL};
    for (long n = 0, done = 0; !done; n++) {
        countdown = n;
        app_response_t *response = app_inject(
            browser->app, &(app_request_t){.method = method, .url = url, .headers = headers});
        bool has_failed = countdown < 0;
        countdown = -1;
        bool is_right = response && response->status == status &&
                        (!body || strcmp(response->body.data, body) == 0);
        if (!is_right && !has_failed)
            fail_msg("%s: %d %s", url, response ? response->status : 0,
                     response ? response->body.data : "");
        bool is_refusal = response && (response->status == 500 || response->status == 403);
        if (!is_right && response && !is_refusal && !response->failed)
            fail_msg("%s at %ld: %d %s", url, n, response->status, response->body.data);
        done = !has_failed;
        app_response_free(response);
    }
}

static void requests(bool has_store) {
    struct browser browser = {.app = make_app(has_store)};
    check_answer(&browser, "GET", "/count", 200, "1");
    visit(&browser, "/count", 200, "1");
    if (!has_store) /* where it isn't counted on while allocations fail */
        check_answer(&browser, "GET", "/count", 200, "2");
    check_answer(&browser, "GET", "/user", 200, "ada");
    check_answer(&browser, "GET", "/form", 200, NULL);
    visit(&browser, "/form", 200, NULL);
    char token[100];
    snprintf(token, sizeof token, "%.99s", browser.body);
    check_answer(&browser, "POST", "/x", 403, "Invalid CSRF token");
    check_answer(&browser, "POST", "/hook/x", 200, "changed");
    browser.header[0] = "X-CSRF-Token";
    browser.header[1] = token;
    check_answer(&browser, "POST", "/x", 200, "changed");
    browser.header[0] = "Authorization";
    browser.header[1] = "Basic dG9iaTpmZXJyZXQ=";
    check_answer(&browser, "GET", "/secret", 200, "tobi");
    browser.header[1] = "Basic dG9iaTpmZXJyZXR0";
    check_answer(&browser, "GET", "/secret", 401, "Unauthorized");
    browser.header[0] = NULL;
    if (!has_store) {
        check_answer(&browser, "GET", "/renew", 200, "renewed");
        check_answer(&browser, "GET", "/leave", 200, "bye");
    }
    visit(&browser, "/renew", 200, "renewed");
    visit(&browser, "/user", 200, "ada");
    app_free(browser.app);
}

static void in_cookies(void **state) {
    requests(false);
}

static void in_a_store(void **state) {
    requests(true);
}

/* One that lives, whatever fails: regenerated or destroyed, or neither of them. */
static void life_in_a_store(void **state) {
    static const char *const urls[] = {"/renew", "/leave", "/count"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        bool has_failed = true;
        for (long n = 0; has_failed; n++) {
            struct browser browser = {.app = make_app(true)};
            visit(&browser, "/count", 200, "1");
            const char *const headers[] = {"Cookie", browser.cookies, NULL};
            countdown = n;
            app_response_t *response =
                app_inject(browser.app, &(app_request_t){.url = urls[i], .headers = headers});
            has_failed = countdown < 0;
            countdown = -1;
            int status = response ? response->status : 500;
            if (status != 200 && (status != 500 || !has_failed))
                fail_msg("%s at %ld: %d", urls[i], n, status);
            app_response_free(response);
            app_free(browser.app);
        }
    }
}

/* An app that lacks a layer for want of memory does not start: no door is left open. */
static void making_it(void **state) {
    for (int has_store = 0; has_store < 2; has_store++) {
        bool has_failed = true;
        for (long n = 0; has_failed; n++) {
            countdown = n;
            app_t *app = make_app(has_store);
            has_failed = countdown < 0;
            countdown = -1;
            app_response_t *response =
                app_inject(app, &(app_request_t){.method = "POST", .url = "/secret"});
            if (response ? response->status != 401 : !has_failed)
                fail_msg("%ld: %d", n, response ? response->status : 0);
            app_response_free(response);
            response =
                app ? app_inject(app, &(app_request_t){.method = "POST", .url = "/x"}) : NULL;
            if (response && response->status != 403)
                fail_msg("%ld: %d", n, response->status);
            app_response_free(response);
            app_free(app);
        }
    }
}

int main(void) {
    json_set_alloc_funcs(__wrap_malloc, free);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_cookies),
        cmocka_unit_test(in_a_store),
        cmocka_unit_test(life_in_a_store),
        cmocka_unit_test(making_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
