#include "runtime/filter.h"

#include "runtime/connection.h"

#include <stdlib.h>
#include <string.h>

#define SEAL_AHEAD (8 * FILTER_RECORD) /* that wait for the socket; the rest waits unsealed */
#define PIECES 32                      /* joined to a record */

static void end_again(struct task *task) {
    struct filter *filter = (struct filter *)((char *)task - offsetof(struct filter, again));
    struct connection *c = filter->connection;
    if (c->lingering || c->close_when_sent)
        connection_close(c, CONNECTION_DONE, 0);
    else if (c->reading)
        connection_deliver(c, NULL, UV_EOF);
}

/* --- Those that are busy ---------------------------------------------------------------------- */

static void enter(struct filter *filter) {
    struct loop *loop = filter->connection->loop;
    if (!filter->ops->busy || loop->busy_filter_count == FILTER_BUSY_MAX)
        return;
    filter->busy = true;
    filter->next_busy = loop->busy_filters;
    loop->busy_filters = filter;
    loop->busy_filter_count++;
    if (!timer_pending(&loop->busy_filter_timer))
        loop_timer_start(loop, &loop->busy_filter_timer, FILTER_BUSY_TIME);
    filter->ops->busy(filter, true);
}

static void leave(struct filter **link) {
    struct filter *filter = *link;
    *link = filter->next_busy;
    filter->busy = false;
    filter->connection->loop->busy_filter_count--;
}

static void leave_at_once(struct filter *filter) {
    struct filter **link = &filter->connection->loop->busy_filters;
    if (!filter->busy)
        return;
    while (*link != filter)
        link = &(*link)->next_busy;
    leave(link);
}

/* Who has not been used since the last look is no longer busy. */
static void look_around(struct timer *timer) {
    struct loop *loop = (struct loop *)((char *)timer - offsetof(struct loop, busy_filter_timer));
    struct filter **link = &loop->busy_filters, *filter;
    while ((filter = *link)) {
        if (filter->uses) {
            filter->uses = 0;
            link = &filter->next_busy;
        } else {
            leave(link);
            filter->ops->busy(filter, false);
        }
    }
    if (loop->busy_filters)
        loop_timer_start(loop, timer, FILTER_BUSY_TIME);
}

void filter_use(struct filter *filter) {
    if (++filter->uses >= FILTER_BUSY_USES && !filter->busy)
        enter(filter);
}

/* --- Life ------------------------------------------------------------------------------------- */

bool filter_attach(struct filter *filter, const struct filter_ops *ops, struct connection *c) {
    struct loop *loop = c->loop;
    if (!loop->record && !(loop->record = malloc(FILTER_RECORD)))
        return false;
    filter->ops = ops;
    filter->connection = c;
    filter->again.run = end_again;
    c->filter = filter;
    loop->busy_filter_timer.fn = look_around;
    return true;
}

void filter_exhaust(struct filter *filter) {
    filter->exhausted = true;
    connection_deliver(filter->connection, NULL, UV_EOF);
}

void filter_free(struct filter *filter) {
    leave_at_once(filter);
    loop_unpost(filter->connection->loop, &filter->again);
    filter->ops->free(filter);
}

bool filter_put(struct filter *filter, const char *data, size_t n) {
    struct connection *c = filter->connection;
    if (!chunks_append(&filter->sealed, c->loop, data, n))
        return false;
    filter->waiting += n;
    c->pending += n;
    return true;
}

/* What the owner has written first, as much as a record holds. A piece that is large is not copied
 * for the sake of a fuller record. */
static size_t next_piece(struct connection *c, const char **data) {
    uv_buf_t bufs[PIECES];
    unsigned count = chunks_gather(&c->out, bufs, PIECES);
    size_t length = 0;
    if (count == 0)
        return 0;
    *data = bufs[0].base;
    if (count == 1 || bufs[0].len >= FILTER_RECORD / 2)
        return bufs[0].len < FILTER_RECORD ? bufs[0].len : FILTER_RECORD;
    for (unsigned i = 0; i < count && length < FILTER_RECORD; i++) {
        size_t room = FILTER_RECORD - length, part = bufs[i].len < room ? bufs[i].len : room;
        memcpy(c->loop->record + length, bufs[i].base, part);
        length += part;
    }
    *data = c->loop->record;
    return length;
}

static bool seal(struct connection *c, const char *data, size_t n) {
    filter_use(c->filter);
    int err = c->filter->ops->seal(c->filter, data, n);
    if (err)
        connection_close(c, err == UV_ENOMEM ? CLOSE_NO_MEMORY : CLOSE_WRITE_ERROR, err);
    return !err;
}

/* What is written behind a farewell is for nobody. */
static void drop(struct connection *c) {
    c->pending -= chunks_length(&c->out);
    chunks_drop(&c->out, c->loop);
}

bool filter_seal(struct connection *c) {
    struct filter *filter = c->filter;
    const char *data;
    size_t n;
    while (!filter->ended && filter->waiting < SEAL_AHEAD && (n = next_piece(c, &data))) {
        if (!seal(c, data, n))
            return false;
        chunks_advance(&c->out, c->loop, n);
        c->pending -= n;
    }
    if (filter->ended) {
        drop(c);
    } else if (c->close_when_sent && filter->waiting < SEAL_AHEAD) {
        filter->ended = true;
        filter->ops->end(filter);
    }
    return filter->waiting > 0;
}

size_t filter_seal_from(struct connection *c, const char *data, size_t n) {
    size_t sealed = 0;
    while (sealed < n && c->filter->waiting < SEAL_AHEAD) {
        size_t part = n - sealed < FILTER_RECORD ? n - sealed : FILTER_RECORD;
        if (!seal(c, data + sealed, part))
            break;
        sealed += part;
    }
    return sealed;
}
