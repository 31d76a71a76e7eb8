/* redis_rooms without a Redis: URLs, messages as they travel, subscriptions against a list that
 * does the same, options, and the life of an app that has none to talk to. */
#include "../unit/test_routing.h"

#include "middleware/redis_message.h"
#include "middleware/redis_rooms.h"
#include "middleware/redis_subscriptions.h"
#include "middleware/redis_target.h"

/* --- URLs ------------------------------------------------------------------------------------- */

static void expect_target(const char *url, struct redis_target expected) {
    struct redis_target target;
    const char *error = redis_target_parse(&target, url);
    if (error)
        fail_msg("%s: %s", url, error);
    const char *const parts[][2] = {
        {target.host, expected.host},         {target.port, expected.port},
        {target.path, expected.path},         {target.username, expected.username},
        {target.password, expected.password}, {target.database, expected.database},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *is = parts[i][0], *wanted = parts[i][1];
        if (!is != !wanted || (is && strcmp(is, wanted) != 0))
            fail_msg("%s: %s, not %s", url, is ? is : "-", wanted ? wanted : "-");
    }
    redis_target_free(&target);
}

static void test_urls(void **state) {
    expect_target("redis://a", (struct redis_target){.host = "a", .port = "6379"});
    expect_target("redis://a/", (struct redis_target){.host = "a", .port = "6379"});
    expect_target("redis://a.b:1/15",
                  (struct redis_target){.host = "a.b", .port = "1", .database = "15"});
    expect_target("redis://[::1]", (struct redis_target){.host = "::1", .port = "6379"});
    expect_target("redis://:p@[::1]:80",
                  (struct redis_target){.host = "::1", .port = "80", .password = "p"});
    expect_target(
        "redis://u:p@a:6379/0",
        (struct redis_target){
            .host = "a", .port = "6379", .username = "u", .password = "p", .database = "0"});
    expect_target("redis://u%40x:%3a%2F%25:@b@a",
                  (struct redis_target){
                      .host = "a", .port = "6379", .username = "u@x", .password = ":/%:@b"});
    expect_target("redis://:@a",
                  (struct redis_target){.host = "a", .port = "6379", .password = ""});
    expect_target("unix:/run/r.sock", (struct redis_target){.path = "/run/r.sock"});
    expect_target("unix:///run/r.sock", (struct redis_target){.path = "/run/r.sock"});
}

static void test_malformed_urls(void **state) {
    static const char *const wrong[] = {
        "",
        "a",
        "localhost:6379",
        "redis:",
        "redis:a",
        "redis://",
        "redis://:1",
        "redis://a:",
        "redis://a:x",
        "redis://a:65536",
        "redis://a:-1",
        "redis://a: 1",
        "redis://a:99999999999999999999",
        "redis://a/x",
        "redis://a/-1",
        "redis://a/1/2",
        "redis://a/1?x=y",
        "redis://u@a",
        "redis://u:p%@a",
        "redis://u:%4@a",
        "redis://u:%zz@a",
        "redis://u:%00@a",
        "redis://u%0:p@a",
        "redis://[::1",
        "redis://[]",
        "redis://[::1]6379",
        "rediss://a",
        "http://a",
        "unix:",
        "unix:run",
        "unix://run/r.sock",
    };
    char path[300] = "unix:/";
    struct redis_target target;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (!redis_target_parse(&target, wrong[i]))
            fail_msg("%s is taken", wrong[i]);
    memset(path + 6, 'x', sizeof path - 7);
    path[sizeof path - 1] = '\0';
    assert_non_null(redis_target_parse(&target, path));
}

/* --- Messages --------------------------------------------------------------------------------- */

/* `data` is copied to where ASan sees an overrun. */
static bool read_message(const char *data, size_t length, struct redis_message *message,
                         char **copy) {
    *copy = malloc(length + 1);
    memcpy(*copy, data, length);
    (*copy)[length] = '\0';
    return redis_message_read(*copy, length, message);
}

static void expect_message(const char *data, size_t length, const char *node, ws_message_t wanted) {
    struct redis_message message;
    char *copy;
    assert_true(read_message(data, length, &message, &copy));
    assert_int_equal(message.node_length, strlen(node));
    assert_memory_equal(message.node, node, message.node_length);
    assert_int_equal(message.message.binary, wanted.binary);
    assert_int_equal(message.message.length, wanted.length);
    assert_memory_equal(message.message.data, wanted.data, wanted.length);
    free(copy);
}

static void test_messages(void **state) {
    expect_message("text a\nhello", 12, "a", (ws_message_t){"hello", 5, false});
    expect_message("text a\n", 7, "a", (ws_message_t){"", 0, false});
    expect_message("text a\n\n\r\n\0x", 12, "a", (ws_message_t){"\n\r\n\0x", 5, false});
    expect_message("text !~\n\xc3\xbc", 10, "!~", (ws_message_t){"\xc3\xbc", 2, false});
    expect_message("binary a\n\xff\0", 11, "a", (ws_message_t){"\xff\0", 2, true});
}

