/*
 * Every parser that sees a client's bytes without a connection: which one, the first byte says.
 * Besides not crashing they must agree with themselves: in pieces as in one.
 */
#include "context/percent.h"
#include "protocols/handshake.h"
#include "protocols/http1_parser.h"
#include "protocols/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

static enum parse_result parse_head(const uint8_t *data, size_t size, size_t piece) {
    struct exchange exchange = {0};
    enum parse_result result = PARSE_MORE;
    arena_init(&exchange.arena, NULL);
    void *memory = arena_zalloc(&exchange.arena, http1_parser_size);
    struct http1_parser *parser =
        http1_parser_init(memory, &exchange, &(struct http1_limits){1024, 8});
    while (size > 0 && result == PARSE_MORE) {
        size_t n = size < piece ? size : piece, used;
        char *copy = text_of(data, n); /* at its own address, so that ASan sees an overrun */
        result = http1_parser_feed(parser, copy, n, &used);
        free(copy);
        if (used > n)
            abort();
        data += n;
        size -= n;
    }
    arena_release(&exchange.arena);
    return result;
}

static void fuzz_http1(const uint8_t *data, size_t size) {
    enum parse_result whole = parse_head(data, size, size);
    enum parse_result pieces = parse_head(data, size, 1);
    if ((whole == PARSE_ERROR) != (pieces == PARSE_ERROR))
        abort();
}

static void fuzz_percent(const uint8_t *data, size_t size) {
    char *to = malloc(size + 1);
    if (percent_decode_string(to, (const char *)data, size) && !utf8_valid(to, strlen(to)))
        abort();
    free(to);
}

static void fuzz_handshake(const uint8_t *data, size_t size) {
    struct exchange exchange = {.method = "GET"};
    struct handshake handshake;
    char *text = text_of(data, size), *line = text;
    arena_init(&exchange.arena, NULL);
    for (char *next; line && *line; line = next) {
        char *colon = strchr(line, ':');
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (colon && (!next || colon < next)) {
            *colon = '\0';
            headers_add(&exchange.headers, &exchange.arena, line, strlen(line), colon + 1,
                        strlen(colon + 1));
        }
    }
    handshake_check(&handshake, &exchange, NULL);
    if (handshake.status != 101 && !handshake.message)
        abort();
    arena_release(&exchange.arena);
    free(text);
}

static void fuzz_utf8(const uint8_t *data, size_t size) {
    struct utf8 whole = {0}, pieces = {0};
    bool all = utf8_feed(&whole, data, size), each = true;
    for (size_t i = 0; i < size && each; i++)
        each = utf8_feed(&pieces, data + i, 1);
    if (all != each || (all && utf8_done(&whole) != utf8_done(&pieces)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const targets[])(const uint8_t *, size_t) = {
        fuzz_http1,
        fuzz_percent,
        fuzz_handshake,
        fuzz_utf8,
    };
    if (size < 2)
        return 0;
    targets[data[0] % (sizeof targets / sizeof *targets)](data + 1, size - 1);
    return 0;
}
