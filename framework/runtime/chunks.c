#include "runtime/chunks.h"

#include <stdlib.h>
#include <string.h>

#define POOLED_CHUNKS 256
#define ORDINARY (CHUNK_SIZE - sizeof(struct chunk))

static struct chunk *chunk_new(struct loop *loop, size_t room) {
    struct chunk *chunk = loop->chunks;
    if (room <= ORDINARY && chunk) {
        loop->chunks = chunk->next;
        loop->chunk_count--;
    } else {
        size_t size = room > ORDINARY ? room : ORDINARY;
        chunk = malloc(sizeof *chunk + size);
        if (!chunk)
            return NULL;
        chunk->size = size;
    }
    chunk->next = NULL;
    chunk->start = chunk->end = 0;
    chunk->bytes = chunk->data;
    chunk->shared = NULL;
    loop->counts.write_chunks++;
    return chunk;
}

/* Put it into the pool, if it may go there. */
static inline bool chunk_pool(struct loop *loop, struct chunk *chunk) {
    if (chunk->shared || chunk->size != ORDINARY || loop->chunk_count >= POOLED_CHUNKS)
        return false;
    loop->counts.write_chunks--;
    chunk->next = loop->chunks;
    loop->chunks = chunk;
    loop->chunk_count++;
    return true;
}

static void chunk_free(struct loop *loop, struct chunk *chunk) {
    if (chunk_pool(loop, chunk))
        return;
    loop->counts.write_chunks--;
    shared_release(chunk->shared);
    free(chunk);
}

void chunks_free_pool(struct loop *loop) {
    while (loop->chunks) {
        struct chunk *next = loop->chunks->next;
        free(loop->chunks);
        loop->chunks = next;
    }
    loop->chunk_count = 0;
}

/* --- In ----------------------------------------------------------------------------------------
 */

static void add(struct chunks *chunks, struct chunk *chunk) {
    if (chunks->last)
        chunks->last->next = chunk;
    else
        chunks->first = chunk;
    chunks->last = chunk;
}

char *chunks_extend(struct chunks *chunks, struct loop *loop, size_t n) {
    struct chunk *chunk = chunk_new(loop, n);
    if (!chunk)
        return NULL;
    add(chunks, chunk);
    return chunk->bytes;
}

bool chunks_append(struct chunks *chunks, struct loop *loop, const char *data, size_t n) {
    while (n > 0) {
        char *room = chunks_reserve(chunks, loop, 1);
        if (!room)
            return false;
        size_t left = chunks->last->size - chunks->last->end, part = n < left ? n : left;
        memcpy(room, data, part);
        chunks_fill(chunks, part);
        data += part;
        n -= part;
    }
    return true;
}

bool chunks_share(struct chunks *chunks, struct loop *loop, const struct part *part) {
    struct chunk *chunk = malloc(sizeof *chunk);
    if (!chunk)
        return false;
    *chunk = (struct chunk){
        .end = part->length,
        .size = part->length,
        .bytes = (char *)part->data, /* nobody writes there: it is full */
        .shared = shared_hold(part->of),
    };
    loop->counts.write_chunks++;
    add(chunks, chunk);
    return true;
}

bool chunks_join(struct chunks *chunks, const struct part *part) {
    struct chunk *last = chunks->last;
    if (!last || last->shared != part->of || last->bytes + last->end != part->data)
        return false;
    last->end += part->length;
    last->size = last->end;
    return true;
}

/* --- Out ---------------------------------------------------------------------------------------
 */

unsigned chunks_gather(const struct chunks *chunks, uv_buf_t *bufs, unsigned limit) {
    unsigned n = 0;
    for (struct chunk *chunk = chunks->first; chunk && n < limit; chunk = chunk->next)
        if (chunk->end > chunk->start)
            bufs[n++] =
                uv_buf_init(chunk->bytes + chunk->start, (unsigned)(chunk->end - chunk->start));
    return n;
}

static __attribute__((noinline)) size_t advance(struct chunks *chunks, struct loop *loop,
                                                size_t n) {
    while (chunks->first) {
        struct chunk *chunk = chunks->first;
        size_t part = chunk->end - chunk->start;
        if (part > n) {
            chunk->start += n;
            return 0;
        }
        n -= part;
        chunks->first = chunk->next;
        chunk_free(loop, chunk);
    }
    chunks->last = NULL;
    return n;
}

size_t chunks_advance(struct chunks *chunks, struct loop *loop, size_t n) {
    struct chunk *first = chunks->first;
    /* As a rule there is one, and all of it has gone: 35 instructions less. */
    if (!first || first->next || first->end - first->start != n || !chunk_pool(loop, first))
        return advance(chunks, loop, n);
    *chunks = (struct chunks){0};
    return 0;
}

struct chunks chunks_cut(struct chunks *chunks, unsigned limit) {
    struct chunks cut = {chunks->first, chunks->first};
    if (!cut.first)
        return cut;
    for (unsigned i = 1; cut.last->next && i < limit; i++)
        cut.last = cut.last->next;
    chunks->first = cut.last->next;
    cut.last->next = NULL;
    if (!chunks->first)
        chunks->last = NULL;
    return cut;
}

size_t chunks_length(const struct chunks *chunks) {
    size_t length = 0;
    for (const struct chunk *chunk = chunks->first; chunk; chunk = chunk->next)
        length += chunk->end - chunk->start;
    return length;
}

void chunks_drop(struct chunks *chunks, struct loop *loop) {
    while (chunks->first) {
        struct chunk *next = chunks->first->next;
        chunk_free(loop, chunks->first);
        chunks->first = next;
    }
    chunks->last = NULL;
}
