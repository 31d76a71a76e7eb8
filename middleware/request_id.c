#include "request_id.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define ID "acacia request_id" /* its name among the values of a ctx */
#define MAX_LENGTH 128

struct request_id {
    request_id_options_t options; /* with defaults filled in */
    char header[];
};

const char *request_id_of(const ctx_t *ctx) {
    return ctx_value(ctx, ID);
}

/* --- What is taken over ----------------------------------------------------------------------- */

/* Nothing that means something to a log, a shell, a page or a query. */
static bool is_sane(const char *id, size_t max_length) {
    size_t length = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789-_.:+/=@");
    return length > 0 && length <= max_length && id[length] == '\0';
}

/* --- What is made ----------------------------------------------------------------------------- */

#define UUID_LENGTH 36
#define ULID_LENGTH 26

/* Bytes that nobody can guess, fetched in advance, since that costs more than everything else. A
 * process that was forked must not go on with those of its parent. */
static bool take_random(void *to, size_t length) {
    static _Thread_local struct {
        unsigned char bytes[512];
        size_t left;
        pid_t pid;
    } random;
    if (random.left < length || random.pid != getpid()) {
        if (RAND_bytes(random.bytes, sizeof random.bytes) != 1)
            return false;
        random.left = sizeof random.bytes;
        random.pid = getpid();
    }
    random.left -= length;
    memcpy(to, random.bytes + random.left, length);
    return true;
}

static bool write_uuid(char *text) {
    unsigned char b[16];
    if (!take_random(b, sizeof b))
        return false;
    b[6] = (b[6] & 0x0f) | 0x40; /* version 4 */
    b[8] = (b[8] & 0x3f) | 0x80; /* the variant of the RFC */
    for (size_t i = 0; i < sizeof b; i++) {
        static const char digits[] = "0123456789abcdef";
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = digits[b[i] >> 4];
        *text++ = digits[b[i] & 15];
    }
    *text = '\0';
    return true;
}

static uint64_t milliseconds_since_1970(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
}

/* `count` digits of Crockford's base 32, the last one first. */
static void write_base32(char *end, uint64_t number, int count) {
    while (count-- > 0) {
        *--end = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number & 31];
        number >>= 5;
    }
}

/* 48 bits of time, and 80 of chance, which are two times 40. */
static bool write_ulid(char *text) {
    uint64_t chance[2];
    if (!take_random(chance, sizeof chance))
        return false;
    write_base32(text + 10, milliseconds_since_1970(), 10);
    write_base32(text + 18, chance[0], 8);
    write_base32(text + 26, chance[1], 8);
    text[ULID_LENGTH] = '\0';
    return true;
}

static int make(ctx_t *ctx, const request_id_options_t *options, const char **id) {
    if (options->make) {
        *id = options->make(ctx);
        return !*id ? UV_ENOMEM : is_sane(*id, options->max_length) ? 0 : UV_EINVAL;
    }
    char *text = ctx_alloc(ctx, UUID_LENGTH + 1);
    *id = text;
    if (!text)
        return UV_ENOMEM;
    bool is_made = options->kind == REQUEST_ID_ULID ? write_ulid(text) : write_uuid(text);
    return is_made ? 0 : UV_EIO;
}

/* --- The middleware --------------------------------------------------------------------------- */

static int find(ctx_t *ctx, const request_id_options_t *options, const char **id) {
    *id = options->no_incoming ? "" : ctx_get(ctx, options->header);
    return is_sane(*id, options->max_length) ? 0 : make(ctx, options, id);
}

static int run(ctx_t *ctx, void *state) {
    const request_id_options_t *options = &((const struct request_id *)state)->options;
    const char *id;
    int err = find(ctx, options, &id);
    if (!err)
        err = ctx_set_value(ctx, ID, (void *)id, NULL);
    if (!err && !options->no_outgoing)
        err = ctx_set(ctx, options->header, id);
    if (err)
        return err;
    err = next(ctx);
    if (err < 0 && !options->no_outgoing)
        ctx_throw_header(ctx, options->header, id); /* an error starts without headers */
    return err;
}

static bool is_header(const char *name) {
    return *name && !strpbrk(name, " \t\r\n\"(),/:;<=>?@[\\]{}");
}

middleware_t request_id(const request_id_options_t *options) {
    const char *header = options && options->header ? options->header : "X-Request-Id";
    if (!is_header(header))
        return (middleware_t){.name = "request_id", .error = "header must be the name of one"};
    struct request_id *state = calloc(1, sizeof *state + strlen(header) + 1);
    if (!state)
        return (middleware_t){.name = "request_id", .error = "out of memory"};
    if (options)
        state->options = *options;
    state->options.header = strcpy(state->header, header);
    if (!state->options.max_length)
        state->options.max_length = MAX_LENGTH;
    return (middleware_t){run, state, free, "request_id", NULL};
}
