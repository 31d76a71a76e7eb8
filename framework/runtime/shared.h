/*
 * Bytes that several hold at once, such as a frame that goes to everybody in a room. They don't
 * change once they are shared, and go with the last who holds them. They belong to one thread.
 */
#ifndef ACACIA_SHARED_H
#define ACACIA_SHARED_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* Some of them, or all. */
struct part {
    struct shared *of; /* NULL: none */
    const char *data;
    size_t length;
};

static inline struct part shared_whole(struct shared *shared) {
    return (struct part){shared, shared ? shared->data : NULL, shared ? shared->length : 0};
}

/* A part that waits for long, by itself: it may be little of much. NULL when there is no memory. */
static inline struct shared *part_alone(const struct part *part) {
    if (part->length == part->of->length)
        return shared_hold(part->of);
    struct shared *copy = shared_new(part->length);
    if (copy)
        memcpy(copy->data, part->data, part->length);
    return copy;
}

/* NULL is fine. */
static inline void shared_release(struct shared *shared) {
    if (shared && --shared->references == 0)
        free(shared);
}

#endif
