/* Bodies that are parsed: through app_inject. The real koa-bodyparser is in tests/e2e. */
#include "middleware/body_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef ACACIA_BROTLI
#include <brotli/encode.h>
#endif
#ifdef ACACIA_ZLIB
#include <zlib.h>
#endif
#ifdef ACACIA_ZSTD
#include <zstd.h>
#endif

#define JSON "application/json"
#define FORM "application/x-www-form-urlencoded"

/* --- A request through the parser ------------------------------------------------------------- */

/* Shows what came, as "json …", "form …", "text …" or "none", and how long it was. */
static int show(ctx_t *ctx) {
    const char *text = body_text(ctx);
    size_t raw = body_raw(ctx).length;
#ifdef ACACIA_HAVE_JSON
    json_t *json = body_json(ctx), *form = body_form(ctx);
    assert_ptr_equal(body_parsed(ctx), json ? json : form);
    if (json || form) {
        char *dump = json_dumps(json ? json : form, JSON_COMPACT | JSON_ENCODE_ANY);
        int err = ctx_textf(ctx, "%s %s (%zu)", json ? "json" : "form", dump, raw);
        free(dump);
        return err;
    }
#endif
    return text ? ctx_textf(ctx, "text %s (%zu)", text, raw) : ctx_textf(ctx, "none (%zu)", raw);
}

static app_t *app_with(const body_parser_options_t *options) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, body_parser(options));
    app_use(app, show);
    return app;
}

struct body {
    const char *method, *type, *encoding, *text;
    size_t length; /* 0: to the NUL */
};

static app_response_t *post(app_t *app, struct body body) {
    const char *headers[7], **to = headers;
    if (body.type) {
        *to++ = "Content-Type";
        *to++ = body.type;
    }
    if (body.encoding) {
        *to++ = "Content-Encoding";
        *to++ = body.encoding;
    }
    *to = NULL;
    app_response_t *response = app_inject(
        app, &(app_request_t){.method = body.method ? body.method : "POST",
                              .headers = headers,
                              .body = body.text,
                              .body_length = body.length ? body.length : strlen(body.text)});
    assert_non_null(response);
    return response;
}

static void check_body(const body_parser_options_t *options, struct body body, int status,
                       const char *expected) {
    app_t *app = app_with(options);
    app_response_t *response = post(app, body);
    if (expected)
        assert_string_equal(response->body.data, expected);
    assert_int_equal(response->status, status);
    app_response_free(response);
    app_free(app);
}

static void check(const body_parser_options_t *options, const char *type, const char *text,
                  int status, const char *expected) {
    check_body(options, (struct body){.type = type, .text = text}, status, expected);
}

/* --- JSON ------------------------------------------------------------------------------------- */

#ifdef ACACIA_HAVE_JSON
static void json(void **state) {
    check(NULL, JSON, "{\"a\": [1, 2]}", 200, "json {\"a\":[1,2]} (13)");
    check(NULL, JSON "; charset=utf-8", " [\"\xC3\xA9\"]", 200, "json [\"\xC3\xA9\"] (7)");
    check(NULL, JSON "; charset=latin1", "[\"\xE9\x80\"]", 200,
          "json [\"\xC3\xA9\xE2\x82\xAC\"] (6)");
    check(NULL, "application/vnd.api+json", "{}", 200, "json {} (2)");
    check(NULL, "application/scim+json", "{}", 200, "json {} (2)");
    check(NULL, "application/csp-report", "{}", 200, "json {} (2)");
    check(NULL, "application/json-patch+json", "[]", 200, "json [] (2)");
    check(NULL, "application/problem+json", "{}", 200, "none (0)");
    check(NULL, JSON, "\xEF\xBB\xBF{}", 200, "json {} (5)");
    check(NULL, JSON, "", 200, "json {} (0)");
    check(&(body_parser_options_t){.not_strict = true}, JSON, "", 200, "json \"\" (0)");
    check(&(body_parser_options_t){.no_json = true}, JSON, "{", 200, "none (0)");
}

