/* The app around its stacks: injected requests, values, work from elsewhere, loops of the program.
 */
#include <acacia.h>

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* --- app_inject ------------------------------------------------------------------------------- */

static int show(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    ctx_set(ctx, "X-Peer", ctx_peer(ctx));
    ctx_append(ctx, "X-Many", "a");
    ctx_append(ctx, "X-Many", "b");
    return err ? err
               : ctx_textf(ctx, "%s %s %s %s %s%s", ctx->method, ctx->url, ctx_get(ctx, "X-Test"),
                           ctx_host(ctx), body.data, ctx_secure(ctx) ? " secure" : "");
}

static void test_inject(void **state) {
    app_t *app = app_new();
    const char *name, *value;
    size_t many = 0;
    app_use(app, show);
    app_response_t *r = app_inject(app, &(app_request_t){.url = "/a?b"});
    assert_non_null(r);
    assert_int_equal(r->status, 200);
    assert_string_equal(r->message, "OK");
    assert_string_equal(r->body.data, "GET /a?b  localhost ");
    assert_int_equal(r->body.length, strlen(r->body.data));
    assert_string_equal(app_response_get(r, "content-type"), "text/plain; charset=utf-8");
    assert_string_equal(app_response_get(r, "x-peer"), "127.0.0.1");
    assert_null(app_response_get(r, "x-none"));
    for (size_t i = 0; app_response_header_at(r, i, &name, &value); i++)
        many += strcmp(name, "X-Many") == 0;
    assert_int_equal(many, 2);
    assert_false(r->failed);
    app_response_free(r);

    r = app_inject(app, &(app_request_t){
                            .method = "POST",
                            .headers = (const char *const[]){"Host", "a.test", "X-Test", "x", NULL},
                            .body = "body",
                            .body_length = 4,
                            .peer = "192.0.2.7",
                            .secure = true,
                        });
    assert_string_equal(r->body.data, "POST / x a.test body secure");
    assert_string_equal(app_response_get(r, "X-Peer"), "192.0.2.7");
    app_response_free(r);

    r = app_inject(app, &(app_request_t){.method = "HEAD"});
    assert_int_equal(r->status, 200);
    assert_int_equal(r->body.length, 0);
    assert_string_equal(app_response_get(r, "Content-Length"), "18");
    app_response_free(r);
    app_free(app);
}

static int slow(ctx_t *ctx) {
    int err = await_sleep(20);
    return err ? err : ctx_text(ctx, "slow");
}

static int inner(ctx_t *ctx) {
    app_response_t *r = app_inject(ctx->app, &(app_request_t){.url = "/slow"});
    int err = r ? ctx_textf(ctx, "inner: %s", r->body.data) : -500;
    app_response_free(r);
    return err;
}

static int breaks(ctx_t *ctx) {
    int err = ctx_write(ctx, "part", 4);
    return err ? err : -500;
}

static void test_inject_that_waits(void **state) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, route_get("/slow", slow));
    app_use(app, route_get("/inner", inner));
    app_use(app, route_get("/breaks", breaks));
    app_response_t *r = app_inject(app, &(app_request_t){.url = "/inner"});
    assert_string_equal(r->body.data, "inner: slow");
    app_response_free(r);
    r = app_inject(app, &(app_request_t){.url = "/breaks"});
    assert_int_equal(r->status, 200);
    assert_string_equal(r->body.data, "part");
    assert_true(r->failed);
    app_response_free(r);
    r = app_inject(app, &(app_request_t){.url = "/none"});
    assert_int_equal(r->status, 404);
    assert_string_equal(r->body.data, "Not Found");
    app_response_free(r);
    app_free(app);
}

static void test_inject_into_nothing(void **state) {
    assert_null(app_inject(NULL, &(app_request_t){0}));
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, route_get("/:", slow));
    assert_null(app_inject(app, &(app_request_t){0}));
    app_free(app);
}

/* --- Values ----------------------------------------------------------------------------------- */

static int destroyed;

static void destroy(void *value) {
    destroyed += *(int *)value;
}

