/* Coroutines: order, pooling, limits, trimming. */
#include "runtime/coroutine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define STACK (256 * 1024)

static char trail[64];

static void mark(char c) {
    size_t n = strlen(trail);
    trail[n] = c;
    trail[n + 1] = '\0';
}

static struct coroutine *suspended;

static void three_steps(void *arg) {
    mark('a');
    suspended = coroutine_self();
    coroutine_suspend();
    mark('b');
    coroutine_suspend();
    mark(*(char *)arg);
}

static void test_order(void **state) {
    struct coroutine_pool pool;
    coroutine_pool_init(&pool, STACK, 10);
    trail[0] = '\0';
    assert_null(coroutine_self());
    assert_int_equal(coroutine_start(&pool, three_steps, "z"), 0);
    assert_null(coroutine_self());
    mark('1');
    coroutine_resume(suspended);
    mark('2');
    assert_int_equal(pool.live_count, 1);
    coroutine_resume(suspended);
    assert_string_equal(trail, "a1b2z");
    assert_int_equal(pool.live_count, 0);
    assert_int_equal(pool.idle_count, 1);
    coroutine_pool_destroy(&pool);
}

static void *used;

static void note_self(void *arg) {
    used = coroutine_self();
}

static void test_last_released_is_first_used(void **state) {
    struct coroutine_pool pool;
    coroutine_pool_init(&pool, STACK, 10);
    coroutine_start(&pool, note_self, NULL);
    void *first = used;
    for (int i = 0; i < 1000; i++) {
        coroutine_start(&pool, note_self, NULL);
        assert_ptr_equal(used, first);
    }
    assert_int_equal(pool.idle_count, 1);
    coroutine_pool_destroy(&pool);
}

static struct coroutine *waiting[8];

static void wait_once(void *arg) {
    waiting[(intptr_t)arg] = coroutine_self();
    coroutine_suspend();
}

static void test_limit(void **state) {
    struct coroutine_pool pool;
    coroutine_pool_init(&pool, STACK, 2);
    assert_int_equal(coroutine_start(&pool, wait_once, (void *)0), 0);
    assert_int_equal(coroutine_start(&pool, wait_once, (void *)1), 0);
    assert_int_equal(coroutine_start(&pool, wait_once, (void *)2), UV_EAGAIN);
    coroutine_resume(waiting[0]);
    assert_int_equal(coroutine_start(&pool, wait_once, (void *)2), 0);
    coroutine_resume(waiting[1]);
    coroutine_resume(waiting[2]);
    coroutine_pool_destroy(&pool);
}

static void test_trim_keeps_what_was_needed(void **state) {
    struct coroutine_pool pool;
    coroutine_pool_init(&pool, STACK, 10);
    for (intptr_t i = 0; i < 8; i++)
        coroutine_start(&pool, wait_once, (void *)i);
    for (int i = 0; i < 8; i++)
        coroutine_resume(waiting[i]);
    assert_int_equal(pool.idle_count, 8);
    coroutine_pool_trim(&pool); /* begins a period; all 8 were needed in the last one */
    assert_int_equal(pool.idle_count, 8);
    for (intptr_t i = 0; i < 3; i++)
        coroutine_start(&pool, wait_once, (void *)i);
    for (int i = 0; i < 3; i++)
        coroutine_resume(waiting[i]);
    coroutine_pool_trim(&pool);
    assert_int_equal(pool.idle_count, 3);
    coroutine_pool_destroy(&pool);
    assert_int_equal(pool.idle_count, 0);
}

/* A handler has its stack to itself, floating point and big frames included. */
static int depth(int n) {
    volatile char block[1024];
    memset((char *)block, n, sizeof block);
    return n == 0 ? 0 : depth(n - 1) + (block[7] == (char)n);
}

static void deep(void *arg) {
    char text[64];
    coroutine_suspend();
    snprintf(text, sizeof text, "%.3f", 2.5);
    assert_string_equal(text, "2.500");
    *(int *)arg = depth(64);
}

static void start_deep(void *arg) {
    suspended = coroutine_self();
    deep(arg);
}

static void test_deep_stacks(void **state) {
    struct coroutine_pool pool;
    int result = 0;
    coroutine_pool_init(&pool, STACK, 10);
    coroutine_start(&pool, start_deep, &result);
    coroutine_resume(suspended);
    assert_int_equal(result, 64);
    coroutine_pool_destroy(&pool);
}

/* --- What a function has in registers ------------------------------------------------------------
 */

static struct coroutine *other;

static void stay(void) {
}

static void resume_other(void) {
    coroutine_resume(other);
}

/* More values than there are registers that a call preserves, known again after `leave`. */
static __attribute__((noinline)) double use_registers(void (*leave)(void), uint64_t seed) {
    volatile uint64_t from = seed; /* so that none can be had from another */
    uint64_t a = from * 3, b = from * 5, c = from * 7, d = from * 11, e = from * 13, f = from * 17;
    uint64_t g = from ^ 19, h = from ^ 23, i = from ^ 29, j = from ^ 31;
    double x = (double)from / 37, y = (double)from / 41;
    leave();
    uint64_t sum = a - b * 2 + c * 3 - d * 4 + e * 5 - f * 6 + g * 7 - h * 8 + i * 9 - j * 10;
    return (double)(sum % 1000003) + x - y;
}

static double found_inside;

static void use_registers_inside(void *arg) {
    other = coroutine_self();
    found_inside = use_registers(coroutine_suspend, 0x1234567);
}

static void test_registers(void **state) {
    struct coroutine_pool pool;
    coroutine_pool_init(&pool, STACK, 1);
    for (uint64_t seed = 1; seed < 100; seed++) {
        found_inside = 0;
        assert_int_equal(coroutine_start(&pool, use_registers_inside, NULL), 0);
        double found = use_registers(resume_other, seed);
        assert_true(found == use_registers(stay, seed));
        assert_true(found_inside == use_registers(stay, 0x1234567));
    }
    coroutine_pool_destroy(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),       cmocka_unit_test(test_last_released_is_first_used),
        cmocka_unit_test(test_limit),       cmocka_unit_test(test_trim_keeps_what_was_needed),
        cmocka_unit_test(test_deep_stacks), cmocka_unit_test(test_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
