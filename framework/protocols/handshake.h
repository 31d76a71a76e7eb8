/* The opening handshake (RFC 6455 4.2), as the npm package ws answers it. */
#ifndef ACACIA_HANDSHAKE_H
#define ACACIA_HANDSHAKE_H

#include "protocols/exchange.h"
#include "protocols/extension.h"

struct handshake {
    int status;           /* 101, or the refusal */
    const char *message;  /* the body of the refusal */
    bool name_versions;   /* the refusal says which versions we speak */
    char accept[29];      /* Sec-WebSocket-Accept */
    const char *protocol; /* the subprotocol that was chosen, or NULL */
    bool compressed;      /* permessage-deflate, as in `agreement` */
    struct deflate_agreement agreement;
};

/* Check a request that asks for an upgrade, save for its extensions. Of the subprotocols that it
 * offers the first one is chosen; or, if `protocols` is not NULL, the first of these, with NULL
 * behind the last, that it offers. What is chosen lies in the exchange's arena, or is of
 * `protocols`. */
void handshake_check(struct handshake *handshake, struct exchange *exchange,
                     const char *const *protocols);

/* Agree on compression, or on none, as `options` say; NULL is none. False if what the client offers
 * is malformed or not acceptable: then it is refused. */
bool handshake_agree(struct handshake *handshake, struct exchange *exchange,
                     const struct deflate_options *options);

/* Number `index` of the subprotocols that it offers, in the exchange's arena; NULL past the last,
 * and when there is no memory. */
const char *handshake_offered(struct exchange *exchange, size_t index);

#endif