static int one = 1, ten = 10, hundred = 100, thousand = 1000;

static int set_values(ctx_t *ctx) {
    assert_ptr_equal(ctx_value(ctx, "a"), &one);
    assert_null(ctx_value(ctx, "b"));
    assert_int_equal(ctx_set_value(ctx, "a", &ten, destroy), 0);
    assert_int_equal(ctx_set_value(ctx, "b", &hundred, destroy), 0);
    assert_ptr_equal(ctx_value(ctx, "a"), &ten);
    assert_int_equal(ctx_set_value(ctx, "b", &thousand, destroy), 0);
    assert_int_equal(destroyed, 100);
    assert_ptr_equal(ctx_value(ctx, "b"), &thousand);
    assert_int_equal(ctx_set_value(ctx, "b", NULL, NULL), 0);
    assert_int_equal(destroyed, 1100);
    assert_null(ctx_value(ctx, "b"));
    return 0;
}

static void test_values(void **state) {
    app_t *app = app_new();
    destroyed = 0;
    assert_int_equal(app_set_value(app, "a", &hundred, destroy), 0);
    assert_int_equal(app_set_value(app, "a", &one, destroy), 0);
    assert_int_equal(destroyed, 100);
    destroyed = 0;
    app_use(app, set_values);
    app_response_free(app_inject(app, &(app_request_t){0}));
    assert_int_equal(destroyed, 1110);
    assert_ptr_equal(app_value(app, "a"), &one);
    app_free(app);
    assert_int_equal(destroyed, 1111);
    assert_int_equal(app_set_value(NULL, "a", &one, destroy), UV_ENOMEM);
    assert_int_equal(destroyed, 1112);
}

/* --- ctx_current ------------------------------------------------------------------------------ */

static ctx_t *seen;

static int look(void *arg) {
    await_sleep(1);
    seen = ctx_current();
    return 0;
}

static int compare(ctx_t *ctx) {
    await_task_t tasks[] = {{look, NULL, 0}};
    assert_ptr_equal(ctx_current(), ctx);
    await_sleep(1);
    assert_ptr_equal(ctx_current(), ctx);
    await_all(tasks, 1);
    assert_ptr_equal(seen, ctx);
    return 0;
}

static void test_current(void **state) {
    app_t *app = app_new();
    app_use(app, compare);
    assert_null(ctx_current());
    app_response_free(app_inject(app, &(app_request_t){0}));
    app_free(app);
}

/* --- Work from elsewhere ---------------------------------------------------------------------- */

static char trail[64];

static void mark(app_t *app, void *arg) {
    strncat(trail, arg, sizeof trail - strlen(trail) - 1);
}

static void stop(app_t *app, void *arg) {
    mark(app, arg);
    app_close(app);
}

static void job(app_t *app, void *arg) {
    assert_int_equal(await_sleep(5), 0);
    assert_int_equal(app_post(app, stop, arg), 0);
}

static void begin_job(app_t *app, void *arg) {
    mark(app, "j");
    assert_int_equal(app_spawn(app, job, arg), 0);
}

static void from_thread(void *arg) {
    assert_int_equal(app_post(arg, mark, "a"), 0);
    assert_int_equal(app_post(arg, mark, "b"), 0);
    assert_int_equal(app_post(arg, begin_job, "c"), 0);
}

static void test_post(void **state) {
    app_t *app = app_new();
    uv_thread_t thread;
    trail[0] = '\0';
    uv_thread_create(&thread, from_thread, app);
    assert_int_equal(app_run(app), 0);
    uv_thread_join(&thread);
    assert_string_equal(trail, "abjc");
    assert_int_equal(app_post(app, mark, "d"), 0);
    app_free(app);
    assert_string_equal(trail, "abjcd"); /* what nobody got to is done in the end */
    assert_int_equal(app_post(NULL, mark, "e"), UV_ENOMEM);
    assert_int_equal(app_spawn(NULL, mark, "e"), UV_ENOMEM);
}

static void long_job(app_t *app, void *arg) {
    *(int *)arg = await_sleep(60000);
}

