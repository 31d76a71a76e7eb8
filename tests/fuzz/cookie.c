/*
 * Cookies that a client sends, and those that an app sets. Lines of the input: a byte of flags and
 * the name, the value, path, domain, priority, same_site, and the header Cookie.
 */
#include "context/cookie.h"
#include "context/keygrip.h"
#include "runtime/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME, VALUE, PATH, DOMAIN, PRIORITY, SAME_SITE, HEADER, FIELDS };

static void check(bool holds) {
    if (!holds)
        abort();
}

/* A string of its own, so that ASan sees an overrun. */
static char *join(const char *a, const char *b, const char *c) {
    size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = malloc(size);
    strcpy(text, a);
    strcat(text, b);
    return strcat(text, c);
}

/* What is found is a piece of the header, between its '=' and the next ';'. */
static void fuzz_get(const char *header, const char *name) {
    char *copy = join(header, "", "");
    size_t length;
    const char *value = cookie_get(copy, name, &length);
    if (value) {
        check(value > copy + strlen(name) && value + length <= copy + strlen(copy));
        check(!memchr(value, ';', length));
    }
    free(copy);
}

/* What was set is found again, without its quotes. */
static void check_found(const char *header, const char *name, const char *value) {
    size_t expected = strlen(value), length;
    if (*value == '"') {
        value++;
        expected = expected > 2 ? expected - 2 : 0;
    }
    const char *found = cookie_get(header, name, &length);
    check(found && length == expected && memcmp(found, value, length) == 0);
}

static void check_round_trip(const char *name, const char *value) {
    char *pair = join(name, "=", value);
    char *alone = join(pair, "", ""), *first = join(pair, "; ", pair),
         *last = join("\t; ", pair, "");
    check_found(alone, name, value);
    check_found(first, name, value);
    check_found(last, name, value);
    free(pair);
    free(alone);
    free(first);
    free(last);
}

/* No field can break out of its place: a ';' begins an attribute that is meant, and no other. */
static void check_line(const char *line, const struct cookie *cookie) {
    size_t expected = (cookie->path ? *cookie->path != '\0' : 1) + !cookie->script_access +
                      (cookie->domain && *cookie->domain) + cookie->secure + cookie->partitioned +
                      (cookie->priority && *cookie->priority) +
                      (cookie->same_site && *cookie->same_site) + !!strstr(line, "; expires=");
    size_t semicolons = 0;
    for (const char *at = line; *at; at++) {
        check(((unsigned char)*at >= ' ' && *at != '\x7F') || *at == '\t');
        semicolons += *at == ';';
    }
    check(semicolons == expected);
    check(strcspn(line, "=") == strlen(cookie->name));
    check(cookie_line_sets(line, cookie->name));
}

static void fuzz_write(const struct cookie *cookie, int64_t now) {
    struct arena arena;
    const char *error;
    arena_init(&arena, NULL);
    char *line = cookie_write(&arena, cookie, now, &error);
    check((line == NULL) == (error != NULL));
    if (line) {
        const char *value = cookie->value ? cookie->value : "";
        check_line(line, cookie);
        check(*value || strstr(line, "; expires=Thu, 01 Jan 1970 00:00:00 GMT"));
        check_round_trip(cookie->name, value);
    }
    arena_release(&arena);
}

/* What a key signs is signed by that key, and by no other, and no other text is. */
static void fuzz_sign(const char *data, const char *other) {
    static struct keygrip *new, *both;
    char signature[KEYGRIP_SIZE];
    size_t length = strlen(data);
    if (!new) {
        check(keygrip_new(&new, (const char *const[]){"new", NULL}) == 0);
        check(keygrip_new(&both, (const char *const[]){"newer", "new", NULL}) == 0);
    }
    check(keygrip_sign(new, signature, data, length) == 0);
    check(keygrip_index(new, signature, data, length) == 0);
    check(keygrip_index(both, signature, data, length) == 1);
    check(keygrip_index(new, other, data, length) == (strcmp(other, signature) ? -ENOENT : 0));
    if (strcmp(data, other) != 0)
        check(keygrip_index(new, signature, other, strlen(other)) == -ENOENT);
    signature[length % (KEYGRIP_SIZE - 1)] ^= 1;
    check(keygrip_index(both, signature, data, length) == -ENOENT);
}

/* None, one that is near, or one that no date can have. */
static int64_t some_time(unsigned flags) {
    static const int64_t times[] = {0, 1, -1, 999, -1000, 86400000, INT64_MAX, INT64_MIN};
    return times[flags % 8];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *fields[FIELDS] = {NULL};
    if (size < 2)
        return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    char *at = text;
    for (size_t i = 0; i < FIELDS && at; i++)
        fields[i] = strsep(&at, "\n");
    unsigned flags = data[0];
    struct cookie cookie = {
        .name = fields[NAME],
        .value = fields[VALUE],
        .path = fields[PATH],
        .domain = fields[DOMAIN],
        .priority = fields[PRIORITY],
        .same_site = fields[SAME_SITE],
        .max_age = some_time(flags >> 3),
        .expires = some_time(flags >> 4),
        .secure = flags & 1,
        .script_access = flags & 2,
        .partitioned = flags & 4,
        .expired = flags & 128,
    };
    fuzz_write(&cookie, flags & 64 ? INT64_C(1700000000000) : 0);
    fuzz_get(fields[HEADER] ? fields[HEADER] : "", fields[NAME]);
    fuzz_sign(fields[NAME], fields[VALUE] ? fields[VALUE] : "");
    free(text);
    return 0;
}
