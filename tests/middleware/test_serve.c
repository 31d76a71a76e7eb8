/* serve: what is served, what is not, and how. */
#include "test_files.h"

#include <middleware/serve.h>

/* --- An app that serves the directory "root", with something behind it -------------------------
 */

static int behind(ctx_t *ctx) {
    return ctx_text(ctx, "behind");
}

static app_t *serving(const serve_options_t *options) {
    app_t *app = quiet_app();
    app_use(app, serve(at("root"), options));
    app_use(app, behind);
    return app;
}

static void make_tree(void) {
    put_directory("root");
    put("root/hello.txt", "hello, world");
    put("root/index.html", "<p>index");
    put("root/empty.txt", "");
    put("root/page.html", "<p>page");
    put("root/name.html.txt", "text");
    put("root/UPPER.TXT", "upper");
    put("root/no extension", "none");
    put("root/strange.extension", "strange");
    put("root/back\\slash", "backslash");
    put("root/\xC3\xA9.txt", "e acute");
    put("root/100%.txt", "percent");
    put("root/.hidden", "hidden");
    put("root/plus+.txt", "plus");
    put("root/...txt", "three dots");
    put_directory("root/.git");
    put("root/.git/config", "config");
    put_directory("root/docs");
    put("root/docs/index.html", "<p>docs");
    put("root/docs/a.css", "a{}");
    put_directory("root/bare");
    put_directory("root/x.html");
    put("root/script.js", "script();");
    put("root/script.js.br", "(br)");
    put("root/script.js.gz", "(gzip)");
    put("root/style.css", "b{}");
    put("root/style.css.zst", "(zstd)");
    put("root/only.txt.gz", "(only)");
    put("root/docs/index.html.gz", "(docs)");
    put_directory("root/coded");
    put_directory("root/coded.br");
    put("root/coded.br/index.html", "<p>no coding");
    put("outside.txt", "outside");
    put_directory("root2");
    put("root2/secret.txt", "secret");
    assert_int_equal(symlink("hello.txt", at("root/link.txt")), 0);
    assert_int_equal(symlink("../root/docs", at("root/docs-link")), 0);
    assert_int_equal(symlink("../outside.txt", at("root/outside-link.txt")), 0);
    assert_int_equal(symlink("../root2", at("root/dir-link")), 0);
    assert_int_equal(symlink("/etc/passwd", at("root/passwd.txt")), 0);
    assert_int_equal(symlink("loop", at("root/loop")), 0);
    assert_int_equal(symlink("nowhere", at("root/dangling")), 0);
    assert_int_equal(symlink("/dev/zero", at("root/device")), 0);
    assert_int_equal(mkfifo(at("root/fifo"), 0644), 0);
}

static int make_files(void **state) {
    if (make_directory(state))
        return -1;
    make_tree();
    return 0;
}

/* --- What is served --------------------------------------------------------------------------- */

static void files(void **state) {
    app_t *app = serving(NULL);
    answers(app, "/hello.txt", 200, "hello, world");
    answers(app, "/hello.txt?v=1", 200, "hello, world");
    answers(app, "/docs/a.css", 200, "a{}");
    answers(app, "/docs/../hello.txt", 200, "hello, world");
    answers(app, "/./docs//./a.css", 200, "a{}");
    answers(app, "/nowhere/../hello.txt", 200, "hello, world");
    answers(app, "/empty.txt", 200, "");
    answers(app, "/no%20extension", 200, "none");
    answers(app, "/%C3%A9.txt", 200, "e acute");
    answers(app, "/100%25.txt", 200, "percent");
    answers(app, "/plus+.txt", 200, "plus");
    answers(app, "/docs%2Fa.css", 200, "a{}");
    answers(app, "/back%5Cslash", 200, "backslash");
    app_free(app);
}

