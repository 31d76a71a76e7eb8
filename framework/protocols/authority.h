/* Who is asked: the value of a Host field (RFC 9110 7.2). */
#ifndef ACACIA_AUTHORITY_H
#define ACACIA_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is it `host` or `host:port`, as RFC 3986 3.2 has them, and nothing else: no user, no path, not
 * empty? A host is a name, percent-encoded at most, or an address; one of IPv6 stands in brackets,
 * perhaps with a zone (RFC 6874).
 */
bool authority_is_host(const char *text, size_t n);

#endif
