/* The opening handshake (RFC 6455 4.2), as the npm package ws answers it. */
#ifndef ACACIA_HANDSHAKE_H
#define ACACIA_HANDSHAKE_H

#include "protocols/exchange.h"

struct handshake {
    int status;           /* 101, or the refusal */
    const char *message;  /* the body of the refusal */
    bool name_versions;   /* the refusal says which versions we speak */
    char accept[29];      /* Sec-WebSocket-Accept */
    const char *protocol; /* the subprotocol that was chosen, or NULL */
};

/* Check a request that asks for an upgrade. Of the subprotocols that it offers the first one is
 * chosen; or, if `protocols` is not NULL, the first of these, with NULL behind the last, that it
 * offers. What is chosen lies in the exchange's arena, or is of `protocols`. */
void handshake_check(struct handshake *handshake, struct exchange *exchange,
                     const char *const *protocols);

/* Number `index` of the subprotocols that it offers, in the exchange's arena; NULL past the last,
 * and when there is no memory. */
const char *handshake_offered(struct exchange *exchange, size_t index);

#endif
