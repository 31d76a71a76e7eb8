/* Sec-WebSocket-Extensions: what a server answers is something that a client agrees to, and both
 * mean the same. The first two bytes are options. */
#include "protocols/extension.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void check(bool holds) {
    if (!holds)
        abort();
}

static struct deflate_options options_of(uint8_t first, uint8_t second) {
    static const int flags[] = {0, 1, DEFLATE_REFUSE, 0};
    static const int bits[] = {0, 0, 0, DEFLATE_REFUSE, 0, 0, 0, 0, 8, 9, 10, 11, 12, 13, 14, 15};
    return (struct deflate_options){
        .server_no_context_takeover = flags[first & 3],
        .client_no_context_takeover = flags[first >> 2 & 3],
        .server_max_window_bits = bits[first >> 4],
        .client_max_window_bits = bits[second & 15],
    };
}

static void check_reader(const char *header, size_t size) {
    struct extension_reader reader;
    struct extension_text name, value;
    size_t count = 0;
    extension_reader_init(&reader, header, size);
    while (extension_next(&reader, &name)) {
        check(name.length > 0 && ++count <= size);
        while (extension_next_parameter(&reader, &name, &value))
            check(name.length > 0 && (!value.start || value.length > 0) && ++count <= size);
    }
    check(reader.error || (count > 0 && reader.at == header + size));
}

static bool is_valid(const struct deflate_agreement *agreement) {
    return agreement->server_max_window_bits >= 8 && agreement->server_max_window_bits <= 15 &&
           agreement->client_max_window_bits >= 8 && agreement->client_max_window_bits <= 15;
}

/* The text that a server has answered says what it has understood. */
static void check_answer(const struct deflate_agreement *server) {
    struct deflate_agreement client;
    const char *why, *text = server->text;
    size_t length = strlen(text);
    const struct deflate_options anything = {0};
    check(length < sizeof server->text && is_valid(server));
    check(deflate_accept_response(&client, &anything, text, length, &why) == 1);
    check(client.server_no_context_takeover == server->server_no_context_takeover);
    check(client.client_no_context_takeover == server->client_no_context_takeover);
    check(client.server_max_window_bits == server->server_max_window_bits);
    check(client.client_max_window_bits == server->client_max_window_bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const struct deflate_options options = options_of(data[0], data[1]);
    struct deflate_agreement agreement;
    const char *why = NULL;
    size -= 2;
    char *header = malloc(size ? size : 1); /* at its own address, so that ASan sees an overrun */
    memcpy(header, data + 2, size);
    check_reader(header, size);
    int agreed = deflate_accept_offer(&agreement, &options, header, size, &why);
    check(agreed == (why ? UV_EINVAL : agreed > 0));
    if (agreed == 1)
        check_answer(&agreement);
    agreed = deflate_accept_response(&agreement, &options, header, size, &why);
    check(agreed == 1 ? is_valid(&agreement)
                      : (agreed == UV_EINVAL || agreed == UV_ENOTSUP) && why);
    free(header);
    return 0;
}
