/* Routers. What @koa/router does was looked up there, by the same requests. */
#include "test_routing.h"

STEP(one)
STEP(two)
STEP(three)
STEP(four)

static int stop(ctx_t *ctx) {
    return leave_trail(ctx, "stop");
}

/* --- Routes ----------------------------------------------------------------------------------- */

static void all_that_match(void **state) {
    router_t *router = router_new(NULL);
    router_get(router, "/:a", sees("1"));
    router_post(router, "/x", sees("2"));
    router_get(router, "/x", sees("3"));
    router_all(router, "/:b", sees("4"));
    router_get(router, "/x/y", sees("5"));
    app_t *app = app_with_router(router);
    check(app, "GET", "/x", 404, "1{a=x}/:a;3{a=x}/x;4{a=x,b=x}/:b;after;");
    check(app, "POST", "/x", 404, "2{}/x;4{b=x}/:b;after;");
    check(app, "GET", "/X/Y/", 404, "5{}/x/y;after;");
    check(app, "GET", "/z/y", 404, "after;");
    check(app, "GET", "/%zz", 400, NULL);
    app_free(app);
}

static void several_handlers(void **state) {
    router_t *router = router_new(NULL);
    router_get(router, "/a", compose(middleware(one), middleware(two)));
    router_get(router, "/a", compose(middleware(three), middleware(stop), middleware(four)));
    router_get(router, "/a", four);
    app_t *app = app_with_router(router);
    check(app, "GET", "/a", 404, "one;two;three;stop;");
    app_free(app);
}

static void all_macros(void **state) {
    router_t *router = router_new(NULL);
    router_get(router, "/a", answer);
    router_post(router, "/a", answer);
    router_put(router, "/a", answer);
    router_patch(router, "/a", answer);
    router_delete(router, "/a", answer);
    router_options(router, "/a", answer);
    router_head(router, "/b", answer);
    router_del(router, "/b", answer);
    router_add(router, "purge", "/b", answer);
    app_t *app = app_with_router(router);
    check(app, "GET", "/a", 200, "GET /a");
    check(app, "HEAD", "/a", 200, "");
    check(app, "POST", "/a", 200, "POST /a");
    check(app, "PUT", "/a", 200, "PUT /a");
    check(app, "PATCH", "/a", 200, "PATCH /a");
    check(app, "DELETE", "/a", 200, "DELETE /a");
    check(app, "OPTIONS", "/a", 200, "OPTIONS /a");
    check(app, "HEAD", "/b", 200, "");
    check(app, "DELETE", "/b", 200, "DELETE /b");
    check(app, "PURGE", "/b", 200, "PURGE /b");
    check(app, "GET", "/b", 405, NULL);
    app_free(app);
}

static void options(void **state) {
    router_t *router = router_new(&(router_options_t){.sensitive = true, .strict = true});
    router_get(router, "/a", one);
    router_add_with(router, "GET", "/b", two, &(route_options_t){.no_end = true});
    app_t *app = app_with_router(router);
    check(app, "GET", "/a", 404, "one;after;");
    check(app, "GET", "/A", 404, "after;");
    check(app, "GET", "/a/", 404, "after;");
    check(app, "GET", "/b/c", 404, "two;after;");
    app_free(app);
}

/* What ctx_param finds: the layer's own, then those of the layers before. */
static int show_positions(ctx_t *ctx) {
    const char *id = ctx_param(ctx, "id");
    return leave_trail(ctx, ctx_printf(ctx, "%s %s %s", id ? id : "~", ctx_param_at(ctx, 0),
                                       ctx_param_at(ctx, 1)));
}

static int show_again(ctx_t *ctx) {
    int err = next(ctx);
    return err ? err : show_positions(ctx);
}

