/* Content-Type: the first line of the input is its value, further lines are types to compare. */
#include "context/media_type.h"
#include "runtime/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TYPES_MAX 6

static void check(bool holds) {
    if (!holds)
        abort();
}

/* --- The charset ------------------------------------------------------------------------------ */

static char *quote(const char *text) {
    char *quoted = malloc(2 * strlen(text) + 3), *to = quoted;
    *to++ = '"';
    for (; *text; text++) {
        *to++ = '\\';
        *to++ = *text;
    }
    memcpy(to, "\"", 2);
    return quoted;
}

static void check_charset(struct arena *arena, const char *before, const char *value,
                          const char *behind, const char *expected) {
    size_t size = strlen(before) + strlen(value) + strlen(behind) + 1;
    char *text = malloc(size);
    snprintf(text, size, "%s%s%s", before, value, behind);
    check(strcmp(media_type_charset(arena, text), expected) == 0);
    free(text);
}

/* Written in another way it is the same; other parameters don't change it, but what is malformed.
 */
static void fuzz_charset(struct arena *arena, const char *value) {
    const char *charset = media_type_charset(arena, value);
    check(strlen(charset) <= strlen(value));
    if (!*charset)
        return;
    char *quoted = quote(charset);
    check_charset(arena, "a/b; CHARSET = ", quoted, "", charset);
    check_charset(arena, "a/b; charset=x; charset=", quoted, "; x=\"; charset=y\"", charset);
    check_charset(arena, "", value, " ; x=y", charset);
    check_charset(arena, "", value, ";charset=xyz", "xyz");
    check_charset(arena, "", value, ";", "");
    check_charset(arena, "", value, "; charset", "");
    free(quoted);
}

/* --- The type --------------------------------------------------------------------------------- */

static const char *is(struct arena *arena, const char *value, const char *const *types) {
    const char *match;
    check(media_type_is(arena, value, types, &match) == 0);
    return match;
}

static const char *is_one(struct arena *arena, const char *value, const char *type) {
    return is(arena, value, (const char *[]){type, NULL});
}

/* Of well-formed values it is what stands there, in lower case. */
static const char *check_type(struct arena *arena, const char *value) {
    const char *type = is(arena, value, (const char *[]){NULL});
    check(!type == !is_one(arena, value, "*/*"));
    if (!type)
        return NULL;
    size_t length = strlen(type);
    const char *slash = strchr(type, '/');
    check(slash && slash > type && slash[1] && !strchr(slash + 1, '/'));
    check(strncasecmp(value + strspn(value, " \t\n\v\f\r"), type, length) == 0);
    check(!strpbrk(type, "ABCDEFGHIJKLMNOPQRSTUVWXYZ;,* \t\""));
    check(is_one(arena, value, type) == type && is_one(arena, type, type) == type);
    return type;
}

/* The first type that matches alone is that which matches. */
static void fuzz_type(struct arena *arena, const char *value, const char *const *types) {
    const char *type = check_type(arena, value);
    const char *match = types[0] ? is(arena, value, types) : NULL, *first = NULL;
    for (size_t i = 0; types[i] && !first; i++) {
        first = is_one(arena, value, types[i]);
        if (first && (*types[i] == '+' || strchr(types[i], '*')))
            check(strcmp(first, type) == 0);
        else
            check(!first || first == types[i]);
    }
    check(match && first ? strcmp(match, first) == 0 : match == first);
    check(type || !match);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *types[TYPES_MAX + 1] = {NULL};
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    char *at = text, *value = strsep(&at, "\n");
    for (size_t i = 0; i < TYPES_MAX && at; i++)
        types[i] = strsep(&at, "\n");
    struct arena arena;
    arena_init(&arena, NULL);
    fuzz_charset(&arena, value);
    fuzz_type(&arena, value, types);
    arena_release(&arena);
    free(text);
    return 0;
}
