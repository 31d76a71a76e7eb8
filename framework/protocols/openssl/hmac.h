/* HMAC-SHA1 (RFC 2104), by OpenSSL. */
#ifndef ACACIA_HMAC_H
#define ACACIA_HMAC_H

#include <stdbool.h>
#include <stddef.h>

#define HMAC_BASE64_SIZE 29

/* A key that is ready for use. It is not changed by use: any number of threads may share it. */
struct hmac;

/* Any bytes are a key, none included. NULL when OpenSSL fails (no memory, or SHA-1 is switched
 * off). This is the dear part: the algorithms are looked up here, once. */
struct hmac *hmac_new(const void *key, size_t length);

void hmac_free(struct hmac *hmac); /* NULL is fine */

/* The base64 of the HMAC-SHA1 of `length` bytes, NUL-terminated. False when OpenSSL fails: there is
 * nothing useful in `out` then. */
bool hmac_base64(const struct hmac *hmac, char out[HMAC_BASE64_SIZE], const void *data,
                 size_t length);

/* Are these `length` bytes the same? Takes as long if they are not, wherever they differ. */
bool equal_in_constant_time(const void *a, const void *b, size_t length);

#endif
