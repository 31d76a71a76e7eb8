/* Tokens taken apart and put together, and what their claims must say. */
#include "jwt_parts.h"

#ifdef ACACIA_HAVE_JSON

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- base64url -------------------------------------------------------------------------------- */

char *jwt_base64url_encode(char *text, const unsigned char *data, size_t length) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, count = 0; /* that are not written yet */
    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | data[i];
        for (count += 8; count >= 6; count -= 6)
            *text++ = digits[bits >> (count - 6) & 63];
    }
    if (count > 0)
        *text++ = digits[bits << (6 - count) & 63];
    *text = '\0';
    return text;
}

static int base64url_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

ssize_t jwt_base64url_decode(unsigned char *data, const char *text, size_t length) {
    unsigned bits = 0, count = 0;
    unsigned char *at = data;
    if (length % 4 == 1)
        return -1;
    for (size_t i = 0; i < length; i++) {
        int digit = base64url_digit(text[i]);
        if (digit < 0)
            return -1;
        bits = bits << 6 | (unsigned)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *at++ = (unsigned char)(bits >> count);
        }
    }
    return bits & ((1u << count) - 1) ? -1 : at - data;
}

/* --- Taking a token apart --------------------------------------------------------------------- */

/* jansson calls itself for each level, and a handler's stack is small. */
static bool is_too_deep(const char *json, size_t length, size_t limit) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        if (in_string && json[i] == '\\')
            i++;
        else if (json[i] == '"')
            in_string = !in_string;
        else if (!in_string && (json[i] == '[' || json[i] == '{') && ++depth > limit)
            return true;
        else if (!in_string && (json[i] == ']' || json[i] == '}') && depth > 0)
            depth--;
    }
    return false;
}

/* One of the first two parts: an object in JSON. */
static int read_object(json_t **object, const char *text, size_t length, size_t depth) {
    unsigned char *json = malloc(length + 1);
    *object = NULL;
    if (!json)
        return UV_ENOMEM;
    ssize_t n = jwt_base64url_decode(json, text, length);
    if (n > 0 && !is_too_deep((char *)json, (size_t)n, depth))
        *object = json_loadb((char *)json, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    free(json);
    return json_is_object(*object) ? 0 : JWT_REFUSED;
}

static int read_signature(struct jwt_parts *parts, const char *text, const char **reason) {
    size_t length = strlen(text);
    ssize_t n = -1;
    for (size_t i = 0; i < length; i++)
        if (base64url_digit(text[i]) < 0)
            return JWT_REFUSED;
    *reason = "invalid signature";
    if (length <= JWT_SIGNATURE_SIZE / 3 * 4)
        n = jwt_base64url_decode(parts->signature, text, length);
    parts->signature_size = n < 0 ? 0 : (size_t)n;
    return n < 0 ? JWT_REFUSED : 0;
}

int jwt_parts_read(struct jwt_parts *parts, const char *token, const jwt_checks_t *checks,
                   const char **reason) {
    size_t depth = checks->depth ? checks->depth : JWT_DEPTH;
    depth = depth < JWT_DEPTH_MAX ? depth : JWT_DEPTH_MAX;
    parts->text = token;
    parts->header = parts->claims = NULL;
    *reason = "jwt too long";
    if (strlen(token) > (checks->token_size ? checks->token_size : JWT_TOKEN_SIZE))
        return JWT_REFUSED;
    const char *dot = strchr(token, '.'), *second = dot ? strchr(dot + 1, '.') : NULL;
    *reason = "jwt malformed";
    if (!second || strchr(second + 1, '.'))
        return JWT_REFUSED;
    parts->length = (size_t)(second - token);
    *reason = "invalid token";
    int err = read_object(&parts->header, token, (size_t)(dot - token), depth);
    if (!err)
        err = read_object(&parts->claims, dot + 1, (size_t)(second - dot - 1), depth);
    return err ? err : read_signature(parts, second + 1, reason);
}

void jwt_parts_free(struct jwt_parts *parts) {
    json_decref(parts->header);
    json_decref(parts->claims);
}

/* --- Its signature ---------------------------------------------------------------------------- */

static bool has_algorithm_of(const struct jwt_parts *parts, const jwt_key_t *key) {
    const char *algorithm = json_string_value(json_object_get(parts->header, "alg"));
    return algorithm && strcmp(algorithm, jwt_key_algorithm(key)) == 0;
}

const char *jwt_parts_verify(const struct jwt_parts *parts, const jwt_key_t *key) {
    if (parts->signature_size == 0)
        return "jwt signature is required";
    if (!has_algorithm_of(parts, key))
        return "invalid algorithm";
    if (json_object_get(parts->header, "crit"))
        return "unknown critical header"; /* RFC 7515 4.1.11: we know none */
    return jwt_key_verify(key, parts->text, parts->length, parts->signature, parts->signature_size)
               ? NULL
               : "invalid signature";
}

/* A token that names its key means that one; one that doesn't, or a key without a name, any. */
static bool has_id_of(const struct jwt_parts *parts, const jwt_key_t *key) {
    const char *id = json_string_value(json_object_get(parts->header, "kid"));
    return !id || !jwt_key_id(key) || strcmp(id, jwt_key_id(key)) == 0;
}

const char *jwt_parts_verify_any(const struct jwt_parts *parts, const jwt_key_t *const *keys) {
    const char *reason =
        parts->signature_size == 0 ? "jwt signature is required" : "invalid algorithm";
    for (; *keys; keys++) {
        if (!has_algorithm_of(parts, *keys))
            continue;
        reason = has_id_of(parts, *keys) ? jwt_parts_verify(parts, *keys) : "invalid signature";
        if (!reason)
            return NULL;
    }
    return reason;
}

/* --- Its claims ------------------------------------------------------------------------------- */

static bool refuse(char *reason, const char *format, ...) ACACIA_PRINTF(2, 3);

static bool refuse(char *reason, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reason, JWT_REASON_SIZE, format, args);
    va_end(args);
    return false;
}

