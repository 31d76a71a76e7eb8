/*
 * The arena: memory that is taken piece by piece and given back at once. A request lives in one.
 *
 * Chunks of the ordinary size come from a pool of the loop, so that a request that needs no more
 * than one makes no call to malloc. Under AddressSanitizer nothing is pooled and what is not handed
 * out is poisoned, so that a use after the request is found.
 */
#ifndef ACACIA_ARENA_H
#define ACACIA_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define ARENA_POISONED 1
#endif
#endif
#if !defined ARENA_POISONED && defined __SANITIZE_ADDRESS__
#define ARENA_POISONED 1
#endif
#ifndef ARENA_POISONED
#define ARENA_POISONED 0
#endif

#ifndef ARENA_CHUNK
#define ARENA_CHUNK 4096 /* a build for tests makes it 64 */
#endif

#define ARENA_SMALL (ARENA_CHUNK / 32) /* the chunks of an arena without a pool */

struct arena_chunk;

struct arena_pool {
    struct arena_chunk *idle;
    size_t idle_count;
    size_t idle_limit;
};

struct arena {
    struct arena_pool *pool;    /* may be NULL: malloc and free */
    struct arena_chunk *chunks; /* newest first */
    char *at, *end;             /* the free part of the newest */
};

void arena_pool_init(struct arena_pool *pool, size_t idle_limit);
void arena_pool_destroy(struct arena_pool *pool);

/* An empty arena: the first chunk is taken by the first allocation. Can't fail. */
void arena_init(struct arena *arena, struct arena_pool *pool);

/* Give everything back; the arena is empty and can be used again. */
void arena_release(struct arena *arena);

/* Take a chunk with room for `size` bytes, rounded up piece by piece to 16, and no more: for an
 * arena that lives long. False when there is no memory. */
bool arena_reserve(struct arena *arena, size_t size);

/* What a block of `size` bytes takes. */
static inline size_t arena_round(size_t size) {
    return (size + 15) & ~(size_t)15;
}

/* The same as arena_alloc, for what has no room in the newest chunk, or is none. */
void *arena_alloc_more(struct arena *arena, size_t size);

/* `size` bytes, not zeroed, aligned to 16. NULL when there is no memory. Inline: a request takes a
 * dozen of them. */
static inline void *arena_alloc(struct arena *arena, size_t size) {
    if (ARENA_POISONED) /* what was not handed out is, and the one that does that is not inline */
        return arena_alloc_more(arena, size);
    char *block = arena->at;
    size_t room = (size_t)(arena->end - block); /* a multiple of 16 */
    if (size - 1 >= room)
        return arena_alloc_more(arena, size);
    arena->at = block + arena_round(size);
    return block;
}

/* The same, zeroed. */
static inline void *arena_zalloc(struct arena *arena, size_t size) {
    void *block = arena_alloc(arena, size);
    return block ? memset(block, 0, size) : NULL;
}

/* A copy of `length` bytes with a NUL behind it. NULL when there is no memory. */
char *arena_copy(struct arena *arena, const char *data, size_t length);

/* As vsprintf into memory of the right size; *length (may be NULL) gets the length. */
char *arena_vprintf(struct arena *arena, size_t *length, const char *format, va_list args);

/*
 * Make the block `data` of `size` bytes `new_size` long: in place if it is the newest one and there
 * is room, else by a copy. NULL when there is no memory (the old block is then untouched).
 */
void *arena_resize(struct arena *arena, void *data, size_t size, size_t new_size);

#endif