static void parameters_add_up(void **state) {
    router_t *router = router_new(NULL);
    router_use(router, "/users/:id", sees("1"));
    router_get(router, "/users/:a/:id", sees("2"));
    router_get(router, "/users/:b/:id?", sees("3"));
    app_t *app = app_with_router(router);
    check(app, "GET", "/users/1/2", 404,
          "1{id=1}/users/:b/:id?;2{a=1,id=2}/users/:a/:id;3{a=1,b=1,id=2}/users/:b/:id?;after;");
    check(app, "GET", "/users/1", 404, "1{id=1}/users/:b/:id?;3{b=1,id=1}/users/:b/:id?;after;");
    app_free(app);

    router = router_new(NULL);
    router_use(router, "/:id/:x", show_again);
    router_get(router, "/:x/:id", show_positions);
    app = app_with_router(router);
    check(app, "GET", "/1/2", 404, "2 1 2;1 1 2;");
    app_free(app);
}

/* --- Middleware ------------------------------------------------------------------------------- */

static void middleware_of_routers(void **state) {
    router_t *router = router_new(NULL);
    router_use(router, NULL, one);
    router_use(router, "/", two);
    router_use(router, "/a", three);
    router_get(router, "/", stop);
    router_get(router, "/a/b", after);
    router_use(router, NULL, four);
    app_t *app = app_with_router(router);
    check(app, "GET", "/", 404, "one;two;stop;");
    check(app, "GET", "/A/b", 404, "one;three;after;four;after;");
    check(app, "GET", "/ab", 404, "after;"); /* no route, so no middleware */
    check(app, "GET", "/a", 404, "after;");
    app_free(app);
}

static void prefixes(void **state) {
    router_t *router = router_new(&(router_options_t){.prefix = "/api/"});
    router_use(router, NULL, one);
    router_use(router, "/", two);
    router_use(router, "/x", three);
    router_get(router, "/x", sees("x"));
    router_get(router, "/", sees("/"));
    app_t *app = app_with_router(router);
    check(app, "GET", "/api/x", 404, "one;three;x{}/api/x;after;");
    check(app, "GET", "/API/X", 404, "one;three;x{}/api/x;after;");
    check(app, "GET", "/api", 404, "one;two;/{}/api;after;");
    check(app, "GET", "/api/", 404, "one;two;/{}/api;after;");
    check(app, "GET", "/apix", 404, "after;");
    app_free(app);

    router = router_new(&(router_options_t){.prefix = "/old", .strict = true});
    router_use(router, NULL, one);
    router_get(router, "/x", sees("x"));
    assert_ptr_equal(router_prefix(router, "/t/:a/"), router);
    router_get(router, "/", sees("/"));
    app = app_with_router(router);
    check(app, "GET", "/t/1/x", 404, "one;x{a=1}/t/:a/x;after;");
    check(app, "GET", "/t/1/", 404, "one;/{a=1}/t/:a/;after;");
    check(app, "GET", "/t/1", 404, "after;");
    check(app, "GET", "/old/x", 404, "after;");
    app_free(app);
}

/* --- Hooks ------------------------------------------------------------------------------------ */

static int hook_a(ctx_t *ctx, const char *value) {
    int err = leave_trail(ctx, ctx_printf(ctx, "a=%s", value));
    return err ? err : next(ctx);
}

static int hook_b(ctx_t *ctx, const char *value) {
    int err = leave_trail(ctx, ctx_printf(ctx, "b=%s", value));
    return err ? err : next(ctx);
}

static int hook_c(ctx_t *ctx, const char *value) {
    int err = leave_trail(ctx, ctx_printf(ctx, "b too=%s", value));
    err = err ? err : next(ctx);
    return err ? err : leave_trail(ctx, "way back");
}

static int refuse(ctx_t *ctx, const char *value) {
    return ctx_throw(ctx, 404, "no %s", value);
}

