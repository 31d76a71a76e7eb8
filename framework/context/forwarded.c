#include "context/forwarded.h"

#include "runtime/arena.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* --- Lists with commas ------------------------------------------------------------------------ */

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

const char *forwarded_first(const char *list, size_t *length) {
    const char *end = list + strcspn(list, ",");
    while (list < end && is_space(*list))
        list++;
    while (list < end && is_space(end[-1]))
        end--;
    *length = (size_t)(end - list);
    return list;
}

static size_t count_commas(const char *list) {
    size_t count = 0;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* What follows the first `n` commas. */
static const char *skip_items(const char *list, size_t n) {
    while (n-- > 0)
        list = strchr(list, ',') + 1;
    return list;
}

/* One block for the list and one for its text, however many items there are. */
const char *const *forwarded_split(struct arena *arena, const char *list, size_t max,
                                   size_t *count) {
    size_t all = *list ? count_commas(list) + 1 : 0;
    *count = max > 0 && max < all ? max : all;
    list = skip_items(list, all - *count);
    const char **items = arena_alloc(arena, (*count + 1) * sizeof *items);
    char *text = arena_copy(arena, list, strlen(list));
    if (!items || !text)
        return NULL;
    for (size_t i = 0; i < *count; i++) {
        size_t length, size = strcspn(text, ",") + 1;
        items[i] = forwarded_first(text, &length);
        text[(size_t)(items[i] - text) + length] = '\0';
        text += size;
    }
    items[*count] = NULL;
    return items;
}

/* --- The values of Forwarded, which are cut in place ------------------------------------------ */

#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* "_" and a name (RFC 7239 6.3). */
static bool is_obfuscated(const char *text) {
    return text[0] == '_' && text[1] && !text[1 + strspn(text + 1, ALPHANUMERIC "._-")];
}

static bool is_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return (digits >= 1 && digits <= 5 && !text[digits]) || is_obfuscated(text);
}

/* Cut the port off, if there is one. False if what follows the name is none. */
static bool cut_port(char *end) {
    if (!*end)
        return true;
    if (*end != ':' || !is_port(end + 1))
        return false;
    *end = '\0';
    return true;
}

/* "[2001:db8::17]:4711". */
static char *parse_bracketed(char *value) {
    struct in6_addr address;
    char *bracket = strchr(value, ']');
    if (!bracket || !cut_port(bracket + 1))
        return NULL;
    *bracket = '\0';
    return inet_pton(AF_INET6, value + 1, &address) == 1 ? value + 1 : NULL;
}

/* The name of a node without its port, or NULL if it is none (RFC 7239 6). */
static char *parse_node(char *value) {
    struct in_addr address;
    if (*value == '[')
        return parse_bracketed(value);
    if (!cut_port(value + strcspn(value, ":")))
        return NULL;
    bool valid = strcasecmp(value, "unknown") == 0 || is_obfuscated(value) ||
                 inet_pton(AF_INET, value, &address) == 1;
    return valid ? value : NULL;
}

/* Only characters of a name, an address or a port: what else the header Host has to be is not
 * looked at here. */
static char *parse_host(char *value) {
    return value[strspn(value, ALPHANUMERIC "-._~%!$&'()*+,;=:[]")] ? NULL : value;
}

