#include "runtime/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if ARENA_POISONED
#include <sanitizer/asan_interface.h>
#define POISON(start, end) ASAN_POISON_MEMORY_REGION((start), (size_t)((end) - (start)))
#define UNPOISON(start, size) ASAN_UNPOISON_MEMORY_REGION((start), (size))
#else
#define POISON(start, end) ((void)(start), (void)(end))
#define UNPOISON(start, size) ((void)(start), (void)(size))
#endif

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of the whole chunk, this header included */
};

#define HEADER arena_round(sizeof(struct arena_chunk))

void arena_pool_init(struct arena_pool *pool, size_t idle_limit) {
    *pool = (struct arena_pool){.idle_limit = idle_limit};
}

void arena_pool_destroy(struct arena_pool *pool) {
    while (pool->idle) {
        struct arena_chunk *chunk = pool->idle;
        pool->idle = chunk->next;
        free(chunk);
    }
    pool->idle_count = 0;
}

static struct arena_chunk *chunk_take(struct arena_pool *pool, size_t size) {
    if (pool && pool->idle && size == ARENA_CHUNK) {
        struct arena_chunk *chunk = pool->idle;
        pool->idle = chunk->next;
        pool->idle_count--;
        return chunk;
    }
    struct arena_chunk *chunk = malloc(size);
    if (chunk)
        chunk->size = size;
    return chunk;
}

static void chunk_give(struct arena_pool *pool, struct arena_chunk *chunk) {
    UNPOISON(chunk, chunk->size);
    if (!ARENA_POISONED && pool && chunk->size == ARENA_CHUNK &&
        pool->idle_count < pool->idle_limit) {
        chunk->next = pool->idle;
        pool->idle = chunk;
        pool->idle_count++;
    } else {
        free(chunk);
    }
}

void arena_init(struct arena *arena, struct arena_pool *pool) {
    *arena = (struct arena){.pool = pool};
}

void arena_release(struct arena *arena) {
    struct arena_chunk *chunk = arena->chunks;
    struct arena_pool *pool = arena->pool;
    arena_init(arena, pool); /* first, since the arena itself may lie in one of the chunks */
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        chunk_give(pool, chunk);
        chunk = next;
    }
}

/* A chunk that holds at least `size` bytes becomes the newest, unless it is a big one for this
 * block alone while the newest still has more room to offer. */
static void *alloc_from_new_chunk(struct arena *arena, size_t size) {
    if (size > SIZE_MAX - HEADER - 16)
        return NULL;
    size_t ordinary = arena->pool ? ARENA_CHUNK : ARENA_SMALL;
    size_t whole = HEADER + size > ordinary ? HEADER + size : ordinary;
    struct arena_chunk *chunk = chunk_take(arena->pool, whole);
    if (!chunk)
        return NULL;
    char *start = (char *)chunk + HEADER;
    char *end = (char *)chunk + whole;
    if (arena->chunks && end - (start + size) < arena->end - arena->at) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
        return start;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->at = start + size;
    arena->end = end;
    POISON(arena->at, arena->end);
    return start;
}

bool arena_reserve(struct arena *arena, size_t size) {
    struct arena_chunk *chunk = size < SIZE_MAX / 2 ? malloc(HEADER + arena_round(size)) : NULL;
    if (!chunk)
        return false;
    chunk->size = HEADER + arena_round(size);
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->at = (char *)chunk + HEADER;
    arena->end = (char *)chunk + chunk->size;
    POISON(arena->at, arena->end);
    return true;
}

/* Not inlined, so that arena_alloc is. */
__attribute__((noinline)) void *arena_alloc_more(struct arena *arena, size_t size) {
    if (size > SIZE_MAX - 16)
        return NULL;
    size = arena_round(size ? size : 1);
    if (size > (size_t)(arena->end - arena->at))
        return alloc_from_new_chunk(arena, size);
    char *block = arena->at;
    arena->at += size;
    UNPOISON(block, size);
    return block;
}

char *arena_copy(struct arena *arena, const char *data, size_t length) {
    if (length == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(arena, length + 1);
    if (!copy)
        return NULL;
    if (length)
        memcpy(copy, data, length);
    copy[length] = '\0';
    return copy;
}

char *arena_vprintf(struct arena *arena, size_t *length, const char *format, va_list args) {
    char small[256];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    char *text = NULL;
    if (n >= 0 && (size_t)n < sizeof small) {
        text = arena_copy(arena, small, (size_t)n);
    } else if (n >= 0) {
        text = arena_alloc(arena, (size_t)n + 1);
        if (text)
            vsnprintf(text, (size_t)n + 1, format, again);
    }
    va_end(again);
    if (text && length)
        *length = (size_t)n;
    return text;
}

void *arena_resize(struct arena *arena, void *data, size_t size, size_t new_size) {
    if (new_size > SIZE_MAX - 16)
        return NULL;
    char *block = data;
    size_t old = arena_round(size ? size : 1), wanted = arena_round(new_size ? new_size : 1);
    if (block && block + old == arena->at && wanted <= (size_t)(arena->end - block)) {
        arena->at = block + wanted;
        UNPOISON(block, wanted);
        POISON(arena->at, arena->end);
        return block;
    }
    void *copy = arena_alloc(arena, new_size);
    if (copy && block)
        memcpy(copy, block, size < new_size ? size : new_size);
    return copy;
}
