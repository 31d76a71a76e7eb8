/* The origin that a handshake comes from (RFC 6454): is it our own? */
#ifndef ACACIA_ORIGIN_H
#define ACACIA_ORIGIN_H

#include <stdbool.h>

/* Is `origin` ("https://example.org:8443") a page of `host`, as the request names it ("example.org"
 * without the port that its scheme implies)? The scheme itself doesn't count, since a proxy may
 * speak TLS in our place. "null" is nobody's own. */
bool origin_is_host(const char *origin, const char *host);

/* Is it one of these, NULL at the end? Case doesn't matter. */
bool origin_is_listed(const char *origin, const char *const *list);

#endif