/* A scheme (RFC 3986 3.1), in lower case. */
static char *parse_proto(char *value) {
    if (!*value || strspn(value, "0123456789+-.") > 0 || value[strspn(value, ALPHANUMERIC "+-.")])
        return NULL;
    for (char *at = value; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    return value;
}

/* --- The grammar of Forwarded ----------------------------------------------------------------- */

struct parser {
    const char *at; /* what is not parsed yet */
    char *to;       /* where the next value goes; none is longer than what it came from */
};

static void skip_blanks(struct parser *parser) {
    parser->at += strspn(parser->at, " \t");
}

static size_t token_length(const char *text) {
    return strspn(text, ALPHANUMERIC "!#$%&'*+-.^_`|~");
}

/* What a quoted string can hold, behind a backslash or not (RFC 9110 5.6.4). */
static bool is_quotable(char c) {
    return c == '\t' || ((unsigned char)c >= ' ' && c != '\x7F');
}

static bool parse_quoted(struct parser *parser) {
    for (parser->at++; *parser->at != '"'; parser->at++) {
        if (*parser->at == '\\')
            parser->at++;
        if (!is_quotable(*parser->at))
            return false;
        *parser->to++ = *parser->at;
    }
    parser->at++;
    return true;
}

static bool parse_token(struct parser *parser) {
    size_t n = token_length(parser->at);
    memcpy(parser->to, parser->at, n);
    parser->to += n;
    parser->at += n;
    return n > 0;
}

/* The value that comes next, as a string; NULL if there is none. */
static char *parse_value(struct parser *parser) {
    char *value = parser->to;
    bool valid = *parser->at == '"' ? parse_quoted(parser) : parse_token(parser);
    *parser->to++ = '\0';
    return valid ? value : NULL;
}

/* False for a value that can't be one, and for a second one. */
static bool set(const char **field, char *value) {
    bool valid = value && !*field;
    *field = value;
    return valid;
}

static bool is_name(const char *name, size_t n, const char *expected) {
    return n == strlen(expected) && strncasecmp(name, expected, n) == 0;
}

static bool set_parameter(struct forwarded *element, const char *name, size_t n, char *value) {
    if (is_name(name, n, "for"))
        return set(&element->for_node, parse_node(value));
    if (is_name(name, n, "by"))
        return set(&element->by_node, parse_node(value));
    if (is_name(name, n, "host"))
        return set(&element->host, parse_host(value));
    if (is_name(name, n, "proto"))
        return set(&element->proto, parse_proto(value));
    return true;
}

/* forwarded-pair = token "=" value */
static bool parse_pair(struct parser *parser, struct forwarded *element) {
    const char *name = parser->at;
    size_t n = token_length(name);
    if (n == 0 || name[n] != '=')
        return false;
    parser->at += n + 1;
    char *value = parse_value(parser);
    return value && set_parameter(element, name, n, value);
}

/* forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ), up to a comma or the end */
static bool parse_element(struct parser *parser, struct forwarded *element) {
    *element = (struct forwarded){0};
    while (true) {
        skip_blanks(parser);
        bool empty = *parser->at == ';' || *parser->at == ',' || !*parser->at;
        if (!empty && !parse_pair(parser, element))
            return false;
        skip_blanks(parser);
        if (*parser->at != ';')
            return *parser->at == ',' || !*parser->at;
        parser->at++;
    }
}

/* All elements that are not empty. They are only counted while there is no room for them. */
static bool parse_elements(struct forwarded_list *list, struct parser parser) {
    for (list->count = 0;; list->count++) {
        struct forwarded element;
        parser.at += strspn(parser.at, " \t,");
        if (!*parser.at)
            return list->count > 0;
        if (!parse_element(&parser, &element))
            return false;
        if (list->elements) {
            list->elements[list->count] = element;
            list->nodes[list->count] = element.for_node;
        }
    }
}

int forwarded_parse(struct forwarded_list *list, struct arena *arena, const char *value) {
    struct parser parser = {.at = value, .to = arena_alloc(arena, strlen(value) + 1)};
    *list = (struct forwarded_list){0};
    if (!parser.to)
        return -ENOMEM;
    if (!parse_elements(list, parser)) {
        list->count = 0;
        return -EINVAL;
    }
    list->elements = arena_alloc(arena, list->count * sizeof *list->elements);
    list->nodes = arena_zalloc(arena, (list->count + 1) * sizeof *list->nodes);
    if (!list->elements || !list->nodes) {
        *list = (struct forwarded_list){0};
        return -ENOMEM;
    }
    parse_elements(list, parser);
    return 0;
}

/* --- Trusted proxies -------------------------------------------------------------------------- */

/* The first `bits` of an address; one of IPv4 is mapped into IPv6, as ::ffff:192.0.2.1. */
struct network {
    struct in6_addr address;
    int bits;
};

struct proxies {
    size_t count;
    struct network list[];
};

static const struct range {
    const char *name, *entry;
} ranges[] = {
    {"linklocal", "169.254.0.0/16"},   {"linklocal", "fe80::/10"},
    {"loopback", "127.0.0.1/8"},       {"loopback", "::1/128"},
    {"uniquelocal", "10.0.0.0/8"},     {"uniquelocal", "172.16.0.0/12"},
    {"uniquelocal", "192.168.0.0/16"}, {"uniquelocal", "fc00::/7"},
};

/* How many bits are the address itself: 32, 128, or 0 if it is none. */
static int parse_address(struct in6_addr *address, const char *text) {
    static const unsigned char prefix[12] = {[10] = 0xFF, [11] = 0xFF};
    if (inet_pton(AF_INET6, text, address) == 1)
        return 128;
    memcpy(address->s6_addr, prefix, sizeof prefix);
    return inet_pton(AF_INET, text, address->s6_addr + sizeof prefix) == 1 ? 32 : 0;
}

/* The number of ones in 255.255.0.0, or -1 if it is no such mask. */
static int parse_mask(const char *text) {
    struct in_addr address;
    int bits = 0;
    if (inet_pton(AF_INET, text, &address) != 1)
        return -1;
    for (uint32_t mask = ntohl(address.s_addr); mask & UINT32_C(0x80000000); mask <<= 1)
        bits++;
    return ntohl(address.s_addr) == (uint32_t)(UINT64_C(0xFFFFFFFF) << (32 - bits)) ? bits : -1;
}

/* What follows the '/': a number of bits, of any number of digits. -1 if it is none. */
static int parse_bits(const char *text, int width) {
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && !text[digits]) {
        text += strspn(text, "0");
        return strlen(text) > 3 ? -1 : (int)strtol(text, NULL, 10);
    }
    return width == 32 ? parse_mask(text) : -1;
}

