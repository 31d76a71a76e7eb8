/* JSON that people can read. */
#include "middleware/json_pretty.h"

#include "test_operations.h"

/* The body of the request, as JSON, or as what the query says. */
static int echo(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    const char *type = ctx_query(ctx, "type");
    if (!err)
        err = ctx_type(ctx, type ? type : "json");
    if (!err && ctx_query(ctx, "throw"))
        return ctx_throw(ctx, 418, NULL);
    if (!err && ctx_query(ctx, "write"))
        return ctx_write(ctx, body.data, body.length);
    return err ? err : ctx_bytes(ctx, body.data, body.length);
}

static const json_pretty_options_t *options;

static void expect_bytes(const char *url, const char *body, size_t length, const char *expected) {
    app_t *app = app_with(json_pretty(options), echo);
    app_response_t *r = send_to(
        app, &(app_request_t){.method = "POST", .url = url, .body = body, .body_length = length});
    if (strcmp(r->body.data, expected) != 0)
        fail_msg("%s became %s, not %s", body, r->body.data, expected);
    if (app_response_get(r, "Content-Length"))
        assert_int_equal(strtoul(app_response_get(r, "Content-Length"), NULL, 10), r->body.length);
    app_response_free(r);
    app_free(app);
}

static void becomes(const char *body, const char *expected) {
    expect_bytes("/", body, strlen(body), expected);
}

static void stays(const char *body) {
    becomes(body, body);
}

static void test_blanks(void **state) {
    options = NULL;
    becomes("{\"a\":1,\"b\":[true,null,-1.5e+3]}",
            "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    null,\n    -1.5e+3\n  ]\n}");
    becomes("{}", "{}");
    becomes(" [ ] ", "[]");
    becomes("[[],{}]", "[\n  [],\n  {}\n]");
    becomes("{\"a\":{\"b\":{}}}", "{\n  \"a\": {\n    \"b\": {}\n  }\n}");
    becomes("\t[\r\n1 , 2 ]\n", "[\n  1,\n  2\n]");
    becomes("{\"a b\" : \"c:{[,\\\"\\\\\"}", "{\n  \"a b\": \"c:{[,\\\"\\\\\"\n}");
    becomes(" 1 ", "1");
    becomes("\"x\"", "\"x\"");
    becomes("[1.10,100000000000000000001,\"\\u00fc\"]",
            "[\n  1.10,\n  100000000000000000001,\n  \"\\u00fc\"\n]"); /* as they came */
}

static void test_what_is_no_json(void **state) {
    static const char *const texts[] = {
        "",        "{",     "[1",         "]",         "{]",       "[1 2]",  "[1,]",         "[,1]",
        "{\"a\"}", "{1:2}", "{\"a\":1,}", "{\"a\" 1}", "\"abc",    "\"a\\",  "1 2",          "{}{}",
        "[]x",     "hello", "<html>",     "[1}",       "{\"a\":}", "[1][2]", "[\"a\"\"b\"]", "[a]",
    };
    options = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        stays(texts[i]);
    expect_bytes("/", "[1]\0[2]", 7, "[1]");
}

static void test_other_types(void **state) {
    options = NULL;
    expect_bytes("/?type=application/problem%2Bjson", "[1]", 3, "[\n  1\n]");
    expect_bytes("/?type=text", "[1]", 3, "[1]");
    expect_bytes("/?type=application/json-seq", "[1]", 3, "[1]");
    expect_bytes("/?write", "[1]", 3, "[1]");
    expect_bytes("/?throw", "[1]", 3, "I'm a Teapot");
}

static void test_options(void **state) {
    options = &(json_pretty_options_t){.spaces = 4};
    becomes("[1]", "[\n    1\n]");
    options = &(json_pretty_options_t){.spaces = 99};
    becomes("[1]", "[\n          1\n]");
    options = &(json_pretty_options_t){.no_pretty = true};
    expect_bytes("/?pretty", "[1]", 3, "[1]");
    options = &(json_pretty_options_t){.no_pretty = true, .param = "pretty"};
    expect_bytes("/?pretty", "[1]", 3, "[\n  1\n]");
    expect_bytes("/?a=b&pretty=", "[1]", 3, "[\n  1\n]");
    expect_bytes("/?prettyx", "[1]", 3, "[1]");
    options = &(json_pretty_options_t){.param = "pretty"};
    expect_bytes("/", "[1]", 3, "[\n  1\n]");
}

/* So many brackets, and within them so many zeros. */
static char *nested(size_t depth, size_t zeros, char *text) {
    memset(text, '[', depth);
    for (size_t i = 0; i < zeros; i++)
        memcpy(text + depth + 2 * i, i + 1 < zeros ? "0," : "0]", 3);
    memset(text + depth + 2 * zeros, ']', depth - 1);
    text[2 * depth + 2 * zeros - 1] = '\0';
    return text;
}

static void test_limits(void **state) {
    static char text[200000];
    options = NULL;
    stays(nested(JSON_PRETTY_DEPTH_MAX + 1, 1, text));
    stays(nested(60, 50000, text)); /* would be 60 times as long */
    app_t *app = app_with(json_pretty(NULL), echo);
    nested(JSON_PRETTY_DEPTH_MAX, 1, text);
    app_response_t *r =
        send_to(app, &(app_request_t){.method = "POST", .body = text, .body_length = strlen(text)});
    assert_int_equal(r->body.length, 2 * 64 + 64 * 65 + 1 + 2 * 64 + 63 * 64);
    app_response_free(r);
    app_free(app);
}

static void test_head(void **state) {
    app_t *app = app_with(json_pretty(NULL), echo);
    app_response_t *r =
        send_to(app, &(app_request_t){.method = "HEAD", .body = "[1]", .body_length = 3});
    expect(r, 200, "");
    expect_header(r, "Content-Length", "7");
    app_response_free(r);
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blanks),      cmocka_unit_test(test_what_is_no_json),
        cmocka_unit_test(test_other_types), cmocka_unit_test(test_options),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