static void hooks(void **state) {
    router_t *router = router_new(NULL);
    router_param(router, "b", hook_b);
    router_param(router, "a", hook_a);
    router_get(router, "/:a/:b", one);
    router_get(router, "/:b/:a", two);
    router_get(router, "/:a/:b?", three);
    router_get(router, "/x/y/:no", four);
    router_param(router, "b", hook_c);
    router_param(router, "no", refuse);
    app_t *app = app_with_router(router);
    check(app, "GET", "/1/2", 404, "a=1;b=2;b too=2;one;two;three;after;way back;");
    check(app, "GET", "/1", 404, "a=1;three;after;"); /* not for what isn't there */
    check(app, "GET", "/x/y/%7a", 404, "no z");
    app_free(app);
}

/* --- Routers in routers ----------------------------------------------------------------------- */

static void nested(void **state) {
    router_t *posts = router_new(NULL);
    router_param(posts, "b", hook_b);
    router_use(posts, NULL, sees("posts"));
    router_get(posts, "/", sees("all"));
    router_get(posts, "/:b", sees("post"));
    router_t *users = router_new(&(router_options_t){.prefix = "/users"});
    router_param(users, "a", hook_a);
    router_get(users, "/:a", one);
    router_use(users, "/:a/posts/", router_routes(posts));
    router_use(users, NULL, router_routes(posts)); /* a second time */
    router_param(users, "b", hook_c);
    router_free(posts);
    app_t *app = app_with_router(users);
    check(app, "GET", "/users/1/posts/2", 404,
          "a=1;posts{a=1}/users/:a/posts/:b;b=2;b too=2;post{a=1,b=2}/users/:a/posts/:b;"
          "posts{a=1,b=2}/users/:a/posts/:b;after;way back;");
    check(app, "GET", "/users/1/posts", 404,
          "a=1;posts{a=1}/users/:a/posts;all{a=1}/users/:a/posts;posts{a=1}/users/:a/posts;after;");
    check(app, "GET", "/users/1", 404,
          "a=1;one;posts{a=1}/users/:b;b=1;b too=1;post{a=1,b=1}/users/:b;after;way back;");
    check(app, "GET", "/users", 404, "posts{}/users;all{}/users;after;");
    app_free(app);
}

/* The same one in several apps, and by itself. */
static void shared(void **state) {
    router_t *inner = router_new(&(router_options_t){.prefix = "/inner"});
    router_get(inner, "/x", sees("x"));
    router_t *outer = router_new(NULL);
    router_use(outer, "/outer", router_routes(inner));
    app_t *app = app_with_router(outer), *other = app_with_router(inner);
    check(app, "GET", "/outer/inner/x", 404, "x{}/outer/inner/x;after;");
    check(app, "GET", "/inner/x", 404, "after;");
    check(other, "GET", "/inner/x", 404, "x{}/inner/x;after;");
    app_free(other);
    check(app, "GET", "/outer/inner/x", 404, "x{}/outer/inner/x;after;");
    app_free(app);
}

/* --- Which of several ------------------------------------------------------------------------- */

static app_t *exclusive_app(router_exclusive_t exclusive) {
    router_t *router = router_new(&(router_options_t){.exclusive = exclusive});
    router_use(router, NULL, one);
    router_get(router, "/:a/:b", sees("1"));
    router_get(router, "/x/:b", sees("2"));
    router_get(router, "/:a/y", sees("3"));
    router_post(router, "/x/y", sees("4"));
    router_use(router, "/x", two);
    return app_with_router(router);
}

static void exclusive(void **state) {
    app_t *app = exclusive_app(ROUTER_LAST);
    check(app, "GET", "/x/y", 404, "one;3{a=x}/:a/y;two;after;");
    check(app, "GET", "/x/z", 404, "one;2{b=z}/x/:b;two;after;");
    check(app, "GET", "/z/z", 404, "one;1{a=z,b=z}/:a/:b;after;");
    app_free(app);
    app = exclusive_app(ROUTER_SPECIFICITY);
    check(app, "GET", "/x/y", 404, "one;2{b=y}/x/:b;two;after;");
    check(app, "GET", "/z/y", 404, "one;3{a=z}/:a/y;after;");
    app_free(app);
}

/* --- Hosts ------------------------------------------------------------------------------------ */

