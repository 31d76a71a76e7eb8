/* Routes as in koa-route: its own test cases first. */
#include "test_routing.h"

/* --- koa-route's own -------------------------------------------------------------------------- */

static const char *const methods[] = {"GET",     "POST",  "PUT",   "DELETE",  "PATCH",
                                      "OPTIONS", "PURGE", "TRACE", "M-SEARCH"};

static int tj(ctx_t *ctx) {
    return ctx_text(ctx, "tj");
}

static int yes(ctx_t *ctx) {
    return ctx_text(ctx, "yes");
}

static int ok(ctx_t *ctx) {
    return ctx_textf(ctx, "ok %s", ctx->method);
}

static void method_and_path(void **state) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const char *method = methods[i];
        app_t *app = quiet_app();
        app_use(app, route(method, "/tj", yes));
        check(app, method, "/tj", 200, "yes");
        check(app, method, "/TJ/", 200, "yes");
        check(app, method, "/other", 404, NULL);
        check(app, strcmp(method, "GET") ? "GET" : "POST", "/tj", 404, NULL);
        app_free(app);
    }
}

static void all_macros(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_get("/a", ok));
    app_use(app, route_post("/a", ok));
    app_use(app, route_put("/a", ok));
    app_use(app, route_patch("/a", ok));
    app_use(app, route_delete("/a", ok));
    app_use(app, route_options("/a", ok));
    app_use(app, route_head("/b", ok));
    app_use(app, route_del("/b", ok));
    app_use(app, route("purge", "/b", ok));
    check(app, "GET", "/a", 200, "ok GET");
    check(app, "POST", "/a", 200, "ok POST");
    check(app, "PUT", "/a", 200, "ok PUT");
    check(app, "PATCH", "/a", 200, "ok PATCH");
    check(app, "DELETE", "/a", 200, "ok DELETE");
    check(app, "OPTIONS", "/a", 200, "ok OPTIONS");
    check(app, "HEAD", "/b", 200, "");
    check(app, "DELETE", "/b", 200, "ok DELETE");
    check(app, "PURGE", "/b", 200, "ok PURGE");
    check(app, "GET", "/b", 404, NULL);
    app_free(app);
}

static void any_method(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_all("/tj", tj));
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        check(app, methods[i], "/tj", 200, "tj");
        check(app, methods[i], "/other", 404, NULL);
    }
    check(app, "HEAD", "/tj", 200, "");
    app_free(app);
}

static int set_name(ctx_t *ctx) {
    ctx_setf(ctx, "X-Name", "%s", ctx_param_at(ctx, 0));
    return next(ctx);
}

static int set_from(ctx_t *ctx) {
    ctx_setf(ctx, "X-From", "%s to %s", ctx_param_at(ctx, 0), ctx_param_at(ctx, 1));
    int err = next(ctx);
    ctx_setf(ctx, "X-After", "%s %s", ctx_param(ctx, "to"), ctx->route_path);
    return err;
}

static int show_range(ctx_t *ctx) {
    return ctx_textf(ctx, "%s..%s", ctx_param(ctx, "from"), ctx_param(ctx, "to"));
}

static void chain_of_three(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_get("/:name/(.*)", set_name));
    app_use(app, route_get("/other", yes));
    app_use(app, route_get("/tj/:from/:to", set_from));
    app_use(app, route_get("/:user/:from/:to", show_range));
    check(app, "GET", "/tj/1/2", 200, "1..2");
    check_header(app, "GET", "/tj/1/2", 200, "X-Name", "tj");
    check_header(app, "GET", "/tj/1/2", 200, "X-From", "1 to 2");
    check_header(app, "GET", "/tj/1/2", 200, "X-After", "2 /tj/:from/:to");
    app_free(app);
}

static void head_is_served_by_get(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_get("/tj", yes));
    check_header(app, "HEAD", "/tj", 200, "Content-Length", "3");
    check(app, "HEAD", "/tj", 200, "");
    app_free(app);
}

