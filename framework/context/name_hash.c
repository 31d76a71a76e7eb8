#include "context/name_hash.h"

#include "protocols/openssl/random.h"

#include <stddef.h>
#include <string.h>
#include <uv.h>

static struct { uint64_t a, b; } key;

/* Without random bytes the address of a function must do. */
static void make_key(void) {
    if (!random_bytes(&key, sizeof key))
        key.a = (uintptr_t)make_key ^ uv_hrtime(), key.b = ~key.a * 0x9e3779b97f4a7c15u;
}

static uint64_t rotate(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

struct sip {
    uint64_t v[4];
};

static void sip_round(struct sip *s) {
    s->v[0] += s->v[1];
    s->v[2] += s->v[3];
    s->v[1] = rotate(s->v[1], 13) ^ s->v[0];
    s->v[3] = rotate(s->v[3], 16) ^ s->v[2];
    s->v[0] = rotate(s->v[0], 32);
    s->v[2] += s->v[1];
    s->v[0] += s->v[3];
    s->v[1] = rotate(s->v[1], 17) ^ s->v[2];
    s->v[3] = rotate(s->v[3], 21) ^ s->v[0];
    s->v[2] = rotate(s->v[2], 32);
}

static void sip_add(struct sip *s, uint64_t word) {
    s->v[3] ^= word;
    sip_round(s);
    s->v[0] ^= word;
}

/* SipHash-1-3 (Aumasson and Bernstein), of 64 bits the lower half. */
uint32_t name_hash(const char *name) {
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, make_key);
    struct sip s = {{key.a ^ 0x736f6d6570736575u, key.b ^ 0x646f72616e646f6du,
                     key.a ^ 0x6c7967656e657261u, key.b ^ 0x7465646279746573u}};
    size_t length = strlen(name), at = 0;
    uint64_t word;
    for (; length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, name + at, sizeof word);
        sip_add(&s, word);
    }
    word = 0;
    memcpy(&word, name + at, length - at);
    sip_add(&s, word | (uint64_t)length << 56);
    s.v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return (uint32_t)(s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3]);
}
