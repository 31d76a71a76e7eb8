/* Routers: what nobody has answered, names, and redirects. */
#include "test_routing.h"

STEP(one)
STEP(two)
STEP(three)

/* --- What nobody has answered ----------------------------------------------------------------- */

static int empty(ctx_t *ctx) {
    return 0;
}

static int thrown(ctx_t *ctx) {
    return ctx_throw(ctx, 418, "%s", ctx->method);
}

static router_t *some_routes(void) {
    router_t *router = router_new(NULL);
    router_get(router, "/a", answer);
    router_get(router, "/empty", empty);
    router_post(router, "/a", answer);
    router_add(router, "FOO", "/foo", answer);
    router_all(router, "/all", empty);
    router_put(router, "/:x", empty);
    return router;
}

static app_t *allowing(const allowed_methods_options_t *options) {
    router_t *router = some_routes();
    app_t *app = quiet_app();
    app_use(app, router_routes(router));
    app_use(app, router_allowed_methods(router, options));
    router_free(router);
    return app;
}

#define ALL_METHODS                                                                                \
    "HEAD, ACL, BIND, CHECKOUT, CONNECT, COPY, DELETE, GET, LINK, LOCK, M-SEARCH, MERGE, "         \
    "MKACTIVITY, MKCALENDAR, MKCOL, MOVE, NOTIFY, OPTIONS, PATCH, POST, PROPFIND, PROPPATCH, "     \
    "PURGE, PUT, QUERY, REBIND, REPORT, SEARCH, SOURCE, SUBSCRIBE, TRACE, UNBIND, UNLINK, "        \
    "UNLOCK, UNSUBSCRIBE"

static void allowed(void **state) {
    app_t *app = allowing(NULL);
    check_header(app, "OPTIONS", "/a", 200, "Allow", "HEAD, GET, POST, PUT");
    check_header(app, "OPTIONS", "/a", 200, "Content-Length", "0");
    check_header(app, "DELETE", "/a", 405, "Allow", "HEAD, GET, POST, PUT");
    check(app, "DELETE", "/a", 405, "Method Not Allowed");
    check_header(app, "PURGE", "/a", 501, "Allow", "HEAD, GET, POST, PUT");
    check(app, "PURGE", "/a", 501, "Not Implemented");
    check_header(app, "PURGE", "/no/such", 501, "Allow", "");
    check_header(app, "GET", "/no/such", 404, "Allow", NULL);
    check_header(app, "OPTIONS", "/no/such", 404, "Allow", NULL);
    check_header(app, "GET", "/empty", 404, "Allow", NULL);
    check(app, "GET", "/a", 200, "GET /a");
    check_header(app, "DELETE", "/foo", 405, "Allow", "FOO, PUT");
    app_free(app);

    router_t *router = some_routes();
    app = quiet_app(); /* in front, where it sees what a handler has left open */
    app_use(app, router_allowed_methods(router, NULL));
    app_use(app, router_routes(router));
    router_free(router);
    check_header(app, "OPTIONS", "/all", 200, "Allow", ALL_METHODS);
    check_header(app, "GET", "/all", 404, "Allow", NULL);
    app_free(app);
}

static void allowed_by_errors(void **state) {
    app_t *app = allowing(&(allowed_methods_options_t){.throws = true});
    check_header(app, "DELETE", "/a", 405, "Allow", "HEAD, GET, POST, PUT");
    check(app, "PURGE", "/a", 501, "Not Implemented");
    app_free(app);
    app = allowing(
        &(allowed_methods_options_t){.not_implemented = thrown, .method_not_allowed = thrown});
    check_header(app, "DELETE", "/a", 418, "Allow", "HEAD, GET, POST, PUT");
    check(app, "DELETE", "/a", 418, "DELETE");
    check(app, "PURGE", "/a", 418, "PURGE");
    app_free(app);
}

/* Of all routers that were asked. */
static void allowed_by_several(void **state) {
    router_t *first = router_new(NULL), *second = router_new(NULL);
    router_get(first, "/:x", after);
    router_put(second, "/a", after);
    app_t *app = quiet_app();
    app_use(app, router_routes(first));
    app_use(app, router_routes(second));
    app_use(app, router_allowed_methods(first, NULL));
    router_free(first);
    router_free(second);
    check_header(app, "DELETE", "/a", 405, "Allow", "HEAD, GET, PUT");
    app_free(app);
    app = quiet_app(); /* without any router it has nothing to say */
    first = router_new(&(router_options_t){.methods = (const char *const[]){"get", NULL}});
    app_use(app, mount_at("/r", router_routes(first)));
    app_use(app, router_allowed_methods(first, NULL));
    router_free(first);
    check(app, "PURGE", "/", 404, NULL);
    check(app, "PUT", "/r", 501, NULL);
    check(app, "GET", "/r", 404, NULL);
    app_free(app);
}

