/*
 * Multipart bodies: however one is cut, the same comes out of it, and nothing that was not in it.
 * The first bytes are the boundary's length, and the steps in which the body is cut; then come the
 * boundary and the body.
 */
#include "middleware/multipart_parser.h"
#include "middleware/part_head.h"
#include "protocols/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LIMIT 1024

static void check(bool holds) {
    if (!holds)
        abort();
}

static void check_text(const char *text) {
    check(!text || utf8_valid(text, strlen(text)));
}

static void check_head(bytes_t lines) {
    part_head_t head;
    char *exact = malloc(lines.length ? lines.length : 1);
    memcpy(exact, lines.data, lines.length);
    int err = part_head_parse(&head, (bytes_t){exact, lines.length}, 32);
    free(exact); /* nothing may point into it */
    check(err == 0 || err == UV_EINVAL || err == UV_E2BIG);
    if (err)
        return;
    check_text(head.name);
    check_text(head.filename);
    check(strchr(head.type, '/') && head.charset);
    part_head_free(&head);
}

/* Writes down what it tells. False at an error. */
static bool take_events(multipart_parser_t *parser, FILE *to) {
    bytes_t piece;
    multipart_event_t event;
    while ((event = multipart_parser_next(parser, &piece)) != MULTIPART_MORE) {
        if (event != MULTIPART_DATA)
            fprintf(to, "[%d]", event);
        fwrite(piece.data, 1, piece.length, to);
        if (event == MULTIPART_HEAD)
            check_head(piece);
        if (event == MULTIPART_MALFORMED || event == MULTIPART_HEAD_TOO_LARGE)
            return false;
    }
    return true;
}

/* The body in steps of so many bytes, each in a window of its own. */
static char *run(bytes_t boundary, const char *body, size_t size, size_t step, size_t *length) {
    multipart_parser_t parser;
    char *told, *window = NULL;
    FILE *to = open_memstream(&told, length);
    bool good = multipart_parser_init(&parser, boundary, HEAD_LIMIT);
    for (size_t at = 0; good && at < size; at += step) {
        bytes_t rest = multipart_parser_rest(&parser);
        size_t n = at + step < size ? step : size - at;
        check(rest.length <= HEAD_LIMIT + MULTIPART_BOUNDARY_MAX + 8);
        char *next = malloc(rest.length + n);
        memcpy(next, rest.data, rest.length);
        memcpy(next + rest.length, body + at, n);
        free(window);
        window = next;
        multipart_parser_feed(&parser, window, rest.length + n);
        good = take_events(&parser, to);
    }
    free(window);
    fclose(to);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t whole_length, length;
    if (size < 2 || size - 2 < data[0] % 72u)
        return 0;
    bytes_t boundary = {(const char *)data + 2, data[0] % 72u};
    const char *body = boundary.data + boundary.length;
    size -= 2 + boundary.length;
    char *whole = run(boundary, body, size, size ? size : 1, &whole_length);
    char *cut = run(boundary, body, size, 1 + data[1], &length);
    check(length == whole_length && memcmp(whole, cut, length) == 0);
    free(whole);
    free(cut);
    check_head((bytes_t){body, size < HEAD_LIMIT ? size : HEAD_LIMIT});
    return 0;
}
