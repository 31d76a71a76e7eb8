#include "context/query.h"

#include "context/percent.h"
#include "runtime/arena.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* "name=value" as it came. */
struct part {
    const char *name, *value;
    size_t name_length, value_length;
};

static void split(struct part *part, const char *start, const char *end) {
    const char *equals = memchr(start, '=', (size_t)(end - start));
    part->name = start;
    part->name_length = (size_t)((equals ? equals : end) - start);
    part->value = equals ? equals + 1 : end;
    part->value_length = (size_t)(end - part->value);
}

/* The next part that is not empty. False, and no change, after the last one. */
static bool next_part(struct part *part, const char **at, const char *end) {
    while (*at < end && **at == '&')
        ++*at;
    if (*at == end)
        return false;
    const char *start = *at;
    const char *ampersand = memchr(start, '&', (size_t)(end - start));
    *at = ampersand ? ampersand : end;
    split(part, start, *at);
    return true;
}

/* Decode to *to, which moves behind the result and its NUL. */
static const char *decode(char **to, const char *from, size_t n) {
    char *string = *to;
    size_t length = percent_decode_form(string, from, n);
    string[length] = '\0';
    *to = string + length + 1;
    return string;
}

/* Count first: one block for all pairs and one for all strings, however many there are. */
int query_parse(struct query *query, struct arena *arena, const char *string, size_t n) {
    const char *end = string + n;
    struct part part;
    size_t count = 0, size = 0;
    *query = (struct query){0};
    for (const char *at = string; next_part(&part, &at, end); count++) {
        size += percent_decode_form(NULL, part.name, part.name_length) + 1;
        size += percent_decode_form(NULL, part.value, part.value_length) + 1;
    }
    if (count == 0)
        return 0;
    form_pair_t *pairs = arena_alloc(arena, count * sizeof *pairs);
    char *text = arena_alloc(arena, size);
    if (!pairs || !text)
        return -ENOMEM;
    for (const char *at = string; next_part(&part, &at, end); query->count++) {
        pairs[query->count].name = decode(&text, part.name, part.name_length);
        pairs[query->count].value = decode(&text, part.value, part.value_length);
    }
    query->pairs = pairs;
    return 0;
}

static char *put_encoded(char *to, const char *from) {
    static const char plain[] =
        "*-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char hex[] = "0123456789ABCDEF";
    for (; *from; from++) {
        unsigned char byte = (unsigned char)*from;
        if (strchr(plain, byte)) {
            *to++ = (char)byte;
        } else if (byte == ' ') {
            *to++ = '+';
        } else {
            *to++ = '%';
            *to++ = hex[byte >> 4];
            *to++ = hex[byte & 15];
        }
    }
    return to;
}

char *query_format(struct arena *arena, const char *const *pairs) {
    size_t size = 1;
    for (const char *const *pair = pairs; *pair; pair += 2)
        size += 3 * (strlen(pair[0]) + strlen(pair[1])) + 2;
    char *string = arena_alloc(arena, size), *to = string;
    if (!string)
        return NULL;
    for (const char *const *pair = pairs; *pair; pair += 2) {
        if (to > string)
            *to++ = '&';
        to = put_encoded(to, pair[0]);
        *to++ = '=';
        to = put_encoded(to, pair[1]);
    }
    *to = '\0';
    return string;
}
