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
    size_t size = headers->count * sizeof *headers->list, wanted = capacity * sizeof *headers->list;
    struct header *list =
        size ? arena_resize(arena, headers->list, size, wanted) : arena_alloc(arena, wanted);
    if (!list)
        return UV_ENOMEM;
    headers->list = list;
    headers->capacity = capacity;
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
    const struct headers *headers = &from->headers;
    size_t url_length = strlen(from->url), text_size = url_length + 1;
    size_t list_size = headers->count * sizeof *headers->list;
    for (size_t i = 0; i < headers->count; i++)
        text_size += headers->list[i].name_length + headers->list[i].value_length + 2;
    arena_init(&arena, NULL);
    if (!arena_reserve(&arena, arena_round(sizeof *from) + arena_round(list_size) +
                                   arena_round(text_size) + reserve))
        return NULL;
    struct exchange *copy = arena_alloc(&arena, sizeof *copy); /* there is room for all of it */
    struct header *list = arena_alloc(&arena, list_size);
    char *text = arena_alloc(&arena, text_size);
    *copy = *from;
    copy->url = copy_text(&text, from->url, url_length);
    copy->headers.list = list;
    copy->headers.capacity = headers->count;
    for (size_t i = 0; i < headers->count; i++) {
        list[i] = headers->list[i];
        list[i].name = copy_text(&text, list[i].name, list[i].name_length);
        list[i].value = copy_text(&text, list[i].value, list[i].value_length);
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
