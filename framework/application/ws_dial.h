/* A WebSocket to another server: from the URL to the open socket. */
#ifndef ACACIA_WS_DIAL_H
#define ACACIA_WS_DIAL_H

#include "application/application.h"
#include "ws_client.h"

/* Connect. Awaits. 0 and the socket, with nobody at work for it; or an error, told in *failure. */
int ws_dial(struct app *app, const char *url, const ws_client_options_t *options,
            ws_failure_t *failure, struct websocket **ws);

/* Can it be a URL of a WebSocket? 0, UV_EINVAL, UV_ENOMEM. */
int ws_dial_check(const char *url);

#endif
