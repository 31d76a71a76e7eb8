/*
 * Names of hosts: what the header Host names, whether that is an address, and its subdomains, as
 * Koa has them.
 */
#ifndef ACACIA_HOST_H
#define ACACIA_HOST_H

#include <stddef.h>

struct arena;

/*
 * How many bytes of a Host ("example.org:8080") are the name: all before the first ':', whatever
 * they are.
 *
 * An address of IPv6 is in brackets, which are part of the name: "[::1]:8080" gives 5. It is 0 if
 * there is no ']', if what follows is not a port from 0 to 65535, perhaps without a digit, or if
 * there is a blank or one of / ? # \ anywhere. Whether what is between the brackets is an address
 * is not looked at here: see ip_version.
 */
size_t host_name_length(const char *host);

/* 4, 6, or 0 if it is no address: node's net.isIP. Of IPv4 only as "192.0.2.1", without leading
 * zeros; of IPv6 without brackets, but with a zone if there is one ("fe80::1%eth0"). */
int ip_version(const char *text);

/*
 * The parts of a name in front of the domain, the last one first: of "tobi.ferrets.example.com"
 * "ferrets" and "tobi", if the domain is the last `offset` parts, 2. An address, in brackets or
 * not, has none.
 *
 * They lie in the arena, with NULL behind the last. NULL when there is no memory.
 */
const char *const *host_subdomains(struct arena *arena, const char *hostname, size_t offset);

#endif
