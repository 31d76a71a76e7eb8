/* byte_ranges: parts of bodies in memory, and nothing else. */
#include "test_files.h"

#include <middleware/byte_ranges.h>
#include <middleware/etag.h>

static ssize_t read_nothing(ctx_t *ctx, void *state, void *buffer, size_t size) {
    return 0;
}

static int page(ctx_t *ctx) {
    if (strcmp(ctx->path, "/empty") == 0)
        return ctx_text(ctx, "");
    if (strcmp(ctx->path, "/missing") == 0)
        return ctx->status = 404, ctx_text(ctx, "0123456789");
    if (strcmp(ctx->path, "/stream") == 0)
        return ctx_stream(ctx, (body_stream_t){read_nothing, NULL, NULL});
    if (strcmp(ctx->path, "/thrown") == 0)
        return ctx_throw(ctx, 409, "0123456789");
    if (strcmp(ctx->path, "/written") == 0)
        return ctx->status = 200, ctx_write(ctx, "0123456789", 10);
    if (strcmp(ctx->path, "/part") == 0)
        ctx_set(ctx, "Content-Range", "bytes 10-19/20");
    return ctx_text(ctx, "0123456789");
}

static app_t *app_with_ranges(void) {
    app_t *app = quiet_app();
    app_use(app, byte_ranges);
    app_use(app, etag(NULL)); /* of the whole */
    app_use(app, page);
    return app;
}

static void check(app_t *app, const char *method, const char *url, const char *range, int status,
                  const char *content_range, const char *body) {
    app_response_t *response = ask(app, method, url, HEADERS("Range", range));
    if (response->status != status || response->body.length != strlen(body) ||
        memcmp(response->body.data, body, strlen(body)) != 0)
        fail_msg("%s %s %s: %d %.*s", method, url, range, response->status,
                 (int)response->body.length, response->body.data);
    has_header(response, "Content-Range", content_range);
    app_response_free(response);
}

static void parts(void **state) {
    app_t *app = app_with_ranges();
    check(app, "GET", "/", "bytes=0-3", 206, "bytes 0-3/10", "0123");
    check(app, "GET", "/", "bytes=7-", 206, "bytes 7-9/10", "789");
    check(app, "GET", "/", "bytes=-3", 206, "bytes 7-9/10", "789");
    check(app, "GET", "/", "bytes=-99", 206, "bytes 0-9/10", "0123456789");
    check(app, "GET", "/", "bytes=9-99", 206, "bytes 9-9/10", "9");
    check(app, "GET", "/", "bytes=4-5,0-1", 206, "bytes 4-5/10", "45");
    check(app, "GET", "/", "bytes=10-,-0,1-2,3-4", 206, "bytes 1-2/10", "12");
    check(app, "GET", "/", "bytes=0-9,0-9,0-9", 206, "bytes 0-9/10", "0123456789");
    app_free(app);
}

static void refused(void **state) {
    const char *message = "Range Not Satisfiable";
    app_t *app = app_with_ranges();
    check(app, "GET", "/", "bytes=10-", 416, "bytes */10", message);
    check(app, "GET", "/", "bytes=-0", 416, "bytes */10", message);
    check(app, "GET", "/empty", "bytes=0-", 416, "bytes */0", message);
    check(app, "GET", "/", "bytes=", 416, NULL, message);
    check(app, "GET", "/", "bytes=x", 416, NULL, message);
    check(app, "GET", "/", "bytes=5-2", 416, NULL, message);
    check(app, "GET", "/", "bytes=0-1,x", 416, NULL, message);
    app_free(app);
}

static void ignored(void **state) {
    const char *whole = "0123456789";
    app_t *app = app_with_ranges();
    check(app, "GET", "/", "items=0-1", 200, NULL, whole);
    check(app, "HEAD", "/", "bytes=0-1", 200, NULL, "");
    check(app, "POST", "/", "bytes=x", 200, NULL, whole);
    check(app, "PUT", "/", "bytes=0-1", 200, NULL, whole);
    check(app, "GET", "/empty", "bytes=-5", 200, NULL, "");
    check(app, "GET", "/missing", "bytes=0-1", 404, NULL, whole);
    check(app, "GET", "/stream", "bytes=0-1", 200, NULL, "");
    check(app, "GET", "/thrown", "bytes=0-1", 409, NULL, whole);
    check(app, "GET", "/written", "bytes=0-1", 200, NULL, whole);
    check(app, "GET", "/part", "bytes=0-1", 200, "bytes 10-19/20", whole);
    app_free(app);
}

/* The tag is that of the whole, in each part. */
static void if_range(void **state) {
    app_t *app = app_with_ranges();
    app_response_t *whole = ask(app, "GET", "/", NULL);
    has_header(whole, "Accept-Ranges", "bytes");
    const char *tag = app_response_get(whole, "ETag");
    app_response_t *part = ask(app, "GET", "/", HEADERS("Range", "bytes=2-3", "If-Range", tag));
    assert_int_equal(part->status, 206);
    has_header(part, "ETag", tag);
    has_header(part, "Content-Length", "2");
    app_response_free(part);
    part = ask(app, "GET", "/", HEADERS("Range", "bytes=2-3", "If-Range", "\"another\""));
    assert_int_equal(part->status, 200);
    assert_int_equal(part->body.length, 10);
    app_response_free(part);
    app_response_free(whole);
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),
        cmocka_unit_test(refused),
        cmocka_unit_test(ignored),
        cmocka_unit_test(if_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
