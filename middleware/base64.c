#include "base64.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

char *base64_write(const void *data, size_t length) {
    char *text = length < INT_MAX / 2 ? malloc((length + 2) / 3 * 4 + 1) : NULL;
    if (text)
        EVP_EncodeBlock((unsigned char *)text, data, (int)length);
    return text;
}

char *base64url_write(const void *data, size_t length) {
    char *text = base64_write(data, length);
    for (char *at = text; at && *at; at++) {
        if (*at == '+')
            *at = '-';
        else if (*at == '/')
            *at = '_';
        else if (*at == '=')
            *at = '\0'; /* only at the end */
    }
    return text;
}

/* OpenSSL reads the alphabet of section 4, in blocks of four. */
static char *padded_copy(const char *text, size_t length) {
    size_t size = (length + 3) / 4 * 4;
    char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < length; i++)
        copy[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    memset(copy + length, '=', size - length);
    copy[size] = '\0';
    return copy;
}

int base64_read(const char *text, char **data, size_t *length) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
    size_t digits = strspn(text, alphabet), rest = strspn(text + digits, "=");
    *data = NULL;
    *length = digits * 3 / 4;
    if (text[digits + rest] || digits % 4 == 1 || digits > INT_MAX / 2)
        return UV_EINVAL;
    if (rest && (digits + rest) % 4 != 0)
        return UV_EINVAL;
    char *copy = padded_copy(text, digits);
    if (!copy)
        return UV_ENOMEM;
    size_t size = strlen(copy);
    int decoded = -1;
    *data = malloc(size / 4 * 3 + 1);
    if (*data)
        decoded = EVP_DecodeBlock((unsigned char *)*data, (unsigned char *)copy, (int)size);
    free(copy);
    if (!*data)
        return UV_ENOMEM;
    if (decoded < 0) {
        free(*data);
        *data = NULL;
        return UV_EINVAL;
    }
    (*data)[*length] = '\0';
    return 0;
}