static void what_is_not_there(void **state) {
    app_t *app = serving(NULL);
    static const char *const urls[] = {"/nothing",      "/hello.txt/",
                                       "/hello.txt/x",  "/HELLO.TXT",
                                       "/bare",         "/bare/",
                                       "/x.html",       "/docs/nothing/x",
                                       "/fifo",         "/loop",
                                       "/dangling",     "/.hidden",
                                       "/.git/config",  "/.git/",
                                       "/...txt",       "/docs/.%2e/.git",
                                       "/passwd.txt",   "/outside-link.txt",
                                       "/dir-link",     "/dir-link/secret.txt",
                                       "/hello.txt%20", "/only.txt.br",
                                       "/%2Ehidden"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        answers(app, urls[i], 200, "behind");
    char url[6000];
    memset(url, 'a', sizeof url);
    url[0] = '/';
    url[sizeof url - 1] = '\0';
    answers(app, url, 200, "behind"); /* longer than any path */
    url[4090] = '\0';
    answers(app, url, 200, "behind");
    url[300] = '\0';
    answers(app, url, 200, "behind"); /* longer than any name */
    for (size_t i = 0; i < 2048; i++)
        memcpy(url + 2 * i, "/a", 2);
    url[4094] = '\0';
    answers(app, url, 200, "behind");
    app_free(app);
}

static void bad_paths(void **state) {
    app_t *app = serving(NULL);
    answers(app, "/%", 400, "failed to decode");
    answers(app, "/%zz", 400, "failed to decode");
    answers(app, "/hello.txt%", 400, "failed to decode");
    answers(app, "/%ff", 400, "failed to decode");
    answers(app, "/%c0%ae%c0%ae/outside.txt", 400, "failed to decode");
    answers(app, "/%ed%a0%80", 400, "failed to decode");
    answers(app, "/hello.txt%00", 400, "Malicious Path");
    answers(app, "/%00", 400, "Malicious Path");
    answers(app, "//hello.txt", 400, "Malicious Path");
    answers(app, "/%2Fetc%2Fpasswd", 400, "Malicious Path");
    answers(app, "/%5Chello.txt", 400, "Malicious Path");
    answers(app, "/%5C%5Cserver%5Cshare", 400, "Malicious Path");
    answers(app, "/C:/hello.txt", 400, "Malicious Path");
    answers(app, "/c:%5Chello.txt", 400, "Malicious Path");
    app_free(app);
}

static void climbing(void **state) {
    static const char *const urls[] = {
        "/..",
        "/../",
        "/../outside.txt",
        "/../root2/secret.txt",
        "/docs/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/%2E%2E%2Foutside.txt",
        "/..%2foutside.txt",
        "/..%5coutside.txt",
        "/docs/..%5c..%5coutside.txt",
        "/docs/%5c..%5coutside.txt",
        "/docs%5C..%5Chello.txt",
        "/docs%5C..",
        "/docs/../../../../../../../../../../etc/passwd",
        "/.//../outside.txt",
    };
    app_t *app = serving(NULL);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        answers(app, urls[i], 403, "Forbidden");
    answers(app, "/docs/..%252foutside.txt", 200, "behind"); /* decoded only once */
    answers(app, "/..hello.txt", 200, "behind");
    app_free(app);
}

static void directories(void **state) {
    app_t *app = serving(NULL);
    answers(app, "/", 200, "<p>index");
    answers(app, "/docs", 200, "<p>docs");
    answers(app, "/docs/", 200, "<p>docs");
    answers(app, "/docs/.", 200, "<p>docs");
    answers(app, "/docs%2F", 200, "<p>docs");
    answers(app, "/docs-link/", 200, "<p>docs");
    app_free(app);
    app = serving(&(serve_options_t){.strict = true});
    answers(app, "/docs", 200, "behind");
    answers(app, "/docs/", 200, "<p>docs");
    app_free(app);
    app = serving(&(serve_options_t){.no_index = true});
    answers(app, "/", 200, "behind");
    answers(app, "/docs", 200, "behind");
    answers(app, "/docs/", 200, "behind");
    answers(app, "/docs/index.html", 200, "<p>docs");
    answers(app, "/hello.txt/", 200, "behind");
    app_free(app);
    app = serving(&(serve_options_t){.index = "a.css"});
    answers(app, "/docs/", 200, "a{}");
    answers(app, "/", 200, "behind");
    app_free(app);
}

static void other_methods(void **state) {
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "get"};
    app_t *app = serving(NULL);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        app_response_t *response = ask(app, methods[i], "/hello.txt", NULL);
        assert_string_equal(response->body.data, "behind");
        app_response_free(response);
    }
    app_response_t *response = ask(app, "HEAD", "/hello.txt", NULL);
    assert_int_equal(response->status, 200);
    assert_int_equal(response->body.length, 0);
    has_header(response, "Content-Length", "12");
    has_header(response, "Content-Type", "text/plain; charset=utf-8");
    app_response_free(response);
    app_free(app);
}

static void extensions(void **state) {
    app_t *app = serving(&(serve_options_t){.extensions = HEADERS("htm", ".html", "txt")});
    answers(app, "/page", 200, "<p>page");
    answers(app, "/hello", 200, "hello, world");
    answers(app, "/x", 200, "behind"); /* x.html is a directory */
    answers(app, "/name.html", 200, "behind");
    answers(app, "/docs", 200, "<p>docs");
    answers(app, "/docs/", 200, "<p>docs");
    answers(app, "/nothing", 200, "behind");
    app_free(app);
}

