/* The lines of an HTTP head, more strictly than llhttp has them. */
#ifndef ACACIA_LINES_H
#define ACACIA_LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Every line ends in CRLF, none begins with a blank, and a CR stands nowhere else: what else there
 * is (LF alone, folding) is where request smuggling begins. Of text that comes in pieces *last is
 * the byte before `data`, '\n' at first, and becomes its last one. O(n), 16 bytes at a time where
 * there is SSE2: 0.6 instructions a byte in place of 3.
 */
bool lines_are_strict(char *last, const char *data, size_t n);

/* How far a request line has come that comes in pieces; zero at first. */
struct request_line {
    unsigned blanks;
    unsigned protocol; /* how much of "HTTP/" has come behind them */
    bool begun, done;
};

/*
 * "METHOD url HTTP/1.1", and what comes behind it is not looked at: one blank between them, nothing
 * but ASCII (RFC 3986 2), no control characters, no other protocol. Empty lines before it are
 * allowed.
 */
bool request_line_is_strict(struct request_line *line, const char *data, size_t n);

#endif
