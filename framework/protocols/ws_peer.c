#include "protocols/ws_peer.h"

#include <stdlib.h>
#include <string.h>

#define CONTROL_MAX 125

/* --- Input ------------------------------------------------------------------------------------ */

static size_t input_length(const struct ws_peer *peer) {
    return peer->input ? peer->input->length : 0;
}

/* The struct stays where it is: somebody may be going through it. */
static void drop_input(struct ws_peer *peer) {
    if (peer->input)
        input_drop(peer->input, peer->all->loop);
}

static void free_used_input(struct ws_peer *peer) {
    if (input_length(peer) > 0)
        return;
    free(peer->input);
    peer->input = NULL;
}

/* Copy what was lent. False when there is no memory. */
static bool hold_input(struct ws_peer *peer, struct input *lent) {
    struct input *held = malloc(sizeof *held);
    if (!held || !input_keep(lent, peer->all->loop)) {
        free(held);
        return false;
    }
    *held = *lent;
    peer->input = held;
    return true;
}

/* The loan ends, and with it the life of `lent`. False when there is no memory; then nothing is
 * left. */
static bool end_loan(struct ws_peer *peer, struct input *lent) {
    bool is_lent = peer->input == lent;
    if (is_lent)
        peer->input = NULL;
    else
        free_used_input(peer);
    return !is_lent || lent->length == 0 || hold_input(peer, lent);
}

/* --- Ending ----------------------------------------------------------------------------------- */