static void hidden_ones(void **state) {
    app_t *app = serving(&(serve_options_t){.hidden = true});
    answers(app, "/.hidden", 200, "hidden");
    answers(app, "/.git/config", 200, "config");
    answers(app, "/...txt", 200, "three dots");
    answers_with(app, "/.hidden", NULL, 200, "Content-Type", "application/octet-stream");
    app_free(app);
}

static void links(void **state) {
    app_t *app = serving(NULL);
    answers(app, "/link.txt", 200, "hello, world");
    answers(app, "/docs-link/a.css", 200, "a{}");
    app_free(app);
    app = serving(&(serve_options_t){.follow_links = true});
    answers(app, "/outside-link.txt", 200, "outside");
    answers(app, "/dir-link/secret.txt", 200, "secret");
    answers(app, "/loop", 200, "behind");
    answers(app, "/device", 200, "behind");
    app_free(app);
}

/* The root itself may be a link, and lead elsewhere from one moment to the next. */
static void a_root_that_moves(void **state) {
    assert_int_equal(symlink("root", at("current")), 0);
    app_t *app = quiet_app();
    app_use(app, serve(at("current/"), &(serve_options_t){.no_cache = true}));
    app_use(app, behind);
    answers(app, "/hello.txt", 200, "hello, world");
    answers(app, "/secret.txt", 200, "behind");
    assert_int_equal(unlink(at("current")), 0);
    assert_int_equal(symlink("root2", at("current")), 0);
    answers(app, "/hello.txt", 200, "behind");
    answers(app, "/secret.txt", 200, "secret");
    assert_int_equal(unlink(at("current")), 0);
    answers(app, "/secret.txt", 200, "behind");
    app_free(app);
}

static void a_relative_root(void **state) {
    char before[512];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(directory), 0);
    app_t *app = quiet_app();
    app_use(app, serve("root", NULL));
    assert_int_equal(chdir(before), 0);
    answers(app, "/hello.txt", 200, "hello, world");
    app_free(app);
}

static void the_whole_disk(void **state) {
    char url[128];
    app_t *app = quiet_app();
    app_use(app, serve("/", NULL));
    snprintf(url, sizeof url, "%s/root/hello.txt", directory);
    answers(app, url, 200, "hello, world");
    answers(app, "/..", 403, NULL);
    app_free(app);
}

static void bad_roots(void **state) {
    const char *const roots[] = {NULL, "", at("nowhere"), at("root/hello.txt")};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        app_t *app = quiet_app();
        app_use(app, serve(roots[i], NULL));
        assert_null(app_inject(app, &(app_request_t){.url = "/"}));
        app_free(app);
    }
    middleware_t middleware = serve(at("nowhere"), NULL);
    assert_non_null(strstr(middleware.error, "/nowhere: no such file or directory"));
    middleware.destroy(middleware.state);
}

/* --- Headers ---------------------------------------------------------------------------------- */

static void headers(void **state) {
    app_t *app = serving(NULL);
    app_response_t *response = get(app, "/hello.txt", NULL);
    has_header(response, "Content-Type", "text/plain; charset=utf-8");
    has_header(response, "Content-Length", "12");
    has_header(response, "Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT");
    has_header(response, "Cache-Control", "max-age=0");
    has_header(response, "ETag", "\"c-e8d4a51000\"");
    has_header(response, "Accept-Ranges", "bytes");
    has_header(response, "Vary", NULL);
    has_header(response, "Content-Encoding", NULL);
    app_response_free(response);
    answers_with(app, "/UPPER.TXT", NULL, 200, "Content-Type", "text/plain; charset=utf-8");
    answers_with(app, "/", NULL, 200, "Content-Type", "text/html; charset=utf-8");
    answers_with(app, "/no%20extension", NULL, 200, "Content-Type", "application/octet-stream");
    answers_with(app, "/strange.extension", NULL, 200, "Content-Type", "application/octet-stream");
    answers_with(app, "/nothing", NULL, 200, "Cache-Control", NULL);
    app_free(app);
    app = serving(&(serve_options_t){.max_age = 31536000, .immutable = true, .weak_etag = true});
    answers_with(app, "/hello.txt", NULL, 200, "Cache-Control", "max-age=31536000,immutable");
    answers_with(app, "/hello.txt", NULL, 200, "ETag", "W/\"c-e8d4a51000\"");
    app_free(app);
    app = serving(&(serve_options_t){.no_etag = true, .no_last_modified = true, .no_ranges = true});
    answers_with(app, "/hello.txt", NULL, 200, "ETag", NULL);
    answers_with(app, "/hello.txt", NULL, 200, "Last-Modified", NULL);
    answers_with(app, "/hello.txt", NULL, 200, "Accept-Ranges", NULL);
    answers_with(app, "/hello.txt", HEADERS("Range", "bytes=0-1"), 200, "Content-Range", NULL);
    app_free(app);
}

