#include "context/host.h"

#include "runtime/arena.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

/* --- Names ------------------------------------------------------------------------------------ */

/* ":" and a number of any length, of which the zeros in front don't count; or nothing at all. */
static bool is_port(const char *text) {
    long port = 0;
    if (*text && *text++ != ':')
        return false;
    for (; *text >= '0' && *text <= '9' && port <= 65535; text++)
        port = port * 10 + (*text - '0');
    return !*text && port <= 65535;
}

size_t host_name_length(const char *host) {
    if (*host != '[')
        return strcspn(host, ":");
    const char *bracket = strchr(host, ']');
    if (!bracket || !is_port(bracket + 1) || strpbrk(host, "/?#\\ \t\n\v\f\r"))
        return 0;
    return (size_t)(bracket + 1 - host);
}

/* --- Addresses -------------------------------------------------------------------------------- */

/* The name of a network interface, behind a '%'. */
static bool is_zone(const char *text, size_t n) {
    return n > 0 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789-.:") >= n;
}

static int version_of(const char *text, size_t n) {
    char address[INET6_ADDRSTRLEN];
    struct in6_addr binary; /* has room for IPv4 as well */
    const char *zone = memchr(text, '%', n);
    size_t length = zone ? (size_t)(zone - text) : n;
    if (length >= sizeof address || (zone && !is_zone(zone + 1, n - length - 1)))
        return 0;
    memcpy(address, text, length);
    address[length] = '\0';
    if (!zone && inet_pton(AF_INET, address, &binary) == 1)
        return 4;
    return inet_pton(AF_INET6, address, &binary) == 1 ? 6 : 0;
}

int ip_version(const char *text) {
    return version_of(text, strlen(text));
}

/* --- Subdomains ------------------------------------------------------------------------------- */

static bool is_address(const char *hostname) {
    size_t n = strlen(hostname);
    if (*hostname == '[')
        return n > 1 && version_of(hostname + 1, n - 2) != 0;
    return version_of(hostname, n) != 0;
}

static size_t count_parts(const char *name) {
    size_t count = 1;
    for (; *name; name++)
        count += *name == '.';
    return count;
}

/* One block for the list and one for its text, however many parts there are. */
const char *const *host_subdomains(struct arena *arena, const char *hostname, size_t offset) {
    size_t parts = is_address(hostname) ? 0 : count_parts(hostname);
    size_t count = parts > offset ? parts - offset : 0;
    const char **list = arena_alloc(arena, (count + 1) * sizeof *list);
    char *name = arena_copy(arena, hostname, strlen(hostname));
    if (!list || !name)
        return NULL;
    char *at = name + strlen(name);
    for (size_t i = 0; i < parts; i++) {
        while (at > name && at[-1] != '.')
            at--;
        if (i >= offset)
            list[i - offset] = at;
        if (at > name)
            *--at = '\0';
    }
    list[count] = NULL;
    return list;
}
