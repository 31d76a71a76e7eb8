#include "protocols/utf8.h"

#include <string.h>

/*
 * An automaton whose states are numbers of bits to shift by. Each byte has a word, in which six
 * bits at the offset of a state hold the state that follows it; so a step is one load, which does
 * not wait for the step before, and one shift, which does. There is no branch to mispredict,
 * whatever the script of the text.
 *
 * The states after E0, ED, F0 and F4 are there because their next byte is restricted: by it the
 * overlong forms, the surrogates and what lies above U+10FFFF are told from the rest.
 */
enum {
    START = 0, /* between two characters */
    TAIL_1 = 6,
    TAIL_2 = 12,
    TAIL_3 = 18, /* that many bytes 80..BF to come */
    AFTER_E0 = 24,
    AFTER_ED = 30,
    AFTER_F0 = 36,
    AFTER_F4 = 42,
    REJECT = 48,
    STATE_MASK = 63,
};

#define STEP(from, to) ((uint64_t)(to) << (from))

/* A byte that begins a character, and is wrong within one. */
#define LEAD(to)                                                                                   \
    (STEP(START, to) | STEP(TAIL_1, REJECT) | STEP(TAIL_2, REJECT) | STEP(TAIL_3, REJECT) |        \
     STEP(AFTER_E0, REJECT) | STEP(AFTER_ED, REJECT) | STEP(AFTER_F0, REJECT) |                    \
     STEP(AFTER_F4, REJECT) | STEP(REJECT, REJECT))

/* A byte within a character, and what it is after the leads that restrict it. */
#define TAIL(after_e0, after_ed, after_f0, after_f4)                                               \
    (STEP(START, REJECT) | STEP(TAIL_1, START) | STEP(TAIL_2, TAIL_1) | STEP(TAIL_3, TAIL_2) |     \
     STEP(AFTER_E0, after_e0) | STEP(AFTER_ED, after_ed) | STEP(AFTER_F0, after_f0) |              \
     STEP(AFTER_F4, after_f4) | STEP(REJECT, REJECT))

__extension__ static const uint64_t steps[256] = {
    [0x00 ... 0x7F] = LEAD(START),
    [0x80 ... 0x8F] = TAIL(REJECT, TAIL_1, REJECT, TAIL_2),
    [0x90 ... 0x9F] = TAIL(REJECT, TAIL_1, TAIL_2, REJECT),
    [0xA0 ... 0xBF] = TAIL(TAIL_1, REJECT, TAIL_2, REJECT),
    [0xC0 ... 0xC1] = LEAD(REJECT),
    [0xC2 ... 0xDF] = LEAD(TAIL_1),
    [0xE0] = LEAD(AFTER_E0),
    [0xE1 ... 0xEC] = LEAD(TAIL_2),
    [0xED] = LEAD(AFTER_ED),
    [0xEE ... 0xEF] = LEAD(TAIL_2),
    [0xF0] = LEAD(AFTER_F0),
    [0xF1 ... 0xF3] = LEAD(TAIL_3),
    [0xF4] = LEAD(AFTER_F4),
    [0xF5 ... 0xFF] = LEAD(REJECT),
};

/*
 * Most bytes get by without the automaton: by vectors, for which compilers have registers on every
 * machine that has any. Whether a byte is right is told by itself and the three before it, so these
 * must be there to be read, and right.
 */
typedef uint8_t vector __attribute__((vector_size(16)));
typedef int8_t signed_vector __attribute__((vector_size(16)));
typedef uint64_t pair __attribute__((vector_size(16)));

enum { VECTOR = 16, BLOCK = 32, LONG_BLOCK = 128, BEFORE = 3, LONGEST = 4 };

static inline vector load(const uint8_t *at) {
    vector bytes;

    memcpy(&bytes, at, sizeof bytes);
    return bytes;
}

static inline uint64_t any_of(vector bytes) {
    pair words = (pair)bytes;

    return words[0] | words[1];
}

static inline bool is_ascii(const uint8_t *block, size_t size) {
    vector all = {0};

    for (size_t i = 0; i < size; i += VECTOR)
        all |= load(block + i);
    return !(any_of(all) & 0x8080808080808080);
}

/* Does a character have to go on here? */
static inline bool is_within(const uint8_t *at) {
    return at[-1] >= 0xC0 || at[-2] >= 0xE0 || at[-3] >= 0xF0;
}

/* Where it is wrong the result is not zero. Compared as signed numbers the tails, 80..BF, come
 * first; what follows E0, ED, F0 and F4 is looked at as if it was one, since all else is wrong
 * anyway. */
static inline vector wrong(const uint8_t *at) {
    vector byte = load(at), before = load(at - 1);
    signed_vector tail = (signed_vector)byte;
    vector must_be_tail =
        (vector)(before >= 0xC0) | (vector)(load(at - 2) >= 0xE0) | (vector)(load(at - 3) >= 0xF0);
    vector bad = must_be_tail ^ (vector)(tail < (int8_t)0xC0);

    bad |= (vector)((byte & 0xFE) == 0xC0) | (vector)(byte >= 0xF5);
    bad |= (vector)(before == 0xE0) & (vector)(tail < (int8_t)0xA0);
    bad |= (vector)(before == 0xED) & (vector)(tail >= (int8_t)0xA0);
    bad |= (vector)(before == 0xF0) & (vector)(tail < (int8_t)0x90);
    bad |= (vector)(before == 0xF4) & (vector)(tail >= (int8_t)0x90);
    return bad;
}

/* How far it is right, by blocks from `i` on. Long ones are tried where a text looks like
 * English: in others they hardly ever are of use. */
static size_t right_blocks(const uint8_t *bytes, size_t i, size_t n) {
    size_t ascii = 0; /* in a row */

    for (;; i += BLOCK) {
        while (ascii >= LONG_BLOCK && n - i >= LONG_BLOCK && is_ascii(bytes + i, LONG_BLOCK))
            i += LONG_BLOCK;
        if (i == n || n < BEFORE + BLOCK)
            return i;
        if (n - i < BLOCK)
            i = n - BLOCK; /* the last one ends with the text */
        if (is_ascii(bytes + i, BLOCK) && !is_within(bytes + i))
            ascii += BLOCK;
        else if (any_of(wrong(bytes + i) | wrong(bytes + i + VECTOR)))
            return i;
        else
            ascii = 0;
    }
}

static uint64_t run(uint64_t state, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        state = steps[bytes[i]] >> (state & STATE_MASK);
    /* Above the lowest six bits there is whatever the shifts have left. */
    return state & STATE_MASK;
}

/* Where the last character before `i`, which may not be all there, begins. */
static size_t last_character(const uint8_t *bytes, size_t i) {
    do
        i--;
    while ((bytes[i] & 0xC0) == 0x80);
    return i;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

bool utf8_feed(struct utf8 *u, const void *data, size_t n) {
    const uint8_t *bytes = data;
    size_t i = smaller(n, BEFORE);
    uint64_t state = run(u->state, bytes, i);

    while (i < n && state != REJECT) {
        size_t right = right_blocks(bytes, i, n);
        if (right > i) {
            i = last_character(bytes, right);
            state = START;
        }
        size_t next = smaller(n - i, LONGEST + BLOCK);
        state = run(state, bytes + i, next);
        i += next;
    }

    u->state = (uint32_t)state;
    return state != REJECT;
}

bool utf8_done(const struct utf8 *u) {
    return u->state == START;
}

bool utf8_valid(const void *data, size_t n) {
    struct utf8 u = {0};

    return utf8_feed(&u, data, n) && utf8_done(&u);
}
