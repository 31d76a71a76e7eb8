/* What the files of jwt share: keys, and tokens taken apart. Not for users. */
#ifndef ACACIA_JWT_PARTS_H
#define ACACIA_JWT_PARTS_H

#include "jwt.h"

#ifdef ACACIA_HAVE_JSON

#define JWT_TOKEN_SIZE (8 * 1024)
#define JWT_DEPTH 16
#define JWT_DEPTH_MAX 200       /* for which a coroutine has the stack */
#define JWT_SIGNATURE_SIZE 1024 /* of RSA with 8,192 bits */
#define JWT_REFUSED 1           /* the token is not good: no error, which would be negative */

/* --- Keys ------------------------------------------------------------------------------------- */

const char *jwt_key_algorithm(const jwt_key_t *key);
const char *jwt_key_id(const jwt_key_t *key); /* may be NULL */

/* Sign `text`. Returns 0; UV_EINVAL if this key can't; UV_ENOMEM. */
int jwt_key_sign(const jwt_key_t *key, const char *text, size_t length,
                 unsigned char signature[JWT_SIGNATURE_SIZE], size_t *size);

bool jwt_key_verify(const jwt_key_t *key, const char *text, size_t length,
                    const unsigned char *signature, size_t size);

/* --- base64url without padding (RFC 7515 2) --------------------------------------------------- */

/* `text` gets 4 characters for 3 bytes, and a NUL. Returns its end. */
char *jwt_base64url_encode(char *text, const unsigned char *data, size_t length);

/* Into `data`, 3 bytes for 4 characters. Returns how many, or -1 for what no encoder writes: other
 * characters, padding, a length that can't be, bits that are left over. */
ssize_t jwt_base64url_decode(unsigned char *data, const char *text, size_t length);

/* --- Tokens ----------------------------------------------------------------------------------- */

/* A token taken apart. Nothing of it is verified. */
struct jwt_parts {
    const char *text; /* what is signed: the token up to its second dot */
    size_t length;
    json_t *header, *claims; /* objects */
    unsigned char signature[JWT_SIGNATURE_SIZE];
    size_t signature_size;
};

/* Take a token apart. Returns 0; JWT_REFUSED, and what is wrong; UV_ENOMEM. jwt_parts_free in any
 * case. */
int jwt_parts_read(struct jwt_parts *parts, const char *token, const jwt_checks_t *checks,
                   const char **reason);
void jwt_parts_free(struct jwt_parts *parts);

/* NULL if `key` has signed it; else what is wrong. */
const char *jwt_parts_verify(const struct jwt_parts *parts, const jwt_key_t *key);

/* The same for several keys, NULL at the end, of which one must have signed it. */
const char *jwt_parts_verify_any(const struct jwt_parts *parts, const jwt_key_t *const *keys);

/* Do the claims say what they must? Else `reason` says what is wrong. */
bool jwt_claims_check(const json_t *claims, const jwt_checks_t *checks,
                      char reason[JWT_REASON_SIZE]);

#endif
#endif