/* What has changed a moment ago may change again without a trace. */
static void young_files(void **state) {
    app_t *app = serving(&(serve_options_t){.no_cache = true});
    put("root/young.txt", "young");
    assert_int_equal(utimensat(AT_FDCWD, at("root/young.txt"), NULL, 0), 0);
    app_response_t *response = get(app, "/young.txt", NULL);
    const char *tag = app_response_get(response, "ETag");
    const char *date = app_response_get(response, "Last-Modified");
    assert_memory_equal(tag, "W/\"5-", 5);
    answers_with(app, "/young.txt", HEADERS("If-None-Match", tag), 304, "ETag", tag);
    answers_with(app, "/young.txt", HEADERS("Range", "bytes=0-0", "If-Range", tag), 200,
                 "Content-Range", NULL);
    answers_with(app, "/young.txt", HEADERS("Range", "bytes=0-0", "If-Range", date), 200,
                 "Content-Range", NULL);
    app_response_free(response);
    app_free(app);
}

static int set_before(ctx_t *ctx) {
    ctx_set(ctx, "Cache-Control", "no-store");
    ctx_set(ctx, "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT");
    ctx_etag(ctx, "mine");
    ctx_type(ctx, "html");
    return next(ctx);
}

static void what_is_set_stays(void **state) {
    app_t *app = quiet_app();
    app_use(app, set_before);
    app_use(app, serve(at("root"), NULL));
    app_response_t *response = get(app, "/hello.txt", NULL);
    has_header(response, "Cache-Control", "no-store");
    has_header(response, "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT");
    has_header(response, "ETag", "\"mine\"");
    has_header(response, "Content-Type", "text/html; charset=utf-8");
    app_response_free(response);
    answers_with(app, "/hello.txt", HEADERS("If-None-Match", "\"mine\""), 304, "ETag", "\"mine\"");
    app_free(app);
}

static int by_callback(ctx_t *ctx, const char *path, const uv_stat_t *stat) {
    int err = await_sleep(0);
    if (strstr(path, "page.html"))
        return ctx_throw(ctx, 451, "not here");
    ctx_setf(ctx, "X-Path", "%s %d", strrchr(path, '/'), (int)stat->st_size);
    ctx_set(ctx, "Cache-Control", "private");
    return err;
}

static void headers_by_callback(void **state) {
    app_t *app = serving(&(serve_options_t){.set_headers = by_callback});
    answers_with(app, "/docs", NULL, 200, "X-Path", "/index.html 7");
    answers_with(app, "/docs", NULL, 200, "Cache-Control", "private");
    answers_with(app, "/nothing", NULL, 200, "X-Path", NULL);
    answers(app, "/page.html", 451, "not here");
    app_free(app);
}

/* --- Conditions ------------------------------------------------------------------------------- */

#define TAG "\"c-e8d4a51000\""
#define DATE "Sun, 09 Sep 2001 01:46:40 GMT"
#define EARLIER "Sun, 09 Sep 2001 01:46:39 GMT"
#define LATER "Sun, 09 Sep 2001 01:46:41 GMT"

