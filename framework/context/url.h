/*
 * URLs of http and https, read and written as browsers and node's URL do: the WHATWG's standard
 * (https://url.spec.whatwg.org).
 *
 *     struct url base, url;
 *     url_parse(&base, &arena, "http://example.org/a/b", 22, NULL);
 *     url_parse(&url, &arena, "../c?d", 6, &base);
 *     url_serialize(&arena, &url)  // "http://example.org/c?d"
 */
#ifndef ACACIA_URL_H
#define ACACIA_URL_H

#include <stddef.h>

struct arena;

/* The pieces, without what separates them. What is absent is NULL; what is there but empty, "". */
struct url {
    const char *scheme;   /* in lower case: "http" */
    const char *username; /* percent-encoded, as all of the following; never "" */
    const char *password; /* never "" */
    const char *host;     /* "example.org", "192.0.2.1", "[2001:db8::1]" */
    const char *port;     /* "8080"; NULL if it is the one of the scheme */
    const char *path;     /* at least "/" */
    const char *query;
    const char *fragment;
};

/*
 * Parse `length` bytes. Whatever is relative ("../c", "//example.net", "?d") is meant as seen from
 * `base`, which may be NULL: then only an absolute URL is one.
 *
 * Of any other scheme ("mailto:") only the scheme is told, and all else is NULL, the host, too:
 * whether the rest makes sense is not looked at. Nothing is relative to such a base.
 *
 * The text is UTF-8. Bytes that are not are percent-encoded one by one, and in a host refused.
 * Hosts beyond ASCII: see idna.h.
 *
 * Returns 0; UV_EINVAL, if this is no URL; or UV_ENOMEM. After an error all pieces are NULL. They
 * lie in the arena, or are those of `base`, which is another struct.
 */
int url_parse(struct url *url, struct arena *arena, const char *text, size_t length,
              const struct url *base);

/* The URL as a string, in the arena: the same for all ways to write it. NULL when there is no
 * memory. */
char *url_serialize(struct arena *arena, const struct url *url);

/* "example.org:8080", or "example.org" if the port is NULL, or "" for another scheme. In the arena;
 * NULL when there is no memory. */
char *url_host(struct arena *arena, const struct url *url);

#endif
