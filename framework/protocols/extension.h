/*
 * Sec-WebSocket-Extensions (RFC 6455 9.1), and what two peers agree on about compression
 * (permessage-deflate, RFC 7692 7.1), as the npm package ws 8.23 does it. Nothing here compresses:
 * see deflate.h.
 *
 * The server's side:
 *
 *     struct deflate_agreement agreement;
 *     const char *why;
 *     int agreed = deflate_accept_offer(&agreement, &options, header, strlen(header), &why);
 *     // < 0: 400 "Invalid or unacceptable Sec-WebSocket-Extensions header"
 *     //   0: nothing about permessage-deflate was offered; messages are sent as they are
 *     // > 0: agreement.text is the value of Sec-WebSocket-Extensions in the 101
 *
 *     deflater_init(&deflater, &(struct deflater_options){
 *         .window_bits = agreement.server_max_window_bits,
 *         .no_context_takeover = agreement.server_no_context_takeover,
 *         .level = options.level,
 *         .memory_level = options.memory_level,
 *     });
 *     inflater_init(&inflater, agreement.client_max_window_bits,
 *                   agreement.client_no_context_takeover);
 *
 * On the client's side it is the other way round: it compresses by what is said of the client.
 *
 * Nothing is allocated, save by extension_header, and nothing is stored: so there is no limit to
 * how many extensions or parameters a header may have, but that of the header. All is O(n).
 */
#ifndef ACACIA_EXTENSION_H
#define ACACIA_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct headers;

/* --- The header --------------------------------------------------------------------------------*/

/* What all fields Sec-WebSocket-Extensions say, which are one list: joined by ", ", in the arena if
 * they are several. *value is NULL if there is none. 0 or UV_ENOMEM. */
int extension_header(const struct headers *headers, struct arena *arena, const char **value);

/* A part of the header's text, not NUL-terminated. */
struct extension_text {
    const char *start;
    size_t length;
};

/* Reads a header from its start to its end. */
struct extension_reader {
    const char *start, *at, *end;
    const char *error; /* static; NULL if there is none */
};

void extension_reader_init(struct extension_reader *reader, const char *header, size_t n);

/*
 * The name of the next extension. False at the end, or where the header is malformed: then `error`
 * is "unexpected character" or "unexpected end", and `at` is where. As in ws there may be blanks
 * around ',' and ';', but none at the very start or end, nor around '='; a quoted string must be a
 * token when its quotes are gone; no token is empty.
 */
bool extension_next(struct extension_reader *reader, struct extension_text *name);

/* The next parameter of that extension. A parameter without a value has NULL as the value's start.
 * What stood in quotes comes without them, but with its backslashes: none is part of the value. */
bool extension_next_parameter(struct extension_reader *reader, struct extension_text *name,
                              struct extension_text *value);

/* --- permessage-deflate ------------------------------------------------------------------------*/

/* In place of a bool or of window bits: no, not even if the peer asks for it. */
#define DEFLATE_REFUSE (-1)

/*
 * What one side wants. Zero is ws's default, in all of them: do as the peer says.
 *
 * The window of a side is 2^bits bytes of what it has sent, 8 <= bits <= 15, which both sides keep.
 * Without context takeover it is forgotten after each message: worse compression, less memory.
 */
struct deflate_options {
    /* true: say so; 0: if the client asks for it; DEFLATE_REFUSE: a server declines an offer that
     * does. */
    int server_no_context_takeover;

    /* true: say so, or, on a server, demand it; 0: if the peer says it; DEFLATE_REFUSE: a client
     * fails when the server demands it. */
    int client_no_context_takeover;

    /* 8–15: a server declines an offer that wants less, and otherwise says this; a client asks for
     * it. 0: as the client wants. DEFLATE_REFUSE: a server declines an offer that names any. */
    int server_max_window_bits;

    /* 8–15: a server demands it, and declines an offer that does not allow that, or has less; a
     * client offers it. 0: a server says what the client has offered; a client lets the server
     * choose. DEFLATE_REFUSE: a server says nothing; a client does not offer it. */
    int client_max_window_bits;

    /* Ours, and not negotiated. */
    int level;        /* 1 (quick) – 9 (small); 0: 6 */
    int memory_level; /* 1–9, see deflate.h; 0: 8 */
    size_t threshold; /* see deflate_is_worthwhile; 0: 1024 bytes */
};

/* NULL, or what is wrong with the options: "server_max_window_bits must be between 8 and 15". To be
 * asked once; the other functions take any options for right. */
const char *deflate_options_check(const struct deflate_options *options);

/* Should a message, of which the first fragment has `length` bytes, be compressed? All are, if the
 * sender keeps its window: even a short one may then be a repetition. Otherwise those from
 * `threshold` bytes on. */
bool deflate_is_worthwhile(const struct deflate_options *options, bool no_context_takeover,
                           size_t length);

#define DEFLATE_TEXT_SIZE 160

/* What both sides do. */
struct deflate_agreement {
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    uint8_t server_max_window_bits; /* 8–15 */
    uint8_t client_max_window_bits;
    char text[DEFLATE_TEXT_SIZE]; /* what the server answers, NUL-terminated */
};

/*
 * The server's side: of the offers take the first one that `options` don't decline.
 *
 * Returns 1 if there is an agreement; 0 if permessage-deflate is not in the header, with which all
 * is well, too; UV_EINVAL if the header is malformed, if an offer has parameters that are unknown,
 * come twice or have wrong values (however good the other offers are), or if all are declined: then
 * *why is static text about it. Without an agreement *agreement is left alone.
 *
 * In one point it is stricter than ws: window bits are decimal without leading zeros, as RFC 7692
 * 7.1.2 wants them (ws takes 0xF, 1e1 and 08).
 */
int deflate_accept_offer(struct deflate_agreement *agreement, const struct deflate_options *options,
                         const char *header, size_t n, const char **why);

/* The client's side: its offer, for Sec-WebSocket-Extensions. NUL-terminated. */
void deflate_write_offer(char text[DEFLATE_TEXT_SIZE], const struct deflate_options *options);

/*
 * The client's side: what a server has answered to that offer. `text` of the agreement is empty.
 * Returns 1 if it is an agreement. If the handshake must fail *why is static text about it:
 * UV_EINVAL if the header is malformed, or its parameters are wrong or not what `options` allow;
 * UV_ENOTSUP for an extension that was not offered. A response without the field is no compression.
 */
int deflate_accept_response(struct deflate_agreement *agreement,
                            const struct deflate_options *options, const char *header, size_t n,
                            const char **why);

#endif
