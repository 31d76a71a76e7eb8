/*
 * One loop: libuv's, and what all connections of its thread share. The read buffer, the pools, the
 * timers, the queue of what is ready to go on, the list of connections that have something to send.
 *
 * A turn of the loop: libuv reports events; each may make coroutines ready, and connections dirty.
 * What is ready runs, then what was written leaves, before libuv waits again. So everything that
 * one turn produced for a connection goes out in one write.
 */
#ifndef ACACIA_LOOP_H
#define ACACIA_LOOP_H

#include "runtime/arena.h"
#include "runtime/coroutine.h"
#include "runtime/pile.h"
#include "runtime/read_buffer.h"
#include "runtime/timer.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/*
 * Connections are read one after the other, then dealt with one after the other, then what came of
 * it is sent: so the system's code for receiving, ours, and the system's for sending each stay in
 * the processor's first cache, which does not hold all three. No more than so many at a time: what
 * the first of them asks for shall not wait for everybody.
 */
#define READS_TOGETHER 16
#define READS_SIZE (LOOP_READ_BUFFER / 8) /* more bytes do not wait */

/* What has been read for a connection: bytes, UV_EOF or an error. */
struct arrival {
    struct connection *connection;
    char *data;
    ssize_t n;
};

#define LATE_HEAD 14 /* bytes */

/* To be written when a lot has been dealt with: late.c. */
struct late_write {
    struct connection *connection; /* NULL: it is done */
    struct read_buffer *buffer;    /* in which the data lies */
    const char *data;
    size_t length;
    unsigned head_length;
    char head[LATE_HEAD];
};

/* Something to run later in this turn. Lies in the struct that it is about; queued at most once. */
struct task {
    struct task *next; /* NULL unless it is queued */
    void (*run)(struct task *task);
};

struct connection;
struct filter;
struct chunk;
struct spare;

/* Counters that the modules keep; app_stats shows them. */
struct loop_counts {
    size_t connections;
    size_t write_chunks;
    size_t held_buffers;
    size_t frame_contexts;
    size_t exchanges;
    size_t messages;
    uint64_t bytes_received, bytes_sent;
    uint64_t messages_received, messages_sent, messages_dropped;
};

struct loop {
    uv_loop_t *uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t clock;  /* drives the wheel */
    uv_idle_t overdue; /* runs when the wheel has to turn, once input was looked at */
    uv_timer_t trim;
    uint64_t clock_at; /* what `clock` is set to, 0 if it is not */
    struct timer_wheel wheel;
    struct coroutine_pool coroutines;
    struct arena_pool arenas;
    struct task ready, *ready_last; /* a ring: `ready` is its end, and stands before the first */
    struct connection *connections; /* all of them */
    struct connection *dirty;       /* those that have something to send */
    struct connection *answered;    /* of them: those whose input was just dealt with */
    struct chunk *chunks;           /* pooled */
    size_t chunk_count;
    struct pile pile;     /* small bytes for many */
    struct spare *spares; /* spare.h */
    size_t spare_bytes;
    struct filter *busy_filters; /* filter.c: those that are used again and again */
    size_t busy_filter_count;
    struct timer busy_filter_timer;
    struct read_buffer *read_buffer, *spare_read_buffer;
    unsigned read_buffers; /* that there are */
    size_t arrived;        /* bytes in the first that wait to be taken, each with room for a NUL */
    struct arrival arrivals[READS_TOGETHER];
    unsigned arrival_count;
    struct late_write late[READS_TOGETHER];
    unsigned late_count;
    struct connection *new_ones[READS_TOGETHER]; /* to be read early */
    unsigned new_count;
    unsigned reads;       /* since what others brought about was sent */
    char *record;         /* where filters join what they seal; NULL as long as there is none */
    size_t read_in_a_row; /* bytes of files, without a thread: see fs.c */
    unsigned accepts;     /* in this turn: see listen.c */
    void (*settled)(struct loop *loop); /* NULL, or called when a turn has nothing left to do */
    void (*closed)(struct loop *loop);  /* NULL, or called when all handles are closed */
    bool torn_down;                     /* every wait is cancelled from now on */
    int handles_open;
    uint64_t date_quarter;
    char date[32]; /* "Thu, 01 Jan 1970 00:00:00 GMT" */
    struct loop_counts counts;
};

/* Prepare `loop` on `uv`, which must outlive it. 0 or a negative error. */
int loop_init(struct loop *loop, uv_loop_t *uv, size_t stack_size, size_t coroutine_limit);

/* Close the loop's own handles; when libuv has run once more `closed` is called, and loop_destroy
 * may be. */
void loop_close(struct loop *loop);

/* Free the pools. No coroutine is live, no connection is open. */
void loop_destroy(struct loop *loop);

/* Milliseconds of libuv's clock, as of the start of this turn. */
uint64_t loop_now(const struct loop *loop);

/* Run a task in this turn, after the caller has returned to the loop. */
void loop_post(struct loop *loop, struct task *task);

static inline bool task_is_queued(const struct task *task) {
    return task->next;
}

/* Take back a task that has not run yet, since its memory goes. */
void loop_unpost(struct loop *loop, struct task *task);

/* Run what is ready and send what is written, until nothing is left. From the loop's stack only. */
void loop_settle(struct loop *loop);

/* Timers of the wheel: coarse (a millisecond), cheap, any number. `delay` in milliseconds. */
void loop_timer_start(struct loop *loop, struct timer *timer, uint64_t delay);
void loop_timer_stop(struct loop *loop, struct timer *timer);

/* The value of a Date header (RFC 9110 5.6.7), at most a quarter of a second old. 29 characters. */
const char *loop_date(struct loop *loop);

/* The loop of the coroutine that is running; NULL outside of one. */
struct loop *loop_self(void);

/* End every wait with UV_ECANCELED, now and from now on, so that all coroutines run to their end.
 */
void loop_tear_down(struct loop *loop);

#endif
