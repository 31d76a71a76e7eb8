/*
 * Small shared bytes, made one behind the other: what one turn of the loop has for many, such as
 * the messages of a room. Who gets some of them in a row holds them as one piece. Nothing is copied
 * for each receiver, and all are sent from the same place, which so stays in the CPU's cache.
 */
#ifndef ACACIA_PILE_H
#define ACACIA_PILE_H

#include "runtime/shared.h"

#define PILE_SIZE 16384
#define PILE_LARGEST 1024 /* what is larger lies by itself: whoever holds some keeps the pile */

struct pile {
    struct shared *bytes; /* PILE_SIZE of them, or NULL */
    size_t used;
};

/* Room for `n` bytes, at most PILE_LARGEST. NULL when there is no memory. */
char *pile_reserve(struct pile *pile, size_t n);

/* The first `n` of them, which the caller holds from now on. */
struct part pile_take(struct pile *pile, size_t n);

/* Nothing will be made for a while: memory that nobody holds goes. */
void pile_trim(struct pile *pile);

#endif
