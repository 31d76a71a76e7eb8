/* conditional_get: 304 where ctx_fresh says so, and nowhere else. */
#include "test_files.h"

#include <middleware/conditional_get.h>
#include <middleware/etag.h>

static int page(ctx_t *ctx) {
    if (strcmp(ctx->path, "/thrown") == 0)
        return ctx_throw(ctx, 409, "conflict");
    if (strcmp(ctx->path, "/tagged") == 0)
        ctx_etag(ctx, "mine");
    if (strcmp(ctx->path, "/dated") == 0)
        ctx_last_modified(ctx, 1000000000);
    if (strcmp(ctx->path, "/missing") == 0)
        ctx->status = 404;
    ctx_set(ctx, "Cache-Control", "max-age=1");
    if (strcmp(ctx->path, "/written") == 0)
        return ctx_etag(ctx, "mine"), ctx->status = 200, ctx_write(ctx, "hello", 5);
    return ctx_text(ctx, "hello");
}

static app_t *app_with_both(void) {
    app_t *app = quiet_app();
    app_use(app, conditional_get);
    app_use(app, etag(NULL));
    app_use(app, page);
    return app;
}

#define HELLO "\"5-qvTGHdzF6KLavt4PO0gs2a6pQ00\""

static void fresh_and_stale(void **state) {
    static const struct {
        const char *method, *url, *name, *value;
        int status;
    } cases[] = {
        {"GET", "/", "If-None-Match", HELLO, 304},
        {"HEAD", "/", "If-None-Match", HELLO, 304},
        {"GET", "/", "If-None-Match", "W/" HELLO, 304},
        {"GET", "/", "If-None-Match", "\"x\"", 200},
        {"GET", "/", "X-Nothing", "", 200},
        {"POST", "/", "If-None-Match", HELLO, 200},
        {"GET", "/tagged", "If-None-Match", "\"mine\"", 304},
        {"GET", "/tagged", "If-None-Match", HELLO, 200},
        {"GET", "/dated", "If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT", 304},
        {"GET", "/dated", "If-Modified-Since", "Sun, 09 Sep 2001 01:46:39 GMT", 200},
        {"GET", "/missing", "If-None-Match", "*", 404},
        {"GET", "/thrown", "If-None-Match", "*", 409},
        {"GET", "/written", "If-None-Match", "\"mine\"", 200},
    };
    app_t *app = app_with_both();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        app_response_t *response =
            ask(app, cases[i].method, cases[i].url, HEADERS(cases[i].name, cases[i].value));
        if (response->status != cases[i].status)
            fail_msg("%s %s, %s: %d", cases[i].url, cases[i].name, cases[i].value,
                     response->status);
        if (response->status == 304) {
            assert_int_equal(response->body.length, 0);
            has_header(response, "Content-Type", NULL);
            has_header(response, "Content-Length", NULL);
            has_header(response, "Cache-Control", "max-age=1");
            assert_non_null(app_response_get(response, "ETag"));
        }
        app_response_free(response);
    }
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fresh_and_stale)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
