/* What a ctx says of the request, and makes of the response: whole requests, without a network. */
#include <acacia.h>

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- A request through one handler ------------------------------------------------------------ */

static app_response_t *ask_with(const app_options_t *options, middleware_fn *handler,
                                const app_request_t *request) {
    app_t *app = app_new_with(options);
    app_use_fn(app, handler, "handler");
    app_response_t *response = app_inject(app, request);
    assert_non_null(response);
    app_free(app);
    return response;
}

/* The handler asserts, and answers "good" if it came to its end. */
static void see_with(const app_options_t *options, middleware_fn *handler,
                     const app_request_t *request) {
    app_response_t *response = ask_with(options, handler, request);
    assert_string_equal(response->body.data, "good");
    app_response_free(response);
}

static void see(middleware_fn *handler, const char *url, const char *const *headers) {
    see_with(NULL, handler, &(app_request_t){.url = url, .headers = headers});
}

#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})

static app_response_t *get(middleware_fn *handler, const char *const *headers) {
    return ask_with(&(app_options_t){.silent = true}, handler,
                    &(app_request_t){.headers = headers});
}

static void has_header(const app_response_t *response, const char *name, const char *value) {
    const char *found = app_response_get(response, name);
    if (value) {
        assert_non_null(found);
        assert_string_equal(found, value);
    } else {
        assert_null(found);
    }
}

/* --- The URL ---------------------------------------------------------------------------------- */

static int rewrites(ctx_t *ctx) {
    assert_string_equal(ctx_search(ctx), "?x=1");
    assert_int_equal(ctx_set_path(ctx, "/b?c#d"), 0);
    assert_string_equal(ctx->path, "/b%3Fc%23d");
    assert_string_equal(ctx->url, "/b%3Fc%23d?x=1");
    assert_string_equal(ctx->original_url, "/a?x=1");
    assert_string_equal(ctx_query(ctx, "x"), "1");
    assert_int_equal(ctx_set_querystring(ctx, "y=2&z=#"), 0);
    assert_string_equal(ctx->url, "/b%3Fc%23d?y=2&z=%23");
    assert_null(ctx_query(ctx, "x"));
    assert_string_equal(ctx_query(ctx, "z"), "#");
    assert_int_equal(ctx_set_querystring(ctx, "?"), 0);
    assert_string_equal(ctx->url, "/b%3Fc%23d");
    assert_string_equal(ctx_search(ctx), "");
    assert_int_equal(ctx_set_query(ctx, HEADERS("q", "a b&ü", "r", "")), 0);
    assert_string_equal(ctx->querystring, "q=a+b%26%C3%BC&r=");
    assert_string_equal(ctx_query(ctx, "q"), "a b&ü");
    assert_int_equal(ctx_set_url(ctx, "http://h.test/p?q=1#h"), 0);
    assert_string_equal(ctx->path, "/p");
    assert_int_equal(ctx_set_path(ctx, "r"), 0);
    assert_string_equal(ctx->url, "http://h.test/r?q=1#h");
    assert_int_equal(ctx_set_method(ctx, "PUT"), 0);
    assert_true(ctx_idempotent(ctx));
    assert_int_equal(ctx_set_method(ctx, "POST"), 0);
    assert_string_equal(ctx->method, "POST");
    assert_false(ctx_idempotent(ctx));
    assert_int_equal(ctx_set_method(ctx, "A B"), UV_EINVAL);
    assert_int_equal(ctx_set_method(ctx, ""), UV_EINVAL);
    return ctx_text(ctx, "good");
}

/* An empty query is one, too, as in Koa. */
static int rewrites_before_nothing(ctx_t *ctx) {
    assert_int_equal(ctx_set_path(ctx, "/b"), 0);
    assert_string_equal(ctx->url, "/b?");
    assert_int_equal(ctx_set_querystring(ctx, "x"), 0);
    assert_int_equal(ctx_set_querystring(ctx, ""), 0);
    assert_string_equal(ctx->url, "/b");
    assert_int_equal(ctx_set_url(ctx, "/a#b?c"), 0);
    assert_int_equal(ctx_set_path(ctx, "/d"), 0);
    assert_string_equal(ctx->url, "/d#b?c");
    return ctx_text(ctx, "good");
}

static void test_rewriting(void **state) {
    see(rewrites, "/a?x=1", NULL);
    see(rewrites_before_nothing, "/a?", NULL);
}

static int decodes(ctx_t *ctx) {
    const char *const malformed[] = {"%", "%zz", "a%00b", "%FF", "%C0%AF"}, *decoded;
    assert_int_equal(ctx_decode(ctx, ctx->path, &decoded), 0);
    assert_string_equal(decoded, "/a b+c/é/../");
    assert_int_equal(ctx_decode(ctx, "", &decoded), 0);
    assert_string_equal(decoded, "");
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        assert_int_equal(ctx_decode(ctx, malformed[i], &decoded), UV_EINVAL);
        assert_null(decoded);
    }
    return ctx_text(ctx, "good");
}

static void test_decoding(void **state) {
    see(decodes, "/a%20b+c/%C3%a9/%2e%2E%2f", NULL);
}

/* --- Headers ---------------------------------------------------------------------------------- */

static int joins(ctx_t *ctx) {
    assert_string_equal(ctx_get(ctx, "ACCEPT"), "a, b");
    assert_string_equal(ctx_get(ctx, "cookie"), "x=1; y=2");
    assert_string_equal(ctx_get(ctx, "content-type"), "first");
    assert_string_equal(ctx_get(ctx, "none"), "");
    assert_string_equal(ctx_get(ctx, "referer"), "/r");
    assert_string_equal(ctx_get(ctx, "Referrer"), "/r");
    assert_string_equal(ctx_origin(ctx), "http://o.test");
    return ctx_text(ctx, "good");
}

static void test_headers_of_the_request(void **state) {
    see(joins, "/",
        HEADERS("Accept", "a", "Cookie", "x=1", "Accept", "b", "Cookie", "y=2", "Content-Type",
                "first", "Content-Type", "second", "Referer", "/r", "Origin", "http://o.test"));
}

/* --- Who asks whom ---------------------------------------------------------------------------- */

struct asked {
    const char *protocol, *host, *hostname, *ip, *ips, *subdomains, *href;
};

static struct asked expected;

static void joined(ctx_t *ctx, const char *(*item_at)(ctx_t *ctx, size_t index), char *text) {
    const char *item;
    text[0] = '\0';
    for (size_t i = 0; (item = item_at(ctx, i)); i++) {
        strcat(text, i ? " " : "");
        strcat(text, item);
    }
}

