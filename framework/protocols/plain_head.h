/*
 * The head of a request that lies there as one piece and has nothing unusual: nearly all are like
 * that. Its lines are told apart here, sixteen bytes at a time, so that llhttp need only see those
 * that make a difference to it; if it is GET or HEAD of a path, and has none of them, it sees
 * nothing.
 *
 * What is not plain is llhttp's, from the first byte on, and so is its judgement: this accepts less
 * than http1_parser.c does without it, and never anything else (tests/fuzz/parsers.c compares the
 * two).
 */
#ifndef ACACIA_PLAIN_HEAD_H
#define ACACIA_PLAIN_HEAD_H

#include "protocols/exchange.h"

struct plain_head {
    const char *url;
    size_t url_length;
    char minor;         /* the x of HTTP/1.x, whatever it is */
    const char *fields; /* where they begin */
    const char *end;    /* the empty line behind them */
    /* A bit for each field that says something of the message itself: Host, Expect, Upgrade,
     * Connection, Content-Length, Proxy-Connection, Transfer-Encoding. Others may have it, too. */
    uint64_t framing;
};

/*
 * Read the head in `data`: "METHOD url HTTP/1.x", fields "Name: value", an empty line, each with
 * CRLF. The fields are put into `headers`, which is empty, with names and values that point into
 * `data`, without a NUL behind them; a value has no blanks around it. O(n). May not suspend.
 *
 * False if it is not plain, or not all there, or has more than `limit` or 64 fields, or there is no
 * memory for so many: then `headers` is empty.
 */
bool plain_head_read(struct plain_head *head, struct headers *headers, struct arena *arena,
                     size_t limit, const char *data, size_t n);

#endif
