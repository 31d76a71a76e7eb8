/*
 * Keygrip: signatures for cookies by keys that can be rotated, as by the npm package of that name,
 * version 1.1.0. What either signs the other verifies.
 *
 *     struct keygrip *keygrip;
 *     int err = keygrip_new(&keygrip, (const char *const[]){"new", "old", NULL});
 *     err = keygrip_sign(keygrip, signature, "a=1", 3); // "0QT-09Nm2EV8gY4Umnxyo1vkEz4"
 *     int index = keygrip_index(keygrip, signature, "a=1", 3); // 0; 1 if "old" had signed it
 */
#ifndef ACACIA_KEYGRIP_H
#define ACACIA_KEYGRIP_H

#include <stddef.h>

/* An HMAC-SHA1 in the base64 that is for URLs, without the '=' at its end: 27 characters. */
#define KEYGRIP_SIZE 28

/* It is not changed by use: any number of threads may share it. */
struct keygrip;

/*
 * `keys` are copied; NULL is behind the last. The first one signs, all of them verify: a new key is
 * put before the others, and the last ones are dropped when nothing is around that they have
 * signed.
 *
 * Returns 0; -EINVAL if there is no key at all, or an empty one, with which anybody could sign;
 * -ENOMEM. keygrip_free gives it back; *keygrip is NULL on an error.
 */
int keygrip_new(struct keygrip **keygrip, const char *const *keys);

void keygrip_free(struct keygrip *keygrip); /* NULL is fine */

/* Sign `length` bytes by the first key; the signature is NUL-terminated. 0 or -ENOMEM. */
int keygrip_sign(const struct keygrip *keygrip, char signature[KEYGRIP_SIZE], const void *data,
                 size_t length);

/*
 * The number of the first key by which `signature` is the one of these `length` bytes, from 0;
 * -ENOENT if it is by none of them; -ENOMEM. A client can't tell by the time that it takes how much
 * of a signature was right.
 */
int keygrip_index(const struct keygrip *keygrip, const char *signature, const void *data,
                  size_t length);

#endif