static int compares(ctx_t *ctx) {
    char text[256];
    assert_string_equal(ctx_protocol(ctx), expected.protocol);
    assert_int_equal(ctx_secure(ctx), strcmp(expected.protocol, "https") == 0);
    assert_string_equal(ctx_host(ctx), expected.host);
    assert_string_equal(ctx_hostname(ctx), expected.hostname);
    assert_string_equal(ctx_ip(ctx), expected.ip);
    joined(ctx, ctx_ip_at, text);
    assert_string_equal(text, expected.ips);
    joined(ctx, ctx_subdomain_at, text);
    assert_string_equal(text, expected.subdomains);
    assert_string_equal(ctx_href(ctx), expected.href);
    return ctx_text(ctx, "good");
}

static const char *const x_forwarded[] = {
    "Host",
    "a.b.c.test:80",
    "X-Forwarded-Host",
    "x.test , y",
    "X-Forwarded-Proto",
    "HTTPS, http",
    "X-Forwarded-For",
    "203.0.113.9, 198.51.100.2, 10.0.0.2",
    NULL,
};

static void compare(const app_options_t *options, const char *peer, const char *const *headers,
                    struct asked asked) {
    expected = asked;
    see_with(options, compares, &(app_request_t){.url = "/p", .headers = headers, .peer = peer});
}

static void test_nobody_is_believed(void **state) {
    compare(NULL, "10.0.0.1", x_forwarded,
            (struct asked){"http", "a.b.c.test:80", "a.b.c.test", "10.0.0.1", "", "b a",
                           "http://a.b.c.test:80/p"});
    compare(&(app_options_t){.subdomain_offset = 3}, "10.0.0.1", x_forwarded,
            (struct asked){"http", "a.b.c.test:80", "a.b.c.test", "10.0.0.1", "", "a",
                           "http://a.b.c.test:80/p"});
    compare(&(app_options_t){.subdomain_offset = -1}, "10.0.0.1", x_forwarded,
            (struct asked){"http", "a.b.c.test:80", "a.b.c.test", "10.0.0.1", "", "test c b a",
                           "http://a.b.c.test:80/p"});
}

static void test_every_proxy_is_believed(void **state) {
    compare(&(app_options_t){.proxy = true}, "10.0.0.1", x_forwarded,
            (struct asked){"https", "x.test", "x.test", "203.0.113.9",
                           "203.0.113.9 198.51.100.2 10.0.0.2", "", "https://x.test/p"});
    compare(&(app_options_t){.proxy = true, .max_ips = 2}, "10.0.0.1", x_forwarded,
            (struct asked){"https", "x.test", "x.test", "198.51.100.2", "198.51.100.2 10.0.0.2", "",
                           "https://x.test/p"});
    compare(&(app_options_t){.proxy = true, .proxy_ip_header = "X-Real-IP"}, "10.0.0.1",
            HEADERS("Host", "h", "X-Real-IP", "9.9.9.9", "X-Forwarded-For", "1.1.1.1"),
            (struct asked){"http", "h", "h", "9.9.9.9", "9.9.9.9", "", "http://h/p"});
}

static void test_some_proxies_are_believed(void **state) {
    const app_options_t options = {
        .trusted_proxies = HEADERS("loopback", "10.0.0.0/8"),
    };
    compare(&options, "10.0.0.1", x_forwarded,
            (struct asked){"https", "x.test", "x.test", "198.51.100.2", "198.51.100.2 10.0.0.2", "",
                           "https://x.test/p"});
    compare(&options, "192.0.2.1", x_forwarded,
            (struct asked){"http", "a.b.c.test:80", "a.b.c.test", "192.0.2.1", "", "b a",
                           "http://a.b.c.test:80/p"});
    compare(&options, "", x_forwarded, /* a unix socket */
            (struct asked){"https", "x.test", "x.test", "198.51.100.2", "198.51.100.2 10.0.0.2", "",
                           "https://x.test/p"});
}

static void test_forwarded(void **state) {
    const char *const headers[] = {
        "Host",
        "h.test",
        "X-Forwarded-Host",
        "no",
        "Forwarded",
        "for=203.0.113.9;host=evil, for=\"[2001:db8::1]:4711\";host=good.test;proto=HTTPS, "
        "for=10.0.0.2",
        NULL,
    };
    compare(&(app_options_t){.forwarded = true}, "10.0.0.1", headers,
            (struct asked){"http", "evil", "evil", "203.0.113.9",
                           "203.0.113.9 2001:db8::1 10.0.0.2", "", "http://evil/p"});
    compare(&(app_options_t){.forwarded = true, .trusted_proxies = HEADERS("10.0.0.0/8")},
            "10.0.0.1", headers,
            (struct asked){"https", "good.test", "good.test", "2001:db8::1", "2001:db8::1 10.0.0.2",
                           "", "https://good.test/p"});
    compare(&(app_options_t){.forwarded = true}, "10.0.0.1",
            HEADERS("Host", "h.test", "Forwarded", "for=1.1.1.1;;=", "X-Forwarded-For", "2.2.2.2"),
            (struct asked){"http", "h.test", "h.test", "10.0.0.1", "", "", "http://h.test/p"});
}

static void test_hosts(void **state) {
    static const char *const hosts[][4] = {
        {"[::0:1]:80", "[::0:1]:80", "[::1]", "http://[::0:1]:80/p"},
        {"user@Example.org:80", "example.org", "example.org", "http://example.org/p"},
        {"a, b", "a", "a", "http://a/p"},
        {"[x]", "[x]", "", "http://[x]/p"},
    };
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        compare(NULL, "1.2.3.4", HEADERS("Host", hosts[i][0]),
                (struct asked){"http", hosts[i][1], hosts[i][2], "1.2.3.4", "", "", hosts[i][3]});
    compare(&(app_options_t){.subdomain_offset = -1}, "1.2.3.4", HEADERS("Host", "127.0.0.1:80"),
            (struct asked){"http", "127.0.0.1:80", "127.0.0.1", "1.2.3.4", "", "",
                           "http://127.0.0.1:80/p"});
}

static int sets_ip(ctx_t *ctx) {
    assert_int_equal(ctx_set_ip(ctx, "5.5.5.5"), 0);
    assert_string_equal(ctx_ip(ctx), "5.5.5.5");
    assert_string_equal(ctx_peer(ctx), "127.0.0.1");
    return ctx_text(ctx, "good");
}

