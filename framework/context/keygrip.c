#include "context/keygrip.h"

#include "protocols/openssl/hmac.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct keygrip {
    size_t count;
    struct hmac *keys[];
};

void keygrip_free(struct keygrip *keygrip) {
    if (!keygrip)
        return;
    for (size_t i = 0; i < keygrip->count; i++)
        hmac_free(keygrip->keys[i]);
    free(keygrip);
}

/* How many, or 0 if any is empty. */
static size_t count_keys(const char *const *keys) {
    size_t count = 0;
    while (keys[count] && *keys[count])
        count++;
    return keys[count] ? 0 : count;
}

int keygrip_new(struct keygrip **keygrip, const char *const *keys) {
    size_t count = count_keys(keys);
    *keygrip = NULL;
    if (count == 0 || count > INT_MAX)
        return -EINVAL;
    struct keygrip *made = malloc(sizeof *made + count * sizeof made->keys[0]);
    if (!made)
        return -ENOMEM;
    for (made->count = 0; made->count < count; made->count++) {
        const char *key = keys[made->count];
        made->keys[made->count] = hmac_new(key, strlen(key));
        if (!made->keys[made->count]) {
            keygrip_free(made);
            return -ENOMEM;
        }
    }
    *keygrip = made;
    return 0;
}

static int sign(const struct hmac *key, char signature[KEYGRIP_SIZE], const void *data,
                size_t length) {
    char base64[HMAC_BASE64_SIZE];
    if (!hmac_base64(key, base64, data, length))
        return -ENOMEM;
    for (size_t i = 0; i < KEYGRIP_SIZE - 1; i++)
        signature[i] = base64[i] == '/' ? '_' : base64[i] == '+' ? '-' : base64[i];
    signature[KEYGRIP_SIZE - 1] = '\0';
    return 0;
}

int keygrip_sign(const struct keygrip *keygrip, char signature[KEYGRIP_SIZE], const void *data,
                 size_t length) {
    return sign(keygrip->keys[0], signature, data, length);
}

int keygrip_index(const struct keygrip *keygrip, const char *signature, const void *data,
                  size_t length) {
    char expected[KEYGRIP_SIZE];
    if (strlen(signature) != KEYGRIP_SIZE - 1)
        return -ENOENT;
    for (size_t i = 0; i < keygrip->count; i++) {
        int err = sign(keygrip->keys[i], expected, data, length);
        if (err)
            return err;
        if (equal_in_constant_time(signature, expected, KEYGRIP_SIZE - 1))
            return (int)i;
    }
    return -ENOENT;
}
