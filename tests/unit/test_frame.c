/* Frame headers, compared with a reader and a writer that are written from RFC 6455 5.2 alone. */
#include "protocols/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static struct frame_codec *codec; /* one for everything, as in a loop */

static int begin(void **state) {
    codec = frame_codec_new();
    return codec ? 0 : -1;
}

static int end(void **state) {
    size_t in_use = frame_contexts_in_use(codec);
    frame_codec_free(codec);
    return in_use ? -1 : 0;
}

/* --- What it is compared with ----------------------------------------------------------------- */

/* A header with `extra`, 0, 2 or 8, bytes of length, whether they are needed or not. */
static size_t encode(uint8_t *to, const struct frame *frame, size_t extra) {
    size_t n = 0;
    to[n++] = (uint8_t)(frame->fin << 7 | frame->rsv << 4 | frame->opcode);
    to[n++] = (uint8_t)(frame->masked << 7 | (extra == 8   ? 127
                                              : extra == 2 ? 126
                                                           : (uint8_t)frame->length));
    for (size_t i = extra; i > 0; i--)
        to[n++] = (uint8_t)(frame->length >> (8 * (i - 1)));
    if (frame->masked) {
        memcpy(to + n, frame->key, 4);
        n += 4;
    }
    return n;
}

static size_t extra_for(uint64_t length) {
    return length < 126 ? 0 : length < 65536 ? 2 : 8;
}