static void test_jobs_that_are_cut(void **state) {
    app_t *app = app_new_with(&(app_options_t){.drain_timeout = 20, .silent = true});
    int result = 0, never_begun = 0;
    app_spawn(app, long_job, &result);
    app_post(app, stop, "");
    assert_int_equal(app_run(app), 0);
    assert_int_equal(result, UV_ECANCELED);
    app_free(app);
    app = app_new();
    app_spawn(app, long_job, &never_begun);
    app_free(app);
    assert_int_equal(never_begun, UV_ECANCELED);
}

static void test_too_many_jobs(void **state) {
    app_t *app = app_new_with(&(app_options_t){.coroutines = 1, .drain_timeout = 1});
    int result = 0;
    assert_int_equal(app_spawn(app, long_job, &result), 0);
    assert_int_equal(app_spawn(app, long_job, &result), UV_EAGAIN);
    app_post(app, stop, "");
    assert_int_equal(app_run(app), 0);
    app_free(app);
}

/* --- Listening -------------------------------------------------------------------------------- */

static void test_addresses(void **state) {
    app_t *app = app_new();
    char text[128], path[64], expected[64];
    snprintf(path, sizeof path, "/tmp/acacia-test-%d.sock", (int)getpid());
    assert_int_equal(app_address(app, 0, text, sizeof text), UV_ENOENT);
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    assert_int_equal(app_bind(app, &(listen_options_t){.path = path, .mode = 0600}), 0);
    assert_int_equal(app_address(app, 0, text, sizeof text), 0);
    snprintf(expected, sizeof expected, "127.0.0.1:%d", app_port(app));
    assert_string_equal(text, expected);
    assert_int_equal(app_address(app, 1, text, sizeof text), 0);
    assert_string_equal(text, path);
    assert_int_equal(app_address(app, 1, text, 5), UV_ENOBUFS);
    assert_int_equal(app_address(app, 0, text, 5), UV_ENOBUFS);
    assert_int_equal(app_address(app, 2, text, sizeof text), UV_ENOENT);
    struct stat stat_of_path;
    assert_int_equal(stat(path, &stat_of_path), 0);
    assert_int_equal(stat_of_path.st_mode & 0777, 0600);
    app_t *second = app_new_with(&(app_options_t){.silent = true});
    assert_int_equal(app_bind(second, &(listen_options_t){.path = path}), UV_EADDRINUSE);
    app_free(second);
    app_free(app);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_abandoned_socket(void **state) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/acacia-old-%d.sock", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(app_bind(app, &(listen_options_t){.path = address.sun_path}), 0);
    app_free(app);

    FILE *file = fopen(address.sun_path, "w"); /* a file is not ours to replace */
    fclose(file);
    app = app_new_with(&(app_options_t){.silent = true});
    assert_int_equal(app_bind(app, &(listen_options_t){.path = address.sun_path}), UV_EADDRINUSE);
    assert_int_equal(access(address.sun_path, F_OK), 0);
    unlink(address.sun_path);
    char long_path[200];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(app_bind(app, &(listen_options_t){.path = long_path}), UV_ENAMETOOLONG);
    app_free(app);
}

static void test_adopted_socket(void **state) {
    app_t *app = app_new();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(app_bind(app, &(listen_options_t){.fd = fd}), 0);
    assert_true(app_port(app) > 0);
    app_free(app);
}

/* --- A loop of the program's own -------------------------------------------------------------- */

static int stops;

static void count_stop(app_t *app) {
    stops++;
}

static void free_it(app_t *app) {
    stops++;
    app_free(app);
}

/* Connect and ask: a socket, or -1. */
static int begin_to_ask(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) ||
        write(fd, request, sizeof request - 1) < 0)
        return -1;
    return fd;
}

/* And close when the answer is there. */
static int ask(int port, char *answer, size_t size) {
    int fd = begin_to_ask(port);
    size_t used = 0;
    ssize_t n;
    while ((n = read(fd, answer + used, size - 1 - used)) > 0)
        used += (size_t)n;
    answer[used] = '\0';
    return close(fd);
}

