/* The head of a response, and the short answers that need no handler, as bytes. */
#ifndef ACACIA_HTTP1_HEAD_H
#define ACACIA_HTTP1_HEAD_H

#include "protocols/exchange.h"
#include "runtime/connection.h"

struct http1_framing {
    bool chunked;
    const char *connection; /* the fields Connection and Keep-Alive, as lines */
    size_t connection_length;
};

/*
 * Write the head: status line, the headers as they are, then Date, Connection, Keep-Alive and
 * Transfer-Encoding as node does. A header that is set already is not written again. 0, UV_ENOMEM,
 * UV_EPIPE.
 */
int http1_write_head(struct connection *connection, const struct response_head *head,
                     const struct http1_framing *framing);

/* "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n": what node answers to what it can't read.
 */
int http1_write_bare(struct connection *connection, int status);

#endif