static void test_ip_that_is_set(void **state) {
    see(sets_ip, "/", NULL);
}

/* --- What it takes, and has ------------------------------------------------------------------- */

static int negotiates(ctx_t *ctx) {
    assert_string_equal(ctx_accepts(ctx, "json", "html"), "html");
    assert_null(ctx_accepts(ctx, "png"));
    assert_string_equal(ctx_accepts_at(ctx, 0), "text/html");
    assert_string_equal(ctx_accepts_at(ctx, 1), "application/json");
    assert_null(ctx_accepts_at(ctx, 2));
    assert_null(ctx_accepts_at(ctx, 99));
    assert_string_equal(ctx_accepts_encodings(ctx, "gzip", "br"), "br");
    assert_string_equal(ctx_accepts_encoding_at(ctx, 0), "br");
    assert_string_equal(ctx_accepts_languages(ctx, "en", "de"), "de");
    assert_string_equal(ctx_accepts_language_at(ctx, 0), "de");
    assert_string_equal(ctx_accepts_charsets(ctx, "utf-8"), "utf-8");
    assert_string_equal(ctx_accepts_charset_at(ctx, 0), "*");
    return ctx_text(ctx, "good");
}

static void test_negotiation(void **state) {
    see(negotiates, "/",
        HEADERS("Accept", "application/json;q=.5, text/html", "Accept-Encoding", "br, gzip;q=.1",
                "Accept-Language", "de"));
}

static int is_form(ctx_t *ctx) {
    assert_true(ctx_has_body(ctx));
    assert_string_equal(ctx_is(ctx, "json", "urlencoded"), "urlencoded");
    assert_string_equal(ctx_is(ctx, "application/*"), "application/x-www-form-urlencoded");
    assert_null(ctx_is(ctx, "json"));
    assert_string_equal(ctx_request_type(ctx), "application/x-www-form-urlencoded");
    assert_string_equal(ctx_request_charset(ctx), "utf-8");
    assert_int_equal(ctx_request_length(ctx), 3);
    return ctx_text(ctx, "good");
}

static int has_no_body(ctx_t *ctx) {
    assert_false(ctx_has_body(ctx));
    assert_null(ctx_is(ctx, "json"));
    assert_string_equal(ctx_request_type(ctx), "");
    assert_string_equal(ctx_request_charset(ctx), "");
    assert_int_equal(ctx_request_length(ctx), -1);
    return ctx_text(ctx, "good");
}