static bool refuse_list(char *reason, const char *text, const char *const *list,
                        const char *between) {
    size_t length = (size_t)snprintf(reason, JWT_REASON_SIZE, "%s", text);
    for (size_t i = 0; list[i] && length < JWT_REASON_SIZE; i++)
        length += (size_t)snprintf(reason + length, JWT_REASON_SIZE - length, "%s%s",
                                   i ? between : "", list[i]);
    return false;
}

static bool is_in_list(const json_t *claim, const char *const *list) {
    const char *value = json_string_value(claim);
    for (; value && *list; list++)
        if (strcmp(*list, value) == 0)
            return true;
    return false;
}

static bool is_for(const json_t *audience, const char *const *list) {
    if (!json_is_array(audience))
        return is_in_list(audience, list);
    for (size_t i = 0; i < json_array_size(audience); i++)
        if (is_in_list(json_array_get(audience, i), list))
            return true;
    return false;
}

static bool check_times(const json_t *claims, const jwt_checks_t *checks, double now,
                        char *reason) {
    const json_t *not_before = json_object_get(claims, "nbf");
    const json_t *expires = json_object_get(claims, "exp");
    double tolerance = (double)checks->clock_tolerance;
    if (not_before && !checks->ignore_not_before) {
        if (!json_is_number(not_before))
            return refuse(reason, "invalid nbf value");
        if (json_number_value(not_before) > now + tolerance)
            return refuse(reason, "jwt not active");
    }
    if (expires && !checks->ignore_expiration) {
        if (!json_is_number(expires))
            return refuse(reason, "invalid exp value");
        if (now >= json_number_value(expires) + tolerance)
            return refuse(reason, "jwt expired");
    }
    return true;
}

static bool check_age(const json_t *claims, const jwt_checks_t *checks, double now, char *reason) {
    const json_t *issued = json_object_get(claims, "iat");
    double limit = (double)checks->max_age + (double)checks->clock_tolerance;
    if (!checks->max_age)
        return true;
    if (!json_is_number(issued))
        return refuse(reason, "iat required when maxAge is specified");
    return now < json_number_value(issued) + limit || refuse(reason, "maxAge exceeded");
}

/* A claim that is one string. */
static bool check_text(const json_t *claims, const char *name, const char *what,
                       const char *expected, char *reason) {
    const char *value = json_string_value(json_object_get(claims, name));
    if (!expected || (value && strcmp(value, expected) == 0))
        return true;
    return refuse(reason, "jwt %s invalid. expected: %s", what, expected);
}

bool jwt_claims_check(const json_t *claims, const jwt_checks_t *checks,
                      char reason[JWT_REASON_SIZE]) {
    double now = (double)(checks->now ? checks->now() : (int64_t)time(NULL));
    if (!check_times(claims, checks, now, reason))
        return false;
    if (checks->audiences && !is_for(json_object_get(claims, "aud"), checks->audiences))
        return refuse_list(reason, "jwt audience invalid. expected: ", checks->audiences, " or ");
    if (checks->issuers && !is_in_list(json_object_get(claims, "iss"), checks->issuers))
        return refuse_list(reason, "jwt issuer invalid. expected: ", checks->issuers, ",");
    return check_text(claims, "sub", "subject", checks->subject, reason) &&
           check_text(claims, "jti", "jwtid", checks->id, reason) &&
           check_text(claims, "nonce", "nonce", checks->nonce, reason) &&
           check_age(claims, checks, now, reason);
}

