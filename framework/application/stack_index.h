/*
 * Routes in a row: one layer of a stack after the other that only looks at method and path. Those
 * that would pass on at once are skipped, as if each had called next(); an index finds the one that
 * doesn't.
 */
#ifndef ACACIA_STACK_INDEX_H
#define ACACIA_STACK_INDEX_H

#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct stack;

/* Note the layer behind the last one, before it becomes one. False when there is no memory. */
bool stack_index_layer(struct stack *stack);

/* The first layer at `position`, or behind, that doesn't only pass on; the number of layers if all
 * of them do. */
size_t stack_skip_misses(const struct stack *stack, const struct ctx *ctx, size_t position);

#endif
