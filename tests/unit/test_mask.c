/* The file itself, so that a machine with the widest registers tests the others, too. */
#include <stdbool.h>
#include <string.h>

static int width; /* of the registers that may be used: 0 is the usual one */

static inline bool may_use(const char *feature) {
    return width >= (strcmp(feature, "avx2") == 0 ? 1 : 2);
}

#define __builtin_cpu_supports(feature) (may_use(feature) && __builtin_cpu_supports(feature))
#include "protocols/mask.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};

enum { MAX = 560, GUARD = 16 };

static uint8_t payload[MAX];

static int fill_payload(void **state) {
    (void)state;
    uint32_t random = 1;

    for (size_t i = 0; i < MAX; i++) {
        random = random * 1664525u + 1013904223u;
        payload[i] = (uint8_t)(random >> 24);
    }
    return 0;
}

/* The definition: octet i of the payload with octet i modulo 4 of the key. */
static void mask_bytewise(uint8_t *to, const uint8_t *from, size_t n, size_t offset) {
    for (size_t i = 0; i < n; i++)
        to[i] = from[i] ^ key[(offset + i) % 4];
}

static bool untouched(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0xEE)
            return false;
    return true;
}

/* Masks at `to_shift` and `from_shift` from an aligned address; equal ones are done in place. */
static void check(size_t n, size_t offset, size_t to_shift, size_t from_shift, bool in_place) {
    uint8_t source[GUARD + MAX + GUARD], target[GUARD + MAX + GUARD], expected[MAX];
    uint8_t *from = source + from_shift;
    uint8_t *to = in_place ? from : target + to_shift;
    uint8_t *around = in_place ? source : target;
    size_t before = (size_t)(to - around);

    memset(source, 0xEE, sizeof source);
    memset(target, 0xEE, sizeof target);
    memcpy(from, payload, n);
    mask_bytewise(expected, payload, n, offset);

    mask_copy(to, from, n, key, offset);
    if (memcmp(to, expected, n) || !untouched(around, before) ||
        !untouched(to + n, sizeof target - before - n) || (!in_place && memcmp(from, payload, n)))
        fail_msg("%zu bytes at %zu, to %zu from %zu", n, offset, to_shift, from_shift);
}

static void known_answer(void **state) {
    (void)state;
    /* "Hello", as RFC 6455 has it in section 5.7 */
    static const uint8_t masked[] = {0x7F, 0x9F, 0x4D, 0x51, 0x58};
    char text[5];

    mask_copy(text, masked, sizeof masked, key, 0);
    assert_memory_equal(text, "Hello", 5);
}

static void copying(void **state) {
    (void)state;

    for (size_t n = 0; n <= MAX; n++)
        for (size_t offset = 0; offset < 8; offset++)
            for (size_t shift = 0; shift < 64; shift++)
                check(n, offset, shift / 8, shift % 8, false);
}

static void in_place(void **state) {
    (void)state;

    for (size_t n = 0; n <= MAX; n++)
        for (size_t offset = 0; offset < 8; offset++)
            for (size_t shift = 0; shift < 8; shift++)
                check(n, offset, shift, shift, true);
}

/* Memory that ends with the payload, so that reading or writing past it is noticed. */
static void exact_memory(void **state) {
    (void)state;
    uint8_t expected[MAX];

    for (size_t n = 1; n <= MAX; n++) {
        uint8_t *from = malloc(n), *to = malloc(n);
        assert_non_null(from);
        assert_non_null(to);
        memcpy(from, payload, n);
        mask_bytewise(expected, payload, n, n);
        mask_copy(to, from, n, key, n);
        assert_memory_equal(to, expected, n);
        free(from);
        free(to);
    }
}

static void in_pieces(void **state) {
    (void)state;
    uint8_t whole[MAX], pieces[MAX];

    mask_bytewise(whole, payload, MAX, 0);
    for (size_t size = 1; size <= MAX; size++) {
        for (size_t at = 0; at < MAX; at += size) {
            size_t n = size < MAX - at ? size : MAX - at;
            mask_copy(pieces + at, payload + at, n, key, at);
        }
        assert_memory_equal(pieces, whole, MAX);
    }
}

static void huge_offsets(void **state) {
    (void)state;

    for (size_t n = 0; n <= MAX; n++)
        for (size_t offset = SIZE_MAX; offset > SIZE_MAX - 8; offset--)
            check(n, offset, 0, 0, false);
}

static void nothing(void **state) {
    (void)state;

    assert_true(mask_copy(NULL, NULL, 0, key, 3));
}

/* Wherever the one byte is that is not ASCII; what lies beside it does not count. */
static void ascii(void **state) {
    (void)state;
    uint8_t text[MAX + 1], masked[MAX + 1], to[MAX + 1];

    memset(text, 'a', sizeof text);
    for (size_t n = 0; n <= 420; n++)
        for (size_t bad = 0; bad <= n; bad++) {
            text[bad] = bad % 2 ? 0x80 : 0xFF;
            mask_bytewise(masked, text, n + 1, 1);
            assert_int_equal(mask_copy(to, masked, n, key, 1), bad == n);
            assert_memory_equal(to, text, n);
            text[bad] = 'a';
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answer), cmocka_unit_test(copying),   cmocka_unit_test(in_place),
        cmocka_unit_test(exact_memory), cmocka_unit_test(in_pieces), cmocka_unit_test(huge_offsets),
        cmocka_unit_test(nothing),      cmocka_unit_test(ascii),
    };
    int failed = 0;
    for (width = 0; width <= 2; width++)
        failed += cmocka_run_group_tests(tests, fill_payload, NULL);
    return failed;
}
