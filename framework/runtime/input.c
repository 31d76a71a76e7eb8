#include "runtime/input.h"

#include <stdlib.h>
#include <string.h>

struct held {
    size_t size;
    char data[];
};

/* Room for `n` bytes behind those that are there. */
static __attribute__((noinline)) bool make_room(struct input *input, struct loop *loop, size_t n) {
    size_t needed = input->length + n;
    struct held *former = input->held;
    if (former && needed <= former->size - (size_t)(input->at - former->data))
        return true;
    size_t size = former ? needed * 2 : needed;
    struct held *held = malloc(sizeof *held + size);
    if (!held)
        return false;
    held->size = size;
    memcpy(held->data, input->at, input->length);
    if (!former)
        loop->counts.held_buffers++;
    free(former);
    input->held = held;
    input->at = held->data;
    return true;
}

bool input_add(struct input *input, struct loop *loop, char *data, size_t n) {
    if (!input->held) {
        input->at = data;
        input->length = n;
        return true;
    }
    if (!make_room(input, loop, n))
        return false;
    memcpy(input->at + input->length, data, n);
    input->length += n;
    return true;
}

bool input_keep(struct input *input, struct loop *loop) {
    if (input->length == 0 || input->held || make_room(input, loop, 0))
        return true;
    input->length = 0;
    return false;
}

void input_use(struct input *input, struct loop *loop, size_t n) {
    if (n > 0) /* without bytes there may be no place either */
        input->at += n;
    input->length -= n;
    if (input->length == 0)
        input_drop(input, loop);
}

void input_drop(struct input *input, struct loop *loop) {
    if (input->held) {
        loop->counts.held_buffers--;
        free(input->held);
    }
    *input = (struct input){0};
}
