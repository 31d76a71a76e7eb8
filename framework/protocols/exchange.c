#include "protocols/exchange.h"

#include <string.h>
#include <strings.h>

static bool has_name(const struct header *header, const char *name, size_t length) {
    return header->name_length == length && (header->name[0] | 0x20) == (name[0] | 0x20) &&
           strncasecmp(header->name, name, length) == 0;
}

struct header *headers_find(const struct headers *headers, const char *name, size_t length) {
    if (!(headers->seen & header_bit(name, length)))
        return NULL;
    for (struct header *header = headers->list; header < headers->list + headers->count; header++)
        if (has_name(header, name, length))
            return header;
    return NULL;
}

bool headers_next(const struct headers *headers, struct header_walk *walk) {
    if (walk->index == headers->count)
        return false;
    if (headers->capacity != HEADERS_PACKED) {
        walk->header = headers->list[walk->index++];
        return true;
    }
    const struct header *former = &walk->header;
    const char *name = walk->index++ ? former->value + former->value_length + 1 : headers->packed;
    size_t length = strlen(name);
    const char *value = name + length + 1;
    walk->header = (struct header){name, value, (uint32_t)length, (uint32_t)strlen(value)};
    return true;
}

const char *headers_search(const struct headers *headers, const char *name, size_t length) {
    struct header_walk walk = {0};
    while (headers_next(headers, &walk))
        if (has_name(&walk.header, name, length))
            return walk.header.value;
    return NULL;
}

bool headers_at(const struct headers *headers, size_t index, const char **name,
                const char **value) {
    struct header_walk walk = {0};
    if (index >= headers->count)
        return false;
    if (headers->capacity != HEADERS_PACKED)
        walk.index = (uint32_t)index;
    while (headers_next(headers, &walk) && walk.index <= index)
        continue;
    *name = walk.header.name;
    *value = walk.header.value;
    return true;
}

int headers_grow(struct headers *headers, struct arena *arena) {
    size_t capacity = headers->capacity ? headers->capacity * 2u : 16;
    size_t size = headers->count * sizeof *headers->list, wanted = capacity * sizeof *headers->list;
    if (capacity > HEADERS_MAX)
        return UV_ENOMEM;
    struct header *list =
        size ? arena_resize(arena, headers->list, size, wanted) : arena_alloc(arena, wanted);
    if (!list)
        return UV_ENOMEM;
    headers->list = list;
    headers->capacity = (uint16_t)capacity;
    return 0;
}

/* Copy a string to *at, and move that behind its NUL. */
static const char *copy_text(char **at, const char *text, size_t length) {
    char *copy = memcpy(*at, text, length + 1);
    *at += length + 1;
    return copy;
}

struct exchange *exchange_copy(const struct exchange *from, size_t reserve) {
    struct arena arena;
    size_t url_length = strlen(from->url), text_size = url_length + 1;
    for (struct header_walk walk = {0}; headers_next(&from->headers, &walk);)
        text_size += walk.header.name_length + walk.header.value_length + 2;
    arena_init(&arena, NULL);
    if (!arena_reserve(&arena, arena_round(sizeof *from) + arena_round(text_size) + reserve))
        return NULL;
    struct exchange *copy = arena_alloc(&arena, sizeof *copy); /* there is room for all of it */
    char *text = arena_alloc(&arena, text_size);
    *copy = *from;
    copy->url = copy_text(&text, from->url, url_length);
    copy->headers.packed = text;
    copy->headers.capacity = HEADERS_PACKED;
    for (struct header_walk walk = {0}; headers_next(&from->headers, &walk);) {
        copy_text(&text, walk.header.name, walk.header.name_length);
        copy_text(&text, walk.header.value, walk.header.value_length);
    }
    copy->arena = arena;
    return copy;
}

bool header_has_token(const char *value, const char *token) {
    size_t length = strlen(token);
    while (value && *value) {
        value += strspn(value, " \t,");
        size_t n = strcspn(value, ",");
        size_t trimmed = n;
        while (trimmed > 0 && (value[trimmed - 1] == ' ' || value[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed == length && strncasecmp(value, token, length) == 0)
            return true;
        value += n;
    }
    return false;
}