static void conditions(void **state) {
    static const struct {
        const char *headers[5];
        int status;
    } cases[] = {
        {{"If-None-Match", TAG}, 304},
        {{"If-None-Match", "W/" TAG}, 304},
        {{"If-None-Match", "\"x\", " TAG}, 304},
        {{"If-None-Match", "*"}, 304},
        {{"If-None-Match", "\"x\""}, 200},
        {{"If-Modified-Since", DATE}, 304},
        {{"If-Modified-Since", LATER}, 304},
        {{"If-Modified-Since", EARLIER}, 200},
        {{"If-None-Match", TAG, "Cache-Control", "no-cache"}, 200},
        {{"If-Match", TAG}, 200},
        {{"If-Match", "*"}, 200},
        {{"If-Match", "\"a,b\" , ," TAG}, 200},
        {{"If-Match", "\"x\""}, 412},
        {{"If-Match", "W/" TAG}, 412},
        {{"If-Match", "x" TAG}, 412},
        {{"If-Match", "\"x\" \"y"}, 412},
        {{"If-Match", "c-e8d4a51000"}, 412},
        {{"If-Unmodified-Since", DATE}, 200},
        {{"If-Unmodified-Since", LATER}, 200},
        {{"If-Unmodified-Since", EARLIER}, 412},
        {{"If-Unmodified-Since", "yesterday"}, 200},
        {{"If-Match", TAG, "If-Unmodified-Since", EARLIER}, 200},
        {{"If-Match", TAG, "If-None-Match", TAG}, 304},
        {{"If-Match", "\"x\"", "If-None-Match", TAG}, 412},
    };
    app_t *app = serving(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        app_response_t *response = get(app, "/hello.txt", cases[i].headers);
        if (response->status != cases[i].status)
            fail_msg("%s: %s: %d", cases[i].headers[0], cases[i].headers[1], response->status);
        app_response_free(response);
    }
    app_response_t *response = get(app, "/hello.txt", HEADERS("If-None-Match", TAG));
    assert_int_equal(response->body.length, 0);
    has_header(response, "ETag", TAG);
    has_header(response, "Last-Modified", DATE);
    has_header(response, "Cache-Control", "max-age=0");
    has_header(response, "Content-Length", NULL);
    has_header(response, "Content-Type", NULL);
    app_response_free(response);
    response = ask(app, "HEAD", "/hello.txt", HEADERS("If-None-Match", TAG));
    assert_int_equal(response->status, 304);
    app_response_free(response);
    app_free(app);
    app = serving(&(serve_options_t){.weak_etag = true});
    answers_with(app, "/hello.txt", HEADERS("If-Match", TAG), 412, "ETag", NULL);
    answers_with(app, "/hello.txt", HEADERS("If-None-Match", TAG), 304, "ETag", "W/" TAG);
    app_free(app);
}

/* --- Ranges ----------------------------------------------------------------------------------- */

static void check_part(app_t *app, const char *range, int status, const char *content_range,
                       const char *body) {
    app_response_t *response = get(app, "/hello.txt", HEADERS("Range", range));
    if (response->status != status || strcmp(response->body.data, body) != 0)
        fail_msg("%s: %d \"%s\"", range, response->status, response->body.data);
    has_header(response, "Content-Range", content_range);
    app_response_free(response);
}

static void parts(void **state) {
    app_t *app = serving(NULL);
    check_part(app, "bytes=0-4", 206, "bytes 0-4/12", "hello");
    check_part(app, "bytes=7-", 206, "bytes 7-11/12", "world");
    check_part(app, "bytes=-5", 206, "bytes 7-11/12", "world");
    check_part(app, "bytes=-50", 206, "bytes 0-11/12", "hello, world");
    check_part(app, "bytes=11-99", 206, "bytes 11-11/12", "d");
    check_part(app, "bytes=12-", 416, "bytes */12", "Range Not Satisfiable");
    check_part(app, "bytes=-0", 416, "bytes */12", "Range Not Satisfiable");
    check_part(app, "bytes=2-1", 200, NULL, "hello, world");
    check_part(app, "lines=0-4", 200, NULL, "hello, world");
    answers_with(app, "/hello.txt", HEADERS("Range", "bytes=0-4"), 206, "Content-Length", "5");
    answers_with(app, "/hello.txt", HEADERS("Range", "bytes=0-4"), 206, "ETag", TAG);
    answers_with(app, "/hello.txt", HEADERS("Range", "bytes=0-4"), 206, "Content-Type",
                 "text/plain; charset=utf-8");
    answers_with(app, "/empty.txt", HEADERS("Range", "bytes=0-"), 416, "Content-Range",
                 "bytes */0");
    answers_with(app, "/empty.txt", HEADERS("Range", "bytes=-1"), 200, "Content-Range", NULL);
    app_response_t *response = ask(app, "HEAD", "/hello.txt", HEADERS("Range", "bytes=0-4"));
    assert_int_equal(response->status, 200);
    has_header(response, "Content-Length", "12");
    has_header(response, "Content-Range", NULL);
    app_response_free(response);
    app_free(app);
}

