/* Basic authentication: who comes in, and who does not. */
#include "browser.h"

#include <middleware/basic_auth.h>

static int secret(ctx_t *ctx) {
    return ctx_textf(ctx, "hello, %s", basic_auth_name(ctx));
}

static int nobody(ctx_t *ctx) {
    return basic_auth_name(ctx) ? UV_EINVAL : next(ctx);
}

static app_t *app_with(basic_auth_options_t options) {
    app_t *app = app_with_keys();
    app_use(app, nobody);
    app_use(app, basic_auth(&options));
    app_use(app, secret);
    return app;
}

static void check(app_t *app, const char *authorization, const char *body) {
    struct browser browser = {.app = app, .header = {"Authorization", authorization}};
    visit(&browser, "/", body ? 200 : 401, body ? body : "Unauthorized");
}

static void name_and_password(void **state) {
    app_t *app = app_with((basic_auth_options_t){.name = "tobi", .password = "ferret"});
    check(app, "Basic dG9iaTpmZXJyZXQ=", "hello, tobi");
    check(app, "basic dG9iaTpmZXJyZXQ=", "hello, tobi");
    check(app, "  BASIC   dG9iaTpmZXJyZXQ=  ", "hello, tobi");
    check(app, "Basic dG9iaTpmZXJyZXQ", "hello, tobi");
    static const char *const wrong[] = {
        NULL,
        "",
        "Basic",
        "Basic ",
        "Basic =",
        "Basic dG9iaTpmZXJyZXQ= x",
        "Basic dG9iaTpmZXJyZXQ==",
        "Basic\tdG9iaTpmZXJyZXQ=",
        "Basicd dG9iaTpmZXJyZXQ=",
        "Bearer dG9iaTpmZXJyZXQ=",
        "dG9iaTpmZXJyZXQ=",
        "Basic dG9iaTpmZXJyZXQA", /* tobi:ferret\0 */
        "Basic dG9iaTpmZXJyZXQK", /* tobi:ferret\n */
        "Basic dG9iaTpmZXJyZQ==", /* tobi:ferre */
        "Basic dG9iaTpmZXJyZXR0", /* tobi:ferrett */
        "Basic dG9iaWZlcnJldA==", /* tobiferret */
        "Basic dG9iOmlmZXJyZXQ=", /* tob:iferret */
        "Basic OmZlcnJldA==",     /* :ferret */
        "Basic dG9iaTo=",         /* tobi: */
        "Basic Og==",             /* : */
        "Basic ZmVycmV0OnRvYmk=", /* ferret:tobi */
        "Basic VG9iaTpmZXJyZXQ=", /* Tobi:ferret */
        "Basic !!!!",
        "Basic d",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check(app, wrong[i] ? wrong[i] : "x", NULL);
    app_free(app);
}

static void password_with_a_colon(void **state) {
    app_t *app = app_with((basic_auth_options_t){.name = "a", .password = "b:c:"});
    check(app, "Basic YTpiOmM6", "hello, a");
    check(app, "Basic YTpiOmM=", NULL);
    app_free(app);
}

static void one_of_them(void **state) {
    app_t *app = app_with((basic_auth_options_t){.password = "ferret"});
    check(app, "Basic dG9iaTpmZXJyZXQ=", "hello, tobi");
    check(app, "Basic OmZlcnJldA==", "hello, ");
    check(app, "Basic dG9iaTo=", NULL);
    app_free(app);
    app = app_with((basic_auth_options_t){.name = "tobi", .any_password = true});
    check(app, "Basic dG9iaTo=", "hello, tobi");
    check(app, "Basic OmZlcnJldA==", NULL);
    app_free(app);
    app = app_with((basic_auth_options_t){.name = "tobi", .password = ""});
    check(app, "Basic dG9iaTo=", "hello, tobi");
    check(app, "Basic dG9iaTpmZXJyZXQ=", NULL);
    app_free(app);
}

static void check_challenge(const char *realm, const char *expected) {
    app_t *app = app_with((basic_auth_options_t){.password = "p", .realm = realm});
    app_response_t *response = app_inject(app, &(app_request_t){0});
    assert_non_null(response);
    assert_int_equal(response->status, 401);
    assert_string_equal(app_response_get(response, "WWW-Authenticate"), expected);
    app_response_free(response);
    app_free(app);
}

static void challenges(void **state) {
    check_challenge(NULL, "Basic realm=\"Secure Area\"");
    check_challenge("a\"b\\c", "Basic realm=\"a\\\"b\\\\c\"");
    check_challenge("", "Basic realm=\"\"");
}

/* --- Asked for each request ------------------------------------------------------------------- */

static void compare(void *arg) {
    const char **pair = arg;
    pair[1] = strcmp(pair[0], "sesame") == 0 ? "yes" : NULL;
}

static int verify(ctx_t *ctx, const char *name, const char *password) {
    const char *pair[] = {password, NULL};
    if (strcmp(name, "teapot") == 0)
        return ctx_throw(ctx, 418, "short");
    int err = await_work(compare, pair);
    return err ? err : pair[1] != NULL;
}

static void asks(void **state) {
    app_t *app = app_with((basic_auth_options_t){.verify = verify});
    check(app, "Basic YWRhOnNlc2FtZQ==", "hello, ada"); /* ada:sesame */
    check(app, "Basic YWRhOnNlc2FtZ", NULL);            /* ada:sesam */
    struct browser browser = {.app = app, .header = {"Authorization", "Basic dGVhcG90Og=="}};
    visit(&browser, "/", 418, "short");
    app_free(app);
    app = app_with((basic_auth_options_t){.name = "ada", .verify = verify});
    check(app, "Basic YWRhOnNlc2FtZQ==", "hello, ada");
    check(app, "Basic Ym9iOnNlc2FtZQ==", NULL); /* bob:sesame */
    check(app, "Basic dGVhcG90Og==", NULL);     /* which is not asked for */
    app_free(app);
}

static void wrong_options(void **state) {
    check_complaint(basic_auth(NULL), "a name, a password or verify");
    check_complaint(basic_auth(&(basic_auth_options_t){0}), "a name, a password or verify");
    check_complaint(basic_auth(&(basic_auth_options_t){.name = "a"}), "any_password");
    check_complaint(basic_auth(&(basic_auth_options_t){.name = "a:b", .password = "c"}), "':'");
    check_complaint(basic_auth(&(basic_auth_options_t){.password = "c", .realm = "a\n"}),
                    "control characters");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_and_password),
        cmocka_unit_test(password_with_a_colon),
        cmocka_unit_test(one_of_them),
        cmocka_unit_test(challenges),
        cmocka_unit_test(asks),
        cmocka_unit_test(wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
