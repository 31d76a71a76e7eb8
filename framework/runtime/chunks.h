/*
 * A queue of output: chunks that are filled at one end and sent from the other. Those of the
 * ordinary size come from a pool of the loop.
 */
#ifndef ACACIA_CHUNKS_H
#define ACACIA_CHUNKS_H

#include "runtime/loop.h"
#include "runtime/shared.h"

#include <stdbool.h>
#include <stddef.h>

#ifndef CHUNK_SIZE
#define CHUNK_SIZE 16384 /* header included; a build for tests makes it 128 */
#endif

struct chunk {
    struct chunk *next;
    size_t start, end, size; /* sent up to start, filled up to end, of size */
    char *bytes;
    struct shared *shared; /* whose bytes they are; NULL: `data` */
    char data[];
};

struct chunks {
    struct chunk *first, *last;
};

/* Room for `n` bytes in a row, to be filled, and counted by chunks_fill. NULL when there is no
 * memory. */
char *chunks_extend(struct chunks *chunks, struct loop *loop, size_t n);

static inline char *chunks_reserve(struct chunks *chunks, struct loop *loop, size_t n) {
    struct chunk *last = chunks->last;
    if (last && last->size - last->end >= n)
        return last->bytes + last->end;
    return chunks_extend(chunks, loop, n);
}

static inline void chunks_fill(struct chunks *chunks, size_t n) {
    chunks->last->end += n;
}

/* Append a copy, cut to whatever room there is. False when there is no memory; then some of it may
 * have been appended. */
bool chunks_append(struct chunks *chunks, struct loop *loop, const char *data, size_t n);

/* Append bytes that others hold as well. False when there is no memory. */
bool chunks_share(struct chunks *chunks, struct loop *loop, const struct part *part);

/* The same for those that lie right behind the last ones, whose piece becomes longer: that takes no
 * memory. False if they don't. */
bool chunks_join(struct chunks *chunks, const struct part *part);

/* Point to the bytes at the front, at most `limit` pieces. Returns how many. */
unsigned chunks_gather(const struct chunks *chunks, uv_buf_t *bufs, unsigned limit);

/* `n` bytes from the front have been sent. Returns what is left of n behind the last of them. */
size_t chunks_advance(struct chunks *chunks, struct loop *loop, size_t n);

/* Cut off the first ones, at most `limit`: what chunks_gather has pointed to. */
struct chunks chunks_cut(struct chunks *chunks, unsigned limit);

/* Bytes in all of them. */
size_t chunks_length(const struct chunks *chunks);

void chunks_drop(struct chunks *chunks, struct loop *loop);

/* Free those that are pooled. */
void chunks_free_pool(struct loop *loop);

#endif
