/*
 * Allocations fail, each in turn, while rooms are connected to a Redis that is not there, and
 * something is published. Either the app can't start, or a message is dropped and counted, or all
 * is as it should be. (While Redis is there: tests/faults/test_redis.c.)
 */
#include "../support/countdown.h"
#include "../unit/test_routing.h"

#include "middleware/redis_rooms.h"
#include "middleware/redis_subscriptions.h"
#include "middleware/redis_target.h"

/* --- Rooms ------------------------------------------------------------------------------------ */

static const redis_rooms_options_t options = {
    .url = "unix:/nowhere/redis",
    .username = "ada",
    .password = "lovelace",
};

static void publish_some(app_t *app) {
    static const ws_message_t message = {"0123456789", 10, false};
    redis_rooms_stats_t stats;
    uint64_t dropped = 0;
    for (int i = 0; i < 100; i++) {
        int err = redis_rooms_publish(app, "room", message, NULL);
        assert_in_range(err, 0, 1);
        dropped += err == 1;
    }
    redis_rooms_stats(app, &stats);
    assert_int_equal(stats.dropped, dropped);
    assert_int_equal(stats.published, 100 - dropped);
    assert_in_range(dropped, 0, 1);
}

static void test_rooms(void **state) {
    bool failed = true;
    long n = 0;
    for (; failed; n++) {
        app_t *app = quiet_app();
        countdown = n;
        int err = redis_rooms(app, &options);
        if (!err)
            publish_some(app);
        failed = countdown < 0;
        countdown = -1;
        assert_true(err == 0 || err == UV_ENOMEM);
        assert_true(failed || !err);
        if (err)
            assert_null(app_inject(app, &(app_request_t){0})); /* it does not start */
        app_free(app);
    }
    assert_true(n > 5);
}

/* --- Their parts ------------------------------------------------------------------------------ */

static int tell(void *arg, const char *room, bool wanted) {
    return 0;
}

static void test_subscriptions(void **state) {
    for (long n = 0; n < 20; n++) {
        struct subscriptions all = {0};
        char room[8];
        countdown = n;
        for (int i = 0; i < 5; i++) {
            snprintf(room, sizeof room, "%d", i);
            struct subscription *one = subscriptions_add(&all, room);
            if (i % 2 && one)
                subscriptions_remove(&all, one);
            subscriptions_tell(&all, tell, NULL);
        }
        countdown = -1;
        assert_in_range(all.count, 2, 3);
        subscriptions_free(&all);
    }
}

static void test_target(void **state) {
    struct redis_target target;
    countdown = 0;
    assert_string_equal(redis_target_parse(&target, "redis://a"), "out of memory");
    countdown = -1;
    assert_null(target.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rooms),
        cmocka_unit_test(test_subscriptions),
        cmocka_unit_test(test_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