static void malformed_json(void **state) {
    check(NULL, JSON, "{\"a\"", 400, NULL);
    check(NULL, JSON, "{} x", 400, NULL);
    check(NULL, JSON, "{\"a\":1,\"a\":2}", 400, NULL);
    check(NULL, JSON, "[\"\xFF\"]", 400, NULL);
    check(NULL, JSON, " ", 400, "invalid JSON, only supports object and array");
    check(NULL, JSON, "1", 400, "invalid JSON, only supports object and array");
    check(NULL, JSON, "\"a\"", 400, "invalid JSON, only supports object and array");
    check(&(body_parser_options_t){.not_strict = true}, JSON, "\"a\"", 200, "json \"a\" (3)");
    check(&(body_parser_options_t){.not_strict = true}, JSON, "a", 400, NULL);
    check(NULL, JSON "; charset=koi8-r", "{}", 415, "unsupported charset");
}

static void proto(void **state) {
    const char *message = "Object contains forbidden prototype property";
    check(NULL, JSON, "{\"__proto__\": {}}", 400, message);
    check(NULL, JSON, "[0, {\"a\": [{\"\\u005f_proto__\": 1}]}]", 400, message);
    check(NULL, JSON, "[\"__proto__\"]", 200, "json [\"__proto__\"] (13)");
    check(NULL, JSON, "{\"constructor\": \"\\u0041\"}", 200, "json {\"constructor\":\"A\"} (25)");
    check(&(body_parser_options_t){.not_strict = true}, JSON, "\"__proto__\"", 200, NULL);
}

/* As deep as may be. */
static void deep_proto(void **state) {
    char text[199 * 6 + 32] = "", *to = text;
    for (int i = 0; i < 199; i++)
        to += sprintf(to, "{\"a\":");
    to += sprintf(to, "{\"__proto__\":1}");
    memset(to, '}', 199);
    to[199] = '\0';
    check(NULL, JSON, text, 400, "Object contains forbidden prototype property");
}

/* In the stack of a coroutine, below a middleware: no level is gone down that is not allowed. */
static void deep_json(void **state) {
    size_t length = 100000;
    char *text = malloc(2 * length + 1);
    memset(text, '[', length);
    memset(text + length, ']', length);
    text[2 * length] = '\0';
    check(NULL, JSON, text, 400, "invalid JSON: more than 200 levels");
    check(NULL, JSON, text + length - 200, 400, NULL);
    text[length + 200] = '\0';
    check(NULL, JSON, text + length - 200, 200, NULL);
    free(text);
}

/* What is beyond the brackets that count is one name. */
static void deep_names(void **state) {
    const body_parser_options_t deepest = {.form_depth = 1000000, .form_limit = 1 << 20};
    size_t count = 50000, inside = 0;
    char *text = malloc(4 * count + 3), *to = text;
    *to++ = 'a';
    for (size_t i = 0; i < count; i++)
        to = stpcpy(to, i % 2 ? "[]" : "[b]");
    strcpy(to, "=1");
    app_t *app = app_with(&deepest);
    app_response_t *response = post(app, (struct body){.type = FORM, .text = text});
    assert_int_equal(response->status, 200);
    for (const char *at = response->body.data; (at = strchr(at, '{')); at++)
        inside++;
    assert_in_range(inside, 10, 34); /* 32 brackets, the whole, and the rest */
    app_response_free(response);
    app_free(app);
    free(text);
}

static bool looks_like_json(ctx_t *ctx) {
    return strcmp(ctx_get(ctx, "Content-Type"), "text/odd") == 0;
}

static void further_types(void **state) {
    static const char *const json_types[] = {"+json", NULL}, *const form_types[] = {"x/form", NULL},
                             *const text_types[] = {"text/*", NULL},
                             *const xml_types[] = {"+xml", NULL};
    const body_parser_options_t options = {.json_types = json_types,
                                           .form_types = form_types,
                                           .text_types = text_types,
                                           .text = true,
                                           .xml_types = xml_types,
                                           .xml = true};
    check(&options, "application/atom+xml", "<a/>", 200, "text <a/> (4)");
    check(&options, "application/xml", "<a/>", 200, "text <a/> (4)");
    check(&(body_parser_options_t){.xml_types = xml_types}, "application/atom+xml", "<a/>", 200,
          "none (0)");
    check(&options, "application/problem+json", "{}", 200, "json {} (2)");
    check(&options, "x/form", "a=1", 200, "form {\"a\":\"1\"} (3)");
    check(&options, "text/html", "a=1", 200, "text a=1 (3)");
    check(&options, FORM, "a=1", 200, "form {\"a\":\"1\"} (3)");
    check(&(body_parser_options_t){.detect_json = looks_like_json}, "text/odd", "[1]", 200,
          "json [1] (3)");
    check(&(body_parser_options_t){.detect_json = looks_like_json}, "text/even", "[1]", 200,
          "none (0)");
}

