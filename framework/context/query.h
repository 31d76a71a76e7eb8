/*
 * application/x-www-form-urlencoded: the query of a URL, or the body of a form.
 *
 *     struct query query;
 *     int err = query_parse(&query, &arena, "q=a+b&page=2", 12);
 *     // {"q", "a b"}, {"page", "2"}
 */
#ifndef ACACIA_QUERY_H
#define ACACIA_QUERY_H

#include "request.h"

#include <stddef.h>

struct arena;

struct query {
    form_pair_t *pairs; /* in the order in which they came, repeated names included */
    size_t count;
};

/*
 * Parse `n` bytes as URLSearchParams does: split at '&', skip what is empty, split each part at its
 * first '=', take "" for a missing value, then decode (see percent_decode_form). No input is
 * wrong. What is decoded lies in the arena and does not point into `string`.
 *
 * A NUL in a name or value, "%00" or raw, becomes U+FFFD: "admin%00x" is never taken for "admin".
 * A '?' at the start is part of the first name; only the constructor of URLSearchParams drops it.
 *
 * Returns 0, or -ENOMEM; the query is then empty.
 */
int query_parse(struct query *query, struct arena *arena, const char *string, size_t n);

/* The other way round: names and values in turn, NULL at the end, as URLSearchParams writes them:
 * {"q", "a b", "c", "", NULL} is "q=a+b&c=". In the arena; NULL when there is no memory. */
char *query_format(struct arena *arena, const char *const *pairs);

#endif
