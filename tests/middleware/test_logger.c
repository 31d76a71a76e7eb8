/* The log: koa-logger's two lines, Apache's, JSON; nothing can be injected, nobody waits. */
#include "middleware/logger.h"
#include "middleware/request_id.h"

#include "test_operations.h"

#include <fcntl.h>

/* --- A page that does what its path says ------------------------------------------------------ */

static ssize_t read_once(ctx_t *ctx, void *state, void *buffer, size_t size) {
    bool *is_read = state;
    if (*is_read)
        return ctx_query(ctx, "breaks") ? UV_EIO : 0;
    *is_read = true;
    memset(buffer, 'x', 2048);
    return 2048;
}

static int stream(ctx_t *ctx) {
    bool *is_read = ctx_new(ctx, bool);
    return ctx_stream(ctx, (body_stream_t){read_once, NULL, is_read});
}

static int answer_as_told(ctx_t *ctx) {
    const char *how = ctx->path + 1;
    if (strcmp(how, "text") == 0)
        return ctx_text(ctx, "hello");
    if (strcmp(how, "stream") == 0)
        return stream(ctx);
    if (strcmp(how, "throw") == 0)
        return ctx_throw(ctx, 418, "short \"and\"\nstout");
    if (strcmp(how, "fail") == 0)
        return UV_EIO;
    if (strcmp(how, "rewritten") == 0)
        return ctx_set_url(ctx, "/other") ? UV_EIO : ctx_text(ctx, "");
    if (strcmp(how, "empty") == 0)
        return ctx_empty(ctx);
    if (*how >= '0' && *how <= '9')
        ctx->status = atoi(how);
    return 0;
}

/* --- What is logged --------------------------------------------------------------------------- */

static char lines[4096];

/* Each with its end; times are told as _. */
static void keep(const char *line, size_t length, void *arg) {
    char *to = lines + strlen(lines);
    assert_int_equal(strlen(line), length);
    assert_ptr_equal(arg, lines);
    snprintf(to, sizeof lines - (size_t)(to - lines), "%s\n", line);
}

static app_t *app_of(const logger_options_t *given) {
    logger_options_t options = given ? *given : (logger_options_t){0};
    options.output = keep;
    options.arg = lines;
    app_t *app = app_with(logger(&options), NULL);
    app_use(app, route_get("/users/:id", answer_as_told));
    app_use(app, answer_as_told);
    return app;
}

static void replace(char *at, size_t length, const char *with) {
    memmove(at + strlen(with), at + length, strlen(at + length) + 1);
    memcpy(at, with, strlen(with));
}

/* "3ms" becomes "_ms". */
static void hide_times(void) {
    for (char *at = lines; (at = strstr(at, "ms")); at += 2) {
        char *begin = at;
        while (begin > lines && begin[-1] >= '0' && begin[-1] <= '9')
            begin--;
        if (begin < at) {
            replace(begin, (size_t)(at - begin), "_");
            at = begin + 1;
        }
    }
}

static void logs(const logger_options_t *options, const app_request_t *request,
                 const char *expected) {
    app_t *app = app_of(options);
    lines[0] = '\0';
    app_response_free(send_to(app, request));
    hide_times();
    assert_string_equal(lines, expected);
    app_free(app);
}

static void logs_url(const char *url, const char *expected) {
    logs(NULL, &(app_request_t){.url = url}, expected);
}

static void test_two_lines(void **state) {
    logs_url("/text?a=b", "  <-- GET /text?a=b\n  --> GET /text?a=b 200 _ms 5b\n");
    logs_url("/stream", "  <-- GET /stream\n  --> GET /stream 200 _ms 2kb\n");
    logs_url("/stream?breaks", "  <-- GET /stream?breaks\n  -x- GET /stream?breaks 200 _ms 2kb\n");
    logs_url("/none", "  <-- GET /none\n  --> GET /none 404 _ms 9b\n");
    logs_url("/throw", "  <-- GET /throw\n  xxx GET /throw 418 _ms -\n");
    logs_url("/fail", "  <-- GET /fail\n  xxx GET /fail 500 _ms -\n");
    logs_url("/empty", "  <-- GET /empty\n  --> GET /empty 204 _ms \n");
    logs_url("/304", "  <-- GET /304\n  --> GET /304 304 _ms \n");
    logs_url("/rewritten", "  <-- GET /rewritten\n  --> GET /rewritten 200 _ms -\n");
    logs(NULL, &(app_request_t){.method = "HEAD", .url = "/text"},
         "  <-- HEAD /text\n  --> HEAD /text 200 _ms 5b\n");
}

