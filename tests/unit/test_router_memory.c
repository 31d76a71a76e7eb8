/*
 * Allocations fail, each in turn, while an app with routers, mounts and routes is made and asked.
 * Either it can't start, or its answer is a 500, or it is the right one.
 */
#include "test_routing.h"

#include "../support/countdown.h"

/* --- An app with everything ------------------------------------------------------------------- */

STEP(one)
STEP(two)
STEP(inner)

static int hook(ctx_t *ctx, const char *value) {
    int err = leave_trail(ctx, value);
    return err ? err : next(ctx);
}

static int show_url(ctx_t *ctx) {
    const char *query[] = {"q", "a b", NULL}, *params[] = {"id", "7", NULL};
    const char *url = router_url_of(ctx, ctx_router(ctx), "item", params, query);
    const char *path = url ? route_path_to(ctx, "/:a/:b(\\d+)?", "a", url) : NULL;
    return path ? leave_trail(ctx, path) : UV_EINVAL;
}

static router_t *new_router(void) {
    router_t *posts = router_new(&(router_options_t){.prefix = "/posts"});
    router_param(posts, "post", hook);
    router_use(posts, NULL, inner);
    router_get(posts, "/:post", show_url);
    router_t *router = router_new(&(router_options_t){
        .prefix = "/items",
        .hosts = (const char *const[]){"elsewhere", "localhost", NULL},
        .host_pattern = ":host",
        .methods = (const char *const[]){"GET", "put", NULL},
    });
    router_use(router, "/:id", compose(middleware(one), middleware(two)));
    router_param(router, "id", hook);
    router_add_with(router, "GET", "/:id", two, &(route_options_t){.name = "item"});
    for (int i = 0; i < 10; i++)
        router_get(router, "/:id/more", one);
    router_use(router, "/:id", router_routes(posts));
    router_redirect(router, "/old", "/new", 0);
    router_not_found(router, two);
    router_prefix(router, "/shop");
    router_free(posts);
    return router;
}

static app_t *new_app(void) {
    app_t *app = quiet_app(), *mounted = quiet_app();
    router_t *router = new_router();
    app_use(mounted, route_get("/a", one));
    app_use(mounted, route_get("/b", two));
    app_use(mounted, router_routes(router));
    app_ws_use(mounted, router_routes(router));
    app_use(app, show_trail);
    app_use(app, router_allowed_methods(router, NULL));
    app_mount(app, "/v1", mounted);
    app_use(app, mount_at("/v2", router_routes(router)));
    router_free(router);
    return app;
}

static void ask_without_memory(const char *method, const char *url, const char *expected) {
    bool failed = true, answered = false;
    for (long n = 0; failed; n++) {
        countdown = n;
        app_t *app = new_app();
        app_response_t *response = app_inject(app, &(app_request_t){.method = method, .url = url});
        failed = countdown < 0;
        countdown = -1;
        if (response && response->status != 500 && !response->failed) {
            assert_string_equal(response->body.data, expected);
            answered = true;
        }
        assert_true(failed || (response && response->status != 500));
        app_response_free(response);
        app_free(app);
        assert_true(n < 5000);
    }
    assert_true(answered);
}

static void without_memory(void **state) {
    ask_without_memory("GET", "/v1/a", "one;two;");
    ask_without_memory("GET", "/v1/shop/1", "1;one;two;two;");
    ask_without_memory("GET", "/v2/shop/1/posts/2", "1;one;two;inner;2;/%2Fshop%2F7%3Fq%3Da%2Bb;");
    ask_without_memory("PUT", "/v2/shop/1", "two;");
    ask_without_memory("PURGE", "/v1/shop/1", "two;");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
