#include "multipart_parser.h"

#include <string.h>

bool multipart_parser_init(multipart_parser_t *parser, bytes_t boundary, size_t head_limit) {
    if (boundary.length == 0 || boundary.length > MULTIPART_BOUNDARY_MAX ||
        memchr(boundary.data, '\r', boundary.length))
        return false;
    *parser = (multipart_parser_t){
        .delimiter_length = 4 + boundary.length,
        .head_limit = head_limit,
        .at = "",
        .end = "",
    };
    parser->end = parser->at;
    memcpy(parser->delimiter, "\r\n--", 4);
    memcpy(parser->delimiter + 4, boundary.data, boundary.length);
    return true;
}

void multipart_parser_feed(multipart_parser_t *parser, const char *data, size_t length) {
    parser->at = data;
    parser->end = data + length;
}

bytes_t multipart_parser_rest(const multipart_parser_t *parser) {
    return (bytes_t){parser->at, (size_t)(parser->end - parser->at)};
}

static size_t left(const multipart_parser_t *parser) {
    return (size_t)(parser->end - parser->at);
}

/* --- Boundaries ------------------------------------------------------------------------------- */

typedef enum { NOT_THERE, PERHAPS, THERE } found_t;

/* Does the window go on with `text`? */
static found_t begins_with(const multipart_parser_t *parser, const char *text, size_t length) {
    size_t n = left(parser) < length ? left(parser) : length;
    if (memcmp(parser->at, text, n) != 0)
        return NOT_THERE;
    return n == length ? THERE : PERHAPS;
}

/* A boundary at the very beginning, where there is no line to end before it. */
static found_t begins_with_boundary(const multipart_parser_t *parser) {
    return begins_with(parser, parser->delimiter + 2, parser->delimiter_length - 2);
}

/* Where the next delimiter begins, or may begin when more comes; else the end of the window. It has
 * one CR, its first byte, so that nothing is looked at twice. */
static const char *find_delimiter(const multipart_parser_t *parser) {
    multipart_parser_t rest = *parser;
    while ((rest.at = memchr(rest.at, '\r', left(&rest)))) {
        if (begins_with(&rest, parser->delimiter, parser->delimiter_length) != NOT_THERE)
            return rest.at;
        rest.at++;
    }
    return parser->end;
}

static bool is_delimiter(const multipart_parser_t *parser, const char *at) {
    return (size_t)(parser->end - at) >= parser->delimiter_length;
}

/* --- States: each returns what it has to tell, or MULTIPART_MORE and perhaps another state ------
 */

static multipart_event_t at_start(multipart_parser_t *parser) {
    found_t found = begins_with_boundary(parser);
    if (found == THERE) {
        parser->at += parser->delimiter_length - 2;
        parser->state = MULTIPART_BEHIND_BOUNDARY;
    } else if (found == NOT_THERE) {
        parser->state = MULTIPART_IN_PREAMBLE;
    }
    return MULTIPART_MORE;
}

static multipart_event_t in_preamble(multipart_parser_t *parser) {
    parser->at = find_delimiter(parser);
    if (is_delimiter(parser, parser->at)) {
        parser->at += parser->delimiter_length;
        parser->state = MULTIPART_BEHIND_BOUNDARY;
    }
    return MULTIPART_MORE;
}

static multipart_event_t behind_boundary(multipart_parser_t *parser) {
    found_t found = begins_with(parser, "--", 2);
    if (found == PERHAPS)
        return MULTIPART_MORE;
    parser->at += found == THERE ? 2 : 0;
    parser->state = found == THERE ? MULTIPART_IN_LAST_PADDING : MULTIPART_IN_PADDING;
    return found == THERE ? MULTIPART_END : MULTIPART_MORE;
}

