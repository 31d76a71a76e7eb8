/*
 * Every parser that sees a client's bytes without a connection: which one, the first byte says.
 * Besides not crashing they must agree with themselves: in pieces as in one.
 */
#include "context/percent.h"
#include "protocols/handshake.h"
#include "protocols/http1_parser.h"
#include "protocols/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* What a head says, once it is there. */
struct told {
    enum parse_result result;
    size_t length;
    char text[8192];
};

static void tell(struct told *told, const struct exchange *ex, const struct http1_parser *parser) {
    size_t room = sizeof told->text;
    told->length = (size_t)snprintf(told->text, room, "%s %s %lld %d%d%d%d\n", ex->method, ex->url,
                                    (long long)ex->content_length, ex->upgrade,
                                    http1_parser_keep_alive(parser), http1_parser_is_1_0(parser),
                                    http1_parser_expects(parser));
    for (struct header_walk walk = {0}; headers_next(&ex->headers, &walk);)
        told->length += (size_t)snprintf(told->text + told->length, room - told->length,
                                         "%u %s=%u %s\n", walk.header.name_length, walk.header.name,
                                         walk.header.value_length, walk.header.value);
}

static void parse_head(struct told *told, const uint8_t *data, size_t size, size_t piece) {
    struct exchange exchange = {0};
    *told = (struct told){PARSE_MORE, 0, ""};
    arena_init(&exchange.arena, NULL);
    void *memory = arena_zalloc(&exchange.arena, http1_parser_size);
    struct http1_parser *parser =
        http1_parser_init(memory, &exchange, &(struct http1_limits){1024, 8});
    while (size > 0 && told->result == PARSE_MORE) {
        size_t n = size < piece ? size : piece, used;
        char *copy = text_of(data, n); /* at its own address, so that ASan sees an overrun */
        told->result = http1_parser_feed(parser, copy, n, &used);
        free(copy);
        if (used > n)
            abort();
        data += n;
        size -= n;
    }
    if (told->result == PARSE_HEAD || told->result == PARSE_DONE)
        tell(told, &exchange, parser);
    arena_release(&exchange.arena);
}

/* As a whole it may be a plain head; what comes in pieces never is. */
static void fuzz_http1(const uint8_t *data, size_t size) {
    struct told whole, pieces;
    parse_head(&whole, data, size, size);
    parse_head(&pieces, data, size, 1);
    if (whole.result != pieces.result || strcmp(whole.text, pieces.text) != 0)
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
