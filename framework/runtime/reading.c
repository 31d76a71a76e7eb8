/* How connections are read: in lots (loop.h), into the loop's one buffer. */
#include "runtime/connection_parts.h"

#include <errno.h>

/* As libuv counts: 0 is nothing yet. Inlined: behind a system call each return is predicted wrong.
 */
static inline __attribute__((always_inline)) ssize_t receive(struct connection *c, char *to,
                                                             size_t room) {
    ssize_t n;
    if (c->read_limit && c->read_limit < room)
        room = c->read_limit;
    do
        n = recv(socket_of(c), to, room, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : uv_translate_sys_error(errno);
    return n == 0 ? UV_EOF : n;
}

void connection_deliver(struct connection *c, char *data, ssize_t n) {
    if (n == UV_EOF) {
        connection_read_stop(c);
        c->events->end(c);
    } else if (n < 0) {
        connection_close(c, CLOSE_READ_ERROR, (int)n);
    } else {
        c->events->data(c, data, (size_t)n);
    }
}

/* What it brings about in `c` is sent with the others' answers. */
static void take(struct connection *c, char *data, ssize_t n) {
    if (n > 0)
        c->loop->counts.bytes_received += (uint64_t)n;
    if (c->lingering || c->close_when_sent) {
        if (n < 0)
            connection_close(c, CONNECTION_DONE, 0);
        return; /* dropped unread */
    }
    if (c->filter)
        c->filter->ops->receive(c->filter, data, n);
    else
        connection_deliver(c, data, n);
    connection_answer(c);
}

/* Others may have closed the connection meanwhile, or stopped it: then the end is found again when
 * it goes on. */
static void take_arrivals(struct loop *loop) {
    for (unsigned i = 0; i < loop->arrival_count; i++) {
        const struct arrival *arrival = &loop->arrivals[i];
        struct connection *c = arrival->connection;
        if (c->reading || (arrival->n > 0 && !c->closing))
            take(c, arrival->data, arrival->n);
    }
    connection_send_all_late(loop);
    loop->arrival_count = 0;
    loop->arrived = 0;
    read_buffer_renew(loop);
}

/* It waits in the loop's buffer, behind what was read before, which leaves most of it free. Each
 * begins as the first does (read_buffer.h), behind room for a NUL. */
static void read_plain(struct connection *c) {
    struct loop *loop = c->loop;
    char *place = loop->read_buffer->data + loop->arrived;
    ssize_t n = receive(c, place, LOOP_READ_BUFFER - loop->arrived);
    if (n == 0)
        return;
    loop->arrivals[loop->arrival_count++] = (struct arrival){c, place, n};
    loop->arrived += n > 0 ? ((size_t)n / CACHE_LINE + 1) * CACHE_LINE : 0;
}

/* Those that a request has not reached yet are watched from now on. */
static void read_new_ones(struct loop *loop) {
    for (unsigned i = 0; i < loop->new_count; i++) {
        if (loop->arrived > READS_SIZE)
            take_arrivals(loop);
        if (loop->new_ones[i]->reading)
            read_plain(loop->new_ones[i]);
    }
    loop->new_count = 0;
}

void connection_take_reads(struct loop *loop) {
    take_arrivals(loop);
    read_new_ones(loop);
    take_arrivals(loop);
    connection_flush_answered(loop);
    loop->reads = 0;
}

/* A filter takes the whole buffer, and at once. */
static void read_sealed(struct connection *c) {
    struct loop *loop = c->loop;
    take_arrivals(loop);
    char *place = loop->read_buffer->data + FILTER_MARGIN;
    ssize_t n = c->reading ? receive(c, place, LOOP_READ_BUFFER) : 0;
    if (n == 0)
        return;
    take(c, place, n);
    read_buffer_renew(loop); /* it may have been left with somebody who waits */
}

/* libuv asks where to read to, and would call read(), which takes 100 ns longer than recv(): so it
 * is given no room, and tells `on_read` so, as is documented of UV_ENOBUFS. */
static void on_readable(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    *buf = (uv_buf_t){0};
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct connection *c = connection_of(stream);
    struct loop *loop = c->loop;
    if (c->filter)
        read_sealed(c);
    else
        read_plain(c);
    if (++loop->reads == READS_TOGETHER || loop->arrived > READS_SIZE)
        connection_take_reads(loop);
}

void connection_read_early(struct connection *c) {
    struct loop *loop = c->loop;
    if (!c->reading || c->filter)
        return;
    loop->new_ones[loop->new_count++] = c;
    if (loop->new_count == READS_TOGETHER)
        connection_take_reads(loop);
}

void connection_read_start(struct connection *c) {
    if (c->reading || c->closing)
        return;
    if (c->filter && c->filter->exhausted) {
        c->reading = true;
        loop_post(c->loop, &c->filter->again);
        return;
    }
    c->reading = uv_read_start(&c->uv.stream, on_readable, on_read) == 0;
}

void connection_read_stop(struct connection *c) {
    if (!c->reading)
        return;
    c->reading = false;
    uv_read_stop(&c->uv.stream);
}
