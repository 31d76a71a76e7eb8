#include "protocols/mask.h"

#include <string.h>

/* Two words at a time, for which compilers have vector registers on every machine that has any. */
typedef uint64_t pair __attribute__((vector_size(16)));

enum { BLOCK = 64, PAIR = 16, WORD = 8, HALF = 4 };

/* The key as it lies in memory over four bytes of payload that begin at `offset`. */
static uint32_t rotate(const uint8_t key[4], size_t offset) {
    unsigned bits = offset % 4 * 8;
    uint32_t word;

    memcpy(&word, key, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return word << bits | word >> (-bits % 32);
#else
    return word >> bits | word << (-bits % 32);
#endif
}

/* Each of these returns what it has written, for a look at the uppermost bits. A block is read
 * whole before any of it is written, so that it does not matter whether `to` and `from` are the
 * same. */
static inline pair mask_pair(unsigned char *to, const unsigned char *from, pair key) {
    pair bytes;

    memcpy(&bytes, from, PAIR);
    bytes ^= key;
    memcpy(to, &bytes, PAIR);
    return bytes;
}

static inline pair mask_block(unsigned char *to, const unsigned char *from, pair key) {
    pair a, b, c, d;

    memcpy(&a, from, PAIR);
    memcpy(&b, from + PAIR, PAIR);
    memcpy(&c, from + 2 * PAIR, PAIR);
    memcpy(&d, from + 3 * PAIR, PAIR);
    a ^= key;
    b ^= key;
    c ^= key;
    d ^= key;
    memcpy(to, &a, PAIR);
    memcpy(to + PAIR, &b, PAIR);
    memcpy(to + 2 * PAIR, &c, PAIR);
    memcpy(to + 3 * PAIR, &d, PAIR);
    return (a | b) | (c | d);
}

static inline uint64_t mask_word(unsigned char *to, const unsigned char *from, uint64_t key) {
    uint64_t word;

    memcpy(&word, from, WORD);
    word ^= key;
    memcpy(to, &word, WORD);
    return word;
}

bool mask_copy(void *to, const void *from, size_t n, const uint8_t key[4], size_t offset) {
    unsigned char *out = to;
    const unsigned char *in = from;
    uint32_t half = rotate(key, offset);
    uint64_t word = (uint64_t)half << 32 | half, written;
    pair two = {word, word}, pairs = {0};
    uint8_t bytes[HALF];

    for (; n >= 2 * BLOCK; n -= 2 * BLOCK, out += 2 * BLOCK, in += 2 * BLOCK) {
        pairs |= mask_block(out, in, two);
        pairs |= mask_block(out + BLOCK, in + BLOCK, two);
    }
    for (; n >= PAIR; n -= PAIR, out += PAIR, in += PAIR)
        pairs |= mask_pair(out, in, two);
    written = pairs[0] | pairs[1];
    if (n >= WORD) {
        written |= mask_word(out, in, word);
        n -= WORD, out += WORD, in += WORD;
    }
    memcpy(bytes, &half, HALF);
    for (size_t i = 0; i < n; i++)
        written |= out[i] = in[i] ^ bytes[i % HALF];
    return !(written & 0x8080808080808080);
}