static bool is_valid(const struct frame *frame, size_t extra) {
    if (frame->length >> 63 || extra != extra_for(frame->length))
        return false;
    return frame->opcode < 8 || (frame->fin && frame->length < 126);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* Read from memory of just that size, so that the sanitizer sees who reads too far. */
static int read_exactly(const uint8_t *data, size_t n, struct frame *frame) {
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    if (n)
        memcpy(exact, data, n);
    int size = frame_read_header(codec, exact, n, frame);
    free(exact);
    assert_int_equal(frame_contexts_in_use(codec), 0);
    return size;
}

static void check_equal(const struct frame *a, const struct frame *b) {
    assert_true(a->length == b->length);
    assert_int_equal(a->opcode, b->opcode);
    assert_int_equal(a->rsv, b->rsv);
    assert_int_equal(a->fin, b->fin);
    assert_int_equal(a->masked, b->masked);
    if (a->masked)
        assert_memory_equal(a->key, b->key, 4);
}

static void check_read(const struct frame *frame, size_t extra) {
    uint8_t bytes[FRAME_HEADER_MAX + 8];
    struct frame got;
    size_t n = encode(bytes, frame, extra);
    memset(bytes + n, 0x5a, sizeof bytes - n);
    if (!is_valid(frame, extra)) {
        assert_int_equal(read_exactly(bytes, n, &got), UV_EPROTO);
        return;
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(read_exactly(bytes, i, &got), 0);
    for (size_t more = 0; more <= sizeof bytes - n; more++) {
        assert_int_equal(read_exactly(bytes, n + more, &got), n);
        check_equal(&got, frame);
    }
}

static const uint64_t lengths[] = {
    0,
    1,
    13,
    14,
    124,
    125,
    126,
    127,
    128,
    129,
    255,
    256,
    4095,
    4096,
    4097,
    8192,
    16384,
    65534,
    65535,
    65536,
    65537,
    65538,
    131072,
    1 << 20,
    INT32_MAX,
    (uint64_t)INT32_MAX + 1,
    UINT32_MAX,
    (uint64_t)UINT32_MAX + 1,
    ((uint64_t)1 << 53) - 1,
    (uint64_t)1 << 53,
    INT64_MAX - 1,
    INT64_MAX,
    (uint64_t)INT64_MAX + 1,
    UINT64_MAX,
};

#define LENGTHS (sizeof lengths / sizeof *lengths)

/* Every kind of frame with every length, which is written in the shortest way and in all others; so
 * good headers follow bad ones, and short frames those whose payload is as good as endless. */
static void reads_every_header(void **state) {
    static const size_t extras[] = {0, 2, 8};
    for (size_t i = 0; i < LENGTHS; i++)
        for (int kind = 0; kind < 512; kind++)
            for (size_t e = 0; e < 3; e++) {
                struct frame frame = {
                    .length = lengths[i],
                    .opcode = kind & 15,
                    .rsv = kind >> 4 & 7,
                    .fin = kind >> 7 & 1,
                    .masked = kind >> 8 & 1,
                    .key = {0x12, 0x80, (uint8_t)kind, (uint8_t)i},
                };
                if (extras[e] == 0 && frame.length > 125)
                    continue;
                if (extras[e] == 2 && frame.length > 65535)
                    continue;
                check_read(&frame, extras[e]);
            }
}

/* All that can stand in the first two bytes, in front of anything. */
static void reads_every_beginning(void **state) {
    for (unsigned first = 0; first < 65536; first++) {
        uint8_t bytes[FRAME_HEADER_MAX] = {(uint8_t)(first >> 8), (uint8_t)first};
        struct frame frame = {.masked = bytes[1] & 0x80, .opcode = bytes[0] & 15}, got;
        uint8_t length = bytes[1] & 0x7f;
        size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
        size_t size = 2 + extra + (frame.masked ? 4 : 0);
        for (size_t i = 2; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)((unsigned)rand() >> 8);
        frame.fin = bytes[0] >> 7;
        frame.length = extra ? 0 : length;
        for (size_t i = 0; i < extra; i++)
            frame.length = frame.length << 8 | bytes[2 + i];
        assert_int_equal(read_exactly(bytes, size - 1, &got), 0);
        assert_int_equal(read_exactly(bytes, sizeof bytes, &got),
                         is_valid(&frame, extra) ? (int)size : UV_EPROTO);
    }
}

static void goes_on_after_errors(void **state) {
    static const uint8_t wrong[][10] = {
        {0x89, 0x7e, 0, 126},                                         /* a long ping */
        {0x09, 0x00},                                                 /* half a ping */
        {0x81, 0x7e, 0, 125},                                         /* not the shortest */
        {0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff},                   /* … in eight bytes */
        {0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0},                      /* too long */
        {0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, /* much too long */
        {0x88, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, /* a long close */
    };
    static const uint8_t huge[] = {0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t good[] = {0x81, 0x85, 1, 2, 3, 4};
    struct frame frame;
    for (int round = 0; round < 100; round++)
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            assert_int_equal(frame_read_header(codec, wrong[i], sizeof wrong[i], &frame),
                             UV_EPROTO);
            if (round & 1) {
                assert_int_equal(frame_read_header(codec, huge, sizeof huge, &frame), sizeof huge);
                assert_true(frame.length == INT64_MAX && !frame.masked);
            }
            if (round & 2) {
                uint8_t header[FRAME_HEADER_MAX];
                struct frame pong = {.opcode = OPCODE_PONG, .fin = true, .length = 3};
                assert_int_equal(frame_write_header(header, &pong), 2);
            }
            assert_int_equal(frame_read_header(codec, good, sizeof good, &frame), sizeof good);
            assert_true(frame.length == 5 && frame.masked && frame.opcode == OPCODE_TEXT);
            assert_memory_equal(frame.key, good + 2, 4);
        }
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void writes_every_header(void **state) {
    for (size_t i = 0; i < LENGTHS; i++)
        for (int kind = 0; kind < 512; kind++) {
            struct frame frame = {
                .length = lengths[i],
                .opcode = kind & 15,
                .rsv = kind >> 4 & 7,
                .fin = kind >> 7 & 1,
                .masked = kind >> 8,
                .key = {0x12, 0x80, (uint8_t)kind, (uint8_t)i},
            };
            uint8_t expected[FRAME_HEADER_MAX], *header = malloc(FRAME_HEADER_MAX);
            assert_non_null(header);
            int n = frame_write_header(header, &frame);
            bool possible = !(frame.length >> 63) && (frame.opcode < 8 || frame.length < 126);
            if (!possible) {
                assert_int_equal(n, UV_EINVAL);
            } else {
                assert_int_equal(n, encode(expected, &frame, extra_for(frame.length)));
                assert_memory_equal(header, expected, (size_t)n);
            }
            free(header);
            assert_int_equal(frame_contexts_in_use(codec), 0);
        }
}

/* One context does both, in any order. */
static void reads_and_writes(void **state) {
    srand(1);
    for (int i = 0; i < 100000; i++) {
        uint64_t length = lengths[(unsigned)rand() % (LENGTHS - 2)];
        struct frame frame = {.length = length, .opcode = OPCODE_BINARY, .fin = rand() & 1}, got;
        uint8_t header[FRAME_HEADER_MAX];
        int n = frame_write_header(header, &frame);
        assert_int_equal(n, 2 + extra_for(length));
        if (rand() & 1)
            continue;
        assert_int_equal(frame_read_header(codec, header, (size_t)n, &got), n);
        check_equal(&got, &frame);
    }
}

static void free_takes_null(void **state) {
    frame_codec_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_header),   cmocka_unit_test(reads_every_beginning),
        cmocka_unit_test(goes_on_after_errors), cmocka_unit_test(writes_every_header),
        cmocka_unit_test(reads_and_writes),     cmocka_unit_test(free_takes_null),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
