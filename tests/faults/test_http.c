/* Allocations fail, each in turn, on the way of a request: see faults.h. */
#include "faults.h"

#include <fcntl.h>
#include <middleware/body_parser.h>
#include <middleware/serve.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

/* --- The server ------------------------------------------------------------------------------- */

static int greet(ctx_t *ctx) {
    json_t *body = body_parsed(ctx);
    const char *name = json_string_value(json_object_get(body, "name"));
    const char *from = ctx_signed_cookie(ctx, "from", NULL);
    int err = ctx_set_cookie(ctx, "to", name ? name : "nobody", NULL);
    return err ? err
               : ctx_json(ctx, json_pack("{s:s, s:s, s:s}", "id", ctx_param(ctx, "id"), "from",
                                         from ? from : "nobody", "name", name ? name : "nobody"));
}

static int first(void *arg) {
    return await_sleep(1);
}

static void work(void *arg) {
    *(int *)arg += 1;
}

static int second(void *arg) {
    return await_work(work, arg);
}

/* Waits in every way. */
static int wait(ctx_t *ctx) {
    int worked = 0;
    await_task_t tasks[] = {{.fn = first}, {.fn = second, .arg = &worked}};
    int err = await_all(tasks, 2);
    if (!err)
        err = await_timeout(first, NULL, 1000);
    return err ? err : ctx_textf(ctx, "worked %d", worked);
}

static ssize_t read_source(ctx_t *ctx, void *state, void *buffer, size_t size) {
    int *left = state, err = await_sleep(0);
    if (err || *left == 0)
        return err;
    memset(buffer, '0' + --*left, 3);
    return 3;
}

static int stream(ctx_t *ctx) {
    int *left = ctx_new(ctx, int);
    if (!left)
        return UV_ENOMEM;
    *left = 4;
    return ctx_stream(ctx, (body_stream_t){read_source, NULL, left});
}

static int echo(ctx_t *ctx) {
    char piece[700];
    ssize_t n;
    while ((n = ctx_read(ctx, piece, sizeof piece)) > 0) {
        int err = ctx_write(ctx, piece, (size_t)n);
        if (err < 0)
            return err;
    }
    return (int)n;
}

/* More than the socket takes at once. */
static int flood(ctx_t *ctx) {
    static char block[100000];
    int err = 0;
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 5 && err >= 0; i++)
        err = ctx_write(ctx, block, sizeof block);
    return err < 0 ? err : 0;
}

static void job(app_t *app, void *arg) {
    await_sleep(0);
    future_resolve(arg, 7, NULL);
}

static void posted(app_t *app, void *arg) {
    if (app_spawn(app, job, arg))
        future_resolve(arg, UV_ENOMEM, NULL);
}

static int ask_a_job(ctx_t *ctx) {
    future_t *future = future_new();
    if (!future)
        return UV_ENOMEM;
    int err = app_post(ctx->app, posted, future);
    if (err)
        future_resolve(future, err, NULL);
    int result = await_future(future, NULL);
    future_free(future);
    return result < 0 ? result : ctx_textf(ctx, "job %d", result);
}

static app_t *make_app(void) {
    static const char *const keys[] = {"secret", NULL};
    app_t *app = app_new_with(&(app_options_t){.silent = true, .keys = keys});
    router_t *router = router_new(&(router_options_t){.prefix = "/api"});
    router_use(router, NULL, body_parser(NULL));
    router_post(router, "/users/:id", greet);
    app_use(app, router_routes(router));
    app_use(app, route_get("/wait", wait));
    app_use(app, route_get("/stream", stream));
    app_use(app, route_get("/flood", flood));
    app_use(app, route_get("/job", ask_a_job));
    app_use(app, route_post("/echo", echo));
    app_use(app, serve(root, NULL));
    router_free(router);
    return app;
}

/* --- The client ------------------------------------------------------------------------------- */

static void ask(app_t *app, bool failing, const char *request, const char *end) {
    struct client *client = client_new(app);
    client_send(client, request, strlen(request));
    faults_until(app, client_is_over(client));
    /* jansson does not tell bad JSON from no memory. */
    if (!failing || !strstr(client->answer, "invalid JSON"))
        check_answer(client, end, failing);
    client_close(client);
}