static void test_no_messages(void **state) {
    static const struct {
        const char *data;
        size_t length;
    } wrong[] = {
        {"", 0},
        {"t", 1},
        {"text", 4},
        {"text ", 5},
        {"text a", 6},
        {"text \nx", 7},
        {"text a b\nx", 10},
        {"text a\0\nx", 9},
        {"text \xc3\xbc\nx", 9},
        {"text a\r\nx", 9},
        {"Text a\nx", 8},
        {" text a\nx", 9},
        {"binary", 6},
        {"binary \n", 8},
        {"text a\n\xff", 8},
        {"text a\n\xc3", 8},
        {"text a\n\xc0\x80", 9},
        {"text a\n\xed\xa0\x80", 10},
        {"text a\n\xf4\x90\x80\x80", 11},
    };
    struct redis_message message;
    char *copy, head[REDIS_HEAD_SIZE], longest[REDIS_NODE_SIZE + 2] = "";
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(read_message(wrong[i].data, wrong[i].length, &message, &copy));
        free(copy);
    }
    memset(longest, 'x', REDIS_NODE_SIZE);
    redis_message_head(head, longest, true);
    assert_int_equal(strlen(head), REDIS_NODE_SIZE + 8);
    expect_message(head, strlen(head), longest, (ws_message_t){"", 0, true});
    redis_message_head(head, longest, false);
    expect_message(head, strlen(head), longest, (ws_message_t){"", 0, false});
    assert_false(redis_node_is_valid("x", 0));
    assert_false(redis_node_is_valid(longest, REDIS_NODE_SIZE + 1));
}

/* --- Subscriptions ---------------------------------------------------------------------------- */

#define ROOMS 30

static struct {
    struct subscription *subscription;
    size_t members;
    bool subscribed; /* as Redis sees it */
} rooms[ROOMS];
static unsigned tell_fails; /* one of so many; 0: none */
static uint32_t chance = 1;

static unsigned below(unsigned n) {
    chance = chance * 1664525u + 1013904223u;
    return (chance >> 8) % n;
}

static int tell(void *arg, const char *room, bool wanted) {
    size_t i = (size_t)atoi(room);
    if (tell_fails && below(tell_fails) == 0)
        return UV_ENOMEM;
    assert_true(i < ROOMS);
    assert_int_equal(rooms[i].subscribed, !wanted); /* never twice */
    assert_int_equal(wanted, rooms[i].members > 0);
    rooms[i].subscribed = wanted;
    return 0;
}

static void step(struct subscriptions *all, size_t i) {
    char name[16];
    snprintf(name, sizeof name, "%zu", i);
    if (below(2)) {
        struct subscription *one = subscriptions_add(all, name);
        assert_non_null(one);
        assert_true(rooms[i].members == 0 || rooms[i].subscription == one);
        rooms[i].subscription = one;
        rooms[i].members++;
    } else if (rooms[i].members > 0) {
        rooms[i].members--;
        subscriptions_remove(all, rooms[i].subscription);
    }
}

static void lose_connection(struct subscriptions *all) {
    subscriptions_forget(all);
    size_t count = 0;
    for (size_t i = 0; i < ROOMS; i++) {
        rooms[i].subscribed = false;
        count += rooms[i].members > 0;
    }
    assert_int_equal(all->count, count); /* none is kept that nobody is in */
}

static void test_subscriptions(void **state) {
    struct subscriptions all = {0};
    for (int round = 0; round < 20000; round++) {
        step(&all, below(ROOMS));
        tell_fails = below(50) ? 0 : 3;
        if (below(10) == 0)
            subscriptions_tell(&all, tell, NULL);
        if (below(200) == 0)
            lose_connection(&all);
        if (below(50))
            continue;
        tell_fails = 0;
        subscriptions_tell(&all, tell, NULL);
        for (size_t i = 0; i < ROOMS; i++)
            assert_int_equal(rooms[i].subscribed, rooms[i].members > 0);
    }
    subscriptions_free(&all);
}

/* --- The app ---------------------------------------------------------------------------------- */

static char told[3][64];
static size_t told_count;

static void on_trouble(app_t *app, const char *trouble, void *state) {
    assert_true(told_count < 3);
    assert_string_equal(state, "state");
    snprintf(told[told_count++], sizeof told[0], "%s", trouble ? trouble : "-");
}

static const redis_rooms_options_t nowhere = {
    .url = "unix:/nowhere/redis",
    .outbox = 3000,
    .reconnect_min = 1,
    .reconnect_max = 2,
    .on_trouble = on_trouble,
    .state = "state",
};

