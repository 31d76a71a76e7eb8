/* Mounts, of middleware and of apps. */
#include "test_routing.h"

/* "name mount_path path url;" */
static int leave_place(ctx_t *ctx, const char *name) {
    return leave_trail(
        ctx, ctx_printf(ctx, "%s [%s] %s %s", name, ctx_mount_path(ctx), ctx->path, ctx->url));
}

static int mounted(ctx_t *ctx) {
    int err = leave_place(ctx, "in");
    err = err ? err : next(ctx);
    return err ? err : leave_place(ctx, "back in");
}

static int upstream(ctx_t *ctx) {
    return leave_place(ctx, "up");
}

static int outermost(ctx_t *ctx) {
    int err = next(ctx);
    return err ? err : leave_place(ctx, "out");
}

static app_t *app_with(middleware_t mount) {
    app_t *app = quiet_app();
    app_use(app, show_trail);
    app_use(app, outermost);
    app_use(app, mount);
    app_use(app, upstream);
    return app;
}

static void strips_and_restores(void **state) {
    app_t *app = app_with(mount_at("/m", mounted));
    check(app, "GET", "/m/a?b=/m", 404,
          "in [/m] /a /a?b=/m;up [] /m/a /m/a?b=/m;back in [/m] /a /a?b=/m;"
          "out [] /m/a /m/a?b=/m;");
    check(app, "GET", "/m", 404, "in [/m] / /;up [] /m /m;back in [/m] / /;out [] /m /m;");
    check(app, "GET", "/m/", 404, "in [/m] / /;up [] /m/ /m/;back in [/m] / /;out [] /m/ /m/;");
    check(app, "GET", "/m?x", 404,
          "in [/m] / /?x;up [] /m /m?x;back in [/m] / /?x;out [] /m /m?x;");
    check(app, "GET", "/mx", 404, "up [] /mx /mx;out [] /mx /mx;");
    check(app, "GET", "/M/a", 404, "up [] /M/a /M/a;out [] /M/a /M/a;");
    check(app, "GET", "/a/m/", 404, "up [] /a/m/ /a/m/;out [] /a/m/ /a/m/;");
    app_free(app);
}

static void trailing_slash(void **state) {
    app_t *app = app_with(mount_at("/images/", middleware(mounted)));
    check(app, "GET", "/images/x", 404,
          "in [/images] /x /x;up [] /images/x /images/x;back in [/images] /x /x;"
          "out [] /images/x /images/x;");
    check(app, "GET", "/images", 404, "up [] /images /images;out [] /images /images;");
    app_free(app);
}

static void at_the_root(void **state) {
    app_t *app = app_with(mount_at("/", mounted));
    check(app, "GET", "/x", 404, "in [] /x /x;up [] /x /x;back in [] /x /x;out [] /x /x;");
    app_free(app);
}

static void within_another(void **state) {
    middleware_t inner = mount_at("/b", mounted);
    app_t *app = app_with(mount_at("/a", compose(inner, middleware(mounted))));
    check(app, "GET", "/a/b/c", 404,
          "in [/a/b] /c /c;in [/a] /b/c /b/c;up [] /a/b/c /a/b/c;"
          "back in [/a] /b/c /b/c;back in [/a/b] /c /c;out [] /a/b/c /a/b/c;");
    app_free(app);
}

static int rewrite(ctx_t *ctx) {
    ctx_set_path(ctx, "/else");
    ctx_set_querystring(ctx, "q");
    int err = next(ctx);
    return err ? err : leave_place(ctx, "in");
}

/* The query is the handler's to change; the path comes back. */
static void rewriting(void **state) {
    app_t *app = app_with(mount_at("/m", rewrite));
    check(app, "GET", "/m/a?b", 404, "up [] /m/a /m/a?q;in [/m] /a /a?q;out [] /m/a /m/a?q;");
    app_free(app);
}

static int throws(ctx_t *ctx) {
    return ctx_throw(ctx, 418, NULL);
}

static int catch_it(ctx_t *ctx) {
    int err = next(ctx);
    return ctx_catch(ctx) ? ctx_textf(ctx, "%s %s", ctx->path, ctx_mount_path(ctx)) : err;
}

static void errors(void **state) {
    app_t *app = quiet_app();
    app_use(app, catch_it);
    app_use(app, mount_at("/m", throws));
    app_use(app, throws);
    check(app, "GET", "/m/a", 200, "/m/a ");
    app_free(app);
    app = quiet_app();
    app_use(app, catch_it);
    app_use(app, mount_at("/m", mounted));
    app_use(app, throws);
    check(app, "GET", "/m/a", 200, "/m/a ");
    app_free(app);
}

