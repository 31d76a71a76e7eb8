#include "runtime/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* How far the wheel reaches. */
static const uint64_t range = 1ull << 36;

/* --- By hand ---------------------------------------------------------------------------------- */

/* A timer that writes down that it was fired, and then does what its test wants. */
struct entry {
    struct timer timer;
    int name;
    void (*then)(struct entry *entry);
    struct entry *other;
};

static struct timer_wheel wheel;
static int fired[64];
static int fired_count;

static void on_fire(struct timer *timer) {
    struct entry *entry = (struct entry *)timer;

    assert_false(timer_pending(timer));
    assert_true(timer->expires <= wheel.now);
    fired[fired_count++] = entry->name;
    if (entry->then)
        entry->then(entry);
}

static struct entry entry_of(int name) {
    return (struct entry){.timer = {.fn = on_fire}, .name = name};
}

static void start(struct entry *entry, uint64_t expires) {
    timer_start(&wheel, &entry->timer, expires);
}

static int set_up(void **state) {
    (void)state;
    timer_wheel_init(&wheel, 1000);
    fired_count = 0;
    return 0;
}

static uint64_t next_time(void) {
    uint64_t time = 0;

    assert_true(timer_wheel_next(&wheel, &time));
    return time;
}

static void empty_wheel(void **state) {
    (void)state;
    uint64_t time = 7;

    assert_false(timer_wheel_next(&wheel, &time));
    assert_int_equal(time, 7);
    assert_int_equal(wheel.count, 0);
    timer_wheel_advance(&wheel, 2000);
    assert_int_equal(wheel.now, 2000);
}

static void fires_on_time(void **state) {
    (void)state;
    struct entry entry = entry_of(1);

    start(&entry, 1010);
    assert_true(timer_pending(&entry.timer));
    assert_int_equal(wheel.count, 1);
    assert_int_equal(next_time(), 1010);

    timer_wheel_advance(&wheel, 1009);
    assert_int_equal(fired_count, 0);
    timer_wheel_advance(&wheel, 1010);
    assert_int_equal(fired_count, 1);
    assert_false(timer_pending(&entry.timer));
    assert_int_equal(wheel.count, 0);

    timer_wheel_advance(&wheel, 5000);
    assert_int_equal(fired_count, 1);
}

static void never_early_nor_late(void **state) {
    (void)state;

    for (int bit = 0; bit < 38; bit++) {
        for (uint64_t more = 0; more < 3; more++) {
            struct entry entry = entry_of(1);
            uint64_t expires = wheel.now + (1ull << bit) + more;

            fired_count = 0;
            start(&entry, expires);
            timer_wheel_advance(&wheel, expires - 1);
            assert_int_equal(fired_count, 0);
            timer_wheel_advance(&wheel, expires);
            assert_int_equal(fired_count, 1);
        }
    }
}

static void in_order(void **state) {
    (void)state;
    static const int delays[] = {5000, 3, 300000, 3, 64, 0, 70, 5000, 4096, 63};
    static const int expected[] = {5, 1, 3, 9, 4, 6, 8, 0, 7, 2};
    struct entry entries[10];

    for (int i = 0; i < 10; i++) {
        entries[i] = entry_of(i);
        start(&entries[i], wheel.now + (uint64_t)delays[i]);
    }
    timer_wheel_advance(&wheel, 1000000);
    assert_int_equal(fired_count, 10);
    assert_memory_equal(fired, expected, sizeof expected);
}

/*
 * One tick, reached from several levels and from beyond the range: it is the order of starting that
 * counts. The wheel gets to the start of each timer in one jump, or by way of another timer that
 * fires there.
 */