/* The signature is what Keygrip makes of "from=ada" and "secret". */
static void play_json(app_t *app, bool failing) {
    ask(app, failing,
        "POST /api/users/7 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        "Cookie: from=ada; from.sig=0vHpfSyds9q0BbAftuwPLubRgAw\r\n"
        "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "7\r\n{\"name\"\r\n8\r\n: \"bob\"}\r\n0\r\n\r\n",
        "\r\n\r\n{\"id\":\"7\",\"from\":\"ada\",\"name\":\"bob\"}");
}

static void play_waiting(app_t *app, bool failing) {
    ask(app, failing, "GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "\r\n\r\nworked 1");
}

static void play_stream(app_t *app, bool failing) {
    ask(app, failing, "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "3\r\n333\r\n3\r\n222\r\n3\r\n111\r\n3\r\n000\r\n0\r\n\r\n");
}

static void play_job(app_t *app, bool failing) {
    ask(app, failing, "GET /job HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "\r\n\r\njob 7");
}

static void play_file(app_t *app, bool failing) {
    ask(app, failing, "GET /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "\r\n\r\nhello, file\n");
}

/* Pipelined: several answers, in their order. */
static void play_pipeline(app_t *app, bool failing) {
    ask(app, failing,
        "GET /job HTTP/1.1\r\nHost: a\r\n\r\n"
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        "GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "\r\n\r\nworked 1");
}

/* A body that comes while the handler is at work, more than its socket keeps. */
static void play_upload(app_t *app, bool failing) {
    static char body[30000];
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               "Expect: 100-continue\r\nContent-Length: 30000\r\n\r\n";
    struct client *client = client_new(app);
    memset(body, 'y', sizeof body);
    client_send(client, head, sizeof head - 1);
    faults_until(app, client_has(client, "\r\n\r\n"));
    for (size_t i = 0; i < sizeof body; i += 10000) {
        client_send(client, body + i, 10000);
        faults_turn(app);
    }
    faults_until(app, client_is_over(client));
    if (!failing) {
        assert_non_null(strstr(client->answer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"));
        assert_true(client->length > sizeof body);
        assert_memory_equal(client->answer + client->length - 5, "0\r\n\r\n", 5);
    }
    client_close(client);
}

/* A client that does not read: what waits for it takes memory. */
static void play_slow_reader(app_t *app, bool failing) {
    static const char request[] = "GET /flood HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct client *client = client_new(app);
    client_send(client, request, sizeof request - 1);
    for (int i = 0; i < 5; i++)
        faults_turn(app);
    faults_until(app, client_is_over(client));
    if (!failing) {
        assert_true(client->length > 500000);
        assert_memory_equal(client->answer + client->length - 5, "0\r\n\r\n", 5);
    }
    client_close(client);
}

#define PLAY(name, least)                                                                          \
    static void test_##name(void **state) {                                                        \
        long count = faults_play(make_app, play_##name);                                           \
        print_message("%ld allocations\n", count);                                                 \
        assert_true(count > (least));                                                              \
    }

PLAY(json, 30)
PLAY(waiting, 3)
PLAY(stream, 3)
PLAY(job, 5)
PLAY(file, 3)
PLAY(pipeline, 5)
PLAY(upload, 5)
PLAY(slow_reader, 5)

/* --- Set-up ----------------------------------------------------------------------------------- */

static int make_root(void **state) {
    char path[80];
    strcpy(root, "/tmp/acacia-faults-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(path, sizeof path, "%s/file.txt", root);
    FILE *file = fopen(path, "w");
    if (!file || fputs("hello, file\n", file) < 0 || fclose(file))
        return -1;
    const struct timespec then[2] = {{.tv_sec = 1234567890}, {.tv_sec = 1234567890}};
    return utimensat(AT_FDCWD, path, then, 0);
}

static int remove_root(void **state) {
    char path[80];
    snprintf(path, sizeof path, "%s/file.txt", root);
    return unlink(path) || rmdir(root);
}

int main(void) {
    faults_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),   cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_stream), cmocka_unit_test(test_job),
        cmocka_unit_test(test_file),   cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_upload), cmocka_unit_test(test_slow_reader),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
