/* etag: the tags are those of koa-etag 5. */
#include "test_files.h"

#include <middleware/etag.h>

static app_t *with(const etag_options_t *options, middleware_fn *handler) {
    app_t *app = quiet_app();
    app_use(app, etag(options));
    app_use_fn(app, handler, "handler");
    return app;
}

/* The body that X-Body says, in a way that the path says. */
static int bodies(ctx_t *ctx) {
    const char *body = ctx_get(ctx, "X-Body");
    if (strcmp(ctx->path, "/set") == 0)
        ctx_etag(ctx, "mine");
    if (strcmp(ctx->path, "/404") == 0)
        ctx->status = 404;
    if (strcmp(ctx->path, "/201") == 0)
        ctx->status = 201;
    if (strcmp(ctx->path, "/thrown") == 0)
        return ctx_throw(ctx, 409, NULL);
    if (strcmp(ctx->path, "/none") == 0)
        return 0;
    if (strcmp(ctx->path, "/empty") == 0)
        return ctx_empty(ctx);
    if (strcmp(ctx->path, "/written") == 0)
        return ctx_write(ctx, body, strlen(body));
    if (strcmp(ctx->path, "/flushed") == 0)
        ctx_flush_headers(ctx);
    if (strcmp(ctx->path, "/bytes") == 0)
        return ctx_bytes(ctx, body, strlen(body));
    int err = ctx_text(ctx, body);
    if (strcmp(ctx->path, "/205") == 0)
        ctx->status = 205;
    return err;
}

static void tag(app_t *app, const char *url, const char *body, int status, const char *expected) {
    answers_with(app, url, HEADERS("X-Body", body), status, "ETag", expected);
}

static void bodies_in_memory(void **state) {
    app_t *app = with(NULL, bodies);
    tag(app, "/", "hello", 200, "\"5-qvTGHdzF6KLavt4PO0gs2a6pQ00\"");
    tag(app, "/bytes", "hello", 200, "\"5-qvTGHdzF6KLavt4PO0gs2a6pQ00\"");
    tag(app, "/201", "hello", 201, "\"5-qvTGHdzF6KLavt4PO0gs2a6pQ00\"");
    tag(app, "/", "", 200, NULL); /* that there is nothing needs no tag */
    tag(app, "/set", "hello", 200, "\"mine\"");
    tag(app, "/404", "hello", 404, NULL);
    tag(app, "/thrown", "", 409, NULL);
    tag(app, "/none", "", 404, NULL);
    tag(app, "/empty", "", 204, NULL);
    tag(app, "/205", "hello", 205, NULL);
    tag(app, "/written", "hello", 200, NULL);
    tag(app, "/flushed", "hello", 404, NULL);
    app_free(app);
    app = with(&(etag_options_t){.weak = true}, bodies);
    tag(app, "/", "hello", 200, "W/\"5-qvTGHdzF6KLavt4PO0gs2a6pQ00\"");
    app_free(app);
    app = with(&(etag_options_t){.strong = true}, bodies);
    tag(app, "/", "hello", 200, "\"5-qvTGHdzF6KLavt4PO0gs2a6pQ00\"");
    app_free(app);
}

static int large_body(ctx_t *ctx) {
    size_t length = (size_t)atoi(ctx_query(ctx, "length"));
    char *body = calloc(1, length);
    int err = ctx_bytes(ctx, body, length);
    free(body);
    return err;
}

/* Here, and by a thread. */
static void large_bodies(void **state) {
    app_t *app = with(NULL, large_body);
    tag(app, "/?length=131071", "", 200, "\"1ffff-Y8vZ1t/2qAOOXIE/FouiMk8iPPo\"");
    tag(app, "/?length=131072", "", 200, "\"20000-Z9/Rnz6zZJ1vP2Yx5E0L02uNjRk\"");
    tag(app, "/?length=10000000", "", 200, "\"989680-0T7HkntidOgL7t3zIyGTdoOQ2sM\"");
    app_free(app);
}

static int sends_file(ctx_t *ctx) {
    return ctx_file(ctx, at("file.txt"));
}

static ssize_t read_nothing(ctx_t *ctx, void *state, void *buffer, size_t size) {
    return 0;
}

static int streams(ctx_t *ctx) {
    return ctx_stream(ctx, (body_stream_t){.read = read_nothing});
}

static void files_and_streams(void **state) {
    put("file.txt", "hello, world");
    const struct timespec times[] = {{1000000000, 123456789}, {1000000000, 123656789}};
    assert_int_equal(utimensat(AT_FDCWD, at("file.txt"), times, 0), 0);
    app_t *app = with(NULL, sends_file);
    tag(app, "/", "", 200, "W/\"c-e8d4a5107c\""); /* .124: node rounds */
    app_free(app);
    app = with(&(etag_options_t){.strong = true}, sends_file);
    tag(app, "/", "", 200, "\"c-e8d4a5107c\"");
    app_free(app);
    app = with(NULL, streams);
    tag(app, "/", "", 200, NULL);
    app_free(app);
}

static void bad_options(void **state) {
    app_t *app = with(&(etag_options_t){.weak = true, .strong = true}, bodies);
    assert_null(app_inject(app, &(app_request_t){.url = "/"}));
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_in_memory),
        cmocka_unit_test(large_bodies),
        cmocka_unit_test(files_and_streams),
        cmocka_unit_test(bad_options),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
