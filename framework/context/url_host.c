#include "context/url_host.h"

#include "context/idna.h"
#include "context/percent.h"
#include "context/span.h"
#include "runtime/arena.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* --- IPv6 ------------------------------------------------------------------------------------- */

#define PIECES 8
#define IPV6_SIZE sizeof "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"

/* The longest run of two or more zeros, the first of several: where it begins, and its length. */
static size_t find_zeros(const unsigned pieces[PIECES], size_t *length) {
    size_t start = 0;
    *length = 1;
    for (size_t i = 0, run = 0; i < PIECES; i++) {
        run = pieces[i] == 0 ? run + 1 : 0;
        if (run > *length) {
            *length = run;
            start = i + 1 - run;
        }
    }
    return *length > 1 ? start : PIECES;
}

/* Not inet_ntop, which writes the end of some addresses as IPv4 has it. */
static void write_ipv6(char text[IPV6_SIZE], const struct in6_addr *address) {
    unsigned pieces[PIECES];
    size_t zeros;
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = address->s6_addr[2 * i] * 256u + address->s6_addr[2 * i + 1];
    size_t start = find_zeros(pieces, &zeros);
    char *to = text;
    *to++ = '[';
    for (size_t i = 0; i < PIECES; i++) {
        if (i == start) {
            *to++ = ':';
            *to++ = ':';
            i += zeros - 1;
        } else {
            const char *colon = to[-1] == '[' || to[-1] == ':' ? "" : ":";
            to += snprintf(to, (size_t)(text + IPV6_SIZE - to), "%s%x", colon, pieces[i]);
        }
    }
    memcpy(to, "]", 2);
}

/* What is between the brackets. */
static int parse_ipv6(char **host, struct arena *arena, const char *text, size_t n) {
    char copy[INET6_ADDRSTRLEN], written[IPV6_SIZE];
    struct in6_addr address;
    if (n >= sizeof copy || memchr(text, '\0', n))
        return UV_EINVAL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (inet_pton(AF_INET6, copy, &address) != 1)
        return UV_EINVAL;
    write_ipv6(written, &address);
    *host = arena_copy(arena, written, strlen(written));
    return *host ? 0 : UV_ENOMEM;
}

/* --- IPv4 ------------------------------------------------------------------------------------- */

#define TOO_BIG (INT64_C(1) << 32)

static int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* Decimal, octal after "0", hexadecimal after "0x", by which alone 0 is meant. TOO_BIG stands for
 * all that is, and -1 for what is no number. */
static int64_t number_of(struct span text) {
    int base = 10;
    int64_t number = 0;
    size_t prefix = 0;
    if (text.length == 0)
        return -1;
    if (text.length > 1 && text.at[0] == '0') {
        base = ascii_lower(text.at[1]) == 'x' ? 16 : 8;
        prefix = base == 16 ? 2 : 1;
    }
    for (size_t i = prefix; i < text.length; i++) {
        int digit = digit_of(text.at[i]);
        if (digit >= base)
            return -1;
        number = number * base + digit;
        if (number > TOO_BIG)
            number = TOO_BIG;
    }
    return number;
}

static bool is_decimal(struct span text) {
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.length > 0;
}

/* A dot at the end does not count. */
static struct span without_last_dot(const char *domain) {
    struct span span = span_of(domain);
    if (span.length > 0 && span.at[span.length - 1] == '.')
        span.length--;
    return span;
}

/* A domain that does is an address, or no host. */
static bool ends_in_number(const char *domain) {
    struct span rest = without_last_dot(domain), last = rest;
    while (span_next(&rest, '.', &last))
        continue;
    return is_decimal(last) || number_of(last) >= 0;
}

/* One to four numbers. The last one fills what the others leave: "127.1" is 127.0.0.1. */
static bool read_ipv4(uint32_t *address, const char *domain) {
    struct span rest = without_last_dot(domain), part;
    int64_t all = 0;
    int bits = 32;
    while (span_next(&rest, '.', &part)) {
        int64_t number = number_of(part);
        if (number < 0 || bits == 0)
            return false;
        if (rest.at) {
            bits -= 8;
            if (number > 255)
                return false;
            all |= number << bits;
        } else {
            if (number >> bits != 0)
                return false;
            all |= number;
        }
    }
    *address = (uint32_t)all;
    return true;
}

static int parse_ipv4(char **host, struct arena *arena, const char *domain) {
    char text[INET_ADDRSTRLEN];
    uint32_t address;
    if (!read_ipv4(&address, domain))
        return UV_EINVAL;
    int length = snprintf(text, sizeof text, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
                          address >> 8 & 255, address & 255);
    *host = arena_copy(arena, text, (size_t)length);
    return *host ? 0 : UV_ENOMEM;
}

/* --- Domains ---------------------------------------------------------------------------------- */

static bool is_ascii(const char *text) {
    for (; *text; text++)
        if (*text & '\x80')
            return false;
    return true;
}

/* The standard's "forbidden domain code points" are what cannot be in a name. */
static bool is_domain(const char *text) {
    if (!*text || strpbrk(text, " #/:<>?@[\\]^|%\x7F"))
        return false;
    for (; *text; text++)
        if (*text > '\0' && *text < ' ')
            return false;
    return true;
}

/* Without escapes, in ASCII, in lower case. */
static int parse_domain(char **domain, struct arena *arena, const char *text, size_t n) {
    char *decoded = arena_alloc(arena, n + 1);
    if (!decoded)
        return UV_ENOMEM;
    if (!percent_decode_string(decoded, text, n))
        return UV_EINVAL;
    *domain = decoded;
    if (!is_ascii(decoded))
        return idna_to_ascii(domain, arena, decoded);
    for (; *decoded; decoded++)
        *decoded = ascii_lower(*decoded);
    return 0;
}

int url_host_parse(char **host, struct arena *arena, const char *text, size_t n) {
    if (n > 0 && text[0] == '[')
        return text[n - 1] == ']' ? parse_ipv6(host, arena, text + 1, n - 2) : UV_EINVAL;
    int err = parse_domain(host, arena, text, n);
    if (err)
        return err;
    if (!is_domain(*host))
        return UV_EINVAL;
    return ends_in_number(*host) ? parse_ipv4(host, arena, *host) : 0;
}
