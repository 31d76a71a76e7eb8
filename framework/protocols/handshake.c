#include "protocols/handshake.h"

#include "protocols/deflate.h"
#include "protocols/openssl/digest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* The value of the next field of that name, or NULL. */
static const char *next_value(const struct headers *headers, const char *name,
                              struct header_walk *walk) {
    while (headers_next(headers, walk))
        if (strcasecmp(walk->header.name, name) == 0)
            return walk->header.value;
    return NULL;
}

/* The value of a field that may come but once, or NULL. */
static const char *get_single(const struct headers *headers, const char *name) {
    struct header_walk walk = {0};
    const char *value = next_value(headers, name, &walk);
    return value && next_value(headers, name, &walk) ? NULL : value;
}

/* In every locale. */
static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Sixteen bytes in base64: 22 characters and "==". */
static bool key_is_valid(const char *key) {
    if (!key || strlen(key) != 24 || strcmp(key + 22, "==") != 0)
        return false;
    for (int i = 0; i < 22; i++)
        if (!is_alphanumeric(key[i]) && key[i] != '+' && key[i] != '/')
            return false;
    return true;
}

static bool version_is_valid(const char *version) {
    return version && (strcmp(version, "13") == 0 || strcmp(version, "8") == 0);
}

static bool is_token_character(char c) {
    return is_alphanumeric(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
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

struct token {
    const char *start;
    size_t length;
};

static int compare_tokens(const void *a, const void *b) {
    const struct token *x = a, *y = b;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return memcmp(x->start, y->start, x->length);
}

static bool has_doubles(struct token *tokens, size_t count) {
    qsort(tokens, count, sizeof *tokens, compare_tokens);
    for (size_t i = 1; i < count; i++)
        if (compare_tokens(&tokens[i - 1], &tokens[i]) == 0)
            return true;
    return false;
}

/* Append the entries of a list. False if it is malformed. */
static bool add_protocols(struct token *tokens, size_t *count, const char *list) {
    do {
        const char *start = list;
        size_t n = next_protocol(&list);
        if (n == 0)
            return false;
        tokens[(*count)++] = (struct token){start, n};
    } while (*list);
    return true;
}

/* The first of ours that is among them. */
static const char *choose(const struct token *tokens, size_t count, const char *const *protocols) {
    for (; *protocols; protocols++)
        for (size_t i = 0; i < count; i++)
            if (strlen(*protocols) == tokens[i].length &&
                memcmp(*protocols, tokens[i].start, tokens[i].length) == 0)
                return *protocols;
    return NULL;
}

/* The fields of that name are one list, which has no empty and no double entries. *chosen gets the
 * one that both speak, NULL if there is none. */
static bool protocols_are_valid(struct exchange *exchange, const char *const *protocols,
                                const char **chosen) {
    static const char name[] = "Sec-WebSocket-Protocol";
    const struct headers *headers = &exchange->headers;
    size_t most = 0, count = 0;
    const char *list;
    for (struct header_walk walk = {0}; (list = next_value(headers, name, &walk));)
        most += strlen(list) / 2 + 1;
    if (most == 0)
        return true;
    struct token *tokens = malloc(most * sizeof *tokens);
    bool valid = tokens != NULL;
    for (struct header_walk walk = {0}; valid && (list = next_value(headers, name, &walk));)
        valid = add_protocols(tokens, &count, list);
    if (valid && protocols)
        *chosen = choose(tokens, count, protocols);
    else if (valid)
        valid = (*chosen = arena_copy(&exchange->arena, tokens->start, tokens->length));
    valid = valid && !has_doubles(tokens, count);
    free(tokens);
    return valid;
}

const char *handshake_offered(struct exchange *exchange, size_t index) {
    const char *list;
    for (struct header_walk walk = {0};
         (list = next_value(&exchange->headers, "Sec-WebSocket-Protocol", &walk));) {
        while (*list) {
            const char *start = list;
            size_t n = next_protocol(&list);
            if (n == 0 || index-- == 0)
                return n ? arena_copy(&exchange->arena, start, n) : NULL;
        }
    }
    return NULL;
}

static void refuse(struct handshake *handshake, int status, const char *message) {
    handshake->status = status;
    handshake->message = message;
}

void handshake_check(struct handshake *handshake, struct exchange *exchange,
                     const char *const *protocols) {
    const struct headers *headers = &exchange->headers;
    const char *upgrade = get_single(headers, "Upgrade");
    const char *key = get_single(headers, "Sec-WebSocket-Key");
    *handshake = (struct handshake){.status = 101};
    if (strcmp(exchange->method, "GET") != 0) {
        refuse(handshake, 405, "Invalid HTTP method");
    } else if (!upgrade || strcasecmp(upgrade, "websocket") != 0) {
        refuse(handshake, 400, "Invalid Upgrade header");
    } else if (!key_is_valid(key)) {
        refuse(handshake, 400, "Missing or invalid Sec-WebSocket-Key header");
    } else if (!version_is_valid(get_single(headers, "Sec-WebSocket-Version"))) {
        refuse(handshake, 400, "Missing or invalid Sec-WebSocket-Version header");
        handshake->name_versions = true;
    } else if (!protocols_are_valid(exchange, protocols, &handshake->protocol)) {
        refuse(handshake, 400, "Invalid Sec-WebSocket-Protocol header");
    } else if (!sha1_base64(handshake->accept, key, 24, GUID, sizeof GUID - 1)) {
        refuse(handshake, 500, "Internal Server Error");
    }
}

bool handshake_agree(struct handshake *handshake, struct exchange *exchange,
                     const struct deflate_options *options) {
    const char *header, *why;
    handshake->compressed = false;
    if (!options || !deflate_is_available())
        return true;
    if (extension_header(&exchange->headers, &exchange->arena, &header)) {
        refuse(handshake, 503, "Out of memory");
        return false;
    }
    if (!header)
        return true;
    int agreed = deflate_accept_offer(&handshake->agreement, options, header, strlen(header), &why);
    handshake->compressed = agreed > 0;
    if (agreed < 0)
        refuse(handshake, 400, "Invalid or unacceptable Sec-WebSocket-Extensions header");
    return agreed >= 0;
}
