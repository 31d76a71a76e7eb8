/* What the layers above do with a request: read its body, answer it, take its connection over. */
#include "protocols/http1_head.h"
#include "protocols/http1_request.h"

#include <stdio.h>
#include <stdlib.h>

/* The connection is being closed, and the handler is the first to notice. */
static int gone(struct request *r) {
    r->exchange->aborted = true;
    return UV_ECANCELED;
}

static ssize_t http1_read(struct exchange *exchange, void *buffer, size_t size) {
    struct request *r = exchange->carrier;
    struct http1 *h = r->h;
    ssize_t n;
    if (size == 0)
        return 0;
    if (r->reader.co)
        return UV_EBUSY;
    if (r->wants_continue && !r->complete && !exchange->aborted) {
        static const char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";
        r->wants_continue = false;
        connection_write(h->connection, go_ahead, sizeof go_ahead - 1);
        connection_flush(h->connection);
    }
    r->want = buffer;
    r->room = size > INT32_MAX ? INT32_MAX : size;
    if (http1_take(r, &n)) {
        if (h->connection && !h->going_on)
            http1_control_flow(h);
        return n;
    }
    if (!connection_is_open(h->connection))
        return gone(r);
    h->connection->read_limit = 0;
    connection_read_start(h->connection);
    return wait_for(&r->reader);
}

/* Can the connection serve another request after this one? To be known when the head is written. */
static void settle_keep_alive(struct request *r, const struct response_head *head) {
    struct http1 *h = r->h;
    const char *connection = headers_get(head->headers, "Connection");
    bool body_is_too_long = !r->complete && r->exchange->content_length > 0 &&
                            (uint64_t)r->exchange->content_length > h->server->options->drain_size;
    if (h->shutting_down || r->exchange->last || nothing_follows(h) || r->broken ||
        r->wants_continue || body_is_too_long ||
        (connection && header_has_token(connection, "close")) ||
        (head->kind == BODY_STREAM && r->exchange->http_1_0))
        r->keep_alive = false;
}

static int http1_send_head(struct exchange *exchange, const struct response_head *head) {
    static const char close[] = "Connection: close\r\n";
    struct request *r = exchange->carrier;
    const struct http1_server *server = r->h->server;
    if (exchange->aborted)
        return UV_ECANCELED;
    settle_keep_alive(r, head);
    r->wants_continue = false; /* this is the answer, to be followed by no 100 */
    r->counted = head->kind != BODY_STREAM;
    r->chunked = head->kind == BODY_STREAM && !exchange->http_1_0;
    r->body_left = head->kind == BODY_LENGTH ? head->length : 0;
    struct http1_framing framing = {
        .chunked = r->chunked,
        .connection = r->keep_alive ? server->keep_alive_lines : close,
        .connection_length = r->keep_alive ? server->keep_alive_length : sizeof close - 1,
    };
    int err = http1_write_head(r->h->connection, head, &framing);
    return err == UV_EPIPE ? gone(r) : err;
}

static NOT_INLINE int write_chunk(struct connection *c, const void *data, size_t length) {
    char line[24];
    int n = snprintf(line, sizeof line, "%zx\r\n", length);
    int err = connection_write(c, line, (size_t)n);
    if (!err)
        err = connection_write(c, data, length);
    return err ? err : connection_write(c, "\r\n", 2);
}

/* Too much waits to be sent. */
static NOT_INLINE int wait_to_write(struct request *r) {
    struct connection *c = r->h->connection;
    connection_flush(c);
    if (!connection_is_high(c))
        return 0;
    bool can_wait = coroutine_self() && !r->exchange->detached && !r->writer.co;
    return can_wait ? wait_for(&r->writer) : 1;
}

static int http1_write(struct exchange *exchange, const void *data, size_t length) {
    struct request *r = exchange->carrier;
    struct connection *c = r->h->connection;
    if (exchange->aborted)
        return UV_ECANCELED;
    if (r->counted && length > r->body_left)
        return UV_EPIPE;
    if (length == 0)
        return 0;
    r->body_left -= r->counted ? length : 0;
    int err = r->chunked ? write_chunk(c, data, length) : connection_write(c, data, length);
    if (err)
        return err == UV_EPIPE ? gone(r) : err;
    return connection_is_high(c) ? wait_to_write(r) : 0;
}

void http1_release_request(struct http1 *h) {
    http1_free_request(h->request);
    h->request = NULL;
    connection_set_deadline(h->connection, h->server->options->keep_alive_timeout);
    if (h->shutting_down || nothing_follows(h))
        connection_finish(h->connection, false);
    else if (!h->going_on)
        loop_post(h->connection->loop, &h->go_on);
}

static void http1_end(struct exchange *exchange, bool failed) {
    struct request *r = exchange->carrier;
    struct http1 *h = r->h;
    struct connection *c = h->connection;
    r->ended = true;
    if (!c) { /* closed meanwhile */
        http1_free_request(r);
        free(h);
        return;
    }
    if (failed || (r->counted && r->body_left > 0)) {
        connection_flush(c); /* what was written, and the answers before this one */
        connection_close(c, h->peer_closed ? CLOSE_ABORTED : CLOSE_HANDLER_FAILED, 0);
        return;
    }
    if (r->chunked)
        connection_write(c, "0\r\n\r\n", 5);
    if (!r->keep_alive || nothing_follows(h))
        connection_finish(c, !r->complete || exchange->last || h->input.length > 0);
    else if (r->complete)
        http1_release_request(h);
    else if (!h->going_on)
        loop_post(c->loop, &h->go_on);
}

static struct connection *http1_take_over(struct exchange *exchange, char **early,
                                          size_t *early_length) {
    struct request *r = exchange->carrier;
    struct http1 *h = r->h;
    struct connection *c = h->connection;
    if (!c || !connection_is_open(c))
        return NULL;
    *early = NULL;
    *early_length = h->input.length;
    if (*early_length && !(*early = arena_copy(&exchange->arena, h->input.at, h->input.length)))
        return NULL;
    drop_input(h);
    connection_set_deadline(c, 0);
    c->read_limit = 0;
    r->loop->counts.exchanges--;
    loop_unpost(r->loop, &h->go_on);
    h->connection = NULL;
    h->request = NULL;
    if (exchange != &r->own)
        arena_release(&r->own.arena);
    if (!h->going_on)
        free(h);
    return c;
}

static void http1_peer(struct exchange *exchange, char *text, size_t size) {
    struct request *r = exchange->carrier;
    text[0] = '\0';
    if (r->h->connection)
        connection_peer(r->h->connection, text, size);
}

static struct connection *http1_connection(struct exchange *exchange) {
    struct request *r = exchange->carrier;
    return r->h->connection;
}

const struct exchange_ops http1_ops = {
    .read = http1_read,
    .head = http1_send_head,
    .write = http1_write,
    .end = http1_end,
    .take_over = http1_take_over,
    .peer = http1_peer,
    .connection = http1_connection,
};
