/*
 * Late writes: large messages that go on as they came, such as an echo. They stay in the loop's
 * read buffer until all of the lot have been dealt with (loop.h), and then leave one after the
 * other, as small ones do: an echo of 16 KiB takes 1 to 2 % less.
 *
 * They are no chunks, since they are gone when the lot is. What the system does not take is copied
 * then, so that nobody who is slow keeps a buffer.
 */
#include "runtime/connection_parts.h"

#include <string.h>

static void send_one(struct late_write *late) {
    struct connection *c = late->connection;
    uv_buf_t head = {.base = late->head, .len = late->head_length};
    uv_buf_t data = {.base = (char *)late->data, .len = late->length};
    c->late = false;
    c->pending -= head.len + data.len;
    connection_write_at_once(c, head, data);
    read_buffer_release(c->loop, late->buffer);
    late->connection = NULL;
}

bool connection_write_late(struct connection *c, uv_buf_t head, uv_buf_t data) {
    struct loop *loop = c->loop;
    struct read_buffer *buffer;
    connection_send_late(c);
    bool in_lot = loop->arrival_count > 0 && loop->late_count < READS_TOGETHER;
    if (!in_lot || c->filter || c->in_flight || !connection_is_open(c) || head.len > LATE_HEAD ||
        !(buffer = read_buffer_hold(loop, data.base)))
        return false;
    struct late_write *late = &loop->late[loop->late_count++];
    *late = (struct late_write){c, buffer, data.base, data.len, (unsigned)head.len, {0}};
    memcpy(late->head, head.base, head.len);
    c->pending += head.len + data.len;
    c->late = true;
    return true;
}

void connection_find_late(struct connection *c) {
    struct loop *loop = c->loop;
    for (unsigned i = 0; c->late; i++)
        if (loop->late[i].connection == c)
            send_one(&loop->late[i]);
}

void connection_send_all_late(struct loop *loop) {
    for (unsigned i = 0; i < loop->late_count; i++)
        if (loop->late[i].connection)
            send_one(&loop->late[i]);
    loop->late_count = 0;
}