static void test_colours(void **state) {
    const logger_options_t coloured = {.colours = LOGGER_COLOURS};
    logs(&coloured, &(app_request_t){.url = "/text"},
         "  \x1b[90m<--\x1b[39m \x1b[1mGET\x1b[22m \x1b[90m/text\x1b[39m\n"
         "  \x1b[90m-->\x1b[39m \x1b[1mGET\x1b[22m \x1b[90m/text\x1b[39m \x1b[32m200\x1b[39m "
         "\x1b[90m_ms\x1b[39m \x1b[90m5b\x1b[39m\n");
    logs(&coloured, &(app_request_t){.url = "/fail"},
         "  \x1b[90m<--\x1b[39m \x1b[1mGET\x1b[22m \x1b[90m/fail\x1b[39m\n"
         "  \x1b[31mxxx\x1b[39m \x1b[1mGET\x1b[22m \x1b[90m/fail\x1b[39m \x1b[31m500\x1b[39m "
         "\x1b[90m_ms\x1b[39m \x1b[90m-\x1b[39m\n");
    logs(&coloured, &(app_request_t){.url = "/699"},
         "  \x1b[90m<--\x1b[39m \x1b[1mGET\x1b[22m \x1b[90m/699\x1b[39m\n"
         "  \x1b[90m-->\x1b[39m \x1b[1mGET\x1b[22m \x1b[90m/699\x1b[39m 699 "
         "\x1b[90m_ms\x1b[39m \x1b[90m3b\x1b[39m\n");
}

static void test_nothing_is_injected(void **state) {
    const char *const headers[] = {"User-Agent", "evil\"\r\n\x1b[2J", "Referer", "\\\xff", NULL};
    const app_request_t request = {.url = "/a\r\n  --> \x1b[2J\"\\\u202e", .headers = headers};
    logs(NULL, &request,
         "  <-- GET /a\\r\\n  --> \\u001b[2J\"\\\\u202e\n"
         "  --> GET /a\\r\\n  --> \\u001b[2J\"\\\\u202e 404 _ms 9b\n");
    app_t *app = app_of(&(logger_options_t){.format = LOGGER_COMBINED});
    lines[0] = '\0';
    app_response_free(send_to(app, &request));
    assert_non_null(strstr(lines, "\"GET /a\\r\\n  --> \\u001b[2J\\\"\\\\\\u202e HTTP/1.1\" 404 9 "
                                  "\"\\\\\\xff\" \"evil\\\"\\r\\n\\u001b[2J\"\n"));
    assert_ptr_equal(strchr(lines, '\n'), lines + strlen(lines) - 1);
    app_free(app);
}

/* --- Apache ----------------------------------------------------------------------------------- */

/* "[21/Nov/2026:11:05:00 +0000]" becomes "[]". */
static void hide_date(void) {
    static const char form[] = "[00/Aaa/0000:00:00:00 +0000]";
    char *date = strchr(lines, '[');
    assert_non_null(date);
    for (size_t i = 0; form[i]; i++) {
        bool is_digit = date[i] >= '0' && date[i] <= '9';
        assert_true(form[i] == '0' ? is_digit
                                   : form[i] == 'A' || form[i] == 'a' || form[i] == date[i]);
    }
    replace(date, strlen(form), "[]");
}

static void logs_line(logger_format_t format, const app_request_t *request, const char *expected) {
    app_t *app = app_of(&(logger_options_t){.format = format});
    lines[0] = '\0';
    app_response_free(send_to(app, request));
    hide_date();
    assert_string_equal(lines, expected);
    app_free(app);
}

