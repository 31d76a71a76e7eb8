#include "runtime/read_buffer.h"

#include "runtime/filter.h"
#include "runtime/loop.h"

#include <stdint.h>
#include <stdlib.h>

#define SIZE (LOOP_READ_BUFFER + FILTER_MARGIN + 1)

/* Of a WebSocket frame with a payload from 126 bytes to 64 KiB. That begins a line of the cache
 * then, and is unmasked and sent in 1 % less time. */
#define FRAME_HEADER 8

static struct read_buffer *new_buffer(struct loop *loop) {
    if (loop->read_buffers == READ_BUFFERS)
        return NULL;
    struct read_buffer *buffer = malloc(sizeof *buffer + SIZE + CACHE_LINE);
    if (!buffer)
        return NULL;
    *buffer = (struct read_buffer){0};
    buffer->data = buffer->room + -(uintptr_t)(buffer->room + FRAME_HEADER) % CACHE_LINE;
    loop->read_buffers++;
    return buffer;
}

static void free_buffer(struct loop *loop, struct read_buffer *buffer) {
    if (buffer)
        loop->read_buffers--;
    free(buffer);
}

/* The other one to read into, as long as this one is held. */
static bool have_spare(struct loop *loop) {
    if (!loop->spare_read_buffer)
        loop->spare_read_buffer = new_buffer(loop);
    return loop->spare_read_buffer;
}

bool read_buffers_init(struct loop *loop) {
    return (loop->read_buffer = new_buffer(loop));
}

struct read_buffer *read_buffer_hold(struct loop *loop, const char *data) {
    struct read_buffer *buffer = loop->read_buffer;
    bool is_inside = (uintptr_t)data - (uintptr_t)buffer->data < SIZE;
    if (!is_inside || !have_spare(loop))
        return NULL;
    buffer->holders++;
    buffer->was_held = true;
    return buffer;
}

/* AddressSanitizer sees who uses one too late, if nobody else ever gets it. */
static bool is_taken(const struct read_buffer *buffer) {
    return buffer->holders > 0 || (ARENA_POISONED && buffer->was_held);
}

static void retire(struct loop *loop, struct read_buffer *buffer) {
    if (loop->spare_read_buffer || ARENA_POISONED)
        free_buffer(loop, buffer);
    else
        loop->spare_read_buffer = buffer;
}

void read_buffer_release(struct loop *loop, struct read_buffer *buffer) {
    if (--buffer->holders == 0 && buffer != loop->read_buffer)
        retire(loop, buffer);
}

void read_buffer_renew(struct loop *loop) {
    struct read_buffer *former = loop->read_buffer;
    if (!is_taken(former))
        return;
    loop->read_buffer = loop->spare_read_buffer;
    loop->spare_read_buffer = NULL;
    if (former->holders == 0)
        retire(loop, former);
}

void read_buffers_trim(struct loop *loop) {
    if (is_taken(loop->read_buffer)) /* it is to be replaced */
        return;
    free_buffer(loop, loop->spare_read_buffer);
    loop->spare_read_buffer = NULL;
}

void read_buffers_free(struct loop *loop) {
    free_buffer(loop, loop->spare_read_buffer);
    free_buffer(loop, loop->read_buffer);
    loop->read_buffer = loop->spare_read_buffer = NULL;
}
