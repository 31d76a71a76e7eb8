#include "protocols/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- What it is compared with ----------------------------------------------------------------- */

/* May a code point from `low` to `high` be written in `length` bytes? */
static bool any_valid(uint32_t low, uint32_t high, int length) {
    static const uint32_t first[] = {0, 0x00, 0x80, 0x800, 0x10000};
    static const uint32_t last[] = {0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF};

    low = low > first[length] ? low : first[length];
    high = high < last[length] ? high : last[length];
    return low <= high && !(low >= 0xD800 && high <= 0xDFFF);
}

static int length_by_lead(uint8_t lead) {
    if (lead < 0x80)
        return 1;
    if (lead >> 5 == 0x06)
        return 2;
    if (lead >> 4 == 0x0E)
        return 3;
    if (lead >> 3 == 0x1E)
        return 4;
    return 0;
}

struct verdict {
    size_t good; /* bytes with which a text can begin */
    bool done;   /* all of them, and the last character is complete */
};

/*
 * A decoder that knows nothing of states: after each byte it asks whether any code point is left,
 * taking the missing bits for all zeros and for all ones.
 */
static struct verdict decode(const uint8_t *bytes, size_t n) {
    size_t i = 0;

    while (i < n) {
        int length = length_by_lead(bytes[i]);
        if (!length)
            return (struct verdict){i, false};

        uint32_t code = length == 1 ? bytes[i] : bytes[i] & (0x7Fu >> length);
        for (int have = 1;; have++) {
            int missing = 6 * (length - have);
            uint32_t low = code << missing;
            if (!any_valid(low, low | ((1u << missing) - 1), length))
                return (struct verdict){i, false};
            i++;
            if (have == length)
                break;
            if (i == n)
                return (struct verdict){i, false};
            if (bytes[i] >> 6 != 2)
                return (struct verdict){i, false};
            code = code << 6 | (bytes[i] & 0x3Fu);
        }
    }
    return (struct verdict){n, true};
}

/* --- Checks ----------------------------------------------------------------------------------- */

/* A copy that ends where the memory ends, so that reading past it is noticed. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    return copy;
}

static void check_whole(const uint8_t *bytes, size_t n, struct verdict expected) {
    struct utf8 u = {0};

    assert_int_equal(utf8_feed(&u, bytes, n), expected.good == n);
    assert_int_equal(utf8_done(&u), expected.done);
    assert_int_equal(utf8_valid(bytes, n), expected.done);
}

static void check_split(const uint8_t *bytes, size_t n, struct verdict expected, size_t at) {
    struct utf8 u = {0};

    assert_int_equal(utf8_feed(&u, bytes, at), expected.good >= at);
    assert_int_equal(utf8_feed(&u, bytes + at, n - at), expected.good == n);
    assert_int_equal(utf8_done(&u), expected.done);
}

static void check_bytewise(const uint8_t *bytes, size_t n, struct verdict expected) {
    struct utf8 u = {0};

    for (size_t i = 0; i < n; i++)
        assert_int_equal(utf8_feed(&u, bytes + i, 1), i < expected.good);
    assert_int_equal(utf8_done(&u), expected.done);
}

static void check(const uint8_t *bytes, size_t n) {
    struct verdict expected = decode(bytes, n);
    uint8_t *copy = exact_copy(bytes, n);

    check_whole(copy, n, expected);
    check_bytewise(copy, n, expected);
    for (size_t at = 0; at <= n; at++)
        check_split(copy, n, expected, at);
    free(copy);
}

/* --- Known answers ---------------------------------------------------------------------------- */

static void check_string(const char *string, size_t good, bool done) {
    size_t n = strlen(string);
    struct verdict verdict = decode((const uint8_t *)string, n);

    assert_int_equal(verdict.good, good);
    assert_int_equal(verdict.done, done);
    check((const uint8_t *)string, n);
}

