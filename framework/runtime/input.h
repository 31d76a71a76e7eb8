/*
 * Bytes that came and have not been used: a view into the loop's read buffer while the connection's
 * `data` event lasts, memory of their own afterwards. Nothing is allocated while they are used up
 * at once.
 */
#ifndef ACACIA_INPUT_H
#define ACACIA_INPUT_H

#include "runtime/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct input {
    char *at;
    size_t length;
    struct held *held; /* the memory of it; NULL while it is only a view */
};

/* `n` more bytes have come, at `data`, which is lent for the time being. If bytes are held already
 * they are copied behind them at once: false when there is no memory. */
bool input_add(struct input *input, struct loop *loop, char *data, size_t n);

/* The loan ends: what is left is copied. False when there is no memory; then nothing is left. */
bool input_keep(struct input *input, struct loop *loop);

/* `n` bytes have been used; perhaps none. */
void input_use(struct input *input, struct loop *loop, size_t n);

/* Drop it all. */
void input_drop(struct input *input, struct loop *loop);

#endif
