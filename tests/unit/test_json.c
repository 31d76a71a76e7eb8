/* JSON in and out: what a ctx shows of itself, what a client may send, what it gets. */
#include <acacia.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})

static app_response_t *ask(middleware_fn *fn, const app_request_t *request) {
    app_t *app = app_new_with(&(app_options_t){.silent = true, .env = "test", .proxy = true});
    app_use(app, fn);
    app_response_t *response = app_inject(app, request);
    assert_non_null(response);
    app_free(app);
    return response;
}

static void gives(middleware_fn *fn, const app_request_t *request, int status, const char *body) {
    app_response_t *response = ask(fn, request);
    assert_int_equal(response->status, status);
    assert_string_equal(response->body.data, body);
    app_response_free(response);
}

/* --- ctx.toJSON ------------------------------------------------------------------------------- */

static int show_itself(ctx_t *ctx) {
    ctx_set(ctx, "X-Set", "1");
    ctx_set_url(ctx, "/rewritten");
    ctx->status = 201;
    json_t *all = ctx_to_json(ctx);
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    int err = ctx_text(ctx, text);
    free(text);
    json_decref(all);
    return err;
}

static void test_what_a_ctx_shows(void **state) {
    gives(show_itself,
          &(app_request_t){.url = "/a?b=1",
                           .headers = HEADERS("Host", "a.test", "X-Two", "1", "X-Two", "2", "X-Two",
                                              "3", "X-Latin", "\xfc", "X-Utf", "\xc3\xbc")},
          201,
          "{\"app\":{\"env\":\"test\",\"proxy\":true,\"subdomainOffset\":2},"
          "\"originalUrl\":\"/a?b=1\","
          "\"request\":{\"header\":{\"host\":\"a.test\",\"x-latin\":\"\xc3\xbc\","
          "\"x-two\":[\"1\",\"2\",\"3\"],\"x-utf\":\"\xc3\xbc\"},\"method\":\"GET\","
          "\"url\":\"/rewritten\"},"
          "\"response\":{\"header\":{\"x-set\":\"1\"},\"message\":\"Created\",\"status\":201}}");
}

/* --- Queries ---------------------------------------------------------------------------------- */

static int show_query(ctx_t *ctx) {
    return ctx_json(ctx, ctx_query_json(ctx));
}

static void test_queries(void **state) {
    gives(show_query, &(app_request_t){.url = "/"}, 200, "{}");
    gives(show_query, &(app_request_t){.url = "/?a=1&b=&a=2&a=3"}, 200,
          "{\"a\":[\"1\",\"2\",\"3\"],\"b\":\"\"}");
}

static int show_nested(ctx_t *ctx) {
    return ctx_json(ctx, ctx_query_nested(ctx));
}

static void test_nested_queries(void **state) {
    gives(show_nested, &(app_request_t){.url = "/?a[b]=1&a[c][]=2&a[c][]=3"}, 200,
          "{\"a\":{\"b\":\"1\",\"c\":[\"2\",\"3\"]}}");
}

/* --- Bodies ----------------------------------------------------------------------------------- */

static int show_body(ctx_t *ctx) {
    json_t *json;
    int err = ctx_read_json(ctx, &json);
    return err ? err : ctx_json(ctx, json);
}

static void sends(const char *body, int status, const char *answer) {
    gives(show_body, &(app_request_t){.method = "POST", .body = body, .body_length = strlen(body)},
          status, answer);
}

static void test_bodies(void **state) {
    sends("{\"a\": [1, null, true, \"x\"]}", 200, "{\"a\":[1,null,true,\"x\"]}");
    sends("\xEF\xBB\xBF[1]", 200, "[1]"); /* a byte order mark */
    sends("7", 200, "7");
    sends("{", 400, "invalid JSON: string or '}' expected near end of file");
    sends("{\"a\":1,\"a\":2}", 400, "invalid JSON: duplicate object key near '\"a\"'");
}

static void test_levels(void **state) {
    char text[500];
    for (int levels = 199; levels <= 201; levels++) {
        memset(text, '[', (size_t)levels);
        memset(text + levels, ']', (size_t)levels);
        text[2 * levels] = '\0';
        if (levels <= 200)
            sends(text, 200, text);
        else
            sends(text, 400, "invalid JSON: more than 200 levels");
    }
}

/* --- Answers ---------------------------------------------------------------------------------- */

static int answer_nothing(ctx_t *ctx) {
    return ctx_json(ctx, NULL); /* a json_pack that has failed */
}

static int answer_problem(ctx_t *ctx) {
    ctx_set(ctx, "Content-Type", "application/problem+json");
    return ctx_json(ctx, json_pack("{s:s}", "title", "no"));
}

static void test_answers(void **state) {
    gives(answer_nothing, &(app_request_t){0}, 500, "Internal Server Error");
    app_response_t *response = ask(answer_problem, &(app_request_t){0});
    assert_string_equal(app_response_get(response, "Content-Type"), "application/problem+json");
    assert_string_equal(response->body.data, "{\"title\":\"no\"}");
    app_response_free(response);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_ctx_shows), cmocka_unit_test(test_queries),
        cmocka_unit_test(test_nested_queries),   cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_levels),           cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
