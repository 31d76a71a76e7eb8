#include "protocols/http1_head.h"
#include "protocols/http1_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- Input that waits ------------------------------------------------------------------------- */

static void use_input(struct http1 *h, size_t n) {
    input_use(&h->input, h->connection->loop, n);
}

/* Too many answers wait to be sent: nothing else is begun before the client takes some. */
static bool is_clogged(struct connection *c) {
    if (connection_is_high(c))
        connection_flush(c);
    return connection_is_high(c);
}

void http1_control_flow(struct http1 *h) {
    struct connection *c = h->connection;
    struct request *r = h->request;
    size_t limit = h->server->options->read_ahead;
    bool busy = r ? r->dispatched && !r->ended && !wait_pending(&r->reader) : is_clogged(c);
    if (h->peer_closed)
        return;
    connection_limit_read(c, busy ? (limit > h->input.length ? limit - h->input.length : 1) : 0);
    if (busy && h->input.length >= limit)
        connection_read_stop(c);
    else
        connection_read_start(c);
}

/* --- Reading a request ------------------------------------------------------------------------ */

static bool begin_request(struct http1 *h) {
    struct loop *loop = h->connection->loop;
    struct arena arena;
    arena_init(&arena, &loop->arenas);
    struct request *r = arena_alloc(&arena, arena_round(sizeof *r) + http1_parser_size);
    if (!r)
        return false;
    memset(r, 0, sizeof *r);
    r->exchange = &r->own;
    r->own.arena = arena;
    r->own.ops = &http1_ops;
    r->loop = loop;
    r->own.secure = connection_is_secure(h->connection);
    r->own.carrier = r;
    r->h = h;
    r->parser = http1_parser_init(
        (char *)r + arena_round(sizeof *r), &r->own,
        &(struct http1_limits){h->server->options->head_size, h->server->options->header_count});
    h->request = r;
    loop->counts.exchanges++;
    return true;
}

void http1_free_request(struct request *r) {
    r->loop->counts.exchanges--;
    if (r->exchange != &r->own)
        arena_release(&r->exchange->arena);
    arena_release(&r->own.arena);
}

/* Answer what can't be understood, and hear no more of it. */
static NOT_INLINE void refuse(struct http1 *h, int status, close_reason_t reason) {
    struct connection *c = h->connection;
    if (status)
        http1_write_bare(c, status);
    connection_blame(c, reason);
    drop_input(h);
    connection_finish(c, status != 0);
}

static close_reason_t reason_of(int status) {
    if (status == 500)
        return CLOSE_NO_MEMORY;
    return status == 431 || status == 414 ? CLOSE_HEAD_TOO_LARGE : CLOSE_BAD_REQUEST;
}

static bool expectation_is_known(struct request *r) {
    if (!http1_parser_expects(r->parser))
        return true;
    const char *expect = headers_get(&r->exchange->headers, "Expect");
    if (http1_parser_is_1_0(r->parser))
        return true;
    r->wants_continue = strcasecmp(expect, "100-continue") == 0 && !r->complete;
    return r->wants_continue || strcasecmp(expect, "100-continue") == 0;
}

/* Some of it has come, and not all: time runs. */
static void begin_waiting(struct http1 *h) {
    struct request *r = h->request;
    if (!r->began)
        r->began = loop_now(h->connection->loop);
}

static void set_request_deadline(struct http1 *h) {
    struct request *r = h->request;
    if (r->complete) {
        connection_set_deadline(h->connection, 0);
        return;
    }
    begin_waiting(h);
    uint64_t elapsed = loop_now(h->connection->loop) - r->began;
    uint64_t limit = h->server->options->request_timeout;
    connection_set_deadline(h->connection, limit > elapsed ? limit - elapsed : 1);
}

static NOT_INLINE bool prepare_upgrade(struct request *r) {
    struct exchange *exchange =
        exchange_copy(&r->own, r->h->server->events->upgrade_memory(&r->own));
    if (exchange)
        r->exchange = exchange;
    return exchange;
}

static void dispatch(struct http1 *h) {
    struct request *r = h->request;
    r->keep_alive = http1_parser_keep_alive(r->parser);
    if (h->peer_closed)
        r->exchange->peer_closed = true;
    if (http1_parser_is_1_0(r->parser))
        r->exchange->http_1_0 = true;
    set_request_deadline(h);
    if (!expectation_is_known(r)) {
        refuse(h, 417, CLOSE_BAD_REQUEST);
        return;
    }
    if (r->complete && r->exchange->upgrade && !prepare_upgrade(r)) {
        refuse(h, 503, CLOSE_NO_MEMORY);
        return;
    }
    r->dispatched = true;
    h->server->events->request(h->server->owner, r->exchange);
}

