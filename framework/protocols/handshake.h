/* The opening handshake (RFC 6455 4.2), as the npm package ws answers it. */
#ifndef ACACIA_HANDSHAKE_H
#define ACACIA_HANDSHAKE_H

#include "protocols/exchange.h"

struct handshake {
    int status;          /* 101, or the refusal */
    const char *message; /* the body of the refusal */
    bool name_versions;  /* the refusal says which versions we speak */
    char accept[29];     /* Sec-WebSocket-Accept */
    const char
        *protocol; /* the first subprotocol that was offered, or NULL; in the exchange's arena */
};

/* Check a request that asks for an upgrade. */
void handshake_check(struct handshake *handshake, struct exchange *exchange);

#endif