struct client {
    app_t *app;
    char answer[512];
};

static void run_client(void *arg) {
    struct client *client = arg;
    ask(app_port(client->app), client->answer, sizeof client->answer);
    app_post(client->app, stop, "");
}

static void test_foreign_loop(void **state) {
    uv_loop_t loop;
    uv_thread_t thread;
    struct client client = {0};
    uv_loop_init(&loop);
    app_t *app = client.app = app_new_with(&(app_options_t){.loop = &loop});
    app_use(app, slow);
    assert_ptr_equal(app_loop(app), &loop);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0); /* nothing keeps it yet */
    assert_int_equal(app_run(app), UV_EINVAL);
    assert_null(app_inject(app, &(app_request_t){0}));
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    assert_int_equal(app_start(app, count_stop), 0);
    assert_int_equal(app_start(app, count_stop), UV_EALREADY);
    uv_thread_create(&thread, run_client, &client);
    stops = 0;
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    uv_thread_join(&thread);
    assert_int_equal(stops, 1);
    assert_non_null(strstr(client.answer, "\r\n\r\nslow"));
    app_free(app);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_foreign_loop_freed_early(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    app_free(app_new_with(&(app_options_t){.loop = &loop})); /* never started */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);

    uv_loop_init(&loop);
    app_t *app = app_new_with(&(app_options_t){.loop = &loop, .silent = true});
    int result = 0;
    app_bind(app, NULL);
    app_start(app, count_stop);
    app_spawn(app, long_job, &result);
    uv_run(&loop, UV_RUN_NOWAIT);
    stops = 0;
    app_free(app); /* while it serves */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(stops, 1);
    assert_int_equal(result, UV_ECANCELED);
    assert_int_equal(uv_loop_close(&loop), 0);

    uv_loop_init(&loop);
    app = app_new_with(&(app_options_t){.loop = &loop});
    app_start(app, free_it);
    app_post(app, stop, "");
    stops = 0;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(stops, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_two_apps_on_a_loop(void **state) {
    uv_loop_t loop;
    uv_thread_t threads[2];
    struct client clients[2] = {0};
    uv_loop_init(&loop);
    for (int i = 0; i < 2; i++) {
        app_t *app = clients[i].app = app_new_with(&(app_options_t){.loop = &loop});
        app_use(app, slow);
        assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
        assert_int_equal(app_start(app, free_it), 0);
        uv_thread_create(&threads[i], run_client, &clients[i]);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 2; i++) {
        uv_thread_join(&threads[i]);
        assert_non_null(strstr(clients[i].answer, "\r\n\r\nslow"));
    }
    assert_int_equal(uv_loop_close(&loop), 0);
}

static int requests;

static int count_request(ctx_t *ctx) {
    requests++;
    return ctx_text(ctx, "here");
}

enum { CLIENTS = 300, IN_A_TURN = 256 };

/* Everybody has asked before the loop runs. */
static app_t *open_to_a_flood(uv_loop_t *loop, int clients[CLIENTS]) {
    uv_loop_init(loop);
    app_t *app = app_new_with(&(app_options_t){.loop = loop});
    requests = 0;
    app_use(app, count_request);
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1", .backlog = CLIENTS}),
                     0);
    assert_int_equal(app_start(app, free_it), 0);
    for (int i = 0; i < CLIENTS; i++)
        assert_true((clients[i] = begin_to_ask(app_port(app))) >= 0);
    return app;
}

static int answered(const int clients[CLIENTS]) {
    char answer[512];
    int n = 0;
    for (int i = 0; i < CLIENTS; i++) {
        n += read(clients[i], answer, sizeof answer) > 0;
        close(clients[i]);
    }
    return n;
}