static int twice(ctx_t *ctx) {
    int err = next(ctx);
    return err ? err : next(ctx);
}

static void next_twice(void **state) {
    app_t *app = app_with(mount_at("/m", twice));
    check(app, "GET", "/m", 500, NULL);
    app_free(app);
}

static int show_id(ctx_t *ctx) {
    return ctx_textf(ctx, "%s %s", ctx->route_path, ctx_param(ctx, "id"));
}

static void routes_and_routers(void **state) {
    router_t *router = router_new(NULL);
    router_get(router, "/users/:id", show_id);
    app_t *app = quiet_app();
    app_use(app, mount_at("/v1", route_get("/:id", show_id)));
    app_use(app, mount_at("/v1", router_routes(router)));
    router_free(router);
    check(app, "GET", "/v1/users/7", 200, "/users/:id 7");
    check(app, "GET", "/v1/7", 200, "/:id 7");
    check(app, "GET", "/users/7", 404, NULL);
    app_free(app);
}

/* --- Apps ------------------------------------------------------------------------------------- */

static int destroyed;

static void count_destroyed(void *state) {
    destroyed++;
}

static app_t *inner_app;

static int see_app(ctx_t *ctx) {
    assert_ptr_not_equal(ctx->app, inner_app);
    return leave_trail(ctx, ctx_value(ctx, "name") ? ctx_value(ctx, "name") : "no name");
}

static void apps(void **state) {
    app_t *app = quiet_app();
    inner_app = app_new();
    destroyed = 0;
    app_set_value(inner_app, "name", "inner", count_destroyed);
    app_use(inner_app, mounted);
    app_use(inner_app, route_get("/value", see_app));
    app_use(app, show_trail);
    assert_ptr_equal(app_mount(app, "/m", inner_app), app);
    app_use(app, upstream);
    check(app, "GET", "/m/value", 404, "in [/m] /value /value;no name;back in [/m] /value /value;");
    check(app, "GET", "/m/x", 404, "in [/m] /x /x;up [] /m/x /m/x;back in [/m] /x /x;");
    check(app, "GET", "/x", 404, "up [] /x /x;");
    assert_int_equal(destroyed, 0);
    app_free(app);
    assert_int_equal(destroyed, 1);
}

/* Only what the mounted app has comes into the stacks: a page that asks for an upgrade stays one.
 */
static void both_stacks(void **state) {
    app_t *app = quiet_app(), *inner = app_new(), *sockets = app_new();
    app_use(inner, upstream);
    app_ws_use(sockets, upstream);
    app_use(app, show_trail);
    app_mount(app, "/pages", inner);
    app_mount(app, "/sockets", sockets);
    app_mount(app, "/", app_use(app_new(), outermost));
    check(app, "GET", "/pages/a", 404, "up [/pages] /a /a;");
    check(app, "GET", "/sockets/a", 404, "out [] /sockets/a /sockets/a;");
    app_free(app);
}

/* --- What is wrong ---------------------------------------------------------------------------- */

static void wrong_mounts(void **state) {
    app_t *app = app_new();
    app_use(app, mount_at("m", mounted));
    check_error(app, "mount path must begin with \"/\"");
    app = app_new();
    app_use(app, mount_at("", mounted));
    check_error(app, "mount path must begin with \"/\"");
    app = app_new();
    app_use(app, mount_at("/m", route_get("/(", mounted)));
    check_error(app, "route /(: Unbalanced pattern at 1");
    app = app_new();
    app_use(app, mount_at("/m", (middleware_t){0}));
    check_error(app, "a mount needs a middleware");
    app = app_new();
    app_mount(app, "/m", app_use(quiet_app(), route_get("/(", mounted)));
    check_error(app, "route /(: Unbalanced pattern at 1");
    app = app_new();
    app_t *inner = quiet_app();
    app_ws_use(inner, mounted);
    app_mount(app, "m", inner);
    check_error(app, "m: mount path must begin with \"/\"");
    app = app_new();
    app_mount(app, "/m", NULL);
    check_error(app, "out of memory");
    assert_null(app_mount(NULL, "/m", app_use(app_new(), mounted)));
    assert_null(app_mount(NULL, "/m", NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strips_and_restores),
        cmocka_unit_test(trailing_slash),
        cmocka_unit_test(at_the_root),
        cmocka_unit_test(within_another),
        cmocka_unit_test(rewriting),
        cmocka_unit_test(errors),
        cmocka_unit_test(next_twice),
        cmocka_unit_test(routes_and_routers),
        cmocka_unit_test(apps),
        cmocka_unit_test(both_stacks),
        cmocka_unit_test(wrong_mounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
