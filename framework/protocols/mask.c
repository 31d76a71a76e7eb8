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

#if defined __x86_64__ && defined __GNUC__

/* Wider registers, which most processors have, and the compiler must not count on: by those of 32
 * bytes 16 KiB take a third less time, by those of 64 a third less again. Both return how many
 * bytes are done, all but a few. */
typedef uint64_t quad __attribute__((vector_size(32)));
typedef uint64_t octet __attribute__((vector_size(64)));

enum { WIDE = 256 }; /* from here on it is worth the question */

__attribute__((target("avx2"))) static size_t
mask_wide(unsigned char *to, const unsigned char *from, size_t n, uint64_t key, uint64_t *written) {
    quad four = {key, key, key, key}, all = {0}, a, b, c, d;
    size_t done = 0;

    for (; n - done >= 4 * sizeof(quad); done += 4 * sizeof(quad)) {
        memcpy(&a, from + done, sizeof a);
        memcpy(&b, from + done + 32, sizeof b);
        memcpy(&c, from + done + 64, sizeof c);
        memcpy(&d, from + done + 96, sizeof d);
        a ^= four;
        b ^= four;
        c ^= four;
        d ^= four;
        memcpy(to + done, &a, sizeof a);
        memcpy(to + done + 32, &b, sizeof b);
        memcpy(to + done + 64, &c, sizeof c);
        memcpy(to + done + 96, &d, sizeof d);
        all |= (a | b) | (c | d);
    }
    *written = all[0] | all[1] | all[2] | all[3];
    return done;
}

__attribute__((target("avx512f"))) static size_t mask_widest(unsigned char *to,
                                                             const unsigned char *from, size_t n,
                                                             uint64_t key, uint64_t *written) {
    octet eight = {key, key, key, key, key, key, key, key}, all = {0}, a, b;
    size_t done = 0;

    for (; n - done >= 2 * sizeof(octet); done += 2 * sizeof(octet)) {
        memcpy(&a, from + done, sizeof a);
        memcpy(&b, from + done + 64, sizeof b);
        a ^= eight;
        b ^= eight;
        memcpy(to + done, &a, sizeof a);
        memcpy(to + done + 64, &b, sizeof b);
        all |= a | b;
    }
    *written = (all[0] | all[1] | all[2] | all[3]) | (all[4] | all[5] | all[6] | all[7]);
    return done;
}

/* Processors that have VBMI2 don't slow down for the widest. */
static size_t mask_if_wide(unsigned char *to, const unsigned char *from, size_t n, uint64_t key,
                           uint64_t *written) {
    if (n < WIDE || !__builtin_cpu_supports("avx2"))
        return 0;
    return __builtin_cpu_supports("avx512vbmi2") ? mask_widest(to, from, n, key, written)
                                                 : mask_wide(to, from, n, key, written);
}

#else

static size_t mask_if_wide(unsigned char *to, const unsigned char *from, size_t n, uint64_t key,
                           uint64_t *written) {
    return 0;
}

#endif

bool mask_copy(void *to, const void *from, size_t n, const uint8_t key[4], size_t offset) {
    unsigned char *out = to;
    const unsigned char *in = from;
    uint32_t half = rotate(key, offset);
    uint64_t word = (uint64_t)half << 32 | half, written = 0;
    pair two = {word, word}, pairs = {0};
    uint8_t bytes[HALF];
    size_t done = mask_if_wide(out, in, n, word, &written);

    if (done) /* else there may be no place either */
        n -= done, out += done, in += done;
    for (; n >= 2 * BLOCK; n -= 2 * BLOCK, out += 2 * BLOCK, in += 2 * BLOCK) {
        pairs |= mask_block(out, in, two);
        pairs |= mask_block(out + BLOCK, in + BLOCK, two);
    }
    for (; n >= PAIR; n -= PAIR, out += PAIR, in += PAIR)
        pairs |= mask_pair(out, in, two);
    written |= pairs[0] | pairs[1];
    if (n >= WORD) {
        written |= mask_word(out, in, word);
        n -= WORD, out += WORD, in += WORD;
    }
    memcpy(bytes, &half, HALF);
    for (size_t i = 0; i < n; i++)
        written |= out[i] = in[i] ^ bytes[i % HALF];
    return !(written & 0x8080808080808080);
}