/* So that the decoder above is not trusted blindly either. */
static void known_answers(void **state) {
    (void)state;

    check_string("", 0, true);
    check_string("plain", 5, true);
    check_string("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5", 11, true);
    check_string("\xF4\x8F\xBF\xBF", 4, true);                  /* U+10FFFF */
    check_string("\xF4\x90\x80\x80", 1, false);                 /* one more */
    check_string("\xF5\x80\x80\x80", 0, false);                 /* more than that */
    check_string("\xED\x9F\xBF\xEE\x80\x80", 6, true);          /* around the surrogates */
    check_string("\xED\xA0\x80", 1, false);                     /* a surrogate */
    check_string("\xC0\xAF", 0, false);                         /* overlong */
    check_string("\xE0\x9F\xBF", 1, false);                     /* overlong */
    check_string("\xF0\x8F\xBF\xBF", 1, false);                 /* overlong */
    check_string("\xC2\x80\xE0\xA0\x80\xF0\x90\x80\x80", 9, 1); /* the shortest of each length */
    check_string("a\x80", 1, false);                            /* a tail without a lead */
    check_string("\xE2\x82", 2, false);                         /* incomplete */
    check_string("\xE2\x82z", 2, false);                        /* broken off */
}

static void nothing_is_valid(void **state) {
    (void)state;
    struct utf8 u = {0};

    assert_true(utf8_valid(NULL, 0));
    assert_true(utf8_feed(&u, NULL, 0));
    assert_true(utf8_feed(&u, "\xE2", 1));
    assert_true(utf8_feed(&u, NULL, 0));
    assert_false(utf8_done(&u));
}

static void false_stays_false(void **state) {
    (void)state;
    struct utf8 u = {0};
    char text[100];

    memset(text, 'a', sizeof text);
    assert_false(utf8_feed(&u, "\xFF", 1));
    for (size_t n = 0; n <= sizeof text; n++)
        assert_false(utf8_feed(&u, text, n));
    assert_false(utf8_done(&u));
}

/* --- Everything there is ---------------------------------------------------------------------- */

/* The checks by cmocka's macros are too slow for sixteen million sequences. */
static bool agrees(const struct utf8 *before, const uint8_t *tail, size_t n,
                   struct verdict expected, size_t whole) {
    struct utf8 u = *before;

    return utf8_feed(&u, tail, n) == (expected.good == whole) && utf8_done(&u) == expected.done;
}

static void all_of_one_to_three_bytes(void **state) {
    (void)state;
    uint8_t bytes[3];
    struct utf8 start = {0};

    for (unsigned a = 0; a < 256; a++) {
        bytes[0] = (uint8_t)a;
        check(bytes, 1);
        struct utf8 after_one = start;
        utf8_feed(&after_one, bytes, 1);

        for (unsigned b = 0; b < 256; b++) {
            bytes[1] = (uint8_t)b;
            check(bytes, 2);
            struct utf8 after_two = start;
            utf8_feed(&after_two, bytes, 2);

            for (unsigned c = 0; c < 256; c++) {
                bytes[2] = (uint8_t)c;
                struct verdict expected = decode(bytes, 3);
                if (!agrees(&start, bytes, 3, expected, 3) ||
                    !agrees(&after_one, bytes + 1, 2, expected, 3) ||
                    !agrees(&after_two, bytes + 2, 1, expected, 3))
                    fail_msg("%02x %02x %02x", a, b, c);
            }
        }
    }
}