static int show_names(ctx_t *ctx) {
    const char *a = ctx_param_at(ctx, 0), *b = ctx_param_at(ctx, 1);
    return ctx_textf(ctx, "%s %s", a ? a : "~", b ? b : "~");
}

static void decoded_parameters(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_get("/package/:name", show_names));
    check(app, "GET",
          "/package/"
          "%E4%BD%A0%2F%20+",
          200, "\xE4\xBD\xA0/ + ~");
    check(app, "GET", "/package/%zz", 400, "malformed percent-encoding in the path");
    check(app, "GET", "/package/a%00b", 400, NULL);
    check(app, "GET", "/package/%ff", 400, NULL);
    app_free(app);
}

static void optional_parameters(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_get("/api/:resource/:id?", show_names));
    check(app, "GET", "/api/users", 200, "users ~");
    check(app, "GET", "/api/users/7", 200, "users 7");
    app_free(app);
}

static void end_false(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_with("GET", "/api", ok, &(route_options_t){.no_end = true}));
    check(app, "GET", "/api/users/7", 200, "ok GET");
    check(app, "GET", "/api", 200, "ok GET");
    check(app, "GET", "/apis", 404, NULL);
    app_free(app);
}

static int show_route_path(ctx_t *ctx) {
    return ctx_text(ctx, ctx->route_path);
}

static void route_path(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_get("/tj/:var", show_route_path));
    check(app, "GET", "/tj/val", 200, "/tj/:var");
    app_free(app);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void options(void **state) {
    app_t *app = quiet_app();
    char delimiter[] = "/-";
    app_use(app, route_with("GET", "/A", ok, &(route_options_t){.sensitive = true}));
    app_use(app, route_with("GET", "/b", middleware(ok), &(route_options_t){.strict = true}));
    app_use(app, route_with(NULL, "/z", tj, &(route_options_t){.no_start = true}));
    app_use(app,
            route_with("GET", "/c/:x", show_names, &(route_options_t){.delimiter = delimiter}));
    app_use(app, route_with("GET", "/d", ok, &(route_options_t){.ends_with = ";"}));
    app_use(app, route_with("GET", "/e/:x?", show_names, &(route_options_t){.prefixes = ""}));
    delimiter[1] = '/'; /* it has been copied */
    check(app, "GET", "/a", 404, NULL);
    check(app, "GET", "/A/", 200, NULL);
    check(app, "GET", "/B", 200, NULL);
    check(app, "GET", "/b/", 404, NULL);
    check(app, "PUT", "/x/y/z", 200, "tj");
    check(app, "GET", "/c/a-", 200, "a ~");
    check(app, "GET", "/c/a-b", 404, NULL);
    check(app, "GET", "/d;v=1", 200, NULL);
    check(app, "GET", "/e/", 200, "~ ~");
    check(app, "GET", "/e", 404, NULL);
    app_free(app);
}

/* Of several with one name the last that is there counts. */
static int show_twice(ctx_t *ctx) {
    const char *x = ctx_param(ctx, "x"), *at = ctx_param_at(ctx, 0);
    return ctx_textf(ctx, "%s %s", x ? x : "~", at ? at : "~");
}

static void one_name_twice(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_get("/a/:x/:x?", show_twice));
    check(app, "GET", "/a/1/2", 200, "2 1");
    check(app, "GET", "/a/1", 200, "1 1");
    app_free(app);
}

static void wrong_routes(void **state) {
    app_t *app = app_new();
    app_use(app, route_get("/a/(", ok));
    check_error(app, "route /a/(: Unbalanced pattern at 3");
    app = app_new();
    app_use(app, route_get("*", ok));
    check_error(app, "route *: Unexpected MODIFIER at 0, expected END");
    app = app_new();
    app_use(app, route("GET ", "/", ok));
    check_error(app, "a route's method must be a token");
    app = app_new();
    app_use(app, route_get("/", (middleware_t){.error = "it is broken"}));
    check_error(app, "it is broken");
    app = app_new();
    app_use(app, compose(middleware(ok), route_get("/:a:b", ok)));
    check_error(app, "Must have text between two parameters");
}

