#include "runtime/input.h"

#include <stdlib.h>
#include <string.h>

/* Room for `n` bytes behind those that are there. */
static bool make_room(struct input *input, struct loop *loop, size_t n) {
    size_t needed = input->length + n;
    if (input->held && needed <= input->held_size - (size_t)(input->at - input->held))
        return true;
    size_t size = input->held ? needed * 2 : needed;
    char *held = malloc(size);
    if (!held)
        return false;
    memcpy(held, input->at, input->length);
    if (!input->held)
        loop->counts.held_buffers++;
    free(input->held);
    input->at = input->held = held;
    input->held_size = size;
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
    if (input->held || input->length == 0 || make_room(input, loop, 0))
        return true;
    input->length = 0;
    return false;
}

void input_use(struct input *input, struct loop *loop, size_t n) {
    input->at += n;
    input->length -= n;
    if (input->length == 0)
        input_drop(input, loop);
}

void input_drop(struct input *input, struct loop *loop) {
    if (input->held)
        loop->counts.held_buffers--;
    free(input->held);
    *input = (struct input){0};
}
