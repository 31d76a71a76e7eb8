/* What a loop keeps of memory that was large: it is given again, little of it is kept, and for a
 * short while. With AddressSanitizer nothing is. */
#include "runtime/spare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uv_loop_t uv;
static struct loop loop;

static int setup(void **state) {
    return uv_loop_init(&uv) || loop_init(&loop, &uv, 65536, 10);
}

static int teardown(void **state) {
    loop_close(&loop);
    while (loop.handles_open)
        uv_run(&uv, UV_RUN_NOWAIT);
    loop_destroy(&loop);
    assert_int_equal(loop.spare_bytes, 0);
    return uv_loop_close(&uv);
}

static void *allocated(size_t size) {
    return memset(malloc(size), 'x', size);
}

static size_t kept(size_t size) {
    return SPARE_TOTAL > 0 ? size : 0;
}

static void test_taken_again(void **state) {
    size_t size = SPARE_LEAST;
    assert_null(spare_take(&loop, &size));
    spare_put(&loop, NULL, 0);
    spare_put(&loop, allocated(SPARE_LEAST + 5), SPARE_LEAST + 5);
    spare_put(&loop, allocated(2 * SPARE_LEAST), 2 * SPARE_LEAST);
    assert_int_equal(loop.spare_bytes, kept(3 * SPARE_LEAST + 5));
    if (!SPARE_TOTAL)
        return;
    size = 2 * SPARE_LEAST + 1;
    assert_null(spare_take(&loop, &size));
    size = SPARE_LEAST - 1; /* too little */
    assert_null(spare_take(&loop, &size));
    size = SPARE_LEAST + 6;
    char *data = spare_take(&loop, &size);
    assert_non_null(data);
    assert_int_equal(size, 2 * SPARE_LEAST);
    memset(data, 'y', size);
    free(data);
    size = SPARE_LEAST;
    data = spare_take(&loop, &size);
    assert_int_equal(size, SPARE_LEAST + 5);
    assert_int_equal(loop.spare_bytes, 0);
    data = realloc(data, 3 * SPARE_LEAST);
    spare_put(&loop, data, 3 * SPARE_LEAST); /* is left for the end */
}

static void test_not_much_is_kept(void **state) {
    size_t size = 1024 * 1024 + 1, most = SPARE_TOTAL / size * size;
    for (int i = 0; i < 20; i++) {
        spare_put(&loop, allocated(SPARE_LEAST - 1), SPARE_LEAST - 1);
        spare_put(&loop, allocated(size), size);
        assert_true(loop.spare_bytes <= most);
    }
    assert_int_equal(loop.spare_bytes, most);
    spare_put(&loop, allocated(SPARE_TOTAL + 1), SPARE_TOTAL + 1);
    assert_int_equal(loop.spare_bytes, most);
    spare_trim(&loop);
    assert_int_equal(loop.spare_bytes, 0);
    assert_null(spare_take(&loop, &size));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {test(test_taken_again), test(test_not_much_is_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