static void test_common(void **state) {
    logs_line(LOGGER_COMMON, &(app_request_t){.url = "/text?q", .peer = "192.0.2.1"},
              "192.0.2.1 - - [] \"GET /text?q HTTP/1.1\" 200 5\n");
    logs_line(LOGGER_COMMON, &(app_request_t){.url = "/stream"},
              "127.0.0.1 - - [] \"GET /stream HTTP/1.1\" 200 2048\n");
    logs_line(LOGGER_COMMON, &(app_request_t){.url = "/empty"},
              "127.0.0.1 - - [] \"GET /empty HTTP/1.1\" 204 -\n");
    logs_line(LOGGER_COMMON, &(app_request_t){.url = "/throw"},
              "127.0.0.1 - - [] \"GET /throw HTTP/1.1\" 418 17\n");
    logs_line(LOGGER_COMBINED, &(app_request_t){.url = "/text"},
              "127.0.0.1 - - [] \"GET /text HTTP/1.1\" 200 5 \"-\" \"-\"\n");
    logs_line(LOGGER_COMBINED,
              &(app_request_t){.url = "/text",
                               .headers = HEADERS("Referer", "/r", "User-Agent", "curl/8")},
              "127.0.0.1 - - [] \"GET /text HTTP/1.1\" 200 5 \"/r\" \"curl/8\"\n");
}

static void logs_user(const char *authorization, const char *user) {
    char expected[256];
    snprintf(expected, sizeof expected, "127.0.0.1 - %s [] \"GET /text HTTP/1.1\" 200 5\n", user);
    logs_line(LOGGER_COMMON,
              &(app_request_t){.url = "/text", .headers = HEADERS("Authorization", authorization)},
              expected);
}

static void test_users(void **state) {
    logs_user("Basic YWRhOnNlY3JldA==", "ada");
    logs_user("basic  YWRhOnNlY3JldA== ", "ada");
    logs_user("Basic OnNlY3JldA==", "-");     /* no name */
    logs_user("Basic YWRh", "-");             /* no colon */
    logs_user("Basic YWRhOnNlY3JldA", "ada"); /* no padding */
    logs_user("Basic !!!!", "-");
    logs_user("Basic ", "-");
    logs_user("Bearer YWRhOnNlY3JldA==", "-");
    logs_user("Basic YSBiCiI6eA==", "a_b\\n\\\""); /* what could end the field, or the line */
}

/* --- JSON ------------------------------------------------------------------------------------- */

#ifdef ACACIA_HAVE_JSON

static json_t *logged(const app_request_t *request) {
    app_t *app = quiet_app();
    app_use(app, request_id(NULL));
    app_use(app, logger(&(logger_options_t){.format = LOGGER_JSON, .output = keep, .arg = lines}));
    app_use(app, route_get("/users/:id", answer_as_told));
    app_use(app, answer_as_told);
    lines[0] = '\0';
    app_response_free(send_to(app, request));
    app_free(app);
    json_t *json = json_loads(lines, JSON_REJECT_DUPLICATES, NULL);
    if (!json)
        fail_msg("no JSON: %s", lines);
    return json;
}

static void has(const json_t *json, const char *name, const char *value) {
    const char *found = json_string_value(json_object_get(json, name));
    if (!found != !value || (value && strcmp(found, value) != 0))
        fail_msg("%s: %s, not %s", name, found ? found : "-", value ? value : "-");
}