/* Parse an address or a network. Returns what is wrong with it, or NULL. */
static const char *parse_network(struct network *network, const char *entry) {
    char text[INET6_ADDRSTRLEN] = "";
    const char *slash = strrchr(entry, '/');
    size_t n = slash ? (size_t)(slash - entry) : strlen(entry);
    if (n < sizeof text)
        memcpy(text, entry, n);
    int width = parse_address(&network->address, text);
    if (width == 0)
        return "neither an address or a network, nor loopback, linklocal or uniquelocal";
    int bits = slash ? parse_bits(slash + 1, width) : width;
    if (bits < 1 || bits > width)
        return width == 32 ? "a network of IPv4 has 1 to 32 bits"
                           : "a network of IPv6 has 1 to 128 bits";
    network->bits = bits + 128 - width;
    if (IN6_IS_ADDR_V4MAPPED(&network->address) && network->bits < 96)
        return "a network of mapped IPv4 addresses has 96 bits or more";
    return NULL;
}

/* Append what an entry stands for: all ranges of that name, or itself. */
static const char *add_entry(struct proxies *proxies, const char *entry) {
    size_t before = proxies->count;
    for (size_t i = 0; i < LENGTH(ranges); i++)
        if (strcmp(ranges[i].name, entry) == 0)
            parse_network(&proxies->list[proxies->count++], ranges[i].entry);
    return proxies->count > before ? NULL : parse_network(&proxies->list[proxies->count++], entry);
}

static char *describe(const char *entry, const char *reason) {
    size_t size = strlen(entry) + strlen(reason) + sizeof "trusted proxy \"\": ";
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "trusted proxy \"%s\": %s", entry, reason);
    return text;
}

struct proxies *proxies_new(const char *const *entries, char **error) {
    size_t count = 0;
    *error = NULL;
    while (entries[count])
        count++;
    struct proxies *proxies =
        malloc(sizeof *proxies + count * LENGTH(ranges) * sizeof proxies->list[0]);
    if (!proxies)
        return NULL;
    proxies->count = 0;
    for (size_t i = 0; i < count; i++) {
        const char *reason = add_entry(proxies, entries[i]);
        if (reason) {
            *error = describe(entries[i], reason);
            proxies_free(proxies);
            return NULL;
        }
    }
    return proxies;
}

void proxies_free(struct proxies *proxies) {
    free(proxies);
}

static bool is_in(const struct network *network, const struct in6_addr *address) {
    const unsigned char *a = network->address.s6_addr, *b = address->s6_addr;
    size_t bytes = (size_t)network->bits / 8;
    int rest = network->bits % 8;
    return memcmp(a, b, bytes) == 0 && (rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}

/* No network of IPv6 has an address of IPv4 in it, though the mapped ones all begin as ::/1. */
bool proxies_trust(const struct proxies *proxies, const char *address) {
    struct in6_addr binary;
    if (!address || parse_address(&binary, address) == 0)
        return false;
    bool mapped = IN6_IS_ADDR_V4MAPPED(&binary);
    for (size_t i = 0; i < proxies->count; i++) {
        const struct network *network = &proxies->list[i];
        if (mapped == (bool)IN6_IS_ADDR_V4MAPPED(&network->address) && is_in(network, &binary))
            return true;
    }
    return false;
}

size_t proxies_believed(const struct proxies *proxies, const char *peer,
                        const char *const *addresses, size_t count) {
    const char *client = peer;
    size_t believed = 0;
    for (size_t n = 1; n <= count; n++) {
        const char *address = addresses[count - n];
        if (address && !*address)
            continue;
        if (!proxies_trust(proxies, client))
            break;
        client = address;
        believed = n;
    }
    return believed;
}