#ifdef ACACIA_PCRE2
static void too_hard(void **state) {
    char url[4000] = "/";
    memset(url + 1, 'a', sizeof url - 3);
    memcpy(url + sizeof url - 4, "bc!", 3);
    app_t *app = quiet_app();
    app_use(app, route_get("/((?:(?:a|aa)+)+c)", ok));
    app_use(app, yes);
    check(app, "GET", url, 414, NULL);
    check(app, "GET", "/aac", 200, "ok GET");
    check(app, "GET", "/aa", 200, "yes");
    app_free(app);
}
#endif

/* --- Many in a row ---------------------------------------------------------------------------- */

STEP(one)
STEP(two)
STEP(three)

/* Each of them would be a call of its own, and the stack of a coroutine is not that deep. */
static void ten_thousand(void **state) {
    app_t *app = quiet_app();
    char pattern[32];
    app_use(app, show_trail);
    app_use(app, route_all("/:x/:y", one));
    for (int i = 0; i < 10000; i++) {
        if (i == 5000)
            app_use(app, two);
        snprintf(pattern, sizeof pattern, "/r%d/:x", i);
        app_use(app, route_get(pattern, show_route_path));
    }
    app_use(app, route_get("/:x/:y", three));
    check(app, "GET", "/r0/a", 200, "/r0/:x");
    check(app, "GET", "/r9999/a", 200, "/r9999/:x");
    check(app, "GET", "/r10000/a", 404, "one;two;three;");
    check(app, "POST", "/r9999/a", 404, "one;two;");
    check(app, "GET", "/r9999", 404, "two;");
    app_free(app);
}

static int twice(ctx_t *ctx) {
    int err = next(ctx);
    return err ? err : next(ctx);
}

/* That routes have been skipped doesn't let anybody in again. */
static void next_twice(void **state) {
    app_t *app = quiet_app();
    app_use(app, twice);
    app_use(app, route_get("/a", ok));
    app_use(app, route_get("/b", ok));
    check(app, "GET", "/a", 500, NULL);
    check(app, "GET", "/c", 500, NULL);
    app_free(app);
}

/* What runs before may rewrite what is looked for. */
static int to_b(ctx_t *ctx) {
    ctx_set_method(ctx, "PUT");
    ctx_set_path(ctx, "/b");
    return next(ctx);
}

static void rewriting(void **state) {
    app_t *app = quiet_app();
    app_use(app, route_put("/b", tj));
    app_use(app, route_get("/a", to_b));
    app_use(app, route_get("/b", yes));
    app_use(app, route_put("/b", ok));
    check(app, "GET", "/a", 200, "ok PUT");
    app_free(app);
}

static void composed(void **state) {
    app_t *app = quiet_app();
    app_use(app, show_trail);
    app_use(app, compose(route_get("/a", one), route_get("/b", two), route_get("/:x", three)));
    app_use(app, route_get("/a", two));
    check(app, "GET", "/a", 404, "one;three;two;");
    check(app, "GET", "/b", 404, "two;three;");
    check(app, "GET", "/a/b", 404, "");
    app_free(app);
}

/* --- A differential test: skipping against calling ---------------------------------------------
 */

static uint64_t seed = 1;

static uint32_t below(uint32_t limit) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % limit;
}

static const char *const patterns[] = {"/a", "/b", "/:x", "/a/:x", "/:x/b", "/(.*)", "/a/:x?", ""};
static const char *const verbs[] = {"GET", "POST", NULL};

/* The same as a route, by a middleware that is none for the stack. */
static int call_route(ctx_t *ctx, void *state) {
    const middleware_t *route = state;
    return route->fn(ctx, route->state);
}

static void free_wrapped(void *state) {
    middleware_t *route = state;
    route->destroy(route->state);
    free(route);
}

static middleware_t wrapped(middleware_t route) {
    middleware_t *copy = malloc(sizeof *copy);
    assert_non_null(copy);
    *copy = route;
    return (middleware_t){.fn = call_route, .state = copy, .destroy = free_wrapped};
}