static void test_type_of_the_request(void **state) {
    see_with(
        NULL, is_form,
        &(app_request_t){
            .method = "POST",
            .headers = HEADERS("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            .body = "a=1",
            .body_length = 3,
        });
    see(has_no_body, "/", NULL);
}

static int is_fresh(ctx_t *ctx) {
    assert_false(ctx_fresh(ctx)); /* 404 yet */
    ctx->status = 200;
    ctx_etag(ctx, "tag");
    ctx_last_modified(ctx, 1580608922);
    assert_int_equal(ctx_response_last_modified(ctx), 1580608922);
    ctx->status = ctx_fresh(ctx) ? 304 : 200;
    assert_int_equal(ctx_stale(ctx), !ctx_fresh(ctx));
    return ctx->status == 304 ? 0 : ctx_text(ctx, "new");
}

static void test_freshness(void **state) {
    app_response_t *r = get(is_fresh, HEADERS("If-None-Match", "W/\"tag\""));
    assert_int_equal(r->status, 304);
    has_header(r, "ETag", "\"tag\"");
    has_header(r, "Last-Modified", "Sun, 02 Feb 2020 02:02:02 GMT");
    has_header(r, "Content-Length", NULL);
    app_response_free(r);
    r = get(is_fresh, HEADERS("If-None-Match", "\"other\""));
    assert_int_equal(r->status, 200);
    app_response_free(r);
    r = get(is_fresh, HEADERS("If-Modified-Since", "Sun, 02 Feb 2020 02:02:01 GMT"));
    assert_int_equal(r->status, 200);
    app_response_free(r);
}

/* --- Bodies ----------------------------------------------------------------------------------- */

static int body_of(ctx_t *ctx) {
    return ctx_body(ctx, ctx_get(ctx, "X-Body"));
}

static void test_body_that_is_sniffed(void **state) {
    static const char *const bodies[][2] = {
        {"<p>", "text/html; charset=utf-8"},
        {"  \u00a0\ufeff<p>", "text/html; charset=utf-8"},
        {"a<p>", "text/plain; charset=utf-8"},
        {"", "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        app_response_t *r = get(body_of, HEADERS("X-Body", bodies[i][0]));
        assert_int_equal(r->status, 200);
        assert_string_equal(r->body.data, bodies[i][0]);
        has_header(r, "Content-Type", bodies[i][1]);
        app_response_free(r);
    }
}

static int empty(ctx_t *ctx) {
    ctx_text(ctx, "gone");
    assert_int_equal(ctx_body_kind(ctx), CTX_BODY_BYTES);
    assert_string_equal(ctx_body_bytes(ctx).data, "gone");
    ctx_empty(ctx);
    assert_int_equal(ctx_body_kind(ctx), CTX_BODY_EMPTY);
    ctx->status = atoi(ctx_get(ctx, "X-Status")) ? atoi(ctx_get(ctx, "X-Status")) : ctx->status;
    return 0;
}

static int empty_json(ctx_t *ctx) {
    ctx_type(ctx, "json");
    return ctx_empty(ctx);
}

static void test_no_body(void **state) {
    app_response_t *r = get(empty, NULL);
    assert_int_equal(r->status, 204);
    has_header(r, "Content-Length", NULL);
    has_header(r, "Content-Type", NULL);
    app_response_free(r);
    r = get(empty, HEADERS("X-Status", "200"));
    assert_int_equal(r->status, 200);
    has_header(r, "Content-Length", "0");
    has_header(r, "Content-Type", NULL);
    app_response_free(r);
    r = get(empty_json, NULL);
    assert_int_equal(r->status, 404);
    assert_string_equal(r->body.data, "null");
    has_header(r, "Content-Length", "4");
    app_response_free(r);
}

static int wrong_status(ctx_t *ctx) {
    ctx->status = atoi(ctx_get(ctx, "X-Status"));
    return ctx_text(ctx, "never");
}

static void test_status_that_is_none(void **state) {
    static const char *const statuses[] = {"99", "-1", "1000", "100", "199"};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        app_response_t *r = get(wrong_status, HEADERS("X-Status", statuses[i]));
        assert_int_equal(r->status, 500);
        assert_string_equal(r->body.data, "Internal Server Error");
        app_response_free(r);
    }
}

static int messages(ctx_t *ctx) {
    ctx_message(ctx, "forgotten"); /* the first body sets the status */
    ctx_text(ctx, "text");
    assert_string_equal(ctx_response_message(ctx), "OK");
    assert_int_equal(ctx_message(ctx, "a\r\nb"), UV_EINVAL);
    return ctx_message(ctx, "Fine");
}

static int message_alone(ctx_t *ctx) {
    ctx->status = 299;
    assert_null(ctx_response_message(ctx));
    return *ctx_get(ctx, "X-Message") ? ctx_message(ctx, ctx_get(ctx, "X-Message")) : 0;
}

static void test_messages(void **state) {
    app_response_t *r = get(messages, NULL);
    assert_string_equal(r->message, "Fine");
    app_response_free(r);
    r = get(message_alone, HEADERS("X-Message", "Hm"));
    assert_string_equal(r->message, "Hm");
    assert_string_equal(r->body.data, "Hm");
    app_response_free(r);
    r = get(message_alone, NULL);
    assert_string_equal(r->message, "unknown");
    assert_string_equal(r->body.data, "299");
    app_response_free(r);
}

/* --- Streams ---------------------------------------------------------------------------------- */

static int closes;

static void count_close(void *state) {
    closes++;
}

/* Gives `state` as it stands, then an error if it begins with '!'. */
static ssize_t read_once(ctx_t *ctx, void *state, void *buffer, size_t size) {
    char **text = state;
    size_t n = strlen(*text);
    if (**text == '!')
        return UV_EIO;
    memcpy(buffer, *text, n);
    *text += n;
    if (ctx_query(ctx, "breaks") && n)
        *text = "!";
    await_sleep(0);
    return (ssize_t)n;
}

static int streams(ctx_t *ctx) {
    char **text = ctx_new(ctx, char *);
    *text = (char *)ctx_get(ctx, "X-Text");
    if (ctx_query(ctx, "length"))
        ctx_length(ctx, strlen(*text));
    int err = ctx_stream(ctx, (body_stream_t){read_once, count_close, text});
    return ctx_query(ctx, "replaced") ? ctx_text(ctx, "another") : err;
}

static app_response_t *stream(const char *method, const char *url, const char *text) {
    closes = 0;
    return ask_with(
        &(app_options_t){.silent = true}, streams,
        &(app_request_t){.method = method, .url = url, .headers = HEADERS("X-Text", text)});
}

static void test_streams(void **state) {
    app_response_t *r = stream("GET", "/", "text");
    assert_string_equal(r->body.data, "text");
    has_header(r, "Content-Type", "application/octet-stream");
    has_header(r, "Content-Length", NULL);
    assert_int_equal(closes, 1);
    app_response_free(r);
    r = stream("GET", "/?length", "text");
    has_header(r, "Content-Length", "4");
    app_response_free(r);
    r = stream("GET", "/?replaced", "text");
    assert_string_equal(r->body.data, "another");
    has_header(r, "Content-Length", "7");
    assert_int_equal(closes, 1);
    app_response_free(r);
    r = stream("HEAD", "/", "text");
    assert_int_equal(r->body.length, 0);
    assert_int_equal(closes, 1);
    app_response_free(r);
    r = stream("GET", "/", "!");
    assert_int_equal(r->status, 500); /* nothing was sent yet */
    assert_false(r->failed);
    assert_int_equal(closes, 1);
    app_response_free(r);
    r = stream("GET", "/?breaks", "text");
    assert_int_equal(r->status, 200);
    assert_string_equal(r->body.data, "text");
    assert_true(r->failed);
    assert_int_equal(closes, 1);
    app_response_free(r);
}

/* A body that is a file, and one that is no longer. */
static int sends_file(ctx_t *ctx) {
    const char *name = ctx_get(ctx, "X-File");
    uv_stat_t stat = {0};
    assert_false(ctx_body_file(ctx, &stat));
    int err = ctx_file(ctx, name);
    if (err)
        return err;
    assert_true(ctx_body_file(ctx, &stat));
    assert_int_equal(stat.st_size, 5);
    assert_int_equal(stat.st_mtim.tv_sec, 1000000000);
    assert_int_equal(ctx_body_kind(ctx), CTX_BODY_STREAM);
    if (ctx_query(ctx, "replaced")) {
        ctx_text(ctx, "another");
        assert_false(ctx_body_file(ctx, &stat));
    }
    return 0;
}

static void test_files(void **state) {
    char name[] = "/tmp/acacia-file-XXXXXX";
    int file = mkstemp(name);
    assert_int_equal(write(file, "hello", 5), 5);
    assert_int_equal(futimens(file, (struct timespec[]){{1000000000, 0}, {1000000000, 0}}), 0);
    close(file);
    app_response_t *r = get(sends_file, HEADERS("X-File", name));
    assert_string_equal(r->body.data, "hello");
    has_header(r, "Content-Length", "5");
    has_header(r, "Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT");
    app_response_free(r);
    r = ask_with(NULL, sends_file,
                 &(app_request_t){.url = "/?replaced", .headers = HEADERS("X-File", name)});
    assert_string_equal(r->body.data, "another");
    app_response_free(r);
    unlink(name);
}

/* A middleware that makes the body loud, whatever it is. */
static ssize_t read_loud(ctx_t *ctx, void *state, void *buffer, size_t size) {
    body_stream_t *inner = state;
    ssize_t n = inner->read(ctx, inner->state, buffer, size);
    for (ssize_t i = 0; i < n; i++)
        ((char *)buffer)[i] = (char)toupper((unsigned char)((char *)buffer)[i]);
    return n;
}

static void close_loud(void *state) {
    body_stream_t *inner = state;
    if (inner->close)
        inner->close(inner->state);
}

static int loud(ctx_t *ctx) {
    int err = next(ctx);
    body_stream_t *inner = ctx_new(ctx, body_stream_t);
    if (err)
        return err;
    *inner = ctx_take_body(ctx);
    assert_int_equal(ctx_body_kind(ctx), CTX_BODY_UNSET);
    if (!inner->read)
        return 0;
    ctx_remove(ctx, "Content-Length");
    return ctx_stream(ctx, (body_stream_t){read_loud, close_loud, inner});
}

static void test_bodies_that_are_wrapped(void **state) {
    middleware_fn *const handlers[] = {body_of, streams};
    for (size_t i = 0; i < 2; i++) {
        app_t *app = app_new();
        closes = 0;
        app_use(app, loud);
        app_use_fn(app, handlers[i], "handler");
        app_response_t *r = app_inject(
            app, &(app_request_t){.headers = HEADERS("X-Body", "text", "X-Text", "text")});
        assert_string_equal(r->body.data, "TEXT");
        assert_int_equal(closes, i);
        app_response_free(r);
        app_free(app);
    }
}

/* --- Writing at once -------------------------------------------------------------------------- */

static int flushes(ctx_t *ctx) {
    ctx_set(ctx, "X-A", "1");
    ctx->status = 201;
    assert_false(ctx_header_sent(ctx));
    assert_int_equal(ctx_flush_headers(ctx), 0);
    assert_true(ctx_header_sent(ctx));
    assert_int_equal(ctx_flush_headers(ctx), 0);
    assert_int_equal(ctx_set(ctx, "X-A", "2"), UV_EALREADY);
    assert_int_equal(ctx_remove(ctx, "X-A"), UV_EALREADY);
    assert_true(ctx_writable(ctx));
    if (*ctx_get(ctx, "X-Body"))
        ctx_text(ctx, ctx_get(ctx, "X-Body"));
    return 0;
}

static int writes(ctx_t *ctx) {
    assert_int_equal(ctx_writef(ctx, "%d,", 1), 0);
    assert_int_equal(ctx_write(ctx, "2", 1), 0);
    assert_int_equal(ctx_text(ctx, "no"), UV_EALREADY);
    return 0;
}

static void test_flushing(void **state) {
    app_response_t *r = get(flushes, HEADERS("X-Body", "text"));
    assert_int_equal(r->status, 201);
    assert_string_equal(r->body.data, "text");
    has_header(r, "X-A", "1");
    has_header(r, "Content-Length", NULL);
    app_response_free(r);
    r = get(flushes, NULL);
    assert_string_equal(r->body.data, "Created");
    app_response_free(r);
    r = get(writes, NULL);
    assert_string_equal(r->body.data, "1,2");
    assert_int_equal(r->status, 200);
    app_response_free(r);
}

/* --- Detached --------------------------------------------------------------------------------- */

struct later {
    uv_timer_t timer;
    ctx_t *ctx;
    int ticks;
};

static void free_later(uv_handle_t *handle) {
    free(handle);
}

static void on_tick(uv_timer_t *timer) {
    struct later *later = (struct later *)timer;
    assert_int_equal(ctx_writef(later->ctx, "%d", later->ticks), 0);
    if (++later->ticks < 3)
        return;
    ctx_end(later->ctx);
    uv_close((uv_handle_t *)timer, free_later);
}

static int answers_later(ctx_t *ctx) {
    struct later *later = calloc(1, sizeof *later);
    later->ctx = ctx;
    uv_timer_init(app_loop(ctx->app), &later->timer);
    uv_timer_start(&later->timer, on_tick, 1, 1);
    ctx_detach(ctx);
    return 0;
}

static int ends_at_once(ctx_t *ctx) {
    ctx_detach(ctx);
    ctx_text(ctx, "at once");
    ctx_end(ctx);
    ctx_end(ctx); /* more than once is once */
    return *ctx_get(ctx, "X-Fail") ? ctx_throw(ctx, 418, NULL) : 0;
}

static void test_detached(void **state) {
    app_response_t *r = get(answers_later, NULL);
    assert_string_equal(r->body.data, "012");
    assert_false(r->failed);
    app_response_free(r);
    r = get(ends_at_once, NULL);
    assert_string_equal(r->body.data, "at once");
    app_response_free(r);
    r = get(ends_at_once, HEADERS("X-Fail", "1"));
    assert_int_equal(r->status, 418);
    app_response_free(r);
}

/* --- Headers of the response ------------------------------------------------------------------ */

static int sets_headers(ctx_t *ctx) {
    assert_int_equal(ctx_set(ctx, "X-Bad", "a\nb"), UV_EINVAL);
    assert_int_equal(ctx_set(ctx, "X Bad", "a"), UV_EINVAL);
    ctx_append(ctx, "Content-Type", "a/b");
    ctx_append(ctx, "Content-Type", "c/d");
    assert_true(ctx_has(ctx, "content-TYPE"));
    assert_string_equal(ctx_response_type(ctx), "c/d");
    assert_string_equal(ctx_response_is(ctx, "c/*"), "c/d");
    ctx_vary(ctx, "Accept");
    ctx_vary(ctx, "accept, Origin");
    assert_string_equal(ctx_response_get(ctx, "Vary"), "Accept, Origin");
    assert_int_equal(ctx_vary(ctx, "a b"), 0); /* two names are two names */
    assert_int_equal(ctx_vary(ctx, "a:b"), UV_EINVAL);
    ctx_vary(ctx, "*");
    assert_string_equal(ctx_response_get(ctx, "Vary"), "*");
    ctx_vary(ctx, "Accept");
    assert_string_equal(ctx_response_get(ctx, "Vary"), "*");
    ctx_etag(ctx, "a");
    assert_string_equal(ctx_response_get(ctx, "ETag"), "\"a\"");
    ctx_etag(ctx, "W/\"a\"");
    assert_string_equal(ctx_response_get(ctx, "ETag"), "W/\"a\"");
    assert_int_equal(ctx_response_length(ctx), -1);
    ctx_length(ctx, 7);
    assert_int_equal(ctx_response_length(ctx), 7);
    ctx_remove(ctx, "Content-Length");
    return ctx_text(ctx, "good");
}

static void test_headers_of_the_response(void **state) {
    see(sets_headers, "/", NULL);
}

static int redirects(ctx_t *ctx) {
    ctx->status = atoi(ctx_get(ctx, "X-Status"));
    return ctx_redirect(ctx, ctx_get(ctx, "X-To"));
}

static int backs(ctx_t *ctx) {
    return ctx_back(ctx, "/alternative");
}

static void test_redirects(void **state) {
    app_response_t *r =
        get(redirects, HEADERS("X-To", "HTTP://H.test:80/a b", "Accept", "text/html"));
    assert_int_equal(r->status, 302);
    has_header(r, "Location", "http://h.test/a%20b");
    assert_string_equal(r->body.data, "Redirecting to http://h.test/a%20b.");
    has_header(r, "Content-Type", "text/html; charset=utf-8");
    app_response_free(r);
    r = get(redirects, HEADERS("X-To", "/<é>%20\"", "X-Status", "301", "Accept", "text/html"));
    assert_int_equal(r->status, 301);
    has_header(r, "Location", "/%3C%C3%A9%3E%20%22");
    assert_string_equal(r->body.data, "Redirecting to /&lt;é&gt;%20&quot;.");
    app_response_free(r);
    r = get(redirects, HEADERS("X-To", "/a", "X-Status", "200", "Accept", "text/plain"));
    assert_int_equal(r->status, 302);
    has_header(r, "Content-Type", "text/plain; charset=utf-8");
    app_response_free(r);
    r = get(redirects, HEADERS("X-To", "http://[", "X-Status", "200"));
    assert_int_equal(r->status, 500);
    app_response_free(r);
}

static void test_back(void **state) {
    static const char *const referrers[][2] = {
        {"", "/alternative"},
        {"http://here.test/page?a", "http://here.test/page?a"},
        {"/relative", "/relative"},
        {"//evil.test/page", "/alternative"},
        {"http://evil.test/", "/alternative"},
        {"javascript://here.test/%0aalert(1)", "/alternative"},
    };
    for (size_t i = 0; i < sizeof referrers / sizeof *referrers; i++) {
        app_response_t *r = get(backs, HEADERS("Host", "here.test", "Referer", referrers[i][0]));
        assert_int_equal(r->status, 302);
        has_header(r, "Location", referrers[i][1]);
        app_response_free(r);
    }
}

static int attaches(ctx_t *ctx) {
    int err = ctx_attachment(ctx, ctx_get(ctx, "X-Name"));
    return err ? err : ctx_text(ctx, "data");
}

static int attaches_inline(ctx_t *ctx) {
    ctx_type(ctx, "html");
    int err = ctx_attachment_with(ctx, "ä.txt",
                                  &(attachment_options_t){.type = "inline", .fallback = "a.txt"});
    return err ? err : ctx_text(ctx, "data");
}

static void test_attachments(void **state) {
    app_response_t *r = get(attaches, HEADERS("X-Name", "dir/a b.json"));
    has_header(r, "Content-Disposition", "attachment; filename=\"a b.json\"");
    has_header(r, "Content-Type", "application/json; charset=utf-8");
    app_response_free(r);
    r = get(attaches, HEADERS("X-Name", "r\u00e9sum\u00e9 \u20ac.txt"));
    has_header(r, "Content-Disposition",
               "attachment; filename=\"r?sum? ?.txt\"; "
               "filename*=UTF-8''r%C3%A9sum%C3%A9%20%E2%82%AC.txt");
    app_response_free(r);
    r = get(attaches_inline, NULL);
    has_header(r, "Content-Disposition", "inline; filename=\"a.txt\"; filename*=UTF-8''%C3%A4.txt");
    has_header(r, "Content-Type", "text/html; charset=utf-8");
    app_response_free(r);
}

/* --- Forms and JSON of clients ---------------------------------------------------------------- */

static int parses_forms(ctx_t *ctx) {
    form_pair_t *pairs;
    size_t count;
    assert_int_equal(
        ctx_parse_form(ctx, (bytes_t){"a[b]=1&c+d=%C3%A9&&e&x=%00", 26}, &pairs, &count), 0);
    assert_int_equal(count, 4);
    assert_string_equal(pairs[0].name, "a[b]");
    assert_string_equal(pairs[1].name, "c d");
    assert_string_equal(pairs[1].value, "\xC3\xA9");
    assert_string_equal(pairs[2].value, "");
    assert_string_equal(pairs[3].value, "\xEF\xBF\xBD");
    assert_int_equal(ctx_parse_form(ctx, (bytes_t){"", 0}, &pairs, &count), 0);
    assert_int_equal(count, 0);
    return ctx_text(ctx, "good");
}

static void test_forms(void **state) {
    see(parses_forms, "/", NULL);
}

#ifdef ACACIA_HAVE_JSON
static int nests(ctx_t *ctx) {
    const form_pair_t pairs[] = {{"a.b", "1"}, {"a[c][]", "2"}};
    return ctx_json(ctx, ctx_nest_pairs(ctx, pairs, 2, &(nesting_options_t){.dots = true}));
}

static void test_nesting(void **state) {
    app_response_t *r = get(nests, NULL);
    assert_string_equal(r->body.data, "{\"a\":{\"b\":\"1\",\"c\":[\"2\"]}}");
    app_response_free(r);
}

static int echoes_json(ctx_t *ctx) {
    json_t *json;
    int err = ctx_read_json(ctx, &json);
    return err ? err : ctx_json(ctx, json);
}

static void answers_json(const char *body, int status, const char *answer) {
    app_response_t *r =
        ask_with(&(app_options_t){.silent = true}, echoes_json,
                 &(app_request_t){.method = "POST", .body = body, .body_length = strlen(body)});
    assert_int_equal(r->status, status);
    if (answer)
        assert_string_equal(r->body.data, answer);
    app_response_free(r);
}

static void test_json_of_clients(void **state) {
    answers_json("{\"a\": [1, true, null]}", 200, "{\"a\":[1,true,null]}");
    answers_json(" 7 ", 200, "7");
    answers_json("\xEF\xBB\xBF[]", 200, "[]"); /* behind a byte order mark */
    answers_json("", 400, NULL);
    answers_json("{\"a\":1,\"a\":2}", 400, "invalid JSON: duplicate object key near '\"a\"'");
    answers_json("\"\\u0000\"", 400, NULL);
    answers_json("[\"[[\\\"[[\\\\\"]", 200, "[\"[[\\\"[[\\\\\"]");
}

/* As JSON.stringify; tests/e2e/bodies.test.mjs has more of them. */
static void test_json_as_javascript_writes_it(void **state) {
    static const char *const numbers[][2] = {
        {"1.0", "1"},
        {"-1e2", "-100"},
        {"0.1", "0.1"},
        {"-0.0", "0"},
        {"0.10000000000000001", "0.1"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"1e20", "100000000000000000000"},
        {"123456789012345680000.0", "123456789012345680000"},
        {"1e21", "1e+21"},
        {"1.5e300", "1.5e+300"},
        {"0.000001", "0.000001"},
        {"0.0000015", "0.0000015"},
        {"1e-7", "1e-7"},
        {"-1.25e-7", "-1.25e-7"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"9007199254740993", "9007199254740993"},
        {"-9223372036854775808", "-9223372036854775808"},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        answers_json(numbers[i][0], 200, numbers[i][1]);
    answers_json("\"\\u0001\\b\\t\\n\\u000b\\f\\r\\u001F \\/\\\"\\\\\\u007f\\u20ac\"", 200,
                 "\"\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f /\\\"\\\\\x7F\xE2\x82\xAC\"");
    answers_json("{\"b\": [], \"\": {}, \"\\n\": null}", 200, "{\"b\":[],\"\":{},\"\\n\":null}");
}

static int answers_no_utf8(ctx_t *ctx) {
    const char *byte = "\xFF";
    json_t *json = strcmp(ctx->path, "/name") == 0 ? json_object() : json_string_nocheck(byte);
    if (json_is_object(json))
        json_object_set_new_nocheck(json, byte, json_null());
    return ctx_json(ctx, json);
}

static void test_json_that_is_not_utf8(void **state) {
    static const char *const urls[] = {"/", "/name"};
    for (size_t i = 0; i < 2; i++) {
        app_response_t *r = ask_with(&(app_options_t){.silent = true}, answers_no_utf8,
                                     &(app_request_t){.url = urls[i]});
        assert_int_equal(r->status, 500);
        app_response_free(r);
    }
}

/* jansson calls itself for each level, and the stack of a coroutine has an end. */
static void test_deep_json(void **state) {
    char text[2 * 201 + 1] = {0};
    for (size_t levels = 200; levels <= 201; levels++) {
        memset(text, '[', levels);
        memset(text + levels, ']', levels);
        answers_json(text, levels == 200 ? 200 : 400,
                     levels == 200 ? text : "invalid JSON: more than 200 levels");
    }
}

/* All that a client may send, and none of it is closed. */
static void test_a_mib_of_levels(void **state) {
    static const char *const starts[] = {"[", "{\"a\":", "[{\"[\":", "[\"]\", "};
    char *text = malloc((1 << 20) + 1);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t length = strlen(starts[i]), at = 0;
        for (; at + length <= 1 << 20; at += length)
            memcpy(text + at, starts[i], length);
        text[at] = '\0';
        answers_json(text, 400, "invalid JSON: more than 200 levels");
    }
    free(text);
}

static int answers_deep_json(ctx_t *ctx) {
    bool is_object = strcmp(ctx->path, "/object") == 0;
    json_t *json = json_array();
    for (int i = 1; i < atoi(ctx->querystring); i++)
        json =
            is_object ? json_pack("{s:b, s:o}", "a", true, "b", json) : json_pack("[n, o]", json);
    return ctx_json(ctx, json);
}

static int answers_a_loop(ctx_t *ctx) {
    json_t *json = json_array(), *inner = json_array();
    json_array_append(json, inner);
    json_array_append(json, inner);
    json_array_append_new(inner, json);
    json_incref(json);
    int err = ctx_json(ctx, json_incref(json));
    json_array_clear(inner);
    json_decref(inner);
    json_decref(json);
    return err;
}

static void test_deep_json_of_handlers(void **state) {
    static const struct {
        const char *url;
        int status;
    } cases[] = {{"/?256", 200}, {"/?257", 500}, {"/object?256", 200}, {"/object?257", 500}};
    const app_options_t quiet = {.silent = true};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        app_response_t *r =
            ask_with(&quiet, answers_deep_json, &(app_request_t){.url = cases[i].url});
        assert_int_equal(r->status, cases[i].status);
        app_response_free(r);
    }
    app_response_t *r = ask_with(&quiet, answers_a_loop, &(app_request_t){.url = "/"});
    assert_int_equal(r->status, 500);
    app_response_free(r);
}
#endif

