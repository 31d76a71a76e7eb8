#include "context/value.h"

#include "runtime/arena.h"

#include <string.h>
#include <uv.h>

static struct value *find(const struct value *list, const char *name) {
    while (list && strcmp(list->name, name) != 0)
        list = list->next;
    return (struct value *)list;
}

static void destroy(struct value *entry) {
    void *value = entry->value;
    entry->value = NULL;
    if (value && entry->destroy)
        entry->destroy(value);
}

static struct value *add(struct value **list, struct arena *arena, const char *name) {
    struct value *entry = arena_zalloc(arena, sizeof *entry);
    if (!entry || !(entry->name = arena_copy(arena, name, strlen(name))))
        return NULL;
    entry->next = *list;
    return *list = entry;
}

int value_set(struct value **list, struct arena *arena, const char *name, void *value,
              void (*destroy_value)(void *value)) {
    struct value *entry = find(*list, name);
    if (!entry && !value)
        return 0;
    if (!entry && !(entry = add(list, arena, name))) {
        if (destroy_value)
            destroy_value(value);
        return UV_ENOMEM;
    }
    if (entry->value != value)
        destroy(entry);
    entry->value = value;
    entry->destroy = destroy_value;
    return 0;
}

void *value_get(const struct value *list, const char *name) {
    const struct value *entry = find(list, name);
    return entry ? entry->value : NULL;
}

void value_destroy_all(struct value **list) {
    for (struct value *entry = *list; entry; entry = entry->next)
        destroy(entry);
    *list = NULL;
}
