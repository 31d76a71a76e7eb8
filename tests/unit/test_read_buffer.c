/* The buffers that a loop reads into: who holds one keeps it, and the loop goes on with another. */
#include "test_connection.h"

#include "../support/countdown.h"

static struct read_buffer *hold(void) {
    return read_buffer_hold(&loop, loop.read_buffer->data + 100);
}

static void test_held_and_released(void **state) {
    struct read_buffer *first = loop.read_buffer;
    read_buffer_renew(&loop);
    assert_ptr_equal(loop.read_buffer, first); /* nobody holds it */
    assert_ptr_equal(hold(), first);
    assert_ptr_equal(hold(), first);
    assert_ptr_equal(loop.read_buffer, first); /* others' input still lies in it */
    strcpy(first->data, "kept");
    read_buffer_renew(&loop);
    struct read_buffer *second = loop.read_buffer;
    assert_ptr_not_equal(second, first);
    memset(second->data, 'x', LOOP_READ_BUFFER);
    assert_string_equal(first->data, "kept");
    read_buffer_release(&loop, first);
    assert_string_equal(first->data, "kept"); /* one is left */
    read_buffer_release(&loop, first);
    if (!ARENA_POISONED) {
        assert_ptr_equal(hold(), second);
        read_buffer_renew(&loop);
        assert_ptr_equal(loop.read_buffer, first); /* again */
        read_buffer_release(&loop, second);
    }
    read_buffers_trim(&loop);
    assert_int_equal(loop.read_buffers, 1);
}

/* Most are done with it before the next lot is read. */
static void test_released_at_once(void **state) {
    struct read_buffer *first = loop.read_buffer;
    assert_ptr_equal(hold(), first);
    read_buffer_release(&loop, first);
    assert_int_equal(loop.read_buffers, 2);
    read_buffer_renew(&loop);
    if (ARENA_POISONED)
        assert_ptr_not_equal(loop.read_buffer, first);
    else
        assert_ptr_equal(loop.read_buffer, first);
    read_buffers_trim(&loop);
    assert_int_equal(loop.read_buffers, 1);
}

static void test_there_are_few(void **state) {
    struct read_buffer *held[READ_BUFFERS];
    size_t count = 0;
    while ((held[count] = hold())) {
        read_buffer_renew(&loop);
        assert_in_range(++count, 1, READ_BUFFERS - 1);
    }
    assert_int_equal(count, READ_BUFFERS - 1); /* one is read into */
    assert_int_equal(loop.read_buffers, READ_BUFFERS);
    struct read_buffer *last = loop.read_buffer;
    read_buffer_renew(&loop);
    assert_ptr_equal(loop.read_buffer, last);
    read_buffer_release(&loop, held[3]);
    held[3] = hold();
    assert_ptr_equal(held[3], last);
    read_buffer_renew(&loop);
    while (count > 0)
        read_buffer_release(&loop, held[--count]);
    assert_true(loop.read_buffers <= 2);
    read_buffers_trim(&loop);
    assert_int_equal(loop.read_buffers, 1);
}

static void test_of_somebody_else(void **state) {
    char other[10] = "";
    assert_null(read_buffer_hold(&loop, other));
    assert_null(read_buffer_hold(&loop, NULL));
    assert_null(read_buffer_hold(&loop, (char *)loop.read_buffer));
    assert_int_equal(loop.read_buffers, 1);
}

static void test_no_memory(void **state) {
    countdown = 0;
    assert_null(hold());
    struct read_buffer *held = hold();
    assert_non_null(held);
    countdown = 0;
    assert_ptr_equal(hold(), held); /* the other one is there */
    read_buffer_renew(&loop);
    assert_null(hold());
    assert_true(countdown < 0);
    read_buffer_release(&loop, held);
    read_buffer_release(&loop, held);
    read_buffers_trim(&loop);
}

/* What a large payload lies at. */
static void test_lines(void **state) {
    assert_int_equal((uintptr_t)(loop.read_buffer->data + 8) % CACHE_LINE, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_and_released), cmocka_unit_test(test_released_at_once),
        cmocka_unit_test(test_there_are_few),     cmocka_unit_test(test_of_somebody_else),
        cmocka_unit_test(test_no_memory),         cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