/* --- Cookies ---------------------------------------------------------------------------------- */

static const char *const keys[] = {"new", "old", NULL};

static int sets_cookies(ctx_t *ctx) {
    int err = ctx_set_cookie(ctx, "a", "1", &(cookie_options_t){0});
    if (!err)
        err = ctx_set_cookie(ctx, "b", "2", NULL);
    if (!err)
        err = ctx_set_cookie(ctx, "b", "3",
                             &(cookie_options_t){.not_signed = true, .overwrite = true});
    return err ? err : ctx_text(ctx, "good");
}

static int reads_signed(ctx_t *ctx) {
    int err;
    const char *value = ctx_signed_cookie(ctx, "a", &err);
    assert_string_equal(ctx_cookie(ctx, "a"), "1");
    return err ? err : ctx_text(ctx, value ? value : "none");
}

static void cookie_lines(const app_response_t *response, char *text) {
    const char *name, *value;
    text[0] = '\0';
    for (size_t i = 0; app_response_header_at(response, i, &name, &value); i++)
        if (strcmp(name, "Set-Cookie") == 0)
            strcat(strcat(text, value), "\n");
}

static void test_cookies(void **state) {
    const app_options_t with_keys = {.keys = keys, .silent = true};
    char lines[512];
    app_response_t *r = ask_with(&with_keys, sets_cookies, &(app_request_t){0});
    cookie_lines(r, lines);
    assert_string_equal(lines, "a=1; path=/; httponly\n"
                               "a.sig=0QT-09Nm2EV8gY4Umnxyo1vkEz4; path=/; httponly\n"
                               "b=3; path=/; httponly\n");
    app_response_free(r);
    static const struct {
        const char *cookie, *body, *lines;
    } cases[] = {
        {"a=1; a.sig=0QT-09Nm2EV8gY4Umnxyo1vkEz4", "1", ""},
        {"a=1", "none", ""},
        {"a=1; a.sig=0QT-09Nm2EV8gY4Umnxyo1vkEz5", "none",
         "a.sig=; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r = ask_with(&with_keys, reads_signed,
                     &(app_request_t){.headers = HEADERS("Cookie", cases[i].cookie)});
        cookie_lines(r, lines);
        assert_string_equal(r->body.data, cases[i].body);
        assert_string_equal(lines, cases[i].lines);
        app_response_free(r);
    }
}

