#include "protocols/ws_incoming.h"

#include "runtime/spare.h"

#include <stdlib.h>
#include <string.h>

#define IN_ARENA 2048 /* a message up to this size lies in its arena; a larger one is malloc'd */

struct ws_incoming *ws_incoming_new(struct loop *loop) {
    struct arena arena;
    arena_init(&arena, &loop->arenas);
    struct ws_incoming *in = arena_alloc(&arena, sizeof *in);
    if (!in)
        return NULL;
    memset(in, 0, offsetof(struct ws_incoming, reading.small));
    in->arena = arena;
    in->loop = loop;
    in->data = in->room;
    in->capacity = sizeof in->room;
    loop->counts.messages++;
    return in;
}

void ws_incoming_free(struct ws_incoming *in) {
    if (!in)
        return;
    in->loop->counts.messages--;
    if (in->allocated)
        spare_put(in->loop, in->data, in->capacity);
    if (in->where)
        read_buffer_release(in->loop, in->where);
    arena_release(&in->arena);
}

/* Twice as much as is there, but no more than the message will have. */
static size_t choose_capacity(const struct ws_incoming *in, size_t needed) {
    const struct ws_reading *reading = &in->reading;
    size_t capacity = in->length ? needed * 2 : needed;
    bool is_known = reading->frame.fin && reading->size >= needed;
    return is_known && reading->size < capacity ? (size_t)reading->size + 1 : capacity;
}

static char *enlarge(struct ws_incoming *in, size_t *capacity) {
    char *former = in->allocated ? in->data : NULL;
    char *data = spare_take(in->loop, capacity);
    if (!data && former)
        return realloc(former, *capacity);
    if (!data && !(data = malloc(*capacity)))
        return NULL;
    memcpy(data, in->data, in->length);
    spare_put(in->loop, former, in->capacity);
    in->allocated = true;
    return data;
}

bool ws_incoming_grow(struct ws_incoming *in, size_t n) {
    size_t capacity = choose_capacity(in, in->length + n + 1);
    char *data = capacity <= IN_ARENA ? arena_resize(&in->arena, in->data, in->length, capacity)
                                      : enlarge(in, &capacity);
    if (!data)
        return false;
    in->data = data;
    in->capacity = capacity;
    return true;
}

/* A message is aligned as memory of malloc's is: handlers may take it for a struct. */
bool ws_incoming_stays(struct ws_incoming *in, char *data, size_t n) {
    bool is_aligned = (uintptr_t)data % _Alignof(max_align_t) == 0;
    if (n < IN_ARENA || !is_aligned || in->length > 0)
        return false;
    in->where = read_buffer_hold(in->loop, data);
    if (!in->where)
        return false;
    in->data = data;
    in->capacity = n + 1;
    return true;
}

int ws_incoming_add(struct ws_incoming *in, const char *data, size_t n) {
    if (!ws_incoming_reserve(in, n))
        return UV_ENOMEM;
    memcpy(in->data + in->length, data, n);
    in->length += n;
    return in->binary || utf8_feed(&in->reading.utf8, data, n) ? 0 : UV_ECHARSET;
}

bool ws_incoming_is_blank(const struct ws_incoming *in) {
    const struct ws_reading *reading = &in->reading;
    return !reading->in_message && !reading->in_frame && !reading->small_length;
}
