/*
 * Bytes that several hold at once, such as a frame that goes to everybody in a room. They don't
 * change once they are shared, and go with the last who holds them. They belong to one thread.
 */
#ifndef ACACIA_SHARED_H
#define ACACIA_SHARED_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct shared {
    size_t references;
    size_t length;
    char data[];
};

/* The caller holds it. NULL when there is no memory. */
static inline struct shared *shared_new(size_t length) {
    struct shared *shared =
        length < SIZE_MAX - sizeof *shared ? malloc(sizeof *shared + length) : NULL;
    if (shared) {
        shared->references = 1;
        shared->length = length;
    }
    return shared;
}

static inline struct shared *shared_hold(struct shared *shared) {
    shared->references++;
    return shared;
}

/* NULL is fine. */
static inline void shared_release(struct shared *shared) {
    if (shared && --shared->references == 0)
        free(shared);
}

#endif
