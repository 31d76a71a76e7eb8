#include "protocols/mask.h"

#include <string.h>

/* A block is read whole before any of it is written. So it does not matter to the compiler whether
 * `to` and `from` are the same, and it can use whatever vector registers there are. */
enum { BLOCK = 32, WORD = 8, HALF = 4 };

static void mask_block(unsigned char *to, const unsigned char *from, uint64_t key) {
    uint64_t words[BLOCK / WORD];

    memcpy(words, from, BLOCK);
    for (size_t i = 0; i < BLOCK / WORD; i++)
        words[i] ^= key;
    memcpy(to, words, BLOCK);
}

static void mask_word(unsigned char *to, const unsigned char *from, uint64_t key) {
    uint64_t word;

    memcpy(&word, from, WORD);
    word ^= key;
    memcpy(to, &word, WORD);
}

static void mask_half(unsigned char *to, const unsigned char *from, uint32_t key) {
    uint32_t half;

    memcpy(&half, from, HALF);
    half ^= key;
    memcpy(to, &half, HALF);
}

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

void mask_copy(void *to, const void *from, size_t n, const uint8_t key[4], size_t offset) {
    unsigned char *out = to;
    const unsigned char *in = from;
    uint32_t half = rotate(key, offset);
    uint64_t word = (uint64_t)half << 32 | half;
    size_t i = 0;

    for (; n - i >= BLOCK; i += BLOCK)
        mask_block(out + i, in + i, word);
    for (; n - i >= WORD; i += WORD)
        mask_word(out + i, in + i, word);
    if (n - i >= HALF) {
        mask_half(out + i, in + i, half);
        i += HALF;
    }
    for (; i < n; i++)
        out[i] = in[i] ^ key[(offset + i) % 4];
}
