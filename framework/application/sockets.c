/* Everybody who is connected. */
#include "application/application.h"
#include "context/socket.h"
#include "websocket.h"

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

struct broadcast {
    ws_message_t message;
    const websocket_t *except;
    size_t count;
};

static void send_one(websocket_t *ws, void *arg) {
    struct broadcast *broadcast = arg;
    if (ws != broadcast->except && ws_send(ws, broadcast->message) >= 0)
        broadcast->count++;
}

size_t ws_broadcast(app_t *app, ws_message_t message, const websocket_t *except) {
    struct broadcast broadcast = {message, except, 0};
    ws_each(app, send_one, &broadcast);
    return broadcast.count;
}