bool ws_close_code_is_valid(int code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* What was sent before goes first. */
static void send_close(struct ws_peer *peer, int code, const char *reason, size_t length) {
    char payload[CONTROL_MAX];
    size_t n = 0;
    if (code) {
        payload[n++] = (char)(code >> 8);
        payload[n++] = (char)code;
        memcpy(payload + n, reason, length);
        n += length;
    }
    ws_outbox_empty(peer);
    ws_outbox_drop(peer);
    ws_peer_control(peer, OPCODE_CLOSE, payload, n);
}

void ws_peer_close(struct ws_peer *peer, int code, const char *reason, size_t length) {
    if (peer->state != WS_PEER_OPEN)
        return;
    send_close(peer, code, reason ? reason : "", length);
    peer->state = WS_PEER_CLOSING;
    connection_set_deadline(peer->connection, peer->options->close_timeout);
    connection_read_start(peer->connection);
    if (!peer->going_on)
        loop_post(peer->all->loop, &peer->task);
}

void ws_peer_fail(struct ws_peer *peer, int code, close_reason_t blame, int error,
                  const char *text) {
    if (peer->failed || peer->state == WS_PEER_CLOSED || peer->close_received)
        return;
    if (peer->state == WS_PEER_OPEN)
        send_close(peer, code, "", 0);
    peer->state = WS_PEER_CLOSING;
    peer->failed = true;
    peer->code = 1006;
    peer->error = (int16_t)error;
    peer->error_text = text;
    connection_blame(peer->connection, blame);
    drop_input(peer);
    connection_finish(peer->connection, true);
}

void ws_peer_note(struct ws_peer *peer, int error, const char *text) {
    if (peer->error || peer->close_received)
        return;
    peer->error = (int16_t)error;
    peer->error_text = text;
}

void ws_peer_terminate(struct ws_peer *peer, close_reason_t blame) {
    if (peer->connection)
        connection_close(peer->connection, blame, 0);
}

void ws_peer_answer_close(struct ws_peer *peer, int code, const char *reason, size_t length) {
    peer->close_received = true;
    peer->code = (uint16_t)(code ? code : 1005);
    if (peer->state == WS_PEER_OPEN)
        send_close(peer, code, reason, length);
    peer->state = WS_PEER_CLOSING;
    drop_input(peer);
    if (peer->client) /* RFC 6455 7.1.1: the server closes first */
        connection_set_deadline(peer->connection, peer->options->close_timeout);
    else
        connection_finish(peer->connection, true);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void no_memory(struct ws_peer *peer) {
    ws_peer_fail(peer, 1011, CLOSE_NO_MEMORY, UV_ENOMEM, "out of memory");
}

static bool may_parse(const struct ws_peer *peer) {
    return peer->connection && connection_is_open(peer->connection) &&
           (peer->wants >= ws_receive_needs(peer) || peer->state == WS_PEER_CLOSING) &&
           !peer->failed;
}

static void control_flow(struct ws_peer *peer) {
    struct connection *c = peer->connection;
    size_t length = input_length(peer);
    if (peer->ended)
        return;
    if (may_parse(peer)) {
        c->read_limit = 0;
        connection_read_start(c);
    } else if (length < peer->all->read_ahead) {
        connection_limit_read(c, peer->all->read_ahead - length);
        connection_read_start(c);
    } else {
        connection_read_stop(c);
    }
}

/* The peer sends no more, and all that it sent has been looked at. */
static void end_if_through(struct ws_peer *peer) {
    struct connection *c = peer->connection;
    if (!peer->ended || input_length(peer) > 0 || !connection_is_open(c))
        return;
    if (peer->close_received) {
        connection_close(c, CONNECTION_DONE, 0);
        return;
    }
    ws_peer_note(peer, UV_EOF, "the peer has gone without a close frame");
    connection_flush(c); /* it may have closed its own side only */
    connection_close(c, CLOSE_WS_ABNORMAL, UV_EOF);
}

static void go_on(struct ws_peer *peer) {
    peer->going_on = true;
    while (input_length(peer) > 0 && may_parse(peer) && ws_receive(peer))
        ;
    peer->going_on = false;
    if (peer->incoming && ws_incoming_is_blank(peer->incoming)) {
        ws_incoming_free(peer->incoming);
        peer->incoming = NULL;
    }
    end_if_through(peer);
}

static void go_on_later(struct task *task) {
    struct ws_peer *peer = (struct ws_peer *)((char *)task - offsetof(struct ws_peer, task));
    go_on(peer);
    free_used_input(peer);
    if (connection_is_open(peer->connection))
        control_flow(peer);
}

/* --- The connection's events ------------------------------------------------------------------ */

static void on_data(struct connection *c, char *data, size_t n) {
    struct ws_peer *peer = c->owner;
    struct input lent = {0};
    peer->heard = loop_now(peer->all->loop);
    peer->ping_sent = false;
    if (peer->close_received) /* what comes behind the last frame is none */
        return;
    if (!peer->input)
        peer->input = &lent;
    if (input_add(peer->input, c->loop, data, n))
        go_on(peer);
    else
        no_memory(peer);
    if (!connection_is_open(c))
        drop_input(peer);
    if (!end_loan(peer, &lent))
        no_memory(peer);
    else if (connection_is_open(c))
        control_flow(peer);
}

static void on_end(struct connection *c) {
    struct ws_peer *peer = c->owner;
    peer->ended = true;
    end_if_through(peer);
}

static void on_timeout(struct connection *c) {
    struct ws_peer *peer = c->owner;
    if (peer->state == WS_PEER_OPEN) {
        ws_health_check(peer);
        return;
    }
    ws_peer_note(peer, UV_ETIMEDOUT, "the peer did not answer the close frame");
    connection_close(c, peer->close_received ? CONNECTION_DONE : CLOSE_WS_NO_ANSWER, UV_ETIMEDOUT);
}

static void on_drained(struct connection *c) {
    struct ws_peer *peer = c->owner;
    ws_peer_refill(peer);
    peer->all->events->drained(peer);
}

static void on_shut_down(struct connection *c) {
    ws_peer_close(c->owner, 1001, "", 0);
}

static void on_closed(struct connection *c) {
    struct ws_peer *peer = c->owner;
    if (!peer->code)
        peer->code = 1006;
    if (c->error && !peer->close_received)
        ws_peer_note(peer, c->error, uv_strerror(c->error));
    if (c->reason == CLOSE_READ_ERROR && peer->close_received)
        c->reason = CONNECTION_DONE; /* reset after the closing handshake: it was over anyway */
    peer->state = WS_PEER_CLOSED;
    drop_input(peer);
    free_used_input(peer);
    peer->connection = NULL;
    loop_unpost(peer->all->loop, &peer->task);
    peer->all->events->closed(peer, c);
}

static const struct connection_events ws_connection_events = {
    .data = on_data,
    .end = on_end,
    .timeout = on_timeout,
    .drained = on_drained,
    .shut_down = on_shut_down,
    .closed = on_closed,
};

/* --- The interface ---------------------------------------------------------------------------- */

bool ws_peer_start(struct ws_peer *peer, const struct ws_peer_setup *setup) {
    peer->all = setup->all;
    peer->connection = setup->connection;
    peer->client = setup->client;
    peer->task.run = go_on_later;
    connection_own(setup->connection, &ws_connection_events, peer);
    connection_read_stop(setup->connection);
    ws_health_start(peer);
    if (setup->agreement)
        ws_deflate_start(peer, setup->agreement);
    if (setup->early_length == 0)
        return true;
    struct input early = {.at = (char *)setup->early, .length = setup->early_length};
    return hold_input(peer, &early);
}

void ws_peer_free(struct ws_peer *peer) {
    ws_incoming_free(peer->incoming);
    peer->incoming = NULL;
    ws_outbox_drop(peer);
    ws_deflate_free(peer);
    free(peer->reason);
    peer->reason = NULL;
}

void ws_peer_want(struct ws_peer *peer, enum ws_peer_wants wants) {
    bool unread = peer->connection && !peer->connection->reading;
    if (peer->wants == wants && !unread)
        return;
    peer->wants = wants;
    if ((wants || unread) && peer->connection && !peer->going_on)
        loop_post(peer->all->loop, &peer->task);
}
