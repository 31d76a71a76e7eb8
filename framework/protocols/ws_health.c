/* How long a WebSocket may say nothing, and how much in a second. */
#include "protocols/ws_peer.h"

#define NEVER UINT64_MAX

static uint64_t after(uint64_t moment, uint64_t time) {
    return time ? moment + time : NEVER;
}

/* The deadline moves with what is heard only when it has come: that costs nothing in between. */
static void set_deadline(struct ws_peer *peer) {
    const ws_options_t *options = peer->options;
    uint64_t now = loop_now(peer->all->loop);
    uint64_t silent = after(peer->heard, options->heartbeat);
    uint64_t idle = after(peer->active, options->idle_timeout);
    uint64_t at = silent < idle ? silent : idle;
    if (at != NEVER)
        connection_set_deadline(peer->connection, at > now ? at - now : 1);
}

void ws_health_start(struct ws_peer *peer) {
    peer->heard = peer->active = loop_now(peer->all->loop);
    set_deadline(peer);
}

/* What does not read hears nothing: a handler is busy, and that is not the peer's fault. */
static void beat(struct ws_peer *peer, uint64_t now) {
    if (!peer->connection->reading) {
        peer->heard = now;
    } else if (peer->ping_sent) {
        ws_peer_note(peer, UV_ETIMEDOUT, "the peer did not answer a ping");
        ws_peer_terminate(peer, CLOSE_WS_HEARTBEAT);
    } else {
        peer->ping_sent = true;
        peer->heard = now; /* as long again, for the answer */
        ws_peer_control(peer, OPCODE_PING, "", 0);
        ws_deflate_idle(peer);
    }
}

void ws_health_check(struct ws_peer *peer) {
    const ws_options_t *options = peer->options;
    uint64_t now = loop_now(peer->all->loop);
    if (peer->incoming && peer->incoming->reading.in_message)
        peer->active = peer->heard; /* a long one is on its way */
    if (after(peer->active, options->idle_timeout) <= now) {
        connection_blame(peer->connection, CLOSE_WS_IDLE);
        ws_peer_note(peer, UV_ETIMEDOUT, "no message for too long");
        ws_peer_close(peer, 1001, "idle", 4);
        return;
    }
    if (after(peer->heard, options->heartbeat) <= now)
        beat(peer, now);
    if (peer->connection && connection_is_open(peer->connection))
        set_deadline(peer);
}

bool ws_health_allows(struct ws_peer *peer) {
    uint64_t now = loop_now(peer->all->loop);
    peer->active = now;
    if (!peer->options->message_rate)
        return true;
    if ((uint32_t)now - peer->rate_began >= 1000) {
        peer->rate_began = (uint32_t)now;
        peer->rate_count = 0;
    }
    if (++peer->rate_count <= peer->options->message_rate)
        return true;
    ws_peer_fail(peer, 1008, CLOSE_WS_RATE, UV_EMSGSIZE, "too many messages in a second");
    return false;
}
