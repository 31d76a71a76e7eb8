/* /favicon.ico out of memory: koa-favicon's own test cases, and ours. */
#include "middleware/favicon.h"

#include "test_operations.h"

#include <sys/stat.h>

static char folder[] = "/tmp/favicon-XXXXXX", path[64];

static void write_file(const char *name, size_t length) {
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < length; i++)
        fputc((int)(i * 7), file); /* NULs, too */
    fclose(file);
}

static int set_up(void **state) {
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/favicon.ico", folder);
    write_file(path, 3000);
    return 0;
}

static int tear_down(void **state) {
    unlink(path);
    return rmdir(folder);
}

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "hello");
}

static void test_icon(void **state) {
    app_t *app = app_with(favicon(path, NULL), hello);
    unlink(path); /* it is in memory */
    app_response_t *r = send_to(app, &(app_request_t){.url = "/favicon.ico?v=2"});
    expect(r, 200, NULL);
    assert_int_equal(r->body.length, 3000);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal((unsigned char)r->body.data[i], (i * 7) & 255);
    expect_header(r, "Content-Type", "image/x-icon");
    expect_header(r, "Content-Length", "3000");
    expect_header(r, "Cache-Control", "public, max-age=86400");
    app_response_free(r);
    r = send_to(app, &(app_request_t){.method = "HEAD", .url = "/favicon.ico"});
    expect(r, 200, "");
    expect_header(r, "Content-Length", "3000");
    app_response_free(r);
    check(app, "GET", "/favicon.ico/", 200, "hello");
    check(app, "GET", "/a/favicon.ico", 200, "hello");
    check(app, "POST", "/", 200, "hello");
    app_free(app);
    write_file(path, 3000);
}

static void test_methods(void **state) {
    app_t *app = app_with(favicon(path, NULL), hello);
    check_header(app, "OPTIONS", "/favicon.ico", 200, "Allow", "GET, HEAD, OPTIONS");
    check_header(app, "POST", "/favicon.ico", 405, "Allow", "GET, HEAD, OPTIONS");
    check_header(app, "PUT", "/favicon.ico", 405, "Cache-Control", NULL);
    check(app, "POST", "/favicon.ico", 405, "Method Not Allowed");
    app_free(app);
}

static void check_option(const favicon_options_t *options, const char *name, const char *value) {
    app_t *app = app_with(favicon(path, options), NULL);
    check_header(app, "GET", "/favicon.ico", 200, name, value);
    app_free(app);
}

static void test_options(void **state) {
    check_option(&(favicon_options_t){.max_age = 5000}, "Cache-Control", "public, max-age=5");
    check_option(&(favicon_options_t){.max_age = 1}, "Cache-Control", "public, max-age=0");
    check_option(&(favicon_options_t){.max_age = UINT64_MAX}, "Cache-Control",
                 "public, max-age=31556926");
    check_option(&(favicon_options_t){.no_cache = true}, "Cache-Control", "public, max-age=0");
    check_option(&(favicon_options_t){.mime = "image/png"}, "Content-Type", "image/png");
}

static void test_without_icon(void **state) {
    app_t *app = app_with(favicon(NULL, NULL), hello);
    check(app, "GET", "/favicon.ico", 404, "Not Found");
    check(app, "GET", "/", 200, "hello");
    app_free(app);
}

static void test_icons_that_are_none(void **state) {
    char large[80];
    snprintf(large, sizeof large, "%s/large.ico", folder);
    refuse(favicon(large, NULL), "large.ico: No such file or directory");
    refuse(favicon(folder, NULL), "Is a directory");
    write_file(large, FAVICON_SIZE_MAX + 1);
    refuse(favicon(large, NULL), "large.ico: larger than 1 MiB");
    write_file(large, FAVICON_SIZE_MAX);
    app_t *app = app_with(favicon(large, NULL), hello);
    check_header(app, "GET", "/favicon.ico", 200, "Content-Length", "1048576");
    app_free(app);
    unlink(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_icon),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_without_icon),
        cmocka_unit_test(test_icons_that_are_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
