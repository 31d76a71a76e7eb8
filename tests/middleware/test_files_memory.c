/*
 * Allocations fail, each in turn, while files are served, tagged and compressed. Either the app
 * can't start, or its answer is a 500 or is cut off, or it is the right one. Nothing leaks, and no
 * descriptor stays open. (Only our allocations: not those within zlib and its like.)
 */
#include "../support/countdown.h"
#include "test_files.h"

#include <middleware/compression.h>
#include <middleware/conditional_get.h>
#include <middleware/etag.h>
#include <middleware/serve.h>

/* --- An app with everything ------------------------------------------------------------------- */

static char text[20001]; /* is compressed by a thread */

static int page(ctx_t *ctx) {
    return strcmp(ctx->path, "/page") == 0 ? ctx_text(ctx, text) : next(ctx);
}

static int file(ctx_t *ctx) {
    return strcmp(ctx->path, "/file") == 0 ? ctx_file(ctx, at("root/large.txt")) : 0;
}

static app_t *new_app(void) {
    app_t *app = quiet_app();
    app_use(app, compression(NULL));
    app_use(app, conditional_get);
    app_use(app, etag(NULL));
    app_use(app, page);
    app_use(app, serve(at("root"),
                       &(serve_options_t){.extensions = HEADERS("html", "txt"), .cache_files = 1}));
    app_use(app, file);
    return app;
}

static void ask_without_memory(const char *url, const char *const *headers, int status,
                               const char *name, const char *value) {
    bool failed = true, answered = false;
    int before = count_descriptors();
    for (long n = 0; failed; n++) {
        countdown = n;
        app_t *app = new_app();
        app_response_t *response =
            app_inject(app, &(app_request_t){.url = url, .headers = headers});
        failed = countdown < 0;
        countdown = -1;
        if (response && response->status != 500 && !response->failed) {
            assert_int_equal(response->status, status);
            if (value)
                has_header(response, name, value);
            answered = true;
        }
        assert_true(failed || (response && response->status != 500));
        app_response_free(response);
        app_free(app);
        assert_int_equal(count_descriptors(), before);
        assert_true(n < 5000);
    }
    assert_true(answered);
}

/* libuv keeps some descriptors for ever, once it has begun. */
static void begin(void) {
    app_t *app = new_app();
    app_response_free(get(app, "/", NULL));
    app_free(app);
}

static void without_memory(void **state) {
    begin();
    const char *tag = "\"3-e8d4a51000\"";
    ask_without_memory("/a.txt", NULL, 200, "ETag", tag);
    ask_without_memory("/a", HEADERS("If-None-Match", tag), 304, "ETag", tag);
    ask_without_memory("/", NULL, 200, "Content-Type", "text/html; charset=utf-8");
    ask_without_memory("/b.txt", HEADERS("Accept-Encoding", "gzip"), 200, "Content-Encoding",
                       "gzip");
    ask_without_memory("/large.txt", HEADERS("Accept-Encoding", "gzip"), 200, "Content-Encoding",
                       "gzip");
    ask_without_memory("/large.txt", HEADERS("Range", "bytes=5-9"), 206, "Content-Range",
                       "bytes 5-9/20000");
    ask_without_memory("/large.txt", HEADERS("Range", "bytes=5-9,0-0,-1"), 206, "Content-Length",
                       "392");
    ask_without_memory("/large.txt", HEADERS("Range", "bytes=20000-"), 416, "Content-Range",
                       "bytes */20000");
    ask_without_memory("/%2e%2e/x", NULL, 403, NULL, NULL);
    ask_without_memory("/nothing", NULL, 404, NULL, NULL);
    ask_without_memory("/page", HEADERS("Accept-Encoding", "br"), 200, "Content-Encoding", "br");
    ask_without_memory("/file", HEADERS("Accept-Encoding", "zstd"), 200, "ETag",
                       "W/\"4e20-e8d4a51000\"");
}

static int make_files(void **state) {
    int err = make_directory(state);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = (char)('a' + i * i % 17);
    put_directory("root");
    put("root/a.txt", "aaa");
    put("root/b.txt", "bbb");
    put("root/b.txt.gz", "(gzip)");
    put("root/index.html", "<p>index");
    put("root/large.txt", text);
    return err;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_memory)};
    return cmocka_run_group_tests(tests, make_files, remove_directory);
}
