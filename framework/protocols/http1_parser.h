/*
 * HTTP/1.1 requests, parsed by llhttp: the only file that knows it is http1_parser.c. Of a plain
 * head (plain_head.h) it gets the lines that say where the message ends and what comes behind it;
 * and nothing, if that goes without saying: of GET and HEAD, without a field of that kind.
 *
 * A parser lives as long as its request, and in the request's arena: an idle connection has none.
 * It stops behind the headers, and behind the message, so that whoever drives it decides when to go
 * on.
 *
 * llhttp 8.1 lets some things pass that two servers could read differently; those are refused here:
 * lines that don't end in CRLF, folded headers, control characters, a second Host, more than one
 * way to delimit the body.
 */
#ifndef ACACIA_HTTP1_PARSER_H
#define ACACIA_HTTP1_PARSER_H

#include "protocols/exchange.h"

struct http1_parser;

enum parse_result {
    PARSE_MORE, /* everything was used, and it goes on */
    PARSE_HEAD, /* the headers are complete, and a body follows */
    PARSE_DONE, /* the message is complete */
    PARSE_ERROR /* http1_parser_status says what to answer; it stays so */
};

struct http1_limits {
    size_t head_size;
    size_t header_count;
};

/* A parser that fills `exchange`, in `memory`: http1_parser_size bytes, aligned to 16. The
 * list of its headers lies there, too. */
extern const size_t http1_parser_size;
struct http1_parser *http1_parser_init(void *memory, struct exchange *exchange,
                                       const struct http1_limits *limits);

/* Parse; *used gets the bytes that were used. Body bytes go to the sink. */
enum parse_result http1_parser_feed(struct http1_parser *parser, const char *data, size_t n,
                                    size_t *used);

/* Where body bytes go: the driver never feeds more bytes than there is room. NULL drops them. */
void http1_parser_sink(struct http1_parser *parser, char *buffer);

/* Body bytes since the last http1_parser_sink. */
size_t http1_parser_sunk(const struct http1_parser *parser);

/* The status for the error: 400, 408 …, 414, 431, 505; 0: answer nothing, close. */
int http1_parser_status(const struct http1_parser *parser);

/* After PARSE_HEAD or PARSE_DONE: is there a field Expect? */
bool http1_parser_expects(const struct http1_parser *parser);

/* After PARSE_HEAD or PARSE_DONE: may the connection be used again? Is it HTTP/1.0? */
bool http1_parser_keep_alive(const struct http1_parser *parser);
bool http1_parser_is_1_0(const struct http1_parser *parser);

#endif
