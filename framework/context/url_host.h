/* The host in a URL: a domain, an address of IPv4 in any of its many forms, or one of IPv6. */
#ifndef ACACIA_URL_HOST_H
#define ACACIA_URL_HOST_H

#include <stddef.h>

struct arena;

/*
 * Read `n` bytes as browsers do. *host becomes the one way in which this host is written, in the
 * arena: "example.org" for "ex%41mple.ORG", "127.0.0.1" for "0x7f.1", "[::1]" for "[0:0::1]".
 *
 * A label "xn--…" stays as it is: that it means anything is not looked at.
 *
 * Returns 0; UV_EINVAL, if it is no host; or UV_ENOMEM.
 */
int url_host_parse(char **host, struct arena *arena, const char *text, size_t n);

#endif