static void test_cookies_by_an_old_key(void **state) {
    const char *const old[] = {"old", NULL};
    char lines[256], header[128];
    app_response_t *r = ask_with(&(app_options_t){.keys = old}, sets_cookies, &(app_request_t){0});
    cookie_lines(r, lines);
    const char *signature = strstr(lines, "a.sig=");
    snprintf(header, sizeof header, "a=1; %.33s", signature);
    app_response_free(r);
    r = ask_with(&(app_options_t){.keys = keys}, reads_signed,
                 &(app_request_t){.headers = HEADERS("Cookie", header)});
    assert_string_equal(r->body.data, "1");
    cookie_lines(r, lines);
    assert_string_equal(lines, "a.sig=0QT-09Nm2EV8gY4Umnxyo1vkEz4; path=/; httponly\n");
    app_response_free(r);
}

static int sets_secure(ctx_t *ctx) {
    return ctx_set_cookie(ctx, "a", "1", &(cookie_options_t){.secure = true});
}

static int sets_plain(ctx_t *ctx) {
    return ctx_set_cookie(ctx, "a", "1", NULL);
}

static int sets_bad(ctx_t *ctx) {
    return ctx_set_cookie(ctx, "a", "1;2", NULL);
}

static int demands_keys(ctx_t *ctx) {
    return ctx_set_cookie(ctx, "a", "1", &(cookie_options_t){.is_signed = true});
}