/* --- Forms ------------------------------------------------------------------------------------ */

static void forms(void **state) {
    check(NULL, FORM, "a=1&b[c]=2&d.e=3&f[]=4", 200,
          "form {\"a\":\"1\",\"b\":{\"c\":\"2\"},\"d\":{\"e\":\"3\"},\"f\":[\"4\"]} (22)");
    check(NULL, FORM ";charset=UTF-8", "a=%C3%A9\xC3\xA9+%FF", 200,
          "form {\"a\":\"\xC3\xA9\xC3\xA9 \xEF\xBF\xBD\"} (14)");
    check(NULL, FORM "; charset=ISO-8859-1", "%E9=\xE9%80&a%2=%zz%C3%2", 200,
          "form {\"\xC3\xA9\":\"\xC3\xA9\xE2\x82\xAC\",\"a%2\":\"%zz\xC3\x83%2\"} (21)");
    check(&(body_parser_options_t){.no_dots = true}, FORM, "d.e=3", 200,
          "form {\"d.e\":\"3\"} (5)");
    check(&(body_parser_options_t){.form_depth = 1}, FORM, "a[b][c]=1", 200,
          "form {\"a\":{\"b\":{\"[c]\":\"1\"}}} (9)");
    check(&(body_parser_options_t){.form_items = 1}, FORM, "a=1&a=2", 200,
          "form {\"a\":{\"0\":\"1\",\"1\":\"2\"}} (7)");
    check(&(body_parser_options_t){.form_pairs = 2}, FORM, "a=1&b=2&&", 200, NULL);
    check(&(body_parser_options_t){.form_pairs = 2}, FORM, "a=1&b=2&c", 413, "too many parameters");
    check(&(body_parser_options_t){.no_form = true}, FORM, "a=1", 200, "none (0)");
}
#endif

static int show_fields(ctx_t *ctx) {
    const char *name, *value;
    assert_string_equal(body_field(ctx, "a[b]"), "1");
    assert_null(body_field(ctx, "a"));
    assert_true(body_field_at(ctx, 2, &name, &value));
    assert_string_equal(name, "a[b]");
    assert_string_equal(value, "3");
    assert_false(body_field_at(ctx, 3, &name, &value));
    assert_null(body_text(ctx));
#ifdef ACACIA_HAVE_JSON
    assert_null(body_json(ctx));
    assert_ptr_equal(body_form(ctx), body_form(ctx));
#endif
    return ctx_text(ctx, "good");
}

static void fields(void **state) {
    app_t *app = app_new();
    app_use(app, body_parser(NULL));
    app_use(app, show_fields);
    app_response_t *response =
        post(app, (struct body){.type = FORM, .text = "a[b]=1&c=2&a%5Bb%5D=3"});
    assert_string_equal(response->body.data, "good");
    app_response_free(response);
    app_free(app);
}

/* --- Text ------------------------------------------------------------------------------------- */

static void text(void **state) {
    const body_parser_options_t options = {.text = true, .xml = true};
    check(NULL, "text/plain", "hello", 200, "none (0)");
    check(&options, "text/plain", "hello", 200, "text hello (5)");
    check(&options, "text/plain", "\xEF\xBB\xBFhello", 200, "text hello (8)");
    check(&options, "text/plain; charset=windows-1252", "\x93\xE9\x94", 200,
          "text \xE2\x80\x9C\xC3\xA9\xE2\x80\x9D (3)");
    check(&options, "text/plain; charset=utf-16", "hello", 415, "unsupported charset");
    check(&options, "text/xml", "<a/>", 200, "text <a/> (4)");
    check(&options, "application/xml", "<a/>", 200, "text <a/> (4)");
    check_body(&options, (struct body){.type = "text/plain", .text = "a\0b", .length = 3}, 200,
               "text a\xEF\xBF\xBD"
               "b (3)");
}

