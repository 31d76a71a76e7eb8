#include "protocols/authority.h"

#include <string.h>
#include <uv.h>

/* Unreserved, or one of sub-delims. A table, since every request has its Host looked at. */
static const bool name_characters[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['!'] = true,         ['$'] = true, ['&'] = true,
    ['\''] = true,        ['('] = true,         [')'] = true,         ['*'] = true, ['+'] = true,
    [','] = true,         [';'] = true,         ['='] = true,
};

static bool is_name_character(char c) {
    return name_characters[(unsigned char)c];
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_escape(const char *at, size_t n) {
    return n >= 3 && *at == '%' && is_hex(at[1]) && is_hex(at[2]);
}

/* Where the characters of a name end that begin at `i`. */
static size_t skip_characters(const char *text, size_t i, size_t n) {
    while (i < n && is_name_character(text[i]))
        i++;
    return i;
}

/* How many bytes at the start are those of a name. */
static size_t name_length(const char *text, size_t n) {
    size_t i = skip_characters(text, 0, n);
    while (is_escape(text + i, n - i))
        i = skip_characters(text, i + 3, n);
    return i;
}

static bool is_ipv6(const char *text, size_t n) {
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    if (n == 0 || n >= sizeof address)
        return false;
    memcpy(address, text, n);
    address[n] = '\0';
    return uv_inet_pton(AF_INET6, address, bytes) == 0;
}

/* "v1.anything", a kind of address that is yet to come. */
static bool is_future(const char *text, size_t n) {
    size_t i = 1;
    while (i < n && is_hex(text[i]))
        i++;
    if (n < 4 || (text[0] | 0x20) != 'v' || i == 1 || text[i] != '.')
        return false;
    for (i++; i < n; i++)
        if (!is_name_character(text[i]) && text[i] != ':')
            return false;
    return true;
}

/* What stands in brackets. */
static bool is_literal(const char *text, size_t n) {
    const char *zone = memchr(text, '%', n);
    if (!zone)
        return is_ipv6(text, n) || is_future(text, n);
    size_t address = (size_t)(zone - text), rest = n - address;
    return is_ipv6(text, address) && rest > 3 && memcmp(zone, "%25", 3) == 0 &&
           name_length(zone + 3, rest - 3) == rest - 3;
}

static bool is_port(const char *text, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return n == 0 || text[0] == ':';
}

/* "[::1]" at the start: how long it is; 0, if it is none. Seldom: not inlined. */
static __attribute__((noinline)) size_t literal_length(const char *text, size_t n) {
    const char *end = memchr(text, ']', n);
    bool is_one = end && is_literal(text + 1, (size_t)(end - text) - 1);
    return is_one ? (size_t)(end + 1 - text) : 0;
}

bool authority_is_host(const char *text, size_t n) {
    if (n == 0)
        return false;
    size_t host = *text == '[' ? literal_length(text, n) : name_length(text, n);
    return host > 0 && is_port(text + host, n - host);
}
