/* The sockets that are open: all of them, by their ids, and in rooms. */
#include "context/crowd.h"
#include "context/rooms.h"
#include "context/socket.h"

#include <stdlib.h>

void socket_join_set(struct websocket *ws) {
    struct context_host *host = ws->context->host;
    ws->next = host->sockets;
    ws->link = &host->sockets;
    if (ws->next)
        ws->next->link = &ws->next;
    host->sockets = ws;
    host->socket_count++;
}

/* --- Ids -------------------------------------------------------------------------------------- */

static struct websocket **bucket_of(const struct context_host *host, uint64_t id) {
    return &host->ids[id & (host->ids_size - 1)];
}

static bool grow(struct context_host *host) {
    size_t size = host->ids_size ? 2 * host->ids_size : 64, old = host->ids_size;
    struct websocket **ids = calloc(size, sizeof(struct websocket *)), **former = host->ids;
    if (!ids)
        return old > 0; /* a crowded table will do, too */
    host->ids = ids;
    host->ids_size = size;
    for (size_t i = 0; i < old; i++)
        for (struct websocket *ws = former[i], *next; ws; ws = next) {
            next = ws->extras->next_id;
            ws->extras->next_id = *bucket_of(host, ws->extras->id);
            *bucket_of(host, ws->extras->id) = ws;
        }
    free(former);
    return true;
}

ws_id_t ws_id(websocket_t *ws) {
    struct context_host *host = ws->context->host;
    struct socket_extras *extras = ws->extras;
    if (ws->state == WS_CLOSED || (extras && extras->id))
        return extras ? extras->id : 0;
    if (!(extras = socket_extras(ws)) || (host->ids_used >= host->ids_size && !grow(host)))
        return 0;
    extras->id = ++host->last_id;
    extras->next_id = *bucket_of(host, extras->id);
    *bucket_of(host, extras->id) = ws;
    host->ids_used++;
    return extras->id;
}

static void forget_id(struct websocket *ws) {
    struct context_host *host = ws->context->host;
    struct socket_extras *extras = ws->extras;
    if (!extras || !extras->id)
        return;
    struct websocket **at = bucket_of(host, extras->id);
    while (*at != ws)
        at = &(*at)->extras->next_id;
    *at = extras->next_id;
    host->ids_used--;
    extras->id = 0;
}

struct websocket *socket_find(const struct context_host *host, uint64_t id) {
    struct websocket *ws = id && host->ids ? *bucket_of(host, id) : NULL;
    while (ws && ws->extras->id != id)
        ws = ws->extras->next_id;
    return ws;
}

/* --- Rooms ------------------------------------------------------------------------------------ */

int ws_join(websocket_t *ws, const char *room) {
    int err = ws_accept(ws);
    return err ? err : rooms_join(&ws->context->host->rooms, ws, room);
}

void ws_leave(websocket_t *ws, const char *room) {
    rooms_leave(ws->context->host->rooms, ws, room);
}

/* --- The end ---------------------------------------------------------------------------------- */

void socket_leave_set(struct websocket *ws) {
    forget_id(ws);
    rooms_leave_all(ws->context->host->rooms, ws);
    if (!ws->link) /* a client's */
        return;
    *ws->link = ws->next;
    if (ws->next)
        ws->next->link = ws->link;
    ws->link = NULL;
    ws->context->host->socket_count--;
}

void socket_leave_crowd(struct websocket *ws) {
    struct context_host *host = ws->context->host;
    if (ws->peer.client)
        return;
    crowd_leave(host->crowd, ws->crowd);
    ws->crowd = NULL;
    host->handshakes--;
}