static void if_range(void **state) {
    static const struct {
        const char *condition;
        int status;
    } cases[] = {{TAG, 206},   {"\"x\"", 200}, {"W/" TAG, 200},  {DATE, 206},
                 {LATER, 200}, {EARLIER, 200}, {"nonsense", 200}};
    app_t *app = serving(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        answers_with(app, "/hello.txt",
                     HEADERS("Range", "bytes=0-4", "If-Range", cases[i].condition), cases[i].status,
                     "ETag", TAG);
    /* A range that can't be satisfied doesn't matter where the file is another. */
    answers_with(app, "/hello.txt", HEADERS("Range", "bytes=99-", "If-Range", "\"x\""), 200, "ETag",
                 TAG);
    answers_with(app, "/hello.txt", HEADERS("Range", "bytes=0-4", "If-None-Match", TAG), 304,
                 "Content-Range", NULL);
    app_free(app);
}

static void several_parts(void **state) {
    app_t *app = serving(&(serve_options_t){.max_ranges = 3});
    app_response_t *response = get(app, "/hello.txt", HEADERS("Range", "bytes=0-0, -2,7-7"));
    assert_int_equal(response->status, 206);
    has_header(response, "Content-Range", NULL);
    const char *type = app_response_get(response, "Content-Type"), *boundary = strchr(type, '=');
    char expected[1024], length[16];
    assert_memory_equal(type, "multipart/byteranges; boundary=", 31);
    assert_int_equal(strlen(++boundary), 32);
    snprintf(
        expected, sizeof expected,
        "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-0/12\r\n\r\n"
        "h\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Range: bytes 10-11/12\r\n\r\n"
        "ld\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Range: bytes 7-7/12\r\n\r\n"
        "w\r\n--%s--\r\n",
        boundary, boundary, boundary, boundary);
    assert_string_equal(response->body.data, expected);
    snprintf(length, sizeof length, "%zu", strlen(expected));
    has_header(response, "Content-Length", length);
    app_response_free(response);
    response = get(app, "/no%20extension", HEADERS("Range", "bytes=0-0,2-2"));
    assert_non_null(strstr(response->body.data, "Content-Type: application/octet-stream\r\n"));
    app_response_free(response);
    check_part(app, "bytes=0-0,99-", 206, "bytes 0-0/12", "h"); /* one is left */
    check_part(app, "bytes=0-0,1-1,2-2,3-3", 200, NULL, "hello, world");
    check_part(app, "bytes=0-8,4-9", 200, NULL, "hello, world");
    app_free(app);
}

/* --- Precompressed ---------------------------------------------------------------------------- */

static void check_coding(app_t *app, const char *url, const char *accept, const char *coding,
                         const char *body) {
    app_response_t *response = get(app, url, HEADERS("Accept-Encoding", accept));
    if (strcmp(response->body.data, body) != 0)
        fail_msg("%s, %s: \"%s\"", url, accept, response->body.data);
    has_header(response, "Content-Encoding", coding);
    app_response_free(response);
}

static void precompressed(void **state) {
    app_t *app = serving(NULL);
    check_coding(app, "/script.js", "gzip, deflate, br, zstd", "br", "(br)");
    check_coding(app, "/script.js", "gzip, deflate", "gzip", "(gzip)");
    check_coding(app, "/script.js", "gzip;q=1, br;q=0.5", "gzip", "(gzip)");
    check_coding(app, "/script.js", "*", "br", "(br)");
    check_coding(app, "/script.js", "*, br;q=0", "gzip", "(gzip)");
    check_coding(app, "/script.js", "", NULL, "script();");
    check_coding(app, "/script.js", "deflate", NULL, "script();");
    check_coding(app, "/script.js", "identity, gzip;q=0.5", NULL, "script();");
    check_coding(app, "/script.js", "identity;q=0", NULL, "script();"); /* better than nothing */
    check_coding(app, "/style.css", "zstd", "zstd", "(zstd)");
    check_coding(app, "/only.txt", "gzip", "gzip", "(only)");
    check_coding(app, "/only.txt", "br", NULL, "behind");
    check_coding(app, "/docs", "gzip", "gzip", "(docs)");
    check_coding(app, "/docs/", "gzip", "gzip", "(docs)");
    check_coding(app, "/script.js.br", "br", NULL, "(br)"); /* as it is */
    check_coding(app, "/coded", "br", NULL, "behind");      /* coded.br is a directory */
    app_response_t *response = get(app, "/script.js", HEADERS("Accept-Encoding", "gzip"));
    has_header(response, "Vary", "Accept-Encoding");
    has_header(response, "Content-Type", "text/javascript; charset=utf-8");
    has_header(response, "Content-Length", "6");
    has_header(response, "ETag", "\"6-e8d4a51000-gzip\"");
    app_response_free(response);
    answers_with(app, "/script.js", NULL, 200, "Vary", "Accept-Encoding");
    answers_with(app, "/hello.txt", HEADERS("Accept-Encoding", "gzip"), 200, "Vary", NULL);
    answers_with(app, "/script.js", HEADERS("Accept-Encoding", "gzip", "Range", "bytes=1-4"), 206,
                 "Content-Range", "bytes 1-4/6");
    app_free(app);
    app = serving(&(serve_options_t){.no_brotli = true, .no_zstd = true});
    check_coding(app, "/script.js", "gzip, br", "gzip", "(gzip)");
    check_coding(app, "/style.css", "zstd", NULL, "b{}");
    answers_with(app, "/style.css", NULL, 200, "Vary", NULL);
    app_free(app);
    app = serving(&(serve_options_t){.no_gzip = true, .extensions = HEADERS("js")});
    check_coding(app, "/script", "gzip, br;q=0.1", "br", "(br)");
    check_coding(app, "/script", "gzip", NULL, "script();");
    app_free(app);
}

/* --- Deferred --------------------------------------------------------------------------------- */

static int answers_some(ctx_t *ctx) {
    if (strcmp(ctx->path, "/hello.txt") == 0)
        return ctx_text(ctx, "downstream");
    if (strcmp(ctx->path, "/page.html") == 0)
        ctx->status = 403;
    if (strcmp(ctx->path, "/script.js") == 0)
        return ctx_throw(ctx, 409, "conflict");
    if (strcmp(ctx->path, "/style.css") == 0)
        return ctx_write(ctx, "written", 7);
    if (strcmp(ctx->path, "/empty.txt") == 0)
        return ctx_empty(ctx);
    if (strcmp(ctx->path, "/docs") == 0)
        ctx->status = 404;
    return next(ctx);
}

static void deferred(void **state) {
    app_t *app = quiet_app();
    app_use(app, serve(at("root"), &(serve_options_t){.defer = true}));
    app_use(app, answers_some);
    answers(app, "/hello.txt", 200, "downstream");
    answers(app, "/page.html", 403, "Forbidden");
    answers(app, "/script.js", 409, "conflict");
    answers(app, "/style.css", 200, "written");
    answers(app, "/empty.txt", 204, "");
    answers(app, "/docs", 404, "<p>docs"); /* a page for it */
    answers(app, "/", 200, "<p>index");
    answers(app, "/nothing", 404, "Not Found");
    app_free(app);
}

/* --- What is kept ----------------------------------------------------------------------------- */

static void replace(const char *name, const char *text) {
    put("root2/new", text);
    assert_int_equal(rename(at("root2/new"), at(name)), 0);
}

static void kept(void **state) {
    app_t *app = serving(&(serve_options_t){.cache_time = 3600 * 1000});
    put("root/kept.txt", "old");
    answers(app, "/kept.txt", 200, "old");
    answers(app, "/not-yet.txt", 200, "behind");
    put("root/kept.txt", "changed in place");
    answers(app, "/kept.txt", 200, "changed in place");
    put("root/kept.txt", "CHANGED IN PLACE");
    set_time("root/kept.txt", 1000000001);
    answers(app, "/kept.txt", 200, "CHANGED IN PLACE");
    answers_with(app, "/kept.txt", NULL, 200, "ETag", "\"10-e8d4a513e8\"");
    replace("root/kept.txt", "replaced");
    answers(app, "/kept.txt", 200, "CHANGED IN PLACE"); /* for a while */
    put("root/not-yet.txt", "now");
    answers(app, "/not-yet.txt", 200, "behind");
    app_free(app);
    app = serving(&(serve_options_t){.no_cache = true});
    answers(app, "/kept.txt", 200, "replaced");
    replace("root/kept.txt", "again");
    answers(app, "/kept.txt", 200, "again");
    answers(app, "/not-yet.txt", 200, "now");
    assert_int_equal(unlink(at("root/not-yet.txt")), 0);
    answers(app, "/not-yet.txt", 200, "behind");
    app_free(app);
}

/* The time passes: the loop's clock is ahead by what is slept. */
static int sleep_a_while(ctx_t *ctx) {
    int err = await_sleep(25);
    return err ? err : ctx_text(ctx, "slept");
}

static void kept_for_a_while(void **state) {
    app_t *app = quiet_app();
    app_use(app, serve(at("root"), &(serve_options_t){.cache_time = 20}));
    app_use(app, sleep_a_while);
    put("root/soon.txt", "old");
    answers(app, "/soon.txt", 200, "old");
    replace("root/soon.txt", "new");
    answers(app, "/sleep", 200, "slept");
    answers(app, "/soon.txt", 200, "new");
    app_free(app);
}

static void no_more_than_the_limit(void **state) {
    int before = count_descriptors();
    app_t *app = serving(&(serve_options_t){.cache_files = 3, .cache_time = 3600 * 1000});
    answers(app, "/hello.txt", 200, NULL);
    int idle = count_descriptors() - 1;
    char name[32], url[32];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "root/many%d.txt", i);
        snprintf(url, sizeof url, "/many%d.txt", i);
        put(name, url);
        answers(app, url, 200, url);
        assert_true(count_descriptors() <= idle + 3);
    }
    for (int i = 19; i >= 0; i--) {
        snprintf(url, sizeof url, "/many%d.txt", i);
        answers(app, url, 200, url);
    }
    assert_int_equal(count_descriptors(), idle + 3);
    app_free(app);
    assert_true(count_descriptors() <= before);
}