static void check_host(router_options_t options, const char *host, const char *body) {
    router_t *router = router_new(&options);
    router_get(router, "/", sees("1"));
    app_t *app = app_with_router(router);
    app_response_t *response =
        app_inject(app, &(app_request_t){.headers = (const char *const[]){"Host", host, NULL}});
    assert_string_equal(response->body.data, body);
    app_response_free(response);
    check(app, "PUT", "/", 404, "after;"); /* it was not even asked, which 405 would tell */
    app_free(app);
}

static void hosts(void **state) {
    const char *const list[] = {"a.example", "b.example:8080", NULL};
    const router_options_t pattern = {.host_pattern = ":a.example.org"};
    check_host((router_options_t){.host = "a.example"}, "A.example", "1{}/;after;");
    check_host((router_options_t){.host = "a.example"}, "a.example:80", "after;");
    check_host((router_options_t){.host = "a.example"}, "a.example.org", "after;");
    check_host((router_options_t){.hosts = list}, "a.example", "1{}/;after;");
    check_host((router_options_t){.hosts = list}, "b.example:8080", "1{}/;after;");
    check_host((router_options_t){.hosts = list}, "b.example", "after;");
    check_host(pattern, "x.example.org:3000", "1{a=x}/;after;");
    check_host(pattern, "x.y.example.org", "after;");
    check_host(pattern, "example.org", "after;");
}

/* --- What is wrong ---------------------------------------------------------------------------- */

static app_t *starting(router_t *router) {
    app_t *app = app_new();
    app_use(app, router_routes(router));
    app_use(app, router_allowed_methods(router, NULL));
    router_free(router);
    return app;
}

static int destroyed;

static void count_destroyed(void *state) {
    destroyed++;
}

static middleware_t counted(const char *error) {
    return (middleware_t){
        .fn = leave_sight, .state = "", .destroy = count_destroyed, .error = error};
}

static void wrong_routers(void **state) {
    router_t *router = router_new(NULL), *outer = router_new(NULL);
    router_get(router, "/a/(", one);
    router_get(router, "/b/(", one); /* the first one is told */
    check_error(starting(router), "router_routes(router): GET /a/(: Unbalanced pattern at 3");
    router = router_new(&(router_options_t){.prefix = "/*"});
    router_use(router, NULL, one);
    check_error(starting(router), "use : Unexpected MODIFIER at 1, expected END");
    router = router_new(&(router_options_t){.host_pattern = ":a:b"});
    check_error(starting(router), "host :a:b: Must have text between two parameters");
    router = router_new(NULL);
    router_redirect(router, "/a", "nobody", 0);
    check_error(starting(router), "redirect: no route has the name nobody");
    router = router_new(NULL);
    router_add_with(router, "GET", "/a/:id", one, NAMED("a"));
    router_redirect(router, "/b", "a", 0);
    check_error(starting(router), "redirect to a: Expected \"id\" to be a string");
    router = router_new(NULL);
    router_get(router, "/a", route_get("/(", one));
    check_error(starting(router), "GET /a: route /(: Unbalanced pattern at 1");
    router = router_new(NULL);
    router_param(router, "a", NULL);
    check_error(starting(router), "param a: it needs a function");
    router = router_new(&(router_options_t){.host = "a"});
    router_use(outer, "/a", router_routes(router));
    router_free(router);
    check_error(starting(outer), "one that is for certain hosts can't be part of another");
    router = router_new(NULL);
    outer = router_new(NULL);
    router_get(router, "/a(", one);
    router_use(outer, NULL, router_routes(router));
    router_free(router);
    check_error(starting(outer), "GET /a(: Unbalanced pattern at 2");
}