static void not_found(void **state) {
    router_t *router = router_new(NULL);
    router_get(router, "/a", one);
    router_not_found(router, two);
    router_not_found(router, middleware(three));
    app_t *app = app_with_router(router);
    check(app, "GET", "/a", 404, "one;after;");
    check(app, "GET", "/b", 404, "two;three;after;");
    app_free(app);
}

/* --- Names ------------------------------------------------------------------------------------ */

static const router_t *the_router;

static int show_urls(ctx_t *ctx) {
    const char *page[] = {"page", "2", "q", "a b", NULL}, *id[] = {"id", "7", NULL};
    assert_ptr_equal(ctx_router(ctx), the_router);
    assert_string_equal(ctx_route_name(ctx), "urls");
    assert_string_equal(router_url(ctx, the_router, "user", "id", "a/b"), "/p/users/a%2Fb");
    assert_string_equal(router_url(ctx, the_router, "urls", NULL), "/p");
    assert_string_equal(router_url_of(ctx, the_router, "user", id, page),
                        "/p/users/7?page=2&q=a+b");
    assert_string_equal(router_url(ctx, the_router, "inner", NULL), "/p/in/x");
    assert_null(router_url(ctx, the_router, "nobody", NULL));
    assert_null(router_url(ctx, the_router, "user", NULL));
    return UV_EINVAL;
}

static int show_name(ctx_t *ctx) {
    return ctx_textf(ctx, "%s", ctx_route_name(ctx) ? ctx_route_name(ctx) : "no name");
}

static void check_message(ctx_t *ctx, const ctx_error_t *error) {
    assert_string_equal(error->message, "no path for /p/users/:id: Expected \"id\" to be a string");
}

static void names(void **state) {
    router_t *router = router_new(&(router_options_t){.prefix = "/p"}), *inner = router_new(NULL);
    router_add_with(inner, "GET", "/x", show_name, NAMED("inner"));
    router_add_with(router, "GET", "/users/:id", show_name, NAMED("user"));
    router_get(router, "/unnamed", show_name);
    router_use(router, "/in", router_routes(inner));
    router_add_with(router, "GET", "/", show_urls, NAMED("urls"));
    router_add_with(router, "GET", "/second", show_name, NAMED("user"));
    router_free(inner);
    the_router = router;
    app_t *app = app_with_router(router);
    app_on_error(app, check_message);
    check(app, "GET", "/p", 500, NULL);
    check(app, "GET", "/p/users/7", 200, "user");
    check(app, "GET", "/p/in/x", 200, "inner");
    check(app, "GET", "/p/unnamed", 200, "no name");
    app_free(app);
}

static int show_outside(ctx_t *ctx) {
    return ctx_textf(ctx, "%s %s", ctx_router(ctx) ? "router" : "none",
                     ctx_route_name(ctx) ? "name" : "none");
}

static void outside_of_routers(void **state) {
    app_t *app = quiet_app();
    app_use(app, show_outside);
    check(app, "GET", "/", 200, "none none");
    app_free(app);
}

static void redirects(void **state) {
    router_t *router = router_new(&(router_options_t){.prefix = "/p"});
    router_add_with(router, "GET", "/home", answer, NAMED("home"));
    router_add_with(router, "PUT", "/only/put/:id", answer, NAMED("put"));
    router_redirect(router, "/old/:id", "home", 0);
    router_redirect(router, "/other", "/x y", 302);
    router_redirect(router, "/away", "https://example.org", 308);
    router_redirect(router, "put", "/elsewhere", 307);
    app_t *app = app_with_router(router);
    check_header(app, "POST", "/p/old/7", 301, "Location", "/p/home");
    check_header(app, "GET", "/p/other", 302, "Location", "/x%20y");
    check_header(app, "GET", "/p/away", 308, "Location", "https://example.org/");
    check_header(app, "GET", "/p/only/put/7", 307, "Location", "/elsewhere");
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed),
        cmocka_unit_test(allowed_by_errors),
        cmocka_unit_test(allowed_by_several),
        cmocka_unit_test(not_found),
        cmocka_unit_test(names),
        cmocka_unit_test(outside_of_routers),
        cmocka_unit_test(redirects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
