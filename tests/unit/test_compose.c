/* The onion: next, errors, composition, state; on a loopback. */
#include <acacia.h>

#include "../support/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char trail[256];

static void mark(const char *text) {
    strncat(trail, text, sizeof trail - strlen(trail) - 1);
}

static struct loopback request(app_t *app, const char *url) {
    struct loopback loopback = {0};
    trail[0] = '\0';
    loopback_request(app, &loopback, "GET", url);
    assert_true(loopback.ended);
    return loopback;
}

static int outer(ctx_t *ctx) {
    mark("1");
    int err = next(ctx);
    mark("6");
    return err;
}

static int middle(ctx_t *ctx) {
    mark("2");
    int err = next(ctx);
    mark("5");
    return err;
}

static int inner(ctx_t *ctx) {
    mark("3");
    int err = await_sleep(1);
    mark("4");
    return err ? err : ctx_text(ctx, "done");
}

static void test_order_with_await(void **state) {
    app_t *app = app_new();
    app_use(app, outer);
    app_use(app, middle);
    app_use(app, inner);
    struct loopback l = request(app, "/");
    assert_string_equal(trail, "123456");
    assert_int_equal(l.status, 200);
    assert_string_equal(l.body, "done");
    assert_string_equal(l.headers, "Content-Type: text/plain; charset=utf-8\nContent-Length: 4\n");
    app_free(app);
}

static void test_no_middleware_is_404(void **state) {
    app_t *app = app_new();
    struct loopback l = request(app, "/");
    assert_int_equal(l.status, 404);
    assert_string_equal(l.body, "Not Found");
    app_free(app);
}

static int twice(ctx_t *ctx) {
    int err = next(ctx);
    assert_int_equal(err, 0);
    err = next(ctx);
    assert_int_equal(err, UV_EALREADY);
    assert_string_equal(ctx_catch(ctx)->message, "next() called multiple times");
    return 0;
}

static void test_next_twice(void **state) {
    app_t *app = app_new();
    app_use(app, twice);
    app_use(app, inner);
    struct loopback l = request(app, "/");
    assert_string_equal(trail, "34"); /* the inner one has run once */
    assert_int_equal(l.status, 200);
    app_free(app);
}

static void test_nested_compose(void **state) {
    app_t *app = app_new();
    app_use(app, outer);
    app_use(app, compose(middleware(middle), compose(middleware(inner))));
    assert_string_equal(request(app, "/").body, "done");
    assert_string_equal(trail, "123456");
    app_free(app);
}

static int pass(ctx_t *ctx) {
    mark("p");
    int err = next(ctx);
    mark("P");
    return err;
}

/* The last next() of a composition goes on behind it. */
static void test_compose_continues(void **state) {
    app_t *app = app_new();
    app_use(app, compose(middleware(pass), middleware(pass)));
    app_use(app, compose(middleware(pass)));
    app_use(app, inner);
    assert_string_equal(request(app, "/").body, "done");
    assert_string_equal(trail, "ppp34PPP");
    app_free(app);
}

static int throw_404(ctx_t *ctx) {
    ctx_set(ctx, "X-Lost", "1");
    ctx_throw_header(ctx, "X-Kept", "1");
    return ctx_throw(ctx, 404, "no user %d", 7);
}

static int throw_secret(ctx_t *ctx) {
    return UV_ENOENT;
}

static const ctx_error_t *heard;
static ctx_error_t heard_copy;

static void listen_to_errors(ctx_t *ctx, const ctx_error_t *error) {
    heard_copy = *error;
    heard = &heard_copy;
}

static void test_thrown_error(void **state) {
    app_t *app = app_new();
    heard = NULL;
    app_on_error(app, listen_to_errors);
    app_use(app, pass);
    app_use(app, throw_404);
    struct loopback l = request(app, "/");
    assert_string_equal(trail, "pP"); /* what stands behind next() has run */
    assert_int_equal(l.status, 404);
    assert_string_equal(l.body, "no user 7");
    assert_string_equal(l.headers, "X-Kept: 1\nContent-Type: text/plain; charset=utf-8\n"
                                   "Content-Length: 9\n");
    assert_non_null(heard);
    assert_true(heard->expose);
    app_free(app);
}

static void test_hidden_error(void **state) {
    app_t *app = app_new();
    app_on_error(app, listen_to_errors);
    app_use(app, throw_secret);
    struct loopback l = request(app, "/");
    assert_int_equal(l.status, 500);
    assert_string_equal(l.body, "Internal Server Error");
    assert_int_equal(heard->code, UV_ENOENT);
    assert_false(heard->expose);
    app_free(app);
}

