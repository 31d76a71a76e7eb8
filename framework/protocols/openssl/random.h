/* Bytes that nobody can foresee. */
#ifndef ACACIA_RANDOM_H
#define ACACIA_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* Fill `to` with `n` random bytes, by OpenSSL. False if it has none. Any thread. */
bool random_bytes(void *to, size_t n);

#endif
