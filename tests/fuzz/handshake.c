/*
 * The handshake at both ends. A server checks a request of any fields, and agrees to what is
 * offered; a client parses a response of any bytes, and checks it.
 *
 * The first byte is what both want. An even one is a request: of each line the first byte says
 * which field, the rest is its value. An odd one is a response, as it comes.
 */
#include "protocols/handshake.h"
#include "protocols/client_handshake.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void check(bool holds) {
    if (!holds)
        abort();
}

static const char *const protocols[] = {"chat", "v2.chat", NULL};
static const struct deflate_options deflate = {.server_max_window_bits = 12};

/* --- The server ------------------------------------------------------------------------------- */

static const char *const names[] = {
    "Upgrade",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Connection",
    "X",
};

static void add_fields(struct exchange *exchange, char *text, size_t size) {
    for (char *end = text + size, *line = text; line < end;) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        *stop = '\0';
        size_t length = strlen(line); /* a value has no NUL */
        if (length > 0) {
            const char *name = names[(uint8_t)line[0] % (sizeof names / sizeof *names)];
            check(!headers_add(&exchange->headers, &exchange->arena, name, strlen(name), line + 1,
                               length - 1));
        }
        line = stop + 1;
    }
}

static void check_offers(struct exchange *exchange, const struct handshake *handshake,
                         const char *const *list) {
    const char *offered;
    bool found = !handshake->protocol;
    for (size_t i = 0; (offered = handshake_offered(exchange, i)); i++) {
        check(*offered);
        found = found || strcmp(offered, handshake->protocol) == 0;
    }
    for (; list && *list && !found; list++)
        found = handshake->protocol == *list;
    check(found);
}

static void serve(uint8_t wants, char *text, size_t size) {
    struct exchange exchange = {.method = wants & 8 ? "POST" : "GET", .url = "/"};
    struct handshake handshake;
    const char *const *list = wants & 2 ? protocols : NULL;
    add_fields(&exchange, text, size);
    handshake_check(&handshake, &exchange, list);
    check((handshake.status == 101) == !handshake.message);
    if (handshake.status == 101) {
        check(strlen(handshake.accept) == 28);
        check_offers(&exchange, &handshake, list);
        bool agreed = handshake_agree(&handshake, &exchange, wants & 4 ? &deflate : NULL);
        check(agreed || (handshake.status == 400 && handshake.message));
    }
    arena_release(&exchange.arena);
}

/* --- The client ------------------------------------------------------------------------------- */

static void connect_to(uint8_t wants, const char *text, size_t size) {
    struct arena arena;
    struct http1_response response;
    struct client_agreement agreement;
    const char *why = NULL;
    struct client_handshake handshake = {
        .protocols = wants & 2 ? protocols : NULL,
        .deflate = wants & 4 ? &deflate : NULL,
        .key = "dGhlIHNhbXBsZSBub25jZQ==",
    };
    arena_init(&arena, NULL);
    size_t head = http1_response_head(text, size);
    check(head <= size && (!head || memcmp(text + head - 3, "\n\r\n", 3) == 0));
    int err = head ? http1_response_parse(&response, &arena, text, head) : UV_EPROTO;
    check(!err || err == UV_EPROTO);
    for (uint32_t i = 0; !err && i < response.headers.count; i++) {
        const struct header *header = &response.headers.list[i];
        check(*header->name && !strpbrk(header->name, "\r\n:") && !strpbrk(header->value, "\r\n"));
    }
    if (!err) {
        check(response.status >= 100 && response.status <= 999);
        err = client_handshake_check(&handshake, &arena, &response, &agreement, &why);
        check(err ? err == UV_EPROTO && why : !why);
        check(err || !agreement.compressed || handshake.deflate);
        check(err || !agreement.protocol == !handshake.protocols);
    }
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    char *text = malloc(size); /* one more than there is behind the first byte */
    memcpy(text, data + 1, size - 1);
    if (data[0] & 1)
        connect_to(data[0], text, size - 1);
    else
        serve(data[0], text, size - 1);
    free(text);
    return 0;
}
