/* Allocations fail, each in turn, while messages are compressed and inflated: zlib's too, since it
 * takes its memory from us. Nothing leaks, and nothing wrong comes out. */
#include "protocols/deflate.h"

#include "../support/countdown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

/* --- What is tried ---------------------------------------------------------------------------- */

static char data[10000];

/* Again and again until it is done: whoever has no memory now may have it later. */
static int pack(struct deflater *deflater, struct deflate_buffer *packed) {
    for (int tries = 0; tries < 2; tries++) {
        packed->length = 0;
        int err = deflater_feed(deflater, data, sizeof data, true, deflate_buffer_take, packed);
        if (!err)
            return 0;
        assert_int_equal(err, UV_ENOMEM);
    }
    return UV_ENOMEM;
}

static int unpack(struct inflater *inflater, const struct deflate_buffer *packed) {
    struct deflate_buffer unpacked = {0};
    int err = inflater_feed(inflater, packed->data, packed->length, true, sizeof data,
                            deflate_buffer_take, &unpacked);
    if (!err) {
        assert_int_equal(unpacked.length, sizeof data);
        assert_memory_equal(unpacked.data, data, sizeof data);
    }
    deflate_buffer_free(&unpacked);
    return err;
}

static int release(struct inflater *inflater) {
    size_t before = inflater_memory(inflater);
    int err = inflater_release(inflater);
    if (err)
        assert_int_equal(inflater_memory(inflater), before);
    return err ? inflater_release(inflater) : 0;
}

static int talk(bool no_context_takeover) {
    struct deflater deflater;
    struct inflater inflater;
    struct deflate_buffer packed = {0};
    int err = 0;
    deflater_init(&deflater,
                  &(struct deflater_options){.no_context_takeover = no_context_takeover});
    inflater_init(&inflater, 15, no_context_takeover);
    for (int i = 0; i < 4 && !err; i++) {
        err = pack(&deflater, &packed);
        if (!err)
            err = unpack(&inflater, &packed);
        if (i == 0)
            deflater_release(&deflater);
        if (!err && i == 1)
            err = release(&inflater);
    }
    deflate_buffer_free(&packed);
    deflater_free(&deflater);
    inflater_free(&inflater);
    return err;
}

static void every_allocation(void **state) {
    if (!deflate_is_available())
        skip();
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * i >> 7 ^ i);
    for (int forgets = 0; forgets < 2; forgets++) {
        long failures = 0;
        for (long n = 0;; n++) {
            countdown = n;
            int err = talk(forgets);
            bool done = countdown >= 0;
            countdown = -1;
            if (err)
                assert_int_equal(err, UV_ENOMEM);
            failures += err != 0;
            if (done) {
                assert_int_equal(err, 0);
                break;
            }
        }
        assert_true(failures > 10);
    }
}

static int ignore(void *owner, const char *bytes, size_t n) {
    return 0;
}

/* What is not released serves the next message. */
static void nothing_is_allocated_twice(void **state) {
    struct deflater deflater;
    struct inflater inflater;
    struct deflate_buffer packed = {0};
    if (!deflate_is_available())
        skip();
    deflater_init(&deflater, &(struct deflater_options){.no_context_takeover = true});
    assert_int_equal(pack(&deflater, &packed), 0);
    inflater_init(&inflater, 15, true);
    assert_int_equal(unpack(&inflater, &packed), 0);
    allocations = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(deflater_feed(&deflater, data, sizeof data, true, ignore, NULL), 0);
        assert_int_equal(
            inflater_feed(&inflater, packed.data, packed.length, true, sizeof data, ignore, NULL),
            0);
    }
    assert_int_equal(allocations, 0);
    deflate_buffer_free(&packed);
    deflater_free(&deflater);
    inflater_free(&inflater);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation),
        cmocka_unit_test(nothing_is_allocated_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
