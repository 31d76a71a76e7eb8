/* Digests, by OpenSSL: this folder is the only one that includes it. */
#ifndef ACACIA_DIGEST_H
#define ACACIA_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define SHA1_BASE64_SIZE 29

/* The base64 of the SHA-1 of two pieces of data, NUL-terminated: what a WebSocket handshake asks
 * for (RFC 6455 4.2.2). False when OpenSSL fails (no memory, or SHA-1 is switched off). */
bool sha1_base64(char out[SHA1_BASE64_SIZE], const void *a, size_t a_length, const void *b,
                 size_t b_length);

/* The base64 of `n` bytes, 4 characters for every 3 of them or less, NUL-terminated. */
void base64_encode(char *out, const void *data, size_t n);

#endif
