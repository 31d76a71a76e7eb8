#include "protocols/exchange.h"

#include <string.h>
#include <strings.h>

struct header *headers_search(const struct headers *headers, const char *name, size_t length) {
    struct header *end = headers->list + headers->count;
    for (struct header *header = headers->list; header < end; header++)
        if (header->name_length == length && (header->name[0] | 0x20) == (name[0] | 0x20) &&
            strncasecmp(header->name, name, length) == 0)
            return header;
    return NULL;
}

bool headers_at(const struct headers *headers, size_t index, const char **name,
                const char **value) {
    if (index >= headers->count)
        return false;
    *name = headers->list[index].name;
    *value = headers->list[index].value;
    return true;
}

int headers_grow(struct headers *headers, struct arena *arena) {
    uint32_t capacity = headers->capacity ? headers->capacity * 2 : 16;
    struct header *list =
        arena_resize(arena, headers->list, headers->count * sizeof *list, capacity * sizeof *list);
    if (!list)
        return UV_ENOMEM;
    headers->list = list;
    headers->capacity = capacity;
    return 0;
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
