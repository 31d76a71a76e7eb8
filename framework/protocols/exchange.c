#include "protocols/exchange.h"

#include <string.h>
#include <strings.h>

const char *headers_get(const struct headers *headers, const char *name) {
    size_t length = strlen(name);
    for (uint32_t i = 0; i < headers->count; i++)
        if (headers->list[i].name_length == length &&
            strncasecmp(headers->list[i].name, name, length) == 0)
            return headers->list[i].value;
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

int headers_add(struct headers *headers, struct arena *arena, const char *name, size_t name_length,
                const char *value, size_t value_length) {
    if (headers->count == headers->capacity) {
        uint32_t capacity = headers->capacity ? headers->capacity * 2 : 16;
        struct header *list = arena_resize(arena, headers->list, headers->count * sizeof *list,
                                           capacity * sizeof *list);
        if (!list)
            return UV_ENOMEM;
        headers->list = list;
        headers->capacity = capacity;
    }
    headers->list[headers->count++] = (struct header){
        .name = name,
        .value = value,
        .name_length = (uint32_t)name_length,
        .value_length = (uint32_t)value_length,
    };
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