/* Unicode's own example of maximal parts, and what is just too low, too high, or half. */
static void text_that_is_not_utf8(void **state) {
#define R "\xEF\xBF\xBD"
    static const char *const pairs[][2] = {
        {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", "a" R R R "b" R "c" R R "d"},
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", R R R R R R R R "A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", R R R R R R R R "A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", R R R R R "A" R R "B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", R R R R "A"},
        {"\xF4\x8F\xBF\xBF\xF0\x90\x80\x80\xEF\xBF\xBF",
         "\xF4\x8F\xBF\xBF\xF0\x90\x80\x80\xEF\xBF\xBF"},
    };
    char expected[128];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        snprintf(expected, sizeof expected, "text %s (%zu)", pairs[i][1], strlen(pairs[i][0]));
        check(&(body_parser_options_t){.text = true}, "text/plain", pairs[i][0], 200, expected);
    }
#undef R
}

/* --- Limits ----------------------------------------------------------------------------------- */

static void limits(void **state) {
    static const struct {
        const char *type;
        size_t limit;
    } usual[] = {
#ifdef ACACIA_HAVE_JSON
        {JSON, 1024 * 1024},
#endif
        {FORM, 56 * 1024},
        {"text/plain", 1024 * 1024},
        {"text/xml", 1024 * 1024},
    };
    const body_parser_options_t options = {.text = true, .xml = true};
    char *body = calloc(1, 1024 * 1024 + 2);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        memset(body, ' ', 1024 * 1024);
        memcpy(body, usual[i].limit == 56 * 1024 ? "a=" : "{}", 2);
        check_body(&options,
                   (struct body){.type = usual[i].type, .text = body, .length = usual[i].limit},
                   200, NULL);
        body[usual[i].limit] = ' ';
        check_body(&options,
                   (struct body){.type = usual[i].type, .text = body, .length = usual[i].limit + 1},
                   413, "request entity too large");
    }
    free(body);
    check(&(body_parser_options_t){.form_limit = 3}, FORM, "a=1", 200, NULL);
    check(&(body_parser_options_t){.form_limit = 3}, FORM, "a=12", 413, NULL);
#ifdef ACACIA_HAVE_JSON
    check(&(body_parser_options_t){.json_limit = 2}, JSON, "{}", 200, NULL);
    check(&(body_parser_options_t){.json_limit = 2}, JSON, "{} ", 413, NULL);
#endif
    check(&(body_parser_options_t){.text = true, .text_limit = 2}, "text/plain", "abc", 413, NULL);
    check(&(body_parser_options_t){.xml = true, .xml_limit = 2}, "text/xml", "abc", 413, NULL);
}

/* --- Compressed ------------------------------------------------------------------------------- */

static void refuses(const char *encoding, const char *data, size_t length, int status) {
    app_t *app = app_with(&(body_parser_options_t){.text = true, .text_limit = 64 * 1024});
    app_response_t *response = post(
        app,
        (struct body){.type = "text/plain", .encoding = encoding, .text = data, .length = length});
    assert_int_equal(response->status, status);
    app_response_free(response);
    app_free(app);
}

/* `data` is "hello" compressed: whole it is taken; cut anywhere, with something behind it, or with
 * another encoding's name it is refused; no change of a byte does any harm. */
static void check_encoding(const char *encoding, const char *data, size_t length) {
    const body_parser_options_t options = {.text = true};
    char changed[256];
    assert_true(length + 1 < sizeof changed);
    check_body(
        &options,
        (struct body){.type = "text/plain", .encoding = encoding, .text = data, .length = length},
        200, "text hello (5)");
    for (size_t cut = 1; cut < length; cut++)
        refuses(encoding, data, cut, 400);
    memcpy(changed, data, length);
    changed[length] = 'x';
    refuses(encoding, changed, length + 1, 400);
    app_t *app = app_with(&options);
    for (size_t i = 0; i < length; i++) {
        memcpy(changed, data, length);
        changed[i] ^= 0x55;
        app_response_t *response = post(app, (struct body){.type = "text/plain",
                                                           .encoding = encoding,
                                                           .text = changed,
                                                           .length = length});
        assert_true(response->status == 200 || response->status == 400);
        app_response_free(response);
    }
    app_free(app);
    check_body(
        &(body_parser_options_t){.text = true, .no_inflate = true},
        (struct body){.type = "text/plain", .encoding = encoding, .text = data, .length = length},
        415, "unsupported Content-Encoding");
}

