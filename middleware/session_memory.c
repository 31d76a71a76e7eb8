/* Sessions in memory: a tree to find them by their keys, a list in the order of their use. */
#include "session_memory.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#define ONE_DAY INT64_C(86400000)

struct kept {
    const char *key;            /* behind the text */
    struct kept *newer, *older; /* in the list */
    uint64_t expires;           /* milliseconds of uv_hrtime */
    size_t size;
    char text[];
};

struct session_memory {
    session_memory_options_t options;
    void *tree; /* of tsearch(3) */
    struct kept *newest, *oldest;
    size_t count, size;
};

static uint64_t now_ms(void) {
    return uv_hrtime() / 1000000;
}

static int compare(const void *a, const void *b) {
    const struct kept *one = a, *other = b;
    return strcmp(one->key, other->key);
}

/* --- The list --------------------------------------------------------------------------------- */

static void unlink_kept(struct session_memory *memory, struct kept *kept) {
    *(kept->newer ? &kept->newer->older : &memory->newest) = kept->older;
    *(kept->older ? &kept->older->newer : &memory->oldest) = kept->newer;
}

static void put_first(struct session_memory *memory, struct kept *kept) {
    kept->newer = NULL;
    kept->older = memory->newest;
    *(kept->older ? &kept->older->newer : &memory->oldest) = kept;
    memory->newest = kept;
}

/* --- Entries ---------------------------------------------------------------------------------- */

static void drop(struct session_memory *memory, struct kept *kept) {
    tdelete(kept, &memory->tree, compare);
    unlink_kept(memory, kept);
    memory->count--;
    memory->size -= kept->size;
    free(kept);
}

/* Where the tree has the one of this key, if it is not out of date; or NULL. */
static struct kept **find(struct session_memory *memory, const char *key) {
    struct kept wanted = {.key = key}, **found = tfind(&wanted, &memory->tree, compare);
    if (!found || (*found)->expires > now_ms())
        return found;
    drop(memory, *found);
    return NULL;
}

/* Nobody asks for these any more: two go for each one that comes. One behind others that are good
 * for longer goes by the limits. */
static void drop_outdated(struct session_memory *memory) {
    for (int i = 0; i < 2 && memory->oldest && memory->oldest->expires <= now_ms(); i++)
        drop(memory, memory->oldest);
}

static struct kept *new_kept(const char *key, const char *text, uint64_t expires) {
    size_t text_size = strlen(text) + 1, key_size = strlen(key) + 1;
    size_t size = sizeof(struct kept) + text_size + key_size;
    struct kept *kept = malloc(size);
    if (!kept)
        return NULL;
    memcpy(kept->text, text, text_size);
    memcpy(kept->text + text_size, key, key_size);
    kept->key = kept->text + text_size;
    kept->expires = expires;
    kept->size = size;
    return kept;
}

static void count(struct session_memory *memory, struct kept *kept) {
    put_first(memory, kept);
    memory->count++;
    memory->size += kept->size;
    while (memory->count > memory->options.sessions || memory->size > memory->options.size)
        drop(memory, memory->oldest);
}

/* Into the place of another one of this key. */
static void replace(struct session_memory *memory, struct kept **place, struct kept *kept) {
    struct kept *before = *place;
    unlink_kept(memory, before);
    memory->count--;
    memory->size -= before->size;
    *place = kept;
    free(before);
    count(memory, kept);
}

static int add(struct session_memory *memory, struct kept *kept) {
    if (!tsearch(kept, &memory->tree, compare)) {
        free(kept);
        return UV_ENOMEM;
    }
    count(memory, kept);
    return 0;
}

/* --- As a store ------------------------------------------------------------------------------- */

static int get(ctx_t *ctx, void *state, const char *key, char **text) {
    struct session_memory *memory = state;
    struct kept **found = find(memory, key);
    if (!found)
        return 0;
    unlink_kept(memory, *found);
    put_first(memory, *found);
    *text = strdup((*found)->text);
    return *text ? 0 : UV_ENOMEM;
}

static int set(ctx_t *ctx, void *state, const char *key, const char *text,
               const session_write_t *how) {
    struct session_memory *memory = state;
    int64_t max_age = how->max_age == SESSION_COOKIE ? memory->options.max_age : how->max_age;
    drop_outdated(memory);
    struct kept **before = find(memory, key);
    if (how->update && !before)
        return 1;
    struct kept *kept = new_kept(key, text, now_ms() + (uint64_t)max_age);
    if (!kept)
        return UV_ENOMEM;
    if (kept->size > memory->options.size) {
        free(kept);
        return UV_ENOSPC;
    }
    if (!before)
        return add(memory, kept);
    replace(memory, before, kept);
    return 0;
}

static int destroy(ctx_t *ctx, void *state, const char *key) {
    session_memory_forget(state, key);
    return 0;
}

session_store_t session_memory_store(session_memory_t *memory) {
    if (!memory)
        return (session_store_t){.get = get}; /* which is no whole store */
    return (session_store_t){.get = get, .set = set, .destroy = destroy, .state = memory};
}

/* --- Its life --------------------------------------------------------------------------------- */

session_memory_t *session_memory_new(const session_memory_options_t *options) {
    struct session_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return NULL;
    if (options)
        memory->options = *options;
    session_memory_options_t *o = &memory->options;
    o->sessions = o->sessions ? o->sessions : 10000;
    o->size = o->size ? o->size : 64 * 1024 * 1024;
    o->max_age = o->max_age > 0 ? o->max_age : ONE_DAY;
    return memory;
}

size_t session_memory_count(const session_memory_t *memory) {
    return memory->count;
}

void session_memory_forget(session_memory_t *memory, const char *key) {
    struct kept **found = find(memory, key);
    if (found)
        drop(memory, *found);
}

void session_memory_free(void *arg) {
    struct session_memory *memory = arg;
    while (memory && memory->oldest)
        drop(memory, memory->oldest);
    free(memory);
}
