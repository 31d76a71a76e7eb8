/* A name for each request. */
#include "middleware/request_id.h"

#include "test_operations.h"

#include <sys/wait.h>

static int show_id(ctx_t *ctx) {
    if (ctx_query(ctx, "throw"))
        return ctx_throw(ctx, 418, NULL);
    return ctx_text(ctx, request_id_of(ctx) ? request_id_of(ctx) : "none");
}

/* What a handler sees, for this header; the answer has the same. To be freed by free(). */
static char *id_for(const request_id_options_t *options, const char *header, const char *value) {
    app_t *app = app_with(request_id(options), show_id);
    app_response_t *r = send_to(app, &(app_request_t){.headers = HEADERS(header, value)});
    assert_int_equal(r->status, 200);
    char *id = strdup(r->body.data);
    if (options && options->no_outgoing)
        expect_header(r, "X-Request-Id", NULL);
    else
        expect_header(r, options && options->header ? options->header : "X-Request-Id", id);
    app_response_free(r);
    app_free(app);
    return id;
}

/* 'h' is a digit of base 16, 'v' one of 8, 9, a, b; 'c' one of Crockford's. */
static bool has_form(const char *id, const char *form) {
    for (; *form; form++, id++) {
        const char *set = *form == 'h'   ? "0123456789abcdef"
                          : *form == 'v' ? "89ab"
                          : *form == 'c' ? "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
                                         : NULL;
        if (!*id || (set ? !strchr(set, *id) : *id != *form))
            return false;
    }
    return !*id;
}

static const char uuid_form[] = "hhhhhhhh-hhhh-4hhh-vhhh-hhhhhhhhhhhh";
static const char ulid_form[] = "cccccccccccccccccccccccccc";

static void is_replaced(const char *value) {
    char *id = id_for(NULL, "X-Request-Id", value);
    if (!has_form(id, uuid_form))
        fail_msg("\"%s\" became \"%s\"", value, id);
    free(id);
}

static void is_taken(const request_id_options_t *options, const char *header, const char *value) {
    char *id = id_for(options, header, value);
    assert_string_equal(id, value);
    free(id);
}

static void test_taken_over(void **state) {
    char longest[130];
    is_taken(NULL, "X-Request-Id", "a");
    is_taken(NULL, "x-request-id", "abc-DEF_0.9:1+2/3=@");
    memset(longest, 'a', sizeof longest);
    longest[128] = '\0';
    is_taken(NULL, "X-Request-Id", longest);
    longest[128] = 'a';
    longest[129] = '\0';
    is_replaced(longest);
    is_taken(&(request_id_options_t){.header = "X-Trace"}, "X-Trace", "t1");
    is_taken(&(request_id_options_t){.max_length = 129}, "X-Request-Id", longest);
    is_taken(&(request_id_options_t){.no_outgoing = true}, "X-Request-Id", "quiet");
}

static void test_what_may_do_harm(void **state) {
    static const char *const harmful[] = {"",      "a b",  "a\tb",     "a\"b",     "a'b",
                                          "a;b",   "a<b>", "${a}",     "a\x1b[0m", "a,b",
                                          "a\\nb", "`a`",  "\xc3\xa4", "a%0ab",    "a?b&c"};
    for (size_t i = 0; i < sizeof harmful / sizeof *harmful; i++)
        is_replaced(harmful[i]);
}

static void test_made(void **state) {
    const request_id_options_t ulid = {.kind = REQUEST_ID_ULID, .no_incoming = true};
    char *seen[200];
    for (size_t i = 0; i < 200; i++) {
        seen[i] = id_for(i < 100 ? NULL : &ulid, i < 100 ? "X-Other" : "X-Request-Id", "mine");
        assert_true(has_form(seen[i], i < 100 ? uuid_form : ulid_form));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
    assert_true(strncmp(seen[100], seen[199], 8) <= 0); /* by time */
    assert_true(strncmp(seen[100], "01", 2) == 0);      /* until the year 2527 */
    for (size_t i = 0; i < 200; i++)
        free(seen[i]);
}

/* Who was forked does not go on with the random bytes of its parent. */
static void test_forked(void **state) {
    int ends[2];
    char theirs[64] = "";
    free(id_for(NULL, "X-Other", ""));
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char *id = id_for(NULL, "X-Other", "");
        _exit(write(ends[1], id, strlen(id)) != (ssize_t)strlen(id));
    }
    char *ours = id_for(NULL, "X-Other", "");
    close(ends[1]);
    assert_int_equal(read(ends[0], theirs, sizeof theirs - 1), 36);
    assert_string_not_equal(ours, theirs);
    waitpid(child, NULL, 0);
    close(ends[0]);
    free(ours);
}

static const char *make_mine(ctx_t *ctx) {
    await_sleep(0);
    return ctx_query(ctx, "bad") ? "a b" : ctx_query(ctx, "none") ? NULL : "mine-1";
}

static void test_made_otherwise(void **state) {
    app_t *app = app_with(request_id(&(request_id_options_t){.make = make_mine}), show_id);
    check(app, "GET", "/", 200, "mine-1");
    check(app, "GET", "/?bad", 500, NULL);
    check(app, "GET", "/?none", 500, NULL);
    app_free(app);
}

static int catches(ctx_t *ctx) {
    int err = next(ctx);
    return err < 0 && ctx_catch(ctx) ? ctx_text(ctx, "caught") : err;
}

static void test_errors_have_it(void **state) {
    app_t *app = app_with(request_id(NULL), show_id);
    app_response_t *r =
        send_to(app, &(app_request_t){.url = "/?throw", .headers = HEADERS("X-Request-Id", "e1")});
    expect(r, 418, "I'm a Teapot");
    expect_header(r, "X-Request-Id", "e1");
    app_response_free(r);
    app_free(app);
    app = quiet_app();
    app_use(app, catches);
    app_use(app, request_id(NULL));
    app_use(app, show_id);
    r = send_to(app, &(app_request_t){.url = "/?throw", .headers = HEADERS("X-Request-Id", "e2")});
    expect(r, 200, "caught");
    expect_header(r, "X-Request-Id", "e2");
    app_response_free(r);
    app_free(app);
}

static void test_without(void **state) {
    app_t *app = quiet_app();
    app_use(app, show_id);
    check(app, "GET", "/", 200, "none");
    app_free(app);
    refuse(request_id(&(request_id_options_t){.header = "X Y"}), "header must be the name of one");
    refuse(request_id(&(request_id_options_t){.header = ""}), "header must be the name of one");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_over),     cmocka_unit_test(test_what_may_do_harm),
        cmocka_unit_test(test_forked),         cmocka_unit_test(test_made),
        cmocka_unit_test(test_made_otherwise), cmocka_unit_test(test_errors_have_it),
        cmocka_unit_test(test_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
