#include "context/crowd.h"

#include "context/name_hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct crowd_entry {
    struct crowd_entry *next; /* in its bucket */
    size_t count;
    uint32_t hash;
    char address[];
};

struct crowd {
    struct crowd_entry **buckets;
    size_t size, used; /* size is a power of two */
};

struct crowd *crowd_new(void) {
    return calloc(1, sizeof(struct crowd));
}

void crowd_free(struct crowd *crowd) {
    if (!crowd)
        return;
    for (size_t i = 0; i < crowd->size; i++)
        for (struct crowd_entry *entry = crowd->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    free(crowd->buckets);
    free(crowd);
}

static bool grow(struct crowd *crowd) {
    size_t size = crowd->size ? 2 * crowd->size : 64;
    struct crowd_entry **buckets = calloc(size, sizeof(struct crowd_entry *));
    if (!buckets)
        return crowd->size > 0; /* a crowded table will do, too */
    for (size_t i = 0; i < crowd->size; i++)
        for (struct crowd_entry *entry = crowd->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & (size - 1)];
            buckets[entry->hash & (size - 1)] = entry;
        }
    free(crowd->buckets);
    crowd->buckets = buckets;
    crowd->size = size;
    return true;
}

struct crowd_entry *crowd_enter(struct crowd *crowd, const char *address) {
    uint32_t hash = name_hash(address);
    if (crowd->used >= crowd->size && !grow(crowd))
        return NULL;
    struct crowd_entry **bucket = &crowd->buckets[hash & (crowd->size - 1)];
    for (struct crowd_entry *entry = *bucket; entry; entry = entry->next)
        if (entry->hash == hash && strcmp(entry->address, address) == 0) {
            entry->count++;
            return entry;
        }
    size_t length = strlen(address) + 1;
    struct crowd_entry *entry = malloc(sizeof *entry + length);
    if (!entry)
        return NULL;
    *entry = (struct crowd_entry){.next = *bucket, .count = 1, .hash = hash};
    memcpy(entry->address, address, length);
    *bucket = entry;
    crowd->used++;
    return entry;
}

size_t crowd_count(const struct crowd_entry *entry) {
    return entry->count;
}

void crowd_leave(struct crowd *crowd, struct crowd_entry *entry) {
    if (!entry || --entry->count > 0)
        return;
    struct crowd_entry **at = &crowd->buckets[entry->hash & (crowd->size - 1)];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    crowd->used--;
    free(entry);
}
