#include "protocols/handshake.h"

#include "protocols/openssl/digest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* Sixteen bytes in base64: 22 characters and "==". */
static bool key_is_valid(const char *key) {
    if (!key || strlen(key) != 24 || strcmp(key + 22, "==") != 0)
        return false;
    for (int i = 0; i < 22; i++)
        if (!isalnum((unsigned char)key[i]) && key[i] != '+' && key[i] != '/')
            return false;
    return true;
}

static bool version_is_valid(const char *version) {
    return version && (strcmp(version, "13") == 0 || strcmp(version, "8") == 0);
}

static bool is_token_character(char c) {
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* One subprotocol of the list: its length, and *at moves behind the comma that follows. 0 if the
 * list is malformed. */
static size_t next_protocol(const char **at) {
    const char *start = *at;
    size_t n = 0;
    while (is_token_character(start[n]))
        n++;
    const char *end = start + n;
    end += strspn(end, " \t");
    if (n == 0 || (*end != ',' && (*end || end != start + n)))
        return 0;
    if (*end == ',') {
        end += 1;
        end += strspn(end, " \t");
        if (!*end)
            return 0;
    }
    *at = end;
    return n;
}

static bool is_listed_before(const char *list, const char *token, size_t n) {
    while (list < token) {
        const char *start = list;
        size_t length = next_protocol(&list);
        if (length == n && memcmp(start, token, n) == 0 && start != token)
            return true;
    }
    return false;
}

/* A list without empty and double entries; *first gets the first one. */
static bool protocols_are_valid(const char *list, struct arena *arena, const char **first) {
    for (const char *at = list, *start = at; *at || at == list; start = at) {
        size_t n = next_protocol(&at);
        if (n == 0 || is_listed_before(list, start, n))
            return false;
        if (start == list && !(*first = arena_copy(arena, start, n)))
            return false;
    }
    return true;
}

static void refuse(struct handshake *handshake, int status, const char *message) {
    handshake->status = status;
    handshake->message = message;
}

void handshake_check(struct handshake *handshake, struct exchange *exchange) {
    const struct headers *headers = &exchange->headers;
    const char *upgrade = headers_get(headers, "Upgrade");
    const char *key = headers_get(headers, "Sec-WebSocket-Key");
    const char *protocols = headers_get(headers, "Sec-WebSocket-Protocol");
    *handshake = (struct handshake){.status = 101};
    if (strcmp(exchange->method, "GET") != 0) {
        refuse(handshake, 405, "Invalid HTTP method");
    } else if (!upgrade || strcasecmp(upgrade, "websocket") != 0) {
        refuse(handshake, 400, "Invalid Upgrade header");
    } else if (!key_is_valid(key)) {
        refuse(handshake, 400, "Missing or invalid Sec-WebSocket-Key header");
    } else if (!version_is_valid(headers_get(headers, "Sec-WebSocket-Version"))) {
        refuse(handshake, 400, "Missing or invalid Sec-WebSocket-Version header");
        handshake->name_versions = true;
    } else if (protocols &&
               !protocols_are_valid(protocols, &exchange->arena, &handshake->protocol)) {
        refuse(handshake, 400, "Invalid Sec-WebSocket-Protocol header");
    } else if (!sha1_base64(handshake->accept, key, 24, GUID, sizeof GUID - 1)) {
        refuse(handshake, 500, "Internal Server Error");
    }
}