static void test_json(void **state) {
    json_t *json = logged(&(app_request_t){
        .url = "/users/7?q",
        .headers = HEADERS("X-Request-Id", "id1", "User-Agent", "\"\\\x01\xff\u20ac")});
    has(json, "id", "id1");
    has(json, "ip", "127.0.0.1");
    has(json, "method", "GET");
    has(json, "url", "/users/7?q");
    has(json, "route", "/users/:id");
    has(json, "version", "1.1");
    has(json, "user_agent", "\"\\\x01\ufffd\u20ac");
    has(json, "referrer", NULL);
    has(json, "error", NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
    assert_int_equal(json_integer_value(json_object_get(json, "bytes")), 9);
    assert_true(json_is_real(json_object_get(json, "ms")));
    assert_null(json_object_get(json, "aborted"));
    assert_int_equal(strlen(json_string_value(json_object_get(json, "time"))), 24);
    json_decref(json);
    json = logged(&(app_request_t){.url = "/throw"});
    has(json, "error", "short \"and\"\nstout");
    has(json, "route", NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 418);
    json_decref(json);
    json = logged(&(app_request_t){.url = "/stream?breaks"});
    assert_true(json_is_true(json_object_get(json, "aborted")));
    assert_int_equal(json_integer_value(json_object_get(json, "bytes")), 2048);
    json_decref(json);
}

#else

static void test_json(void **state) {
    skip();
}

#endif

static void test_ids(void **state) {
    app_t *app = quiet_app();
    app_use(app, request_id(NULL));
    app_use(app, logger(&(logger_options_t){.output = keep, .arg = lines}));
    app_use(app, answer_as_told);
    lines[0] = '\0';
    app_response_free(
        send_to(app, &(app_request_t){.url = "/text", .headers = HEADERS("X-Request-Id", "id1")}));
    hide_times();
    assert_string_equal(lines, "  <-- GET /text id1\n  --> GET /text 200 _ms 5b id1\n");
    app_free(app);
}

static bool skip_good(ctx_t *ctx) {
    return ctx->status < 400;
}

static void test_skip(void **state) {
    const logger_options_t options = {.skip = skip_good};
    logs(&options, &(app_request_t){.url = "/text"}, "");
    logs(&options, &(app_request_t){.url = "/none"}, "  --> GET /none 404 _ms 9b\n");
}

/* --- To a descriptor -------------------------------------------------------------------------- */

static void test_file(void **state) {
    FILE *file = tmpfile();
    app_t *app = app_with(logger(&(logger_options_t){.fd = fileno(file)}), answer_as_told);
    for (int i = 0; i < 100; i++)
        check(app, "GET", "/text", 200, "hello");
    app_free(app); /* the log is whole then */
    rewind(file);
    int count[2] = {0, 0};
    while (fgets(lines, sizeof lines, file)) {
        assert_true(strncmp(lines, "  <-- GET /text\n", 16) == 0 ||
                    strncmp(lines, "  --> GET /text 200 ", 20) == 0);
        count[lines[2] == '-']++;
    }
    assert_int_equal(count[0], 100);
    assert_int_equal(count[1], 100);
    fclose(file);
}

static int ask_again(ctx_t *ctx) {
    if (ctx_query(ctx, "n"))
        return ctx_text(ctx, "hello");
    for (int i = 0; i < 1000; i++)
        app_response_free(send_to(ctx->app, &(app_request_t){.url = "/?n"}));
    return ctx_text(ctx, "done");
}

struct reader {
    int fd;
    size_t total;
};

static void read_all(void *arg) {
    static char buffer[65536];
    struct reader *reader = arg;
    ssize_t n;
    while ((n = read(reader->fd, buffer, sizeof buffer)) > 0)
        reader->total += (size_t)n;
}

/* Until not even one byte has room. Returns how many there are. */
static size_t fill(int fd) {
    size_t total = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (size_t size = 4096; size > 0; size /= 2)
        for (ssize_t n; (n = write(fd, lines, size)) > 0;)
            total += (size_t)n;
    fcntl(fd, F_SETFL, 0);
    return total;
}

/* A pipe that nobody reads: handlers go on all the same, and what is too much is dropped. */
static void test_nobody_reads(void **state) {
    int ends[2];
    uv_thread_t thread;
    assert_int_equal(pipe(ends), 0);
    struct reader reader = {.fd = ends[0]};
    size_t filled = fill(ends[1]);
    app_t *app =
        app_with(logger(&(logger_options_t){.fd = ends[1], .buffer_size = 8192}), ask_again);
    check(app, "GET", "/", 200, "done"); /* 2,002 lines */
    assert_int_equal(uv_thread_create(&thread, read_all, &reader), 0);
    app_free(app); /* waits for the thread that writes */
    close(ends[1]);
    uv_thread_join(&thread);
    close(ends[0]);
    assert_true(reader.total > filled + 4096 && reader.total < filled + 3 * 8192);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_lines),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_nothing_is_injected),
        cmocka_unit_test(test_common),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_nobody_reads),
    };
    unsetenv("FORCE_COLOR");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
