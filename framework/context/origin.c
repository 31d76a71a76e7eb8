#include "context/origin.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* "example.org:443" without the port that its scheme implies. */
static size_t without_port(const char *host, const char *port) {
    size_t length = strlen(host), port_length = strlen(port);
    if (length > port_length && strcmp(host + length - port_length, port) == 0)
        length -= port_length;
    return length;
}

static bool is_same(const char *a, size_t a_length, const char *b, size_t b_length) {
    return a_length > 0 && a_length == b_length && strncasecmp(a, b, a_length) == 0;
}

bool origin_is_host(const char *origin, const char *host) {
    const char *colon = strstr(origin, "://");
    if (!colon)
        return false;
    const char *port = strncasecmp(origin, "https:", 6) == 0 ? ":443" : ":80";
    return is_same(colon + 3, without_port(colon + 3, port), host, without_port(host, port));
}

bool origin_is_listed(const char *origin, const char *const *list) {
    for (; *list; list++)
        if (strcasecmp(*list, origin) == 0)
            return true;
    return false;
}