/* A bomb of 64 KiB, one of a byte more, and one of 16 MiB. */
static void check_bomb(const char *encoding,
                       size_t (*deflated)(char *, size_t, const char *, size_t)) {
    char *zeros = calloc(1, 16 * 1024 * 1024), *data = malloc(128 * 1024);
    memset(zeros, 'a', 16 * 1024 * 1024);
    refuses(encoding, data, deflated(data, 128 * 1024, zeros, 64 * 1024), 200);
    refuses(encoding, data, deflated(data, 128 * 1024, zeros, 64 * 1024 + 1), 413);
    refuses(encoding, data, deflated(data, 128 * 1024, zeros, 16 * 1024 * 1024), 413);
    free(zeros);
    free(data);
}

#ifdef ACACIA_ZLIB
static size_t deflated(char *to, size_t room, const char *from, size_t n, int window) {
    z_stream stream = {.next_in = (Bytef *)from,
                       .avail_in = (uInt)n,
                       .next_out = (Bytef *)to,
                       .avail_out = (uInt)room};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t length = stream.total_out;
    deflateEnd(&stream);
    return length;
}

static size_t gzip(char *to, size_t room, const char *from, size_t n) {
    return deflated(to, room, from, n, 15 + 16);
}

static size_t zlib(char *to, size_t room, const char *from, size_t n) {
    return deflated(to, room, from, n, 15);
}

static void gzip_and_deflate(void **state) {
    char data[128];
    size_t n = gzip(data, sizeof data, "hello", 5);
    check_encoding("gzip", data, n);
    check_encoding("X-GZIP", data, n);
    n = zlib(data, sizeof data, "hello", 5);
    check_encoding("deflate", data, n);
    check_bomb("gzip", gzip);
    check_bomb("deflate", zlib);
}

static void gzip_of_two(void **state) {
    char data[128];
    size_t first = gzip(data, sizeof data, "hel", 3);
    size_t n = first + gzip(data + first, sizeof data - first, "lo", 2);
    check_body(&(body_parser_options_t){.text = true},
               (struct body){.type = "text/plain", .encoding = "gzip", .text = data, .length = n},
               200, "text hello (5)");
}

static void what_is_not_known(void **state) {
    app_t *app = app_with(NULL);
    app_response_t *response =
        post(app, (struct body){.type = FORM, .encoding = "compress", .text = "a"});
    assert_int_equal(response->status, 415);
    assert_non_null(strstr(app_response_get(response, "Accept-Encoding"), "gzip, deflate"));
    app_response_free(response);
    response = post(app, (struct body){.type = FORM, .encoding = "gzip, gzip", .text = "a"});
    assert_int_equal(response->status, 415);
    app_response_free(response);
    response = post(app, (struct body){.type = FORM, .encoding = "Identity", .text = "a"});
    assert_int_equal(response->status, 200);
    app_response_free(response);
    app_free(app);
}
#endif

#ifdef ACACIA_BROTLI
static size_t br(char *to, size_t room, const char *from, size_t n) {
    assert_true(BrotliEncoderCompress(5, 22, BROTLI_MODE_GENERIC, n, (const uint8_t *)from, &room,
                                      (uint8_t *)to));
    return room;
}

static void brotli(void **state) {
    char data[128];
    check_encoding("br", data, br(data, sizeof data, "hello", 5));
    check_bomb("br", br);
}
#endif

#ifdef ACACIA_ZSTD
static size_t zstd_of(char *to, size_t room, const char *from, size_t n) {
    size_t length = ZSTD_compress(to, room, from, n, 3);
    assert_false(ZSTD_isError(length));
    return length;
}

static void zstd(void **state) {
    char data[128];
    check_encoding("zstd", data, zstd_of(data, sizeof data, "hello", 5));
    check_bomb("zstd", zstd_of);
}
#endif

/* --- When, and when not ----------------------------------------------------------------------- */

static int disable(ctx_t *ctx) {
    ctx_set_value(ctx, "disable_body_parser", ctx, NULL);
    return next(ctx);
}