static void test_wrong_options(void **state) {
    static const struct {
        redis_rooms_options_t options;
        const char *error;
    } wrong[] = {
        {{.url = "redis:"}, "the URL must be"},
        {{.url = "rediss://a"}, "TLS"},
        {{.username = "ada"}, "a username needs a password"},
        {{.node = ""}, "a node is"},
        {{.node = "a b"}, "a node is"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        app_t *app = app_new();
        assert_int_equal(redis_rooms(app, &wrong[i].options), UV_EINVAL);
        check_error(app, wrong[i].error);
    }
    app_t *app = app_new();
    assert_int_equal(redis_rooms(app, &nowhere), 0);
    assert_int_equal(redis_rooms(app, &nowhere), UV_EALREADY);
    check_error(app, "one Redis for an app");
    assert_int_equal(redis_rooms(NULL, NULL), UV_ENOMEM);
}

/* It is freed in all states, also while a thread looks for the host. */
static void test_never_run(void **state) {
    static const char *const urls[] = {"unix:/nowhere/redis", "redis://localhost:1",
                                       "redis://x.invalid", NULL};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        for (int turns = 0; turns < 4; turns++) {
            app_t *app = quiet_app();
            redis_rooms_options_t options = nowhere;
            options.url = urls[i];
            assert_int_equal(redis_rooms(app, &options), 0);
            for (int k = 0; k < turns; k++)
                uv_run(app_loop(app), UV_RUN_NOWAIT);
            told_count = 0;
            app_free(app);
        }
}

static void test_outbox(void **state) {
    static const ws_message_t message = {"0123456789", 10, false};
    redis_rooms_options_t options = nowhere;
    redis_rooms_stats_t stats;
    app_t *app = quiet_app();
    options.message_size = 10;
    options.room_size = 4;
    told_count = 0;
    assert_int_equal(redis_rooms_publish(app, "room", message, NULL), 0); /* as ws_publish */
    redis_rooms_stats(app, &stats);
    assert_memory_equal(&stats, &(redis_rooms_stats_t){0}, sizeof stats);
    assert_int_equal(redis_rooms(app, &options), 0);
    assert_int_equal(redis_rooms_publish(app, "", message, NULL), UV_EINVAL);
    assert_int_equal(redis_rooms_publish(app, "rooms", message, NULL), UV_EINVAL);
    assert_int_equal(
        redis_rooms_publish(app, "room", (ws_message_t){"0123456789x", 11, false}, NULL),
        UV_EMSGSIZE);
    assert_int_equal(redis_rooms_publish(app, "room", (ws_message_t){NULL, 0, true}, NULL), 0);
    int published = 1;
    while (redis_rooms_publish(app, "room", message, NULL) == 0)
        assert_true(published++ < 1000);
    assert_int_equal(redis_rooms_publish(app, "room", message, NULL), 1);
    redis_rooms_stats(app, &stats);
    assert_int_equal(stats.published, published);
    assert_int_equal(stats.dropped, 2);
    assert_in_range(stats.buffered, 1500, 3000);
    assert_false(stats.connected);
    assert_int_equal(told_count, 1);
    assert_string_equal(told[0], "the outbox is full: messages to other processes are dropped");
    app_free(app);
}

static void stop_soon(uv_timer_t *timer) {
    app_close(timer->data);
    uv_close((uv_handle_t *)timer, NULL);
}

/* On a loop of the program's: nothing of it keeps that running, once it is closed. */
static void test_foreign_loop(void **state) {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_loop_init(&loop);
    app_t *app = app_new_with(&(app_options_t){.loop = &loop, .silent = true});
    told_count = 0;
    assert_int_equal(redis_rooms(app, &nowhere), 0);
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    assert_int_equal(app_start(app, NULL), 0);
    uv_timer_init(&loop, &timer);
    timer.data = app;
    uv_timer_start(&timer, stop_soon, 20, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(told_count, 1); /* once, however often it was tried */
    assert_string_equal(told[0], "no such file or directory");
    redis_rooms_stats_t stats;
    redis_rooms_stats(app, &stats);
    assert_int_equal(stats.outages, 1);
    assert_int_equal(redis_rooms_publish(app, "room", (ws_message_t){"x", 1, false}, NULL), 1);
    app_free(app);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* A listener may publish, and close the app. */
static void act(app_t *app, const char *trouble, void *state) {
    told_count++;
    redis_rooms_publish(app, "room", (ws_message_t){"trouble", 7, false}, NULL);
    if (strcmp(trouble, "no such file or directory") == 0)
        app_close(app);
}

static void test_listener_acts(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    app_t *app = app_new_with(&(app_options_t){.loop = &loop, .silent = true});
    redis_rooms_options_t options = nowhere;
    options.on_trouble = act;
    told_count = 0;
    assert_int_equal(redis_rooms(app, &options), 0);
    assert_int_equal(app_bind(app, &(listen_options_t){.host = "127.0.0.1"}), 0);
    assert_int_equal(app_start(app, NULL), 0);
    for (int i = 0; i < 100; i++)
        redis_rooms_publish(app, "room", (ws_message_t){"hello", 5, false}, NULL);
    assert_int_equal(told_count, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(told_count, 2);
    app_free(app);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),          cmocka_unit_test(test_malformed_urls),
        cmocka_unit_test(test_messages),      cmocka_unit_test(test_no_messages),
        cmocka_unit_test(test_subscriptions), cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_never_run),     cmocka_unit_test(test_outbox),
        cmocka_unit_test(test_foreign_loop),  cmocka_unit_test(test_listener_acts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