/* Blanks that somebody on the way may have added. */
static multipart_event_t in_padding(multipart_parser_t *parser) {
    while (parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\t'))
        parser->at++;
    found_t found = begins_with(parser, "\r\n", 2);
    if (found == NOT_THERE)
        return MULTIPART_MALFORMED;
    if (found == THERE) {
        bool is_last = parser->state == MULTIPART_IN_LAST_PADDING;
        parser->at += 2;
        parser->scanned = 0;
        parser->state = is_last ? MULTIPART_IN_EPILOGUE : MULTIPART_IN_HEAD;
    }
    return MULTIPART_MORE;
}

/* The end of the head, behind its empty line; NULL if it is not there yet. */
static const char *find_head_end(multipart_parser_t *parser) {
    const char *from = parser->at + parser->scanned;
    if (begins_with(parser, "\r\n", 2) == THERE)
        return parser->at + 2;
    for (; parser->end - from >= 4; from++) {
        const char *cr = memchr(from, '\r', (size_t)(parser->end - from) - 3);
        if (!cr)
            break;
        if (memcmp(cr, "\r\n\r\n", 4) == 0)
            return cr + 4;
        from = cr;
    }
    parser->scanned = left(parser) > 3 ? left(parser) - 3 : 0;
    return NULL;
}

static multipart_event_t in_head(multipart_parser_t *parser, bytes_t *piece) {
    const char *end = find_head_end(parser);
    size_t length = end ? (size_t)(end - parser->at) : left(parser);
    if (length > parser->head_limit)
        return MULTIPART_HEAD_TOO_LARGE;
    if (!end)
        return MULTIPART_MORE;
    *piece = (bytes_t){parser->at, length - 2};
    parser->at = end;
    parser->state = MULTIPART_AT_DATA;
    return MULTIPART_HEAD;
}

/* A part without content may end with the empty line of its head. */
static multipart_event_t at_data(multipart_parser_t *parser) {
    found_t found = begins_with_boundary(parser);
    if (found == NOT_THERE)
        parser->state = MULTIPART_IN_DATA;
    if (found != THERE)
        return MULTIPART_MORE;
    parser->at += parser->delimiter_length - 2;
    parser->state = MULTIPART_BEHIND_BOUNDARY;
    return MULTIPART_PART_END;
}

static multipart_event_t in_data(multipart_parser_t *parser, bytes_t *piece) {
    const char *delimiter = find_delimiter(parser);
    if (delimiter > parser->at) {
        *piece = (bytes_t){parser->at, (size_t)(delimiter - parser->at)};
        parser->at = delimiter;
        return MULTIPART_DATA;
    }
    if (!is_delimiter(parser, delimiter))
        return MULTIPART_MORE;
    parser->at += parser->delimiter_length;
    parser->state = MULTIPART_BEHIND_BOUNDARY;
    return MULTIPART_PART_END;
}

static multipart_event_t step(multipart_parser_t *parser, bytes_t *piece) {
    switch (parser->state) {
    case MULTIPART_AT_START:
        return at_start(parser);
    case MULTIPART_IN_PREAMBLE:
        return in_preamble(parser);
    case MULTIPART_BEHIND_BOUNDARY:
        return behind_boundary(parser);
    case MULTIPART_IN_PADDING:
    case MULTIPART_IN_LAST_PADDING:
        return in_padding(parser);
    case MULTIPART_IN_HEAD:
        return in_head(parser, piece);
    case MULTIPART_AT_DATA:
        return at_data(parser);
    case MULTIPART_IN_DATA:
        return in_data(parser, piece);
    case MULTIPART_IN_EPILOGUE:
        break;
    }
    parser->at = parser->end;
    return MULTIPART_MORE;
}

multipart_event_t multipart_parser_next(multipart_parser_t *parser, bytes_t *piece) {
    *piece = (bytes_t){"", 0};
    for (;;) {
        enum multipart_state state = parser->state;
        multipart_event_t event = step(parser, piece);
        if (event != MULTIPART_MORE || parser->state == state)
            return event;
    }
}