/* Handlers are destroyed once, whatever became of them. */
static void owning(void **state) {
    router_t *router = router_new(NULL), *outer = router_new(NULL);
    destroyed = 0;
    router_get(router, "/a", counted(NULL));
    router_use(router, NULL, counted(NULL));
    router_not_found(router, counted(NULL));
    router_use(outer, "/x", router_routes(router));
    router_use(outer, "/y", router_routes(router));
    router_free(router);
    assert_int_equal(destroyed, 0);
    app_t *app = app_with_router(outer);
    assert_int_equal(destroyed, 0);
    app_free(app);
    assert_int_equal(destroyed, 3);
    router = router_new(NULL);
    router_get(router, "/a", counted("broken"));
    router_use(router, NULL, counted("broken"));
    router_not_found(router, counted("broken"));
    router_get(NULL, "/a", counted(NULL));
    router_use(NULL, NULL, counted(NULL));
    router_not_found(NULL, counted(NULL));
    assert_int_equal(destroyed, 9);
    assert_null(app_use(NULL, router_routes(router)));
    router_get(router, "/b", counted(NULL)); /* it is still ours */
    router_free(router);
    assert_int_equal(destroyed, 10);
}

/* It may run already, and can't be kept from starting. */
static void too_late(void **state) {
    router_t *router = router_new(NULL);
    router_get(router, "/a", one);
    app_t *app = quiet_app();
    app_use(app, router_routes(router));
    check(app, "GET", "/a", 404, NULL);
    destroyed = 0;
    int saved = dup(2);
    assert_non_null(freopen("/dev/null", "w", stderr));
    router_get(router, "/b", counted(NULL));
    router_param(router, "a", hook_a);
    router_prefix(router, "/x");
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    assert_int_equal(destroyed, 1);
    check(app, "GET", "/a", 500, NULL);
    router_free(router);
    app_free(app);
}

static void null_router(void **state) {
    router_prefix(NULL, "/");
    router_param(NULL, "a", hook_a);
    router_redirect(NULL, "/a", "/b", 0);
    router_free(NULL);
    app_t *app = app_new();
    app_use(app, router_routes(NULL));
    check_error(app, "out of memory");
    app = app_new();
    app_use(app, router_allowed_methods(NULL, NULL));
    check_error(app, "out of memory");
}

/* --- Many ------------------------------------------------------------------------------------- */

static void many(void **state) {
    router_t *router = router_new(NULL);
    char pattern[32];
    router_all(router, "/:a/(.*)", sees("first"));
    for (int i = 0; i < 10000; i++) {
        snprintf(pattern, sizeof pattern, "/r%d/:id", i);
        router_get(router, pattern, sees("r"));
    }
    router_get(router, "/:a/:b", sees("last"));
    app_t *app = app_with_router(router);
    check(app, "GET", "/r9999/7", 404,
          "first{a=r9999}/:a/(.*);r{a=r9999,id=7}/r9999/:id;last{a=r9999,b=7,id=7}/:a/:b;after;");
    check(app, "GET", "/r9999", 404, "after;");
    app_free(app);
}

#ifdef ACACIA_PCRE2
static void too_hard(void **state) {
    char url[4000] = "/";
    memset(url + 1, 'a', sizeof url - 3);
    memcpy(url + sizeof url - 4, "bc!", 3);
    router_t *router = router_new(NULL);
    router_get(router, "/((?:(?:a|aa)+)+c)", one);
    app_t *app = app_with_router(router);
    check(app, "GET", url, 414, NULL);
    app_free(app);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_match),
        cmocka_unit_test(several_handlers),
        cmocka_unit_test(all_macros),
        cmocka_unit_test(options),
        cmocka_unit_test(parameters_add_up),
        cmocka_unit_test(middleware_of_routers),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(hooks),
        cmocka_unit_test(nested),
        cmocka_unit_test(shared),
        cmocka_unit_test(exclusive),
        cmocka_unit_test(hosts),
        cmocka_unit_test(wrong_routers),
        cmocka_unit_test(owning),
        cmocka_unit_test(too_late),
        cmocka_unit_test(null_router),
        cmocka_unit_test(many),
#ifdef ACACIA_PCRE2
        cmocka_unit_test(too_hard),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
