#include "protocols/client_handshake.h"

#include "protocols/openssl/digest.h"
#include "protocols/openssl/random.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* --- The request ------------------------------------------------------------------------------ */

/* Text that grows in an arena. */
struct writer {
    struct arena *arena;
    char *data;
    size_t length;
    bool failed;
};

static void write_text(struct writer *w, const char *text) {
    size_t n = strlen(text);
    char *data = w->failed ? NULL : arena_resize(w->arena, w->data, w->length, w->length + n);
    w->failed = !data;
    if (w->failed)
        return;
    memcpy(data + w->length, text, n);
    w->data = data;
    w->length += n;
}

static void write_line(struct writer *w, const char *name, const char *value) {
    if (!value)
        return;
    write_text(w, name);
    write_text(w, ": ");
    write_text(w, value);
    write_text(w, "\r\n");
}

/* One of our own, unless the caller has another in its place. */
static void write_own(struct writer *w, const struct client_handshake *handshake, const char *name,
                      const char *value) {
    for (const char *const *header = handshake->headers; header && *header; header += 2)
        if (strcasecmp(header[0], name) == 0)
            return;
    write_line(w, name, value);
}

static void write_protocols(struct writer *w, const char *const *protocols) {
    if (!protocols || !*protocols)
        return;
    write_text(w, "Sec-WebSocket-Protocol: ");
    for (; *protocols; protocols++) {
        write_text(w, *protocols);
        write_text(w, protocols[1] ? "," : "\r\n");
    }
}

int client_handshake_write(struct client_handshake *handshake, struct arena *arena,
                           const char **request, size_t *length) {
    struct writer w = {.arena = arena};
    char offer[DEFLATE_TEXT_SIZE];
    unsigned char bytes[16];
    if (!random_bytes(bytes, sizeof bytes))
        return UV_EIO;
    base64_encode(handshake->key, bytes, sizeof bytes);
    write_text(&w, "GET ");
    write_text(&w, handshake->target);
    write_text(&w, " HTTP/1.1\r\n");
    write_own(&w, handshake, "Host", handshake->host);
    write_line(&w, "Sec-WebSocket-Version", "13");
    write_line(&w, "Sec-WebSocket-Key", handshake->key);
    write_line(&w, "Connection", "Upgrade");
    write_line(&w, "Upgrade", "websocket");
    for (const char *const *header = handshake->headers; header && *header; header += 2)
        write_line(&w, header[0], header[1]);
    write_own(&w, handshake, "Authorization", handshake->authorization);
    if (handshake->deflate) {
        deflate_write_offer(offer, handshake->deflate);
        write_line(&w, "Sec-WebSocket-Extensions", offer);
    }
    write_protocols(&w, handshake->protocols);
    write_own(&w, handshake, "Origin", handshake->origin);
    write_text(&w, "\r\n");
    *request = w.data;
    *length = w.length;
    return w.failed ? UV_ENOMEM : 0;
}

/* --- The answer ------------------------------------------------------------------------------- */

/* A field that may come but once; NULL if it is missing, and "", which is never right, if there are
 * several. */
static const char *get_single(const struct headers *headers, const char *name) {
    const char *found = NULL;
    for (uint32_t i = 0; i < headers->count; i++)
        if (strcasecmp(headers->list[i].name, name) == 0)
            found = found ? "" : headers->list[i].value;
    return found;
}

/* RFC 6455 4.1: of the list, which may have several lines. */
static bool connection_is_upgrade(const struct headers *headers) {
    for (uint32_t i = 0; i < headers->count; i++)
        if (strcasecmp(headers->list[i].name, "Connection") == 0 &&
            header_has_token(headers->list[i].value, "upgrade"))
            return true;
    return false;
}

static bool accepts(const struct client_handshake *handshake, const struct headers *headers) {
    char expected[SHA1_BASE64_SIZE];
    const char *accept = get_single(headers, "Sec-WebSocket-Accept");
    return accept && sha1_base64(expected, handshake->key, 24, GUID, sizeof GUID - 1) &&
           strcmp(accept, expected) == 0;
}

/* Which of ours it is; NULL if it is none. */
static const char *find(const char *const *protocols, const char *name) {
    for (; protocols && *protocols; protocols++)
        if (strcmp(*protocols, name) == 0)
            return *protocols;
    return NULL;
}

static const char *check_protocol(const struct client_handshake *handshake,
                                  const struct headers *headers,
                                  struct client_agreement *agreement) {
    const char *name = get_single(headers, "Sec-WebSocket-Protocol");
    bool wanted = handshake->protocols && *handshake->protocols;
    if (!name)
        return wanted ? "Server sent no subprotocol" : NULL;
    if (!wanted)
        return "Server sent a subprotocol but none was requested";
    agreement->protocol = find(handshake->protocols, name);
    return agreement->protocol ? NULL : "Server sent an invalid subprotocol";
}

static int check_extensions(const struct client_handshake *handshake, struct arena *arena,
                            const struct headers *headers, struct client_agreement *agreement,
                            const char **why) {
    const char *header, *detail;
    if (extension_header(headers, arena, &header))
        return UV_ENOMEM;
    if (!header)
        return 0;
    if (!handshake->deflate) {
        *why = "Server sent a Sec-WebSocket-Extensions header but no extension was requested";
        return UV_EPROTO;
    }
    int agreed = deflate_accept_response(&agreement->deflate, handshake->deflate, header,
                                         strlen(header), &detail);
    if (agreed < 0) {
        *why = agreed == UV_ENOTSUP ? "Server indicated an extension that was not requested"
                                    : "Invalid Sec-WebSocket-Extensions header";
        return UV_EPROTO;
    }
    agreement->compressed = true;
    return 0;
}

int client_handshake_check(const struct client_handshake *handshake, struct arena *arena,
                           const struct http1_response *response,
                           struct client_agreement *agreement, const char **why) {
    const struct headers *headers = &response->headers;
    const char *upgrade = get_single(headers, "Upgrade");
    *agreement = (struct client_agreement){0};
    *why = NULL;
    if (!upgrade || strcasecmp(upgrade, "websocket") != 0)
        *why = "Invalid Upgrade header";
    else if (!connection_is_upgrade(headers))
        *why = "Invalid Connection header";
    else if (!accepts(handshake, headers))
        *why = "Invalid Sec-WebSocket-Accept header";
    else
        *why = check_protocol(handshake, headers, agreement);
    if (*why)
        return UV_EPROTO;
    return check_extensions(handshake, arena, headers, agreement, why);
}