/* The rest of the head is yet to come. */
static NOT_INLINE void await_head(struct http1 *h) {
    if (h->peer_closed) {
        refuse(h, 400, CLOSE_ABORTED);
    } else if (!h->request->began) {
        begin_waiting(h);
        connection_set_deadline(h->connection, h->server->options->head_timeout);
    }
}

/* One step through the head. */
static void feed_head(struct http1 *h) {
    struct request *r = h->request;
    size_t used;
    enum parse_result result = http1_parser_feed(r->parser, h->input.at, h->input.length, &used);
    if (result == PARSE_ERROR) {
        int status = http1_parser_status(r->parser);
        refuse(h, status, reason_of(status));
        return;
    }
    use_input(h, used);
    r->complete = result == PARSE_DONE;
    if (result == PARSE_MORE)
        await_head(h);
    else
        dispatch(h);
}

/* One step through the body, at most `n` bytes, into the sink. */
static void feed_body(struct request *r, size_t n) {
    struct http1 *h = r->h;
    size_t used;
    if (n > h->input.length)
        n = h->input.length;
    enum parse_result result = http1_parser_feed(r->parser, h->input.at, n, &used);
    use_input(h, used);
    if (result == PARSE_ERROR) {
        r->broken = true;
        connection_blame(h->connection, CLOSE_BAD_REQUEST);
    }
    if (result == PARSE_DONE) {
        r->complete = true;
        set_request_deadline(h);
    }
}

bool http1_take(struct request *r, ssize_t *result) {
    struct http1 *h = r->h;
    http1_parser_sink(r->parser, r->want);
    while (h->connection && h->input.length > 0 && !r->complete && !r->broken &&
           http1_parser_sunk(r->parser) < r->room)
        feed_body(r, r->room - http1_parser_sunk(r->parser));
    if (nothing_follows(h) && !r->complete) {
        r->broken = true; /* it breaks off */
        if (h->connection && h->connection->truncated)
            connection_blame(h->connection, CLOSE_TLS_TRUNCATED);
    }
    *result = (ssize_t)http1_parser_sunk(r->parser);
    if (*result > 0 || r->complete)
        return true;
    *result = r->exchange->aborted ? UV_ECANCELED : r->timed_out ? UV_ETIMEDOUT : UV_EPROTO;
    return r->exchange->aborted || r->timed_out || r->broken;
}

/* Skip what no handler has read, so that the connection can be used again. */
static NOT_INLINE void skip_body(struct http1 *h) {
    struct request *r = h->request;
    http1_parser_sink(r->parser, NULL);
    feed_body(r, h->input.length);
    r->body_dropped += http1_parser_sunk(r->parser);
    if (r->complete) {
        http1_release_request(h);
    } else if (h->peer_closed) {
        connection_finish(h->connection, false);
    } else if (r->broken || r->body_dropped > h->server->options->drain_size) {
        connection_blame(h->connection, r->broken ? CLOSE_BAD_REQUEST : CLOSE_BODY_NOT_READ);
        drop_input(h);
        connection_finish(h->connection, true);
    }
}

/* Do something with the body. False if nothing can be done before the handler goes on. */
static NOT_INLINE bool step_body(struct http1 *h) {
    struct request *r = h->request;
    ssize_t n;
    if (r->ended) {
        skip_body(h);
        return true;
    }
    if (!wait_pending(&r->reader) || !http1_take(r, &n))
        return false;
    wait_done(&r->reader, (int)n);
    return true;
}

/* Do something with the input. False if nothing can be done before the handler goes on, or before
 * the client has taken its answers. */
static bool step(struct http1 *h) {
    if (!h->request && is_clogged(h->connection))
        return false;
    if (!h->request && !begin_request(h)) {
        connection_close(h->connection, CLOSE_NO_MEMORY, UV_ENOMEM);
        return false;
    }
    if (h->request->dispatched)
        return step_body(h);
    feed_head(h);
    return true;
}

/* Go through the input. False if the connection is no longer ours: h is gone. */
static bool go_on(struct http1 *h) {
    h->going_on = true;
    while (h->connection && h->input.length > 0 && connection_is_open(h->connection) && step(h))
        ;
    h->going_on = false;
    if (!h->connection) {
        free(h);
        return false;
    }
    return true;
}

static void go_on_later(struct task *task) {
    struct http1 *h = (struct http1 *)((char *)task - offsetof(struct http1, go_on));
    if (go_on(h))
        http1_control_flow(h);
}

/* --- The connection's events ------------------------------------------------------------------ */

static void on_data(struct connection *c, char *data, size_t n) {
    struct http1 *h = c->owner;
    if (!input_add(&h->input, c->loop, data, n)) {
        connection_close(c, CLOSE_NO_MEMORY, UV_ENOMEM);
        return;
    }
    if (!go_on(h))
        return;
    if (!connection_is_open(c))
        drop_input(h); /* nobody will ask for it, and the buffer is not ours */
    else if (!input_keep(&h->input, c->loop))
        connection_close(c, CLOSE_NO_MEMORY, UV_ENOMEM);
    else
        http1_control_flow(h);
}

