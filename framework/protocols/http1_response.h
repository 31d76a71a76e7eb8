/* The head of a response, for clients. Parsed by llhttp. */
#ifndef ACACIA_HTTP1_RESPONSE_H
#define ACACIA_HTTP1_RESPONSE_H

#include "protocols/exchange.h"

struct http1_response {
    int status;
    struct headers headers;
};

/* How many of the `n` bytes are the head, with the empty line that ends it; 0 if that has not come.
 */
size_t http1_response_head(const char *data, size_t n);

/* Parse those bytes. What is found lies in the arena. 0; UV_EPROTO, if it is none; UV_ENOMEM. */
int http1_response_parse(struct http1_response *response, struct arena *arena, const char *data,
                         size_t n);

#endif
