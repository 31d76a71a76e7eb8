/*
 * What proxies say of the client in front of them: the lists in X-Forwarded-For and its like, the
 * field Forwarded (RFC 7239), and which of it is to be believed.
 *
 * A client can send such fields, too. Only what has been appended by a proxy that one trusts is
 * true, so the walk begins at the peer, and goes on from the right as far as the addresses are
 * those of trusted proxies:
 *
 *     char *error;
 *     struct proxies *proxies = proxies_new((const char *const[]){"loopback", NULL}, &error);
 *
 *     size_t count;
 *     const char *const *ips = forwarded_split(&arena, "8.8.8.8, 192.0.2.1", 0, &count);
 *     size_t believed = proxies_believed(proxies, "127.0.0.1", ips, count);
 *     const char *client = believed ? ips[count - believed] : "127.0.0.1"; // "192.0.2.1"
 */
#ifndef ACACIA_FORWARDED_H
#define ACACIA_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* --- Lists with commas ------------------------------------------------------------------------ */

/*
 * Split at the commas and drop the blanks around the items, as Koa does: "a,, b" has three items,
 * of which one is "", and only the empty list has none. With `max` the list is its last `max`
 * items; 0 is all of them.
 *
 * The items lie in the arena, with NULL behind the last; *count is their number. NULL when there
 * is no memory.
 */
const char *const *forwarded_split(struct arena *arena, const char *list, size_t max,
                                   size_t *count);

/* The first item alone: a view into `list`. */
const char *forwarded_first(const char *list, size_t *length);

/* --- Forwarded -------------------------------------------------------------------------------- */

/*
 * One proxy's words. What it does not say is NULL. A node is an address without its port or
 * brackets ("192.0.2.43", "2001:db8::17"), "unknown" in any case, or "_" and a name.
 */
struct forwarded {
    const char *for_node; /* who asked the proxy */
    const char *by_node;  /* where the proxy was asked */
    const char *host;     /* the header Host that it got */
    const char *proto;    /* "http", "https": in lower case */
};

struct forwarded_list {
    struct forwarded *elements; /* in the order of the field: the last is by the nearest proxy */
    const char **nodes;         /* the for_node of each, for proxies_believed; NULL at the end */
    size_t count;
};

/*
 * Parse the value of Forwarded; several fields are joined by ", ". Everything lies in the arena.
 *
 * Either all of it is well-formed, or nothing is believed. Names of parameters are in any case,
 * none occurs twice in an element. Parameters other than the four must have the form of one, and
 * are dropped. As RFC 9110 asks of recipients, empty elements are ignored; blanks are fine around
 * ',' and, as proxies write them, around ';'.
 *
 * Returns 0; -EINVAL if it is malformed or has no elements; -ENOMEM. On an error the list is empty.
 */
int forwarded_parse(struct forwarded_list *list, struct arena *arena, const char *value);

/* --- Trusted proxies -------------------------------------------------------------------------- */

/* Addresses and networks. They are not changed by use: any number of threads may share them. */
struct proxies;

/*
 * The entries, NULL behind the last, are those of the npm package proxy-addr: an address
 * ("192.0.2.1", "::1"), a network ("10.0.0.0/8", "10.0.0.0/255.0.0.0", "2001:db8::/32"), or a name:
 *
 * - "loopback": 127.0.0.1/8 and ::1/128,
 * - "linklocal": 169.254.0.0/16 and fe80::/10,
 * - "uniquelocal": 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and fc00::/7.
 *
 * proxies_free gives them back. NULL on an error: *error is then a message that names the entry and
 * the reason, for the caller to free(), or NULL if there is no memory. A list without entries is
 * fine, and trusts nobody.
 */
struct proxies *proxies_new(const char *const *entries, char **error);

void proxies_free(struct proxies *proxies); /* NULL is fine */

/* Is this the address of one of them? IPv4 and the same mapped into IPv6 ("::ffff:10.0.0.1") are
 * one. NULL, "", and whatever is no address, or has a zone or a port, is not trusted. */
bool proxies_trust(const struct proxies *proxies, const char *address);

/*
 * How many of `count` addresses, from the right, are true: 0 if the peer is not trusted, else those
 * up to the first that is not. The client is the leftmost of these, addresses[count - result], or
 * without any the peer. An empty one is skipped; NULL is an address that is not known.
 */
size_t proxies_believed(const struct proxies *proxies, const char *peer,
                        const char *const *addresses, size_t count);

#endif