/* --- Several at once -------------------------------------------------------------------------- */

struct asking {
    app_t *app;
    const char *url, *expected;
    int right;
};

static int ask_again_and_again(void *arg) {
    struct asking *asking = arg;
    for (int i = 0; i < 50; i++) {
        app_response_t *response = app_inject(asking->app, &(app_request_t){.url = asking->url});
        asking->right += response && strcmp(response->body.data, asking->expected) == 0;
        app_response_free(response);
    }
    return 0;
}

static app_t *crowded;

static int crowd(ctx_t *ctx) {
    static const char *const urls[] = {"/hello.txt", "/page.html", "/docs", "/nothing"};
    static const char *const expected[] = {"hello, world", "<p>page", "<p>docs", "behind"};
    struct asking asking[16];
    await_task_t tasks[16];
    int right = 0;
    for (int i = 0; i < 16; i++) {
        asking[i] = (struct asking){crowded, urls[i % 4], expected[i % 4], 0};
        tasks[i] = (await_task_t){ask_again_and_again, &asking[i], 0};
    }
    int err = await_all(tasks, 16);
    for (int i = 0; i < 16; i++)
        right += asking[i].right;
    return err ? err : ctx_textf(ctx, "%d", right);
}

static void many_at_once(void **state) {
    static const serve_options_t options[] = {{.cache_files = 2}, {.no_cache = true}};
    for (size_t i = 0; i < 2; i++) {
        crowded = quiet_app();
        app_use(crowded, route_get("/crowd", crowd));
        app_use(crowded, serve(at("root"), &options[i]));
        app_use(crowded, behind);
        answers(crowded, "/crowd", 200, "800");
        app_free(crowded);
    }
}