static void test_cookies_that_cannot_be(void **state) {
    middleware_fn *const handlers[] = {sets_secure, sets_bad, demands_keys};
    for (size_t i = 0; i < 3; i++) {
        app_response_t *r = get(handlers[i], NULL);
        assert_int_equal(r->status, 500);
        has_header(r, "Set-Cookie", NULL);
        app_response_free(r);
    }
    app_response_t *r = ask_with(NULL, sets_plain, &(app_request_t){.secure = true});
    has_header(r, "Set-Cookie", "a=1; path=/; secure; httponly");
    app_response_free(r);
}

/* --- Errors ----------------------------------------------------------------------------------- */

static int throws(ctx_t *ctx) {
    ctx_set(ctx, "X-Lost", "1");
    ctx_throw_header(ctx, "X-Kept", "1");
    ctx_throw_header(ctx, "Content-Type", "a/b");
    return ctx_throw(ctx, atoi(ctx_get(ctx, "X-Status")), "said");
}

static void test_throwing(void **state) {
    static const struct {
        const char *given;
        int status;
        const char *body;
    } cases[] = {
        {"404", 404, "said"},
        {"500", 500, "Internal Server Error"},
        {"450", 500, "said"}, /* http-errors lets it show, Koa has no such status */
        {"200", 200, "said"},
        {"700", 500, "Internal Server Error"},
        {"0", 500, "Internal Server Error"},
        {"503", 503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        app_response_t *r = get(throws, HEADERS("X-Status", cases[i].given));
        assert_int_equal(r->status, cases[i].status);
        assert_string_equal(r->body.data, cases[i].body);
        has_header(r, "X-Kept", "1");
        has_header(r, "X-Lost", NULL);
        has_header(r, "Content-Type", "text/plain; charset=utf-8");
        app_response_free(r);
    }
}

static int asserts(ctx_t *ctx) {
    int err = ctx_assert(ctx, *ctx_get(ctx, "X-Ok"), 401, "who are %s?", "you");
    return err ? err : ctx_text(ctx, "good");
}

static int throws_with(ctx_t *ctx) {
    return ctx_throw_with(ctx, &(throw_options_t){
                                   .status = 503,
                                   .message = "later",
                                   .expose = true,
                                   .code = UV_EBUSY,
                                   .data = ctx,
                               });
}

static int catches(ctx_t *ctx) {
    int err = next(ctx);
    assert_int_equal(err, UV_EBUSY);
    const ctx_error_t *error = ctx_catch(ctx);
    assert_int_equal(error->status, 503);
    assert_ptr_equal(error->data, ctx);
    assert_string_equal(error->message, "later");
    assert_null(ctx_catch(ctx));
    return ctx_text(ctx, "caught");
}

static void test_asserting(void **state) {
    app_response_t *r = get(asserts, NULL);
    assert_int_equal(r->status, 401);
    assert_string_equal(r->body.data, "who are you?");
    app_response_free(r);
    see(asserts, "/", HEADERS("X-Ok", "1"));
    r = get(throws_with, NULL);
    assert_int_equal(r->status, 503);
    assert_string_equal(r->body.data, "later");
    app_response_free(r);
    app_t *app = app_new();
    app_use(app, catches);
    app_use(app, throws_with);
    r = app_inject(app, &(app_request_t){0});
    assert_string_equal(r->body.data, "caught");
    app_response_free(r);
    app_free(app);
}

/* --- Server-sent events ----------------------------------------------------------------------- */

static int sends_events(ctx_t *ctx) {
    int err = sse_begin(ctx);
    assert_int_equal(err, 0);
    assert_int_equal(sse_comment(ctx, NULL), 0);
    assert_int_equal(
        sse_send(ctx,
                 &(sse_event_t){.data = "a\nb\r\nc\rd\n", .event = "e", .id = "1", .retry = 500}),
        0);
    assert_int_equal(sse_send(ctx, &(sse_event_t){.event = "a\nb"}), UV_EINVAL);
    assert_int_equal(sse_send(ctx, &(sse_event_t){.id = "a\rb"}), UV_EINVAL);
    return sse_sendf(ctx, "%d", 7);
}

static void test_server_sent_events(void **state) {
    app_response_t *r = get(sends_events, NULL);
    has_header(r, "Content-Type", "text/event-stream");
    has_header(r, "Content-Length", NULL);
    assert_string_equal(r->body.data, ": \n\n"
                                      "event: e\nid: 1\nretry: 500\n"
                                      "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
                                      "data: 7\n\n");
    app_response_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewriting),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_headers_of_the_request),
        cmocka_unit_test(test_nobody_is_believed),
        cmocka_unit_test(test_every_proxy_is_believed),
        cmocka_unit_test(test_some_proxies_are_believed),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_ip_that_is_set),
        cmocka_unit_test(test_negotiation),
        cmocka_unit_test(test_type_of_the_request),
        cmocka_unit_test(test_freshness),
        cmocka_unit_test(test_body_that_is_sniffed),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_status_that_is_none),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_bodies_that_are_wrapped),
        cmocka_unit_test(test_flushing),
        cmocka_unit_test(test_detached),
        cmocka_unit_test(test_headers_of_the_response),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_back),
        cmocka_unit_test(test_attachments),
        cmocka_unit_test(test_forms),
#ifdef ACACIA_HAVE_JSON
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_json_of_clients),
        cmocka_unit_test(test_json_as_javascript_writes_it),
        cmocka_unit_test(test_json_that_is_not_utf8),
        cmocka_unit_test(test_deep_json),
        cmocka_unit_test(test_a_mib_of_levels),
        cmocka_unit_test(test_deep_json_of_handlers),
#endif
        cmocka_unit_test(test_cookies),
        cmocka_unit_test(test_cookies_by_an_old_key),
        cmocka_unit_test(test_cookies_that_cannot_be),
        cmocka_unit_test(test_throwing),
        cmocka_unit_test(test_asserting),
        cmocka_unit_test(test_server_sent_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
