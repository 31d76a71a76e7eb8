/* Everybody who is connected: to all, to some, to one by its id. */
#include "application/application.h"
#include "context/rooms.h"
#include "context/socket.h"
#include "websocket.h"

#include <stdlib.h>
#include <string.h>

size_t ws_count(const app_t *app) {
    return app->host.socket_count;
}

/* Sending may close a socket, but never takes it out of the set before the loop runs again. */
void ws_each(app_t *app, void (*fn)(websocket_t *ws, void *arg), void *arg) {
    bool nested = app->host.sends_never_wait;
    app->host.sends_never_wait = true;
    for (struct websocket *ws = app->host.sockets, *following; ws; ws = following) {
        following = ws->next;
        fn(ws, arg);
    }
    app->host.sends_never_wait = nested;
}

/* --- The same to many ------------------------------------------------------------------------- */

struct broadcast {
    struct ws_publication publication;
    const websocket_t *except;
    bool (*filter)(websocket_t *ws, void *arg);
    void *arg;
    size_t count;
};

static struct broadcast broadcast_of(ws_message_t message) {
    const struct ws_outgoing out = {
        .data = message.data,
        .length = message.length,
        .binary = message.binary,
    };
    return (struct broadcast){.publication = {.out = out}};
}

static void send_one(websocket_t *ws, void *arg) {
    struct broadcast *broadcast = arg;
    if (ws == broadcast->except || (broadcast->filter && !broadcast->filter(ws, broadcast->arg)))
        return;
    int err = ws_peer_publish(&ws->peer, &broadcast->publication);
    if (err == 1)
        ws->is_high = true;
    broadcast->count += err == 0 || err == 1;
}

static size_t send_to_all(app_t *app, struct broadcast *broadcast) {
    ws_each(app, send_one, broadcast);
    ws_publication_end(&broadcast->publication);
    return broadcast->count;
}

size_t ws_broadcast(app_t *app, ws_message_t message, const websocket_t *except) {
    struct broadcast broadcast = broadcast_of(message);
    broadcast.except = except;
    return send_to_all(app, &broadcast);
}

size_t ws_broadcast_if(app_t *app, ws_message_t message, bool (*filter)(websocket_t *ws, void *arg),
                       void *arg) {
    struct broadcast broadcast = broadcast_of(message);
    broadcast.filter = filter;
    broadcast.arg = arg;
    return send_to_all(app, &broadcast);
}

size_t ws_publish(app_t *app, const char *room, ws_message_t message, const websocket_t *except) {
    struct room *found = rooms_find(app->host.rooms, room);
    struct broadcast broadcast = broadcast_of(message);
    broadcast.except = except;
    if (found)
        room_each(app->host.rooms, found, send_one, &broadcast);
    ws_publication_end(&broadcast.publication);
    return broadcast.count;
}

size_t ws_room_count(const app_t *app, const char *room) {
    return room_count(rooms_find(app->host.rooms, room));
}

void ws_room_each(app_t *app, const char *room, void (*fn)(websocket_t *ws, void *arg), void *arg) {
    struct room *found = rooms_find(app->host.rooms, room);
    bool nested = app->host.sends_never_wait;
    app->host.sends_never_wait = true;
    if (found)
        room_each(app->host.rooms, found, fn, arg);
    app->host.sends_never_wait = nested;
}

/* --- By id, from any thread ------------------------------------------------------------------- */

websocket_t *ws_find(app_t *app, ws_id_t id) {
    return socket_find(&app->host, id);
}

/* What another thread asks for. */
struct errand {
    ws_id_t id;
    ws_message_t message;
    int code; /* of a close */
    char data[];
};

static void run_send(app_t *app, void *arg) {
    struct errand *errand = arg;
    websocket_t *ws = ws_find(app, errand->id);
    if (ws)
        ws_send(ws, errand->message);
    free(errand);
}

static void run_close(app_t *app, void *arg) {
    struct errand *errand = arg;
    websocket_t *ws = ws_find(app, errand->id);
    if (ws)
        ws_close(ws, errand->code, errand->message.data);
    free(errand);
}

static struct errand *errand_new(ws_id_t id, const void *data, size_t length) {
    struct errand *errand =
        length < SIZE_MAX - sizeof *errand ? malloc(sizeof *errand + length + 1) : NULL;
    if (!errand)
        return NULL;
    *errand = (struct errand){.id = id, .message = {.data = errand->data, .length = length}};
    if (length)
        memcpy(errand->data, data, length);
    errand->data[length] = '\0';
    return errand;
}

static int post(app_t *app, void (*run)(app_t *app, void *arg), struct errand *errand) {
    int err = errand ? app_post(app, run, errand) : UV_ENOMEM;
    if (err)
        free(errand);
    return err;
}

int ws_send_id(app_t *app, ws_id_t id, ws_message_t message) {
    struct errand *errand = errand_new(id, message.data, message.length);
    if (errand)
        errand->message.binary = message.binary;
    return post(app, run_send, errand);
}

int ws_close_id(app_t *app, ws_id_t id, int code, const char *reason) {
    size_t length = reason ? strlen(reason) : 0;
    if (length > 123 || (code ? !ws_close_code_is_valid(code) : length > 0))
        return UV_EINVAL;
    struct errand *errand = errand_new(id, reason, length);
    if (errand)
        errand->code = code;
    return post(app, run_close, errand);
}
