/*
 * Base64 (RFC 4648), for the other middleware; it is not installed.
 */
#ifndef ACACIA_BASE64_H
#define ACACIA_BASE64_H

#include <stddef.h>

/* The text of `length` bytes, by the alphabet of section 4 with its '=', or by that of section 5,
 * which is for URLs, without them. To be freed by free(); NULL when there is no memory. */
char *base64_write(const void *data, size_t length);
char *base64url_write(const void *data, size_t length);

/*
 * The bytes that `text` stands for, by either alphabet, with '=' at its end or without. *data is to
 * be freed by free(), and followed by a NUL that *length does not count. 0; UV_EINVAL if it is no
 * base64; UV_ENOMEM. On an error *data is NULL.
 */
int base64_read(const char *text, char **data, size_t *length);

#endif