/* The handler that does not want to work for nobody. */
static void cancel_handler(struct request *r) {
    struct coroutine *handler = r->exchange->cancel;
    r->exchange->cancel = NULL;
    if (handler)
        coroutine_cancel(handler);
}

static void on_end(struct connection *c) {
    struct http1 *h = c->owner;
    struct request *r = h->request;
    ssize_t n;
    h->peer_closed = true;
    if (!r) {
        if (nothing_follows(h))
            connection_finish(c, false);
    } else if (!r->dispatched) {
        refuse(h, 400, CLOSE_ABORTED);
    } else {
        r->exchange->peer_closed = true;
        cancel_handler(r);
        if (r->ended)
            connection_finish(c, false);
        else if (wait_pending(&r->reader) && http1_take(r, &n))
            wait_done(&r->reader, (int)n);
    }
}

static void on_timeout(struct connection *c) {
    struct http1 *h = c->owner;
    struct request *r = h->request;
    if (!r) {
        if (h->input.length == 0) /* else it is clogged, which has a deadline of its own */
            connection_finish(c, false);
    } else if (!r->dispatched) {
        refuse(h, 408, CLOSE_HEAD_TIMEOUT);
    } else if (r->ended) {
        connection_close(c, CLOSE_REQUEST_TIMEOUT, UV_ETIMEDOUT);
    } else {
        r->timed_out = true;
        r->keep_alive = false;
        connection_blame(c, CLOSE_REQUEST_TIMEOUT);
        if (wait_pending(&r->reader))
            wait_done(&r->reader, UV_ETIMEDOUT);
    }
}

static void on_drained(struct connection *c) {
    struct http1 *h = c->owner;
    if (!h->request)
        loop_post(c->loop, &h->go_on);
    else if (wait_pending(&h->request->writer))
        wait_done(&h->request->writer, 0);
}

static void on_shut_down(struct connection *c) {
    struct http1 *h = c->owner;
    h->shutting_down = true;
    if (!h->request)
        connection_finish(c, false);
    else if (h->request->ended) /* no need to wait for a body that nobody reads */
        connection_finish(c, true);
    else if (h->request->exchange->endless)
        cancel_handler(h->request);
}

/* The handler that is at work, if any, hears of it and comes to its end; h waits for that. */
static void on_closed(struct connection *c) {
    struct http1 *h = c->owner;
    struct request *r = h->request;
    if (r && r->dispatched && (!r->ended || r->exchange->aborted) &&
        (c->reason == CLOSE_READ_ERROR || c->reason == CLOSE_WRITE_ERROR))
        c->reason = CLOSE_ABORTED;
    h->server->events->closed(h->server->owner, c);
    drop_input(h);
    h->connection = NULL;
    if (r && r->dispatched && !r->ended) {
        r->exchange->aborted = true;
        cancel_handler(r);
        if (wait_pending(&r->reader))
            wait_done(&r->reader, UV_ECANCELED);
        if (wait_pending(&r->writer))
            wait_done(&r->writer, UV_ECANCELED);
        return;
    }
    if (r)
        http1_free_request(r);
    h->request = NULL;
    if (!task_is_queued(&h->go_on))
        free(h);
}

static const struct connection_events http1_connection_events = {
    .data = on_data,
    .end = on_end,
    .timeout = on_timeout,
    .drained = on_drained,
    .shut_down = on_shut_down,
    .closed = on_closed,
};

/* --- The interface ---------------------------------------------------------------------------- */

void http1_server_init(struct http1_server *server, const http_options_t *options,
                       const struct http1_events *events, void *owner) {
    *server = (struct http1_server){.options = options, .events = events, .owner = owner};
    int n = snprintf(server->keep_alive_lines, sizeof server->keep_alive_lines,
                     "Connection: keep-alive\r\nKeep-Alive: timeout=%" PRIu64 "\r\n",
                     (uint64_t)options->keep_alive_timeout / 1000);
    server->keep_alive_length = (size_t)n;
}

int http1_start(struct connection *c, const struct http1_server *server) {
    struct http1 *h = calloc(1, sizeof *h);
    if (!h)
        return UV_ENOMEM;
    h->connection = c;
    h->server = server;
    h->go_on.run = go_on_later;
    c->limits = server->options;
    connection_own(c, &http1_connection_events, h);
    connection_set_deadline(c, server->options->head_timeout);
    connection_read_start(c);
    return 0;
}

void http1_refuse(struct exchange *exchange, int status, close_reason_t reason) {
    struct request *r = exchange->carrier;
    r->ended = true;
    refuse(r->h, status, reason);
}