/* Who comes with a flood is served, but not all in one turn: others are between them. */
static void test_flood(void **state) {
    uv_loop_t loop;
    int clients[CLIENTS], turns = 0;
    app_t *app = open_to_a_flood(&loop, clients);
    for (int before = 0; requests < CLIENTS; before = requests) {
        uv_run(&loop, UV_RUN_ONCE);
        assert_true(requests - before <= IN_A_TURN);
        turns += requests > before;
    }
    assert_true(turns > 1);
    assert_int_equal(answered(clients), CLIENTS);
    app_close(app);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void close_in_the_flood(app_t *app, void *arg) {
    while (requests < *(int *)arg)
        await_sleep(0);
    app_close(app);
}

/* The end may come when one has just been accepted, or waits for it. */
static void test_closed_in_a_flood(void **state) {
    static const int after[] = {1, 16, IN_A_TURN - 1, IN_A_TURN, IN_A_TURN + 1, CLIENTS};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        uv_loop_t loop;
        int clients[CLIENTS], least = after[i];
        app_t *app = open_to_a_flood(&loop, clients);
        app_spawn(app, close_in_the_flood, &least);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_true(requests >= least);
        assert_int_equal(answered(clients), requests);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
}

/* --- Settings --------------------------------------------------------------------------------- */

static void test_settings(void **state) {
    unsetenv("ACACIA_ENV");
    app_t *app = app_new();
    assert_string_equal(app_env(app), "development");
    assert_int_equal(app_start(app, NULL), UV_EINVAL);
    app_free(app);
    setenv("ACACIA_ENV", "production", 1);
    app = app_new();
    assert_string_equal(app_env(app), "production");
    app_free(app);
    app = app_new_with(&(app_options_t){.env = "test"});
    assert_string_equal(app_env(app), "test");
    app_free(app);
    unsetenv("ACACIA_ENV");
}

static void test_settings_that_are_wrong(void **state) {
    static const char *const empty[] = {"", NULL}, *const no_proxy[] = {"10.0.0.0/33", NULL};
    const app_options_t wrong[] = {
        {.keys = empty, .silent = true},
        {.trusted_proxies = no_proxy, .silent = true},
        {.proxy_ip_header = "X Y", .silent = true},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        app_t *app = app_new_with(&wrong[i]);
        assert_int_equal(app_bind(app, NULL), UV_EINVAL);
        app_free(app);
    }
}

static void test_redirects_that_are_wrong(void **state) {
    const tls_options_t tls = {.cert_file = "none.pem"};
    const listen_options_t wrong[] = {
        {.https_port = -1},
        {.https_port = 65536},
        {.https_port = 443, .tls = &tls},
    };
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(app_bind(app, &wrong[i]), UV_EINVAL);
    assert_int_equal(app_bind(app, &(listen_options_t){.https_port = 443}), 0);
    app_free(app);
}

/* --- The whole life in one call --------------------------------------------------------------- */

static void count_up(app_t *app, void *arg) {
    *(int *)arg += 1;
}

static void count_and_stop(app_t *app, void *arg) {
    *(int *)arg += 1;
    app_close(app);
}

static void test_listen_with(void **state) {
    int stopped = 0, closed = 0;
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    assert_int_equal(app_on_close(app, count_up, &closed), 0);
    assert_int_equal(app_on_close(app, count_up, &closed), 0);
    assert_int_equal(app_post(app, count_and_stop, &stopped), 0);
    assert_int_equal(app_listen_with(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    assert_int_equal(stopped, 1);
    assert_int_equal(closed, 2);
    app = app_new_with(&(app_options_t){.silent = true});
    assert_int_equal(app_listen_with(app, &(listen_options_t){.host = "nowhere"}), UV_EINVAL);
    assert_int_equal(app_listen_with(NULL, NULL), UV_ENOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_with),
        cmocka_unit_test(test_inject),
        cmocka_unit_test(test_inject_that_waits),
        cmocka_unit_test(test_inject_into_nothing),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_current),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_jobs_that_are_cut),
        cmocka_unit_test(test_too_many_jobs),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_abandoned_socket),
        cmocka_unit_test(test_adopted_socket),
        cmocka_unit_test(test_foreign_loop),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_closed_in_a_flood),
        cmocka_unit_test(test_foreign_loop_freed_early),
        cmocka_unit_test(test_two_apps_on_a_loop),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_settings_that_are_wrong),
        cmocka_unit_test(test_redirects_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