static void disabled(void **state) {
    app_t *app = app_new();
    app_use(app, disable);
    app_use(app, body_parser(NULL));
    app_use(app, show);
    app_response_t *response = post(app, (struct body){.type = FORM, .text = "a=1"});
    assert_string_equal(response->body.data, "none (0)");
    app_response_free(response);
    app_free(app);
}

#ifdef ACACIA_HAVE_JSON
static void methods(void **state) {
    static const char *const usual[] = {"POST", "PUT", "PATCH"},
                             *const others[] = {"GET", "DELETE"}, *const given[] = {"DELETE", NULL};
    for (size_t i = 0; i < 3; i++)
        check_body(NULL, (struct body){.method = usual[i], .type = FORM, .text = "a=1"}, 200,
                   "form {\"a\":\"1\"} (3)");
    for (size_t i = 0; i < 2; i++)
        check_body(NULL, (struct body){.method = others[i], .type = FORM, .text = "a=1"}, 200,
                   "none (0)");
    const body_parser_options_t options = {.methods = given};
    check_body(&options, (struct body){.method = "DELETE", .type = FORM, .text = "a=1"}, 200,
               "form {\"a\":\"1\"} (3)");
    check_body(&options, (struct body){.method = "POST", .type = FORM, .text = "a=1"}, 200,
               "none (0)");
}

static void twice(void **state) {
    app_t *app = app_new();
    app_use(app, body_parser(NULL));
    app_use(app, body_parser(&(body_parser_options_t){.form_limit = 1, .text = true}));
    app_use(app, show);
    app_response_t *response = post(app, (struct body){.type = FORM, .text = "a=1"});
    assert_string_equal(response->body.data, "form {\"a\":\"1\"} (3)");
    app_response_free(response);
    response = post(app, (struct body){.type = "text/plain", .text = "abc"});
    assert_string_equal(response->body.data, "text abc (3)");
    app_response_free(response);
    app_free(app);
}

static int reads_before(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    return err ? err : next(ctx);
}

static void read_before_and_after(void **state) {
    app_t *app = app_new();
    app_use(app, reads_before);
    app_use(app, body_parser(NULL));
    app_use(app, reads_before);
    app_use(app, show);
    app_response_t *response = post(app, (struct body){.type = FORM, .text = "a=1"});
    assert_string_equal(response->body.data, "form {\"a\":\"1\"} (3)");
    app_response_free(response);
    app_free(app);
}
#endif

static int forgive(ctx_t *ctx, const ctx_error_t *error) {
    assert_int_equal(error->status, 413);
    assert_string_equal(error->message, "request entity too large");
    return 0;
}

static int turn_into_422(ctx_t *ctx, const ctx_error_t *error) {
    int err = await_sleep(1); /* it may wait */
    return err ? err : ctx_throw(ctx, 422, "%d: %s", error->status, error->message);
}

static void on_error(void **state) {
    check(&(body_parser_options_t){.form_limit = 1, .on_error = forgive}, FORM, "a=1", 200,
          "none (0)");
    check(&(body_parser_options_t){.form_limit = 1, .on_error = turn_into_422}, FORM, "a=1", 422,
          "413: request entity too large");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#ifdef ACACIA_HAVE_JSON
        cmocka_unit_test(json),
        cmocka_unit_test(malformed_json),
        cmocka_unit_test(proto),
        cmocka_unit_test(deep_proto),
        cmocka_unit_test(deep_json),
        cmocka_unit_test(deep_names),
        cmocka_unit_test(further_types),
        cmocka_unit_test(forms),
        cmocka_unit_test(methods),
        cmocka_unit_test(twice),
        cmocka_unit_test(read_before_and_after),
#endif
        cmocka_unit_test(fields),
        cmocka_unit_test(text),
        cmocka_unit_test(text_that_is_not_utf8),
        cmocka_unit_test(limits),
#ifdef ACACIA_ZLIB
        cmocka_unit_test(gzip_and_deflate),
        cmocka_unit_test(gzip_of_two),
        cmocka_unit_test(what_is_not_known),
#endif
#ifdef ACACIA_BROTLI
        cmocka_unit_test(brotli),
#endif
#ifdef ACACIA_ZSTD
        cmocka_unit_test(zstd),
#endif
        cmocka_unit_test(disabled),
        cmocka_unit_test(on_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