int jwt_verify(const jwt_key_t *const *keys, const char *token, const jwt_checks_t *checks,
               json_t **claims, char reason[JWT_REASON_SIZE]) {
    static const jwt_checks_t defaults;
    struct jwt_parts parts;
    char ignored[JWT_REASON_SIZE];
    const char *wrong;
    checks = checks ? checks : &defaults;
    reason = reason ? reason : ignored;
    *claims = NULL;
    int err = jwt_parts_read(&parts, token, checks, &wrong);
    if (!err && (wrong = jwt_parts_verify_any(&parts, keys)))
        err = JWT_REFUSED;
    if (err == JWT_REFUSED)
        refuse(reason, "%s", wrong);
    else if (!err && !jwt_claims_check(parts.claims, checks, reason))
        err = JWT_REFUSED;
    if (!err)
        *claims = json_incref(parts.claims);
    jwt_parts_free(&parts);
    return err == JWT_REFUSED ? UV_EACCES : err;
}

/* --- Making one ------------------------------------------------------------------------------- */

/* Returns 0; UV_EINVAL if it is there already, or is no time; UV_ENOMEM. */
static int add_time(json_t *claims, const char *name, int64_t now, int64_t seconds) {
    int64_t time;
    if (json_object_get(claims, name) || __builtin_add_overflow(now, seconds, &time))
        return UV_EINVAL;
    return json_object_set_new(claims, name, json_integer(time)) ? UV_ENOMEM : 0;
}

#define TIME_MAX 9007199254740992 /* 2^53 seconds: beyond it a number in JSON is no whole one */

/* As jsonwebtoken does it: from "iat" on, if there is one. */
static int add_times(json_t *claims, const jwt_sign_options_t *options) {
    const json_t *issued = json_object_get(claims, "iat");
    int64_t now = options->now ? options->now() : (int64_t)time(NULL);
    int err = 0;
    if (!json_is_number(issued)) {
        err = options->no_timestamp ? 0 : add_time(claims, "iat", now, 0);
    } else if (options->not_before || options->expires_in) {
        double at = json_number_value(issued);
        if (at < -TIME_MAX || at > TIME_MAX)
            return UV_EINVAL;
        now = (int64_t)at;
    }
    if (!err && options->not_before)
        err = add_time(claims, "nbf", now, options->not_before);
    if (!err && options->expires_in)
        err = add_time(claims, "exp", now, options->expires_in);
    return err;
}

/* *token gets the first two parts, with space for the third; `*end` is where that begins. */
static int write_parts(char **token, char **end, const char *header, const char *claims) {
    size_t header_length = strlen(header), claims_length = strlen(claims);
    *token = malloc((header_length + claims_length + JWT_SIGNATURE_SIZE) / 3 * 4 + 16);
    if (!*token)
        return UV_ENOMEM;
    *end = jwt_base64url_encode(*token, (const unsigned char *)header, header_length);
    *(*end)++ = '.';
    *end = jwt_base64url_encode(*end, (const unsigned char *)claims, claims_length);
    return 0;
}

static int write_token(const jwt_key_t *key, const char *header, const char *claims, char **token) {
    unsigned char signature[JWT_SIGNATURE_SIZE];
    size_t size;
    char *end;
    int err = write_parts(token, &end, header, claims);
    if (!err)
        err = jwt_key_sign(key, *token, (size_t)(end - *token), signature, &size);
    if (err) {
        free(*token);
        *token = NULL;
        return err;
    }
    *end++ = '.';
    jwt_base64url_encode(end, signature, size);
    return 0;
}

static char *header_of(const jwt_key_t *key) {
    const char *id = jwt_key_id(key);
    json_t *header = json_pack("{s:s, s:s}", "alg", jwt_key_algorithm(key), "typ", "JWT");
    char *text = NULL;
    if (header && (!id || json_object_set_new(header, "kid", json_string(id)) == 0))
        text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static int sign(const jwt_key_t *key, json_t *claims, const jwt_sign_options_t *options,
                char **token) {
    int err = add_times(claims, options);
    if (err)
        return err;
    char *header = header_of(key), *text = json_dumps(claims, JSON_COMPACT);
    err = header && text ? write_token(key, header, text, token) : UV_ENOMEM;
    free(header);
    free(text);
    return err;
}

int jwt_sign(const jwt_key_t *key, json_t *claims, const jwt_sign_options_t *options,
             char **token) {
    static const jwt_sign_options_t defaults;
    int err = UV_EINVAL;
    *token = NULL;
    json_t *copy = json_is_object(claims) ? json_copy(claims) : NULL; /* others may have it, too */
    if (json_is_object(claims))
        err = copy ? sign(key, copy, options ? options : &defaults, token) : UV_ENOMEM;
    json_decref(copy);
    json_decref(claims);
    return err;
}

#endif
