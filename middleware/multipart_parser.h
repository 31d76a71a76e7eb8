/*
 * The parts of a multipart body, one after the other (RFC 2046, 5.1.1): a part of multipart.
 *
 * It finds boundaries and nothing else: it reads nothing, copies nothing, allocates nothing. It is
 * given a window of the body, and tells piece by piece what is in it. When it wants more, the
 * window is moved on: what it has not told of yet stays, and more comes behind it.
 *
 *     while ((event = multipart_parser_next(&parser, &piece)) != MULTIPART_MORE)
 *         …
 *     bytes_t rest = multipart_parser_rest(&parser); // move it to the front, read more behind it
 *     multipart_parser_feed(&parser, buffer, length);
 *
 * Time is linear in the length of the body, however it comes.
 */
#ifndef ACACIA_MULTIPART_PARSER_H
#define ACACIA_MULTIPART_PARSER_H

#include "acacia.h"

#define MULTIPART_BOUNDARY_MAX 70

typedef enum {
    MULTIPART_MORE,      /* the window has to move on */
    MULTIPART_HEAD,      /* a part begins: `piece` are the lines of its head, each with its CRLF */
    MULTIPART_DATA,      /* `piece` is some of its content */
    MULTIPART_PART_END,  /* its content is complete */
    MULTIPART_END,       /* it was the last one; what comes behind its line does not matter */
    MULTIPART_MALFORMED, /* behind a boundary stands what must not */
    MULTIPART_HEAD_TOO_LARGE,
} multipart_event_t;

enum multipart_state {
    MULTIPART_AT_START,
    MULTIPART_IN_PREAMBLE,
    MULTIPART_BEHIND_BOUNDARY,
    MULTIPART_IN_PADDING,
    MULTIPART_IN_HEAD,
    MULTIPART_AT_DATA,
    MULTIPART_IN_DATA,
    MULTIPART_IN_LAST_PADDING,
    MULTIPART_IN_EPILOGUE,
};

typedef struct {
    char delimiter[4 + MULTIPART_BOUNDARY_MAX]; /* CRLF, "--", the boundary */
    size_t delimiter_length;
    size_t head_limit;
    enum multipart_state state;
    const char *at, *end; /* what it has not told of yet */
    size_t scanned;       /* of a head that is not complete */
} multipart_parser_t;

/* `head_limit` is in bytes; a window must have room for it, and for MULTIPART_BOUNDARY_MAX + 8
 * more. False for a boundary that is none: empty, longer than that, or with a CR in it. */
bool multipart_parser_init(multipart_parser_t *parser, bytes_t boundary, size_t head_limit);

/* The window is this from now on: what multipart_parser_rest says, and more behind it. */
void multipart_parser_feed(multipart_parser_t *parser, const char *data, size_t length);

/* What comes next. `piece` points into the window. */
multipart_event_t multipart_parser_next(multipart_parser_t *parser, bytes_t *piece);

/* What it has not told of yet, after MULTIPART_MORE. */
bytes_t multipart_parser_rest(const multipart_parser_t *parser);

#endif
