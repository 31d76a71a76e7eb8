/* The head of a response, and the short answers that need no handler, as bytes. */
#ifndef ACACIA_HTTP1_HEAD_H
#define ACACIA_HTTP1_HEAD_H

#include "protocols/exchange.h"
#include "runtime/connection.h"

struct http1_framing {
    bool keep_alive;
    bool http_1_0; /* the client's version: no chunks */
    unsigned keep_alive_seconds;
};

/*
 * Write the head: status line, the headers as they are, then Date, Connection, Keep-Alive and
 * Transfer-Encoding as node does. A header that is set already is not written again. *chunked tells
 * whether the body is to be chunked. 0, UV_ENOMEM, UV_EPIPE.
 */
int http1_write_head(struct connection *connection, const struct response_head *head,
                     const struct http1_framing *framing, bool *chunked);

/* "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n": what node answers to what it can't read.
 */
int http1_write_bare(struct connection *connection, int status);

#endif
