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

enum { BLOCK = 32, LONG_BLOCK = 128 };

/* Two words at a time, for which compilers have vector registers on every machine that has any. */
typedef uint64_t pair __attribute__((vector_size(16)));

/* Of a block of either length. */
static inline bool is_ascii(const unsigned char *block, size_t size) {
    pair all = {0};

    for (size_t i = 0; i < size; i += sizeof(pair)) {
        pair bytes;
        memcpy(&bytes, block + i, sizeof bytes);
        all |= bytes;
    }
    return !((all[0] | all[1]) & 0x8080808080808080);
}

/* How many bytes at the start need no automaton, in whole blocks. Long ones are tried where a text
 * looks like English: in others they hardly ever are of use. */
static size_t ascii_blocks(const unsigned char *bytes, size_t n) {
    size_t i = 0;

    while (n - i >= BLOCK && is_ascii(bytes + i, BLOCK)) {
        i += BLOCK;
        while (i >= LONG_BLOCK && n - i >= LONG_BLOCK && is_ascii(bytes + i, LONG_BLOCK))
            i += LONG_BLOCK;
    }
    return i;
}

static uint64_t run(uint64_t state, const unsigned char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        state = steps[bytes[i]] >> (state & STATE_MASK);
    /* Above the lowest six bits there is whatever the shifts have left. */
    return state & STATE_MASK;
}

bool utf8_feed(struct utf8 *u, const void *data, size_t n) {
    const unsigned char *bytes = data;
    uint64_t state = u->state;

    while (n > 0 && state != REJECT) {
        size_t skipped = state == START ? ascii_blocks(bytes, n) : 0;
        size_t next = n - skipped < BLOCK ? n - skipped : BLOCK;
        state = run(state, bytes + skipped, next);
        bytes += skipped + next;
        n -= skipped + next;
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