static void check_order_within_a_tick(bool by_way_of_others) {
    const uint64_t width = range / TIMER_SLOTS; /* of a slot on the uppermost level */
    const uint64_t starts[] = {1000,
                               range - 1,
                               range,
                               2 * range - 2 * width,
                               2 * range,
                               2 * range + width,
                               2 * range + 2 * width,
                               3 * range - 200000};
    enum { COUNT = sizeof starts / sizeof starts[0] };
    struct entry entries[COUNT], other = entry_of(-1);

    timer_wheel_init(&wheel, 1000);
    for (int i = 0; i < COUNT; i++) {
        if (by_way_of_others)
            start(&other, starts[i]);
        timer_wheel_advance(&wheel, starts[i]);
        assert_false(timer_pending(&other.timer));
        entries[i] = entry_of(i);
        start(&entries[i], 3 * range + 77);
    }

    fired_count = 0;
    timer_wheel_advance(&wheel, 3 * range + 76);
    assert_int_equal(fired_count, 0);
    timer_wheel_advance(&wheel, 3 * range + 77);
    assert_int_equal(fired_count, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(fired[i], i);
}

static void in_order_within_a_tick(void **state) {
    (void)state;

    check_order_within_a_tick(false);
    check_order_within_a_tick(true);
}

static void past_times_count_as_now(void **state) {
    (void)state;
    struct entry late = entry_of(1), later = entry_of(2);

    start(&later, 1000);
    start(&late, 3);
    assert_int_equal(next_time(), 1000);
    timer_wheel_advance(&wheel, 1000);
    assert_int_equal(fired_count, 2);
    assert_int_equal(fired[0], 2);
    assert_int_equal(fired[1], 1);
}

static void now_never_goes_back(void **state) {
    (void)state;
    struct entry entry = entry_of(1);

    start(&entry, 900);
    timer_wheel_advance(&wheel, 500);
    assert_int_equal(wheel.now, 1000);
    assert_int_equal(fired_count, 1);
}

static void stop_and_restart(void **state) {
    (void)state;
    struct entry a = entry_of(1), b = entry_of(2), c = entry_of(3);
    uint64_t time;

    timer_stop(&wheel, &a.timer);
    start(&a, 1050);
    start(&b, 1050);
    start(&c, 1050);
    timer_stop(&wheel, &b.timer);
    timer_stop(&wheel, &b.timer);
    assert_int_equal(wheel.count, 2);

    start(&a, 90000);
    timer_stop(&wheel, &c.timer);
    assert_int_equal(wheel.count, 1);
    assert_true(next_time() > 1050);
    timer_wheel_advance(&wheel, 89999);
    assert_int_equal(fired_count, 0);

    timer_stop(&wheel, &a.timer);
    assert_false(timer_wheel_next(&wheel, &time));
}

static void restart_in_the_past(struct entry *entry) {
    start(entry, 0);
    assert_int_equal(next_time(), wheel.now);
}

static void restart_waits_for_the_next_advance(void **state) {
    (void)state;
    struct entry entry = entry_of(1);

    entry.then = restart_in_the_past;
    start(&entry, 1001);
    for (int i = 1; i <= 5; i++) {
        timer_wheel_advance(&wheel, 2000);
        assert_int_equal(fired_count, i);
        assert_int_equal(wheel.count, 1);
    }
}

static void stop_other(struct entry *entry) {
    assert_int_equal(next_time(), entry->other->timer.expires);
    timer_stop(&wheel, &entry->other->timer);
}

static void move_other(struct entry *entry) {
    start(entry->other, 3000);
}

static void functions_reach_what_is_due(void **state) {
    (void)state;
    struct entry a = entry_of(1), b = entry_of(2), c = entry_of(3), d = entry_of(4);

    a.then = stop_other, a.other = &b;
    c.then = move_other, c.other = &d;
    start(&a, 1500);
    start(&b, 1500);
    start(&c, 1501);
    start(&d, 1502);

    timer_wheel_advance(&wheel, 2000);
    assert_int_equal(fired_count, 2);
    assert_int_equal(fired[1], 3);
    assert_false(timer_pending(&b.timer));
    assert_int_equal(wheel.count, 1);

    timer_wheel_advance(&wheel, 3000);
    assert_int_equal(fired_count, 3);
    assert_int_equal(fired[2], 4);
}

static void free_self(struct entry *entry) {
    free(entry);
}

static void functions_may_free_their_timer(void **state) {
    (void)state;

    for (int i = 0; i < 3; i++) {
        struct entry *entry = malloc(sizeof *entry);
        assert_non_null(entry);
        *entry = entry_of(i);
        entry->then = free_self;
        start(entry, 1100);
    }
    timer_wheel_advance(&wheel, 1100);
    assert_int_equal(fired_count, 3);
}

/* Tick by tick, these jumps would outlast us all. */
static void long_jumps_are_cheap(void **state) {
    (void)state;
    struct entry entry = entry_of(1);

    for (uint64_t i = 1; i <= 1000000; i++)
        timer_wheel_advance(&wheel, i << 40);
    start(&entry, wheel.now + range / 2);
    timer_wheel_advance(&wheel, UINT64_MAX - 100);
    assert_int_equal(fired_count, 1);
    start(&entry, UINT64_MAX);
    timer_wheel_advance(&wheel, UINT64_MAX - 1);
    assert_int_equal(fired_count, 1);
    timer_wheel_advance(&wheel, UINT64_MAX);
    assert_int_equal(fired_count, 2);
    start(&entry, UINT64_MAX);
    timer_wheel_advance(&wheel, UINT64_MAX);
    assert_int_equal(fired_count, 3);
}

/* An owner that sleeps until timer_wheel_next says wakes at most once a level. */
static void next_leads_to_the_timer(void **state) {
    (void)state;

    for (uint64_t delay = 1; delay < range / 2; delay = delay * 3 + 1) {
        struct entry entry = entry_of(1);
        uint64_t expires = wheel.now + delay;
        int turns = 0;

        fired_count = 0;
        start(&entry, expires);
        for (; !fired_count; turns++)
            timer_wheel_advance(&wheel, next_time());
        assert_int_equal(wheel.now, expires);
        assert_true(turns <= TIMER_LEVELS);
    }
}

/* --- Against a model -------------------------------------------------------------------------- */

/* The same as a list that is searched from end to end. `serial` grows with each start. */
enum { TIMERS = 150 };

static struct model {
    struct timer timers[TIMERS];
    uint64_t expires[TIMERS];
    uint64_t serial[TIMERS]; /* 0: not pending */
    uint64_t last_serial;
    uint64_t due_until; /* serials above this one are not for this advance */
    uint64_t now;
    uint64_t random;
    unsigned bits; /* of the usual delay: it decides which levels are busy */
    size_t fired;
    bool advancing;
} model;

static uint64_t random_below(uint64_t limit) {
    model.random = model.random * 6364136223846793005u + 1442695040888963407u;
    return (model.random >> 20) % limit;
}

/* Small ones and large ones alike. */
static uint64_t random_time(unsigned max_bits) {
    return random_below(1ull << random_below(max_bits + 1));
}

static int model_first(void) {
    int first = -1;

    for (int i = 0; i < TIMERS; i++) {
        if (!model.serial[i] || (model.advancing && model.serial[i] > model.due_until))
            continue;
        if (first < 0 || model.expires[i] < model.expires[first] ||
            (model.expires[i] == model.expires[first] && model.serial[i] < model.serial[first]))
            first = i;
    }
    return first;
}

static size_t model_count(void) {
    size_t count = 0;

    for (int i = 0; i < TIMERS; i++)
        count += model.serial[i] != 0;
    return count;
}

static void start_random(int i) {
    uint64_t expires;

    switch (random_below(8)) {
    case 0: /* past */
        expires = model.now - random_below(model.now + 1);
        break;
    case 1: /* with another one */
        expires = model.timers[random_below(TIMERS)].expires;
        break;
    case 2: /* at the seams of the slots */
        expires = ((model.now >> 6) + random_time(30)) << 6;
        break;
    case 3: /* beyond the range */
        expires = model.now + random_time(40);
        break;
    default:
        expires = model.now + random_time(model.bits);
    }

    timer_start(&wheel, &model.timers[i], expires);
    model.expires[i] = expires > model.now ? expires : model.now;
    model.serial[i] = ++model.last_serial;
}

static void stop_random(int i) {
    timer_stop(&wheel, &model.timers[i]);
    model.serial[i] = 0;
}

static void start_or_stop(void) {
    int i = (int)random_below(TIMERS);

    if (random_below(3))
        start_random(i);
    else
        stop_random(i);
}

static void on_model_fire(struct timer *timer) {
    int i = (int)(timer - model.timers);

    assert_int_equal(wheel.now, model.now);
    assert_int_equal(model_first(), i);
    assert_true(model.expires[i] <= model.now);
    model.serial[i] = 0;
    model.fired++;

    if (!random_below(4))
        start_random(i);
    for (uint64_t actions = random_below(3); actions; actions--)
        start_or_stop();
}

static void advance_random(void) {
    uint64_t time;

    if (random_below(2) && timer_wheel_next(&wheel, &time))
        model.now = time;
    else
        model.now += random_time(random_below(20) ? model.bits - 2 : 38);

    model.due_until = model.last_serial;
    model.advancing = true;
    timer_wheel_advance(&wheel, model.now);
    int first = model_first();
    assert_true(first < 0 || model.expires[first] > model.now);
    model.advancing = false;
}

static void compare(void) {
    uint64_t time;
    int first = model_first();

    assert_int_equal(wheel.now, model.now);
    assert_int_equal(wheel.count, model_count());
    for (int i = 0; i < TIMERS; i++)
        assert_int_equal(timer_pending(&model.timers[i]), model.serial[i] != 0);

    assert_int_equal(timer_wheel_next(&wheel, &time), first >= 0);
    if (first < 0)
        return;
    assert_true(time <= model.expires[first]);
    assert_true(time >= model.now);
    if (model.expires[first] >> 6 == model.now >> 6)
        assert_int_equal(time, model.expires[first]);
}

static void same_as_a_sorted_list(void **state) {
    (void)state;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        model = (struct model){
            .random = seed, .now = seed % 3 ? seed : range - seed, .bits = seed % 2 ? 20 : 37};
        for (int i = 0; i < TIMERS; i++)
            model.timers[i].fn = on_model_fire;
        timer_wheel_init(&wheel, model.now);

        for (int step = 0; step < 4000; step++) {
            if (random_below(4))
                start_or_stop();
            else
                advance_random();
            compare();
        }
        assert_true(model.fired > 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(empty_wheel, set_up),
        cmocka_unit_test_setup(fires_on_time, set_up),
        cmocka_unit_test_setup(never_early_nor_late, set_up),
        cmocka_unit_test_setup(in_order, set_up),
        cmocka_unit_test_setup(in_order_within_a_tick, set_up),
        cmocka_unit_test_setup(past_times_count_as_now, set_up),
        cmocka_unit_test_setup(now_never_goes_back, set_up),
        cmocka_unit_test_setup(stop_and_restart, set_up),
        cmocka_unit_test_setup(restart_waits_for_the_next_advance, set_up),
        cmocka_unit_test_setup(functions_reach_what_is_due, set_up),
        cmocka_unit_test_setup(functions_may_free_their_timer, set_up),
        cmocka_unit_test_setup(long_jumps_are_cheap, set_up),
        cmocka_unit_test_setup(next_leads_to_the_timer, set_up),
        cmocka_unit_test(same_as_a_sorted_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