/* Of four bytes, those where something begins or ends. */
static void seams_of_four_bytes(void **state) {
    (void)state;
    static const uint8_t seams[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                    0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF,
                                    0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF};
    const unsigned n = sizeof seams;
    struct utf8 start = {0};

    for (unsigned i = 0; i < n * n * n * n; i++) {
        uint8_t bytes[] = {seams[i / n / n / n], seams[i / n / n % n], seams[i / n % n],
                           seams[i % n]};
        struct verdict expected = decode(bytes, 4);

        for (size_t at = 0; at <= 4; at++) {
            struct utf8 u = start;
            if (utf8_feed(&u, bytes, at) != (expected.good >= at) ||
                !agrees(&u, bytes + at, 4 - at, expected, 4))
                fail_msg("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
        }
    }
}

/* The same in the middle of a text that is none of ASCII, at each place of a block. */
static void seams_in_a_text(void **state) {
    (void)state;
    static const uint8_t seams[] = {0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2,
                                    0xDF, 0xE0, 0xE1, 0xED, 0xEE, 0xF0, 0xF1, 0xF4, 0xF5};
    static const char *const characters[] = {"\xD1\x8F", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    const unsigned n = sizeof seams;
    uint8_t text[96];

    for (unsigned i = 0; i < n * n * n * n; i++) {
        const char *character = characters[i % 3];
        size_t length = strlen(character), at = i % 7 % length;
        memcpy(text, character + length - at,
               at); /* what begins it may be missing: it is fed first */
        for (; at + length <= sizeof text; at += length)
            memcpy(text + at, character, length);
        struct utf8 u = {0};
        size_t first = (length - i % 7 % length) % length;
        assert_true(utf8_feed(&u, character, first));

        size_t middle = 28 + i % 61;
        uint8_t four[] = {seams[i / n / n / n], seams[i / n / n % n], seams[i / n % n],
                          seams[i % n]};
        memcpy(text + middle, four, 4);
        uint8_t whole[4 + sizeof text];
        memcpy(whole, character, first);
        memcpy(whole + first, text, at);
        struct verdict expected = decode(whole, first + at);
        if (!agrees(&u, text, at, expected, first + at))
            fail_msg("%02x %02x %02x %02x at %zu", four[0], four[1], four[2], four[3], middle);
    }
}

static size_t encode(uint8_t *to, uint32_t code) {
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }

    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        to[i] = (uint8_t)(0x80 | (code & 0x3F));
    to[0] = (uint8_t)(0xF0u << (4 - length) | code);
    return length;
}

static void every_code_point(void **state) {
    (void)state;
    uint8_t bytes[4];

    for (uint32_t code = 0; code < 0x120000; code++) {
        bool valid = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
        size_t length = encode(bytes, code);
        if (utf8_valid(bytes, length) != valid)
            fail_msg("U+%X", (unsigned)code);
    }
}

/* --- Random texts ----------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

static uint32_t random_code(void) {
    static const uint32_t limits[] = {0x80, 0x800, 0xD800, 0x10000, 0x110000};
    uint32_t code = random_below(limits[random_below(5)]);

    return code >= 0xD800 && code <= 0xDFFF ? 'x' : code;
}

/* Runs of ASCII with single characters of any kind between them, at most `size` bytes. */
static size_t random_text(uint8_t *to, size_t size) {
    size_t n = 0;

    while (n + 4 < size) {
        size_t run = random_below(3) ? random_below(4) : random_below(100);
        for (; run && n + 4 < size; run--)
            to[n++] = (uint8_t)random_below(0x80);
        n += encode(to + n, random_code());
    }
    return n;
}

static void random_texts(void **state) {
    (void)state;
    uint8_t bytes[300];

    random_state = 1;
    for (int i = 0; i < 5000; i++) {
        size_t n = random_text(bytes, 5 + random_below(sizeof bytes - 5));
        assert_true(decode(bytes, n).done);
        check(bytes, n);

        n -= random_below(4) % (n + 1);
        check(bytes, n);
        for (uint32_t damage = random_below(3); n && damage; damage--)
            bytes[random_below((uint32_t)n)] = (uint8_t)random_below(256);
        check(bytes, n);
    }
}

/* One wrong byte at each place of a long run, for the steps of the fast path. */
static void one_bad_byte_anywhere(void **state) {
    (void)state;
    uint8_t bytes[640];

    for (size_t n = 0; n <= sizeof bytes; n += n < 140 ? 1 : 31) { /* blocks have 32 and 128 */
        for (size_t at = 0; at < n; at++) {
            memset(bytes, 'a', n);
            bytes[at] = 0x80;
            struct verdict expected = decode(bytes, n);
            uint8_t *copy = exact_copy(bytes, n);
            check_whole(copy, n, expected);
            free(copy);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),       cmocka_unit_test(nothing_is_valid),
        cmocka_unit_test(false_stays_false),   cmocka_unit_test(all_of_one_to_three_bytes),
        cmocka_unit_test(seams_of_four_bytes), cmocka_unit_test(every_code_point),
        cmocka_unit_test(random_texts),        cmocka_unit_test(one_bad_byte_anywhere),
        cmocka_unit_test(seams_in_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
