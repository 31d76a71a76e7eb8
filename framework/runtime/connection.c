#include "runtime/connection_parts.h"

#include <stdlib.h>
#include <string.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_MORE
#define MSG_MORE 0
#endif

#define WRITE_BUFFERS 32     /* in one writev */
#define BIG_WRITE CHUNK_SIZE /* from here on a write tries the socket before it copies */
#define AT_ONCE (1 << 30)    /* no system call takes 2 GiB */
#define SHARED_WRITE 1024    /* from here on a piece of its own costs less than to copy it */
#define LINGER_TIME 1000     /* milliseconds for the peer to read our last words and close */

/* What the kernel did not take at once. Few connections ever come to that: so they don't carry it
 * with them. */
struct flight {
    uv_write_t request;
    struct chunks chunks;
    uint64_t deadline; /* for the peer to take some; 0: none */
    size_t left;       /* bytes, when it was last seen to */
};

static void flight_end(struct connection *c) {
    if (!c->in_flight)
        return;
    chunks_drop(&c->in_flight->chunks, c->loop);
    free(c->in_flight);
    c->in_flight = NULL;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void on_timer(struct timer *timer);

_Static_assert(sizeof(uv_pipe_t) >= sizeof(uv_tcp_t), "a pipe is the larger one");

struct connection *connection_new(struct loop *loop, uv_handle_type type) {
    static const http_options_t no_limits = {.high_water = SIZE_MAX};
    size_t more = type == UV_TCP ? 0 : sizeof(uv_pipe_t) - sizeof(uv_tcp_t);
    struct connection *c = calloc(1, sizeof *c + more);
    if (!c)
        return NULL;
    c->loop = loop;
    c->timer.fn = on_timer;
    c->limits = &no_limits;
    c->reason = CONNECTION_DONE;
    if (type == UV_TCP)
        uv_tcp_init(loop->uv, &c->uv.tcp);
    else
        uv_pipe_init(loop->uv, connection_pipe(c), 0);
    c->next = loop->connections;
    c->link = &loop->connections;
    if (c->next)
        c->next->link = &c->next;
    loop->connections = c;
    loop->counts.connections++;
    return c;
}

__attribute__((noinline)) int connection_find_socket(struct connection *c) {
    uv_os_fd_t fd;
    if (uv_fileno(&c->uv.handle, &fd))
        return -1;
    c->uv.handle.data = (void *)((intptr_t)fd + 1);
    return fd;
}

void connection_own(struct connection *c, const struct connection_events *events, void *owner) {
    c->events = events;
    c->owner = owner;
}

static void drop_output(struct connection *c) {
    chunks_drop(&c->out, c->loop);
    if (c->filter)
        chunks_drop(&c->filter->sealed, c->loop);
}

static void enter_dirty(struct connection *c, struct connection **list) {
    c->next_dirty = *list;
    c->dirty_link = list;
    if (c->next_dirty)
        c->next_dirty->dirty_link = &c->next_dirty;
    *list = c;
}

static void leave_dirty(struct connection *c) {
    if (!c->dirty_link)
        return;
    *c->dirty_link = c->next_dirty;
    if (c->next_dirty)
        c->next_dirty->dirty_link = c->dirty_link;
    c->dirty_link = NULL;
}

static void on_closed(uv_handle_t *handle) {
    struct connection *c = connection_of(handle);
    leave_dirty(c);
    drop_output(c);
    flight_end(c);
    c->events->closed(c);
    if (c->filter)
        filter_free(c->filter);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->loop->counts.connections--;
    free(c);
}

void connection_blame(struct connection *c, close_reason_t reason) {
    if (c->reason == CONNECTION_DONE)
        c->reason = reason;
}

void connection_close(struct connection *c, close_reason_t reason, int error) {
    if (c->closing)
        return;
    c->closing = true;
    connection_blame(c, reason);
    c->error = (int16_t)error;
    c->reading = false;
    loop_timer_stop(c->loop, &c->timer);
    uv_close(&c->uv.handle, on_closed);
}

const char *connection_error_text(const struct connection *c) {
    const char *text = c->filter ? c->filter->ops->reason(c->filter) : NULL;
    return text ? text : c->error ? uv_strerror(c->error) : NULL;
}

/* --- Deadlines -------------------------------------------------------------------------------- */

static uint64_t earliest(uint64_t a, uint64_t b) {
    return !a || (b && b < a) ? b : a;
}

/* A deadline that moves away leaves the timer alone: it fires early, and is set again. */
static void arm_timer(struct connection *c) {
    uint64_t at = c->in_flight ? earliest(c->deadline, c->in_flight->deadline) : c->deadline;
    uint64_t now = loop_now(c->loop);
    if (!at || c->closing || (timer_pending(&c->timer) && c->timer.expires <= at))
        return;
    loop_timer_start(c->loop, &c->timer, at > now ? at - now : 0);
}

/* Has the peer taken nothing for too long? If it has taken anything since the last look it has as
 * long again. */
static bool write_is_stuck(struct connection *c, uint64_t now) {
    struct flight *flight = c->in_flight;
    if (!flight || !flight->deadline || flight->deadline > now)
        return false;
    size_t left = uv_stream_get_write_queue_size(&c->uv.stream);
    if (left >= flight->left)
        return true;
    flight->left = left;
    flight->deadline = now + c->limits->write_timeout;
    return false;
}

static void on_timer(struct timer *timer) {
    struct connection *c =
        (struct connection *)((char *)timer - offsetof(struct connection, timer));
    uint64_t now = loop_now(c->loop);
    if (write_is_stuck(c, now)) {
        connection_close(c, CLOSE_WRITE_TIMEOUT, UV_ETIMEDOUT);
    } else if (c->deadline && c->deadline <= now) {
        c->deadline = 0;
        if (c->lingering || c->close_when_sent)
            connection_close(c, CONNECTION_DONE, 0);
        else
            c->events->timeout(c);
    }
    arm_timer(c);
}

void connection_set_deadline(struct connection *c, uint64_t milliseconds) {
    c->deadline = milliseconds ? loop_now(c->loop) + milliseconds : 0;
    bool comes_in_time = timer_pending(&c->timer) && c->timer.expires <= c->deadline;
    if (milliseconds && !comes_in_time)
        arm_timer(c);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void mark_dirty(struct connection *c) {
    if (!c->dirty_link)
        enter_dirty(c, &c->loop->dirty);
}

/* Without memory for it the stream is broken. */
static int broken(struct connection *c) {
    connection_close(c, CLOSE_NO_MEMORY, UV_ENOMEM);
    return UV_ENOMEM;
}

/* A new chunk, for `n` bytes that the last one has no room for. */
static __attribute__((noinline)) char *extend(struct connection *c, size_t n) {
    char *room = chunks_extend(&c->out, c->loop, n);
    if (!room)
        broken(c);
    return room;
}

char *connection_reserve(struct connection *c, size_t n) {
    connection_send_late(c);
    const struct chunk *last = c->out.last;
    if (!connection_is_open(c))
        return NULL;
    return last && last->size - last->end >= n ? last->bytes + last->end : extend(c, n);
}

void connection_commit(struct connection *c, size_t n) {
    chunks_fill(&c->out, n);
    c->pending += n;
    mark_dirty(c);
}

/* What is ready for the socket. */
static struct chunks *outgoing(struct connection *c) {
    return c->filter ? &c->filter->sealed : &c->out;
}

/* `n` bytes of `out` have gone. Returns how many of them were none of those that waited. */
static size_t advance(struct connection *c, struct chunks *out, size_t n) {
    size_t beyond = chunks_advance(out, c->loop, n);
    c->pending -= n - beyond;
    if (c->filter)
        c->filter->waiting -= n - beyond;
    return beyond;
}

/* Of the last bytes the system hears that more follows, and holds them back: then the end leaves
 * with them, which saves a segment, and with it a fifth of what a connection for one request takes.
 */
static int flags_of(const struct connection *c) {
    return c->close_when_sent ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
}

_Static_assert(sizeof(uv_buf_t) == sizeof(struct iovec) &&
                   offsetof(uv_buf_t, base) == offsetof(struct iovec, iov_base) &&
                   offsetof(uv_buf_t, len) == offsetof(struct iovec, iov_len),
               "libuv's buffers are the system's");

/* In one system call. libuv's way is 140 instructions longer: it is asked why, if nothing goes. */
static ssize_t try_send(struct connection *c, uv_buf_t *bufs, unsigned count) {
    struct msghdr message = {.msg_iov = (struct iovec *)bufs, .msg_iovlen = count};
    ssize_t sent = sendmsg(socket_of(c), &message, flags_of(c));
    return sent < 0 ? uv_try_write(&c->uv.stream, bufs, count) : sent;
}

/* Everything that waits, then `head` and `data`. Returns how much of these two went. */
static size_t try_with(struct connection *c, uv_buf_t head, uv_buf_t data) {
    uv_buf_t bufs[WRITE_BUFFERS];
    unsigned count = chunks_gather(&c->out, bufs, WRITE_BUFFERS);
    if (count > WRITE_BUFFERS - 2)
        return 0;
    if (data.len > AT_ONCE)
        data.len = AT_ONCE;
    bufs[count++] = head;
    bufs[count++] = data;
    ssize_t sent = try_send(c, bufs, count);
    if (sent == UV_EAGAIN)
        return 0;
    if (sent < 0) {
        connection_close(c, CLOSE_WRITE_ERROR, (int)sent);
        return 0;
    }
    c->loop->counts.bytes_sent += (uint64_t)sent;
    return advance(c, &c->out, (size_t)sent);
}

/* The same through a filter: `data` is sealed from where it is, as long as the socket takes it. */
static size_t try_sealed(struct connection *c, const char *data, size_t n) {
    size_t gone = 0;
    while (gone < n && !c->closing && !c->in_flight) {
        filter_seal(c); /* what was written before */
        if (!c->closing && !c->out.first)
            gone += filter_seal_from(c, data + gone, n - gone);
        connection_flush(c);
    }
    return gone;
}

static int write_copy(struct connection *c, const void *data, size_t n) {
    char *room = connection_reserve(c, n);
    if (!room)
        return c->error == UV_ENOMEM ? UV_ENOMEM : UV_EPIPE;
    memcpy(room, data, n);
    connection_commit(c, n);
    return 0;
}

int connection_write_at_once(struct connection *c, uv_buf_t head, uv_buf_t data) {
    connection_send_late(c);
    if (!connection_is_open(c))
        return UV_EPIPE;
    size_t gone = c->filter ? try_sealed(c, data.base, data.len) : try_with(c, head, data);
    if (c->closing)
        return UV_EPIPE;
    size_t of_head = gone < head.len ? gone : head.len;
    gone -= of_head;
    int err = of_head < head.len ? write_copy(c, head.base + of_head, head.len - of_head) : 0;
    return err || gone == data.len ? err : write_copy(c, data.base + gone, data.len - gone);
}

static uv_buf_t buf_of(const void *data, size_t n) {
    return (uv_buf_t){.base = (char *)data, .len = n};
}

int connection_write(struct connection *c, const void *data, size_t n) {
    if (n >= BIG_WRITE && !c->in_flight)
        return connection_write_at_once(c, buf_of(NULL, 0), buf_of(data, n));
    if (n == 0)
        return connection_is_open(c) ? 0 : UV_EPIPE;
    return write_copy(c, data, n);
}

int connection_write_headed(struct connection *c, const void *head, size_t head_length,
                            const void *data, size_t n) {
    if (connection_write_late(c, buf_of(head, head_length), buf_of(data, n)))
        return 0;
    if (n >= BIG_WRITE && !c->in_flight && !c->filter)
        return connection_write_at_once(c, buf_of(head, head_length), buf_of(data, n));
    int err = connection_write(c, head, head_length);
    return err ? err : connection_write(c, data, n);
}

int connection_write_shared(struct connection *c, const struct part *part) {
    connection_send_late(c);
    if (!connection_is_open(c))
        return UV_EPIPE;
    bool joined = chunks_join(&c->out, part);
    if (!joined && c->out.first && part->length < SHARED_WRITE)
        return write_copy(c, part->data, part->length);
    if (!joined && !chunks_share(&c->out, c->loop, part))
        return broken(c);
    c->pending += part->length;
    mark_dirty(c);
    return 0;
}

static __attribute__((noinline)) void all_sent(struct connection *c) {
    if (c->lingering)
        return;
    shutdown(socket_of(c), SHUT_WR); /* with what was held back, which a reset would drop */
    if (c->linger_when_sent) {
        c->lingering = true;
        connection_set_deadline(c, LINGER_TIME);
        connection_read_start(c);
    } else {
        connection_close(c, CONNECTION_DONE, 0);
    }
}

static void on_written(uv_write_t *write, int status) {
    struct connection *c = write->data;
    size_t bytes = chunks_length(&c->in_flight->chunks);
    flight_end(c);
    c->pending -= bytes;
    if (status < 0) {
        connection_close(c, CLOSE_WRITE_ERROR, status);
        return;
    }
    c->loop->counts.bytes_sent += bytes;
    connection_flush(c);
    if (c->events->drained && connection_is_open(c) && !connection_is_high(c))
        c->events->drained(c);
}

/* What the kernel does not take is libuv's to send when it can. */
static void write_later(struct connection *c) {
    uv_buf_t bufs[WRITE_BUFFERS];
    struct flight *flight = malloc(sizeof *flight);
    if (!flight) {
        connection_close(c, CLOSE_NO_MEMORY, UV_ENOMEM);
        return;
    }
    unsigned count = chunks_gather(outgoing(c), bufs, WRITE_BUFFERS);
    flight->chunks = chunks_cut(outgoing(c), WRITE_BUFFERS);
    flight->deadline = 0;
    c->in_flight = flight;
    if (c->filter)
        c->filter->waiting -= chunks_length(&flight->chunks);
    flight->request.data = c;
    int err = uv_write(&flight->request, &c->uv.stream, bufs, count, on_written);
    if (err) {
        connection_close(c, err == UV_ENOMEM ? CLOSE_NO_MEMORY : CLOSE_WRITE_ERROR, err);
        return;
    }
    if (c->limits->write_timeout) {
        flight->left = uv_stream_get_write_queue_size(&c->uv.stream);
        flight->deadline = loop_now(c->loop) + c->limits->write_timeout;
        arm_timer(c);
    }
}

/* Is there anything for the socket? */
static bool has_output(struct connection *c) {
    return c->filter ? filter_seal(c) : c->pending > 0;
}

static __attribute__((noinline)) ssize_t try_all(struct connection *c) {
    uv_buf_t bufs[WRITE_BUFFERS];
    unsigned count = chunks_gather(outgoing(c), bufs, WRITE_BUFFERS);
    return try_send(c, bufs, count);
}

/* What is ready, to the socket: returns how much of it went, or an error. One chunk is all that
 * most turns have. */
static ssize_t try_write(struct connection *c, const struct chunk *chunk) {
    size_t n = chunk->end - chunk->start;
    if (!chunk->next && n <= INT32_MAX) {
        ssize_t sent = send(socket_of(c), chunk->bytes + chunk->start, n, flags_of(c));
        if (sent >= 0)
            return sent;
    }
    return try_all(c);
}

/* Inlined, as what receives is (reading.c). */
static inline __attribute__((always_inline)) void flush(struct connection *c) {
    struct chunks *out = outgoing(c);
    connection_send_late(c);
    leave_dirty(c);
    if (c->closing || c->in_flight)
        return;
    while (has_output(c)) {
        ssize_t sent = try_write(c, out->first);
        if (sent == UV_EAGAIN) {
            write_later(c);
            return;
        }
        if (sent < 0) {
            connection_close(c, CLOSE_WRITE_ERROR, (int)sent);
            return;
        }
        c->loop->counts.bytes_sent += (uint64_t)sent;
        advance(c, out, (size_t)sent);
    }
    if (c->closing)
        return;
    if (out->first) /* nothing is left in it */
        advance(c, out, 0);
    if (c->close_when_sent)
        all_sent(c);
}

void connection_flush(struct connection *c) {
    flush(c);
}

static void flush_all(struct connection **list) {
    while (*list)
        flush(*list);
}

void connection_flush_dirty(struct loop *loop) {
    flush_all(&loop->dirty);
}

void connection_flush_answered(struct loop *loop) {
    flush_all(&loop->answered);
}

void connection_answer(struct connection *c) {
    if (!c->dirty_link && !(c->filter && c->filter->waiting))
        return;
    leave_dirty(c);
    enter_dirty(c, &c->loop->answered);
}

void connection_finish(struct connection *c, bool linger) {
    connection_send_late(c);
    if (!connection_is_open(c))
        return;
    c->close_when_sent = true;
    c->linger_when_sent = linger;
    mark_dirty(c); /* the flush at the end of the turn closes it */
}

void connection_peer(const struct connection *c, char *text, size_t size) {
    struct sockaddr_storage address;
    int length = sizeof address;
    text[0] = '\0';
    if (c->uv.handle.type != UV_TCP ||
        uv_tcp_getpeername(&c->uv.tcp, (struct sockaddr *)&address, &length))
        return;
    if (address.ss_family == AF_INET)
        uv_ip4_name((struct sockaddr_in *)&address, text, size);
    else if (address.ss_family == AF_INET6)
        uv_ip6_name((struct sockaddr_in6 *)&address, text, size);
}