/* A file that becomes shorter while it is sent: the client must see that something is missing. */
static int truncates(ctx_t *ctx) {
    int err = next(ctx);
    return err ? err : truncate(at("root/large.bin"), 100000);
}

static void a_file_that_shrinks(void **state) {
    static const char large[200000];
    put_data("root/large.bin", large, sizeof large);
    app_t *app = quiet_app();
    app_use(app, truncates);
    app_use(app, serve(at("root"), NULL));
    app_response_t *response = get(app, "/large.bin", NULL);
    has_header(response, "Content-Length", "200000");
    assert_true(response->failed);
    app_response_free(response);
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(what_is_not_there),
        cmocka_unit_test(bad_paths),
        cmocka_unit_test(climbing),
        cmocka_unit_test(directories),
        cmocka_unit_test(other_methods),
        cmocka_unit_test(extensions),
        cmocka_unit_test(hidden_ones),
        cmocka_unit_test(links),
        cmocka_unit_test(a_root_that_moves),
        cmocka_unit_test(a_relative_root),
        cmocka_unit_test(the_whole_disk),
        cmocka_unit_test(bad_roots),
        cmocka_unit_test(headers),
        cmocka_unit_test(young_files),
        cmocka_unit_test(what_is_set_stays),
        cmocka_unit_test(headers_by_callback),
        cmocka_unit_test(conditions),
        cmocka_unit_test(parts),
        cmocka_unit_test(if_range),
        cmocka_unit_test(several_parts),
        cmocka_unit_test(precompressed),
        cmocka_unit_test(deferred),
        cmocka_unit_test(kept),
        cmocka_unit_test(kept_for_a_while),
        cmocka_unit_test(no_more_than_the_limit),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(a_file_that_shrinks),
    };
    return cmocka_run_group_tests(tests, make_files, remove_directory);
}