static int catcher(ctx_t *ctx) {
    int err = next(ctx);
    const ctx_error_t *error = err ? ctx_catch(ctx) : NULL;
    if (!error)
        return err;
    ctx->status = error->status;
    return ctx_textf(ctx, "caught: %s", error->message);
}

static void test_caught_error(void **state) {
    app_t *app = app_new();
    heard = NULL;
    app_on_error(app, listen_to_errors);
    app_use(app, catcher);
    app_use(app, throw_404);
    struct loopback l = request(app, "/");
    assert_int_equal(l.status, 404);
    assert_string_equal(l.body, "caught: no user 7");
    assert_null(heard);
    app_free(app);
}

static int swallow(ctx_t *ctx) {
    int err = next(ctx);
    (void)err;
    return 0;
}

static void test_swallowed_error(void **state) {
    app_t *app = app_new();
    app_use(app, swallow);
    app_use(app, throw_secret);
    struct loopback l = request(app, "/");
    assert_int_equal(l.status, 404);
    assert_string_equal(l.body, "Not Found");
    app_free(app);
}

static int destroyed;

static int with_state(ctx_t *ctx, void *state) {
    return ctx_textf(ctx, "state %d", *(int *)state);
}

static void count_destroyed(void *state) {
    destroyed += *(int *)state;
}

static void test_state_and_destructor(void **state) {
    int seven = 7;
    app_t *app = app_new();
    destroyed = 0;
    app_use(app, (middleware_t){.fn = with_state, .state = &seven, .destroy = count_destroyed});
    assert_string_equal(request(app, "/").body, "state 7");
    assert_int_equal(destroyed, 0);
    app_free(app);
    assert_int_equal(destroyed, 7);
}

static void test_failed_factory_does_not_start(void **state) {
    int seven = 7;
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    destroyed = 0;
    app_use(app,
            (middleware_t){.state = &seven, .destroy = count_destroyed, .error = "it is broken"});
    assert_int_equal(destroyed, 7);
    assert_int_equal(app_bind(app, NULL), UV_EINVAL);
    app_free(app);
    app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, route_get("/:a:b", inner));
    assert_int_equal(app_bind(app, NULL), UV_EINVAL);
    app_free(app);
}

static int show(ctx_t *ctx) {
    int err = next(ctx);
    return err ? err
               : ctx_textf(ctx, "%s %s %s", ctx->route_path, ctx_param(ctx, "id"),
                           ctx_param_at(ctx, 0));
}

static int other(ctx_t *ctx) {
    mark(ctx_param(ctx, "name"));
    return 0;
}

static void test_routes_keep_their_params(void **state) {
    app_t *app = app_new();
    app_use(app, route_get("/users/:id", show));
    app_use(app, route_all("/users/:name", other));
    assert_string_equal(request(app, "/users/a%20b").body, "/users/:id a b a b");
    assert_string_equal(trail, "a b");
    assert_int_equal(request(app, "/users/%zz").status, 400);
    assert_int_equal(request(app, "/nobody").status, 404);
    app_free(app);
}

static int deferred_order(ctx_t *ctx) {
    ctx_defer(ctx, (void (*)(void *))mark, "a");
    ctx_defer(ctx, (void (*)(void *))mark, "b");
    mark("c");
    return ctx_text(ctx, "x");
}

static void test_defer(void **state) {
    app_t *app = app_new();
    app_use(app, deferred_order);
    request(app, "/");
    assert_string_equal(trail, "cba");
    app_free(app);
}

static int read_it(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    return err ? err : ctx_bytes(ctx, body.data, body.length);
}

static void test_body_in_pieces(void **state) {
    app_t *app = app_new();
    app_use(app, read_it);
    struct loopback l = {.request_body = "hello, body", .piece = 3, .await_reads = true};
    loopback_request(app, &l, "POST", "/");
    assert_string_equal(l.body, "hello, body");
    app_free(app);
}

static void test_null_app_is_harmless(void **state) {
    assert_null(app_use(NULL, outer));
    assert_null(app_use(NULL, route_get("/", outer)));
    assert_int_equal(app_bind(NULL, NULL), UV_ENOMEM);
    app_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_with_await),
        cmocka_unit_test(test_no_middleware_is_404),
        cmocka_unit_test(test_next_twice),
        cmocka_unit_test(test_nested_compose),
        cmocka_unit_test(test_compose_continues),
        cmocka_unit_test(test_thrown_error),
        cmocka_unit_test(test_hidden_error),
        cmocka_unit_test(test_caught_error),
        cmocka_unit_test(test_swallowed_error),
        cmocka_unit_test(test_state_and_destructor),
        cmocka_unit_test(test_failed_factory_does_not_start),
        cmocka_unit_test(test_routes_keep_their_params),
        cmocka_unit_test(test_defer),
        cmocka_unit_test(test_body_in_pieces),
        cmocka_unit_test(test_null_app_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
