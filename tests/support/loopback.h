/*
 * An exchange without a network: a request made of strings, whose answer is collected in memory.
 * Whole stacks run on it as they would behind HTTP.
 */
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

#include "application/application.h"
#include "protocols/exchange.h"

struct loopback {
    int status; /* 0 until the head was sent */
    char message[64];
    char headers[1024]; /* "Name: value\n" each */
    char body[4096];
    size_t body_length;
    bool ended, failed;
    const char *request_body; /* what `read` gives, in pieces of `piece` bytes */
    size_t piece;
    bool await_reads; /* each read lets the loop turn first */
    size_t heap;      /* what the arena took */
};

/* Send a request through the app's stack, in a coroutine; run the loop until it is answered. */
void loopback_request(app_t *app, struct loopback *loopback, const char *method, const char *url);

#endif
