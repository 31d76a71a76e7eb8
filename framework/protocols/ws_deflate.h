/*
 * permessage-deflate on a WebSocket (RFC 7692): who compresses what with which memory.
 *
 * What is sent is compressed by one deflater for all sockets of a loop, which keeps no context: a
 * socket then costs no memory, and a message that goes to many is compressed once. With
 * own_compressor a socket has one of its own, that remembers what it has sent. What comes in is
 * inflated with the context that the peer keeps, from the first compressed message on; where it
 * keeps none an inflater is borrowed for the length of a message.
 */
#ifndef ACACIA_WS_DEFLATE_H
#define ACACIA_WS_DEFLATE_H

#include "protocols/deflate.h"
#include "protocols/extension.h"

struct ws_incoming;
struct ws_outgoing;
struct ws_peer;

/* What the sockets of a loop share. */
struct ws_compressors;

struct ws_compressors *ws_compressors_new(void);              /* NULL when there is no memory */
void ws_compressors_free(struct ws_compressors *compressors); /* NULL is fine */

/* What a socket has agreed to; zero is no compression. As small as it can be: every socket has it.
 */
struct ws_deflate {
    uint16_t send_bits : 4, receive_bits : 4; /* windows; 0: no compression */
    uint16_t send_no_context : 1, receive_no_context : 1;
    uint16_t sending : 1; /* the fragments that are being sent are compressed */
};

static inline bool ws_deflate_is_on(const struct ws_deflate *deflate) {
    return deflate->send_bits;
}

void ws_deflate_start(struct ws_peer *peer, const struct deflate_agreement *agreement);
void ws_deflate_free(struct ws_peer *peer);

/* Nothing has been said for a while: give back what is not needed to go on. */
void ws_deflate_idle(struct ws_peer *peer);

/* Inflate some of a message's payload into it; `fin` with the last. 0; UV_EMSGSIZE; UV_EILSEQ for
 * what can't be inflated; UV_ECHARSET for text that is not UTF-8; UV_ENOMEM. */
int ws_inflate(struct ws_peer *peer, struct ws_incoming *incoming, const char *data, size_t n,
               bool fin);

/* Should this message, or its first fragment, be compressed? */
bool ws_deflate_wants(const struct ws_peer *peer, const struct ws_outgoing *out);

/* Compress it, by the socket's own deflater if it has one. 0 and what came out, which is lent until
 * the next call; UV_ENOMEM. It may be longer than what went in. */
int ws_deflate(struct ws_peer *peer, const struct ws_outgoing *out, const char **data,
               size_t *length);

/* The same for a message to several sockets, by the deflater that all have. Those that have one of
 * their own must be told that they send it. */
int ws_deflate_shared(struct ws_peer *peer, const struct ws_outgoing *out, const char **data,
                      size_t *length);
void ws_deflate_forget(struct ws_peer *peer);

#endif
