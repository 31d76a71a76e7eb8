/* The arena: sizes, alignment, growth, pooling. */
#include "runtime/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_blocks_are_aligned_and_apart(void **state) {
    struct arena arena;
    char *blocks[200];
    arena_init(&arena, NULL);
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = arena_alloc(&arena, i * 37 % 900);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, i * 37 % 900);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < i * 37 % 900; k++)
            assert_int_equal((unsigned char)blocks[i][k], i);
    arena_release(&arena);
    assert_null(arena.chunks);
}

static void test_big_blocks_leave_the_rest_usable(void **state) {
    struct arena arena;
    arena_init(&arena, NULL);
    char *small = arena_alloc(&arena, 16);
    char *at = arena.at;
    memset(arena_alloc(&arena, 1 << 20), 1, 1 << 20);
    if (ARENA_CHUNK > 256) {
        assert_ptr_equal(arena.at, at); /* the small chunk is still the newest */
        assert_ptr_equal(arena_alloc(&arena, 16), small + 16);
    }
    arena_release(&arena);
}

static void test_impossible_sizes(void **state) {
    struct arena arena;
    arena_init(&arena, NULL);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 15));
    assert_null(arena_resize(&arena, NULL, 0, SIZE_MAX));
    assert_null(arena_copy(&arena, "x", SIZE_MAX));
    assert_non_null(arena_alloc(&arena, 0));
    arena_release(&arena);
}

static void test_resize(void **state) {
    struct arena arena;
    arena_init(&arena, NULL);
    char *text = arena_copy(&arena, "abc", 3);
    size_t size = 4;
    for (size_t n = 8; n < 100000; n = n * 3 / 2) {
        text = arena_resize(&arena, text, size, n);
        assert_string_equal(text, "abc");
        memset(text + 4, 'x', n - 4);
        size = n;
    }
    arena_release(&arena);
}

static char *print(struct arena *arena, size_t *length, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, length, format, args);
    va_end(args);
    return text;
}

static void test_printf(void **state) {
    struct arena arena;
    size_t length;
    arena_init(&arena, NULL);
    assert_string_equal(print(&arena, &length, "%s-%d", "a", 7), "a-7");
    assert_int_equal(length, 3);
    assert_int_equal(strlen(print(&arena, &length, "%01000d", 7)), 1000);
    assert_int_equal(length, 1000);
    arena_release(&arena);
}

static void test_pool(void **state) {
    struct arena_pool pool;
    struct arena arena;
    arena_pool_init(&pool, 2);
    for (int round = 0; round < 10; round++) {
        arena_init(&arena, &pool);
        for (int i = 0; i < 100; i++)
            arena_alloc(&arena, 500);
        arena_release(&arena);
        assert_true(pool.idle_count <= 2);
    }
    arena_pool_destroy(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_apart),
        cmocka_unit_test(test_big_blocks_leave_the_rest_usable),
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