static void skipping_is_passing_on(void **state) {
    static middleware_fn *const steps[] = {one, two, three, show_route_path};
    static const char *const paths[] = {"/a", "/b", "/c", "/a/b", "/a/c", "/", "/A/B/"};
    for (int i = 0; i < 300; i++) {
        app_t *skips = quiet_app(), *calls = quiet_app();
        app_use(skips, show_trail);
        app_use(calls, show_trail);
        for (uint32_t n = 1 + below(8); n > 0; n--) {
            const char *verb = verbs[below(3)], *pattern = patterns[below(8)];
            middleware_fn *step = steps[below(4)];
            if (below(5) == 0) {
                step = steps[below(3)];
                app_use(skips, step);
                app_use(calls, step);
                continue;
            }
            app_use(skips, route(verb, pattern, step));
            app_use(calls, wrapped(route(verb, pattern, step)));
        }
        for (size_t j = 0; j < sizeof paths / sizeof *paths; j++) {
            app_response_t *response = ask(calls, "GET", paths[j]);
            check(skips, "GET", paths[j], response->status, response->body.data);
            app_response_free(response);
        }
        app_free(skips);
        app_free(calls);
    }
}

/* --- The other way round ---------------------------------------------------------------------- */

static int build(ctx_t *ctx) {
    assert_string_equal(route_path_to(ctx, "/users/:id", "id", "a b/c?"), "/users/a%20b%2Fc%3F");
    assert_string_equal(route_path_to(ctx, "/users", NULL), "/users");
    assert_string_equal(route_path_to(ctx, "/:a/:b?", "a", "1"), "/1");
    assert_string_equal(route_path_to(ctx, "/:a*", "a", "1", "a", "2"), "/1/2");
    return ctx_text(ctx, route_path_to(ctx, "/:id(\\d+)", "id", "7"));
}

static int build_wrong(ctx_t *ctx) {
    const char *path = strcmp(ctx->path, "/pattern") == 0
                           ? route_path_to(ctx, "/a:", "id", "7")
                           : route_path_to(ctx, "/:id(\\d+)", "id", ctx_query(ctx, "id"));
    return path ? ctx_text(ctx, path) : UV_EINVAL;
}

static const char *heard;

static void listen_to_errors(ctx_t *ctx, const ctx_error_t *error) {
    static char copy[256];
    snprintf(copy, sizeof copy, "%s", error->message);
    heard = copy;
}

static void paths_of_patterns(void **state) {
    app_t *app = quiet_app();
    app_use(app, build);
    check(app, "GET", "/", 200, "/7");
    app_free(app);
    app = quiet_app();
    app_on_error(app, listen_to_errors);
    app_use(app, build_wrong);
    check(app, "GET", "/?id=8", 200, "/8");
    check(app, "GET", "/?id=x", 500, "Internal Server Error");
    assert_string_equal(heard,
                        "no path for /:id(\\d+): Expected \"id\" to match \"\\d+\", but got \"x\"");
    check(app, "GET", "/", 500, NULL);
    assert_string_equal(heard, "no path for /:id(\\d+): Expected \"id\" to be a string");
    check(app, "GET", "/pattern", 500, NULL);
    assert_string_equal(heard, "no path for /a:: Missing parameter name at 2");
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(method_and_path),
        cmocka_unit_test(all_macros),
        cmocka_unit_test(any_method),
        cmocka_unit_test(chain_of_three),
        cmocka_unit_test(head_is_served_by_get),
        cmocka_unit_test(decoded_parameters),
        cmocka_unit_test(optional_parameters),
        cmocka_unit_test(end_false),
        cmocka_unit_test(route_path),
        cmocka_unit_test(options),
        cmocka_unit_test(one_name_twice),
        cmocka_unit_test(wrong_routes),
#ifdef ACACIA_PCRE2
        cmocka_unit_test(too_hard),
#endif
        cmocka_unit_test(ten_thousand),
        cmocka_unit_test(next_twice),
        cmocka_unit_test(rewriting),
        cmocka_unit_test(composed),
        cmocka_unit_test(skipping_is_passing_on),
        cmocka_unit_test(paths_of_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
