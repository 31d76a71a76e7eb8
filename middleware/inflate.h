/* Bodies that a client has compressed: a part of body_parser. */
#ifndef ACACIA_INFLATE_H
#define ACACIA_INFLATE_H

#include "acacia.h"

/* The values of Content-Encoding that this build takes, as a list for Accept-Encoding: "identity,
 * gzip, deflate, br, zstd". */
extern const char inflate_encodings[];

typedef struct inflater inflater_t;

/* What inflates this encoding, in any case; NULL if nobody does. "gzip", "x-gzip" and "deflate" are
 * one, which looks at the data, as node's zlib.createUnzip. */
const inflater_t *inflater_for(const char *encoding);

/*
 * Inflate all of `from`. *to gets what comes out, to be freed by free((char *)to->data), with a NUL
 * behind it; it is {NULL, 0} on failure. Inflating stops where more than `limit` bytes come out:
 * memory is bounded by that, whatever the data says. Any thread.
 *
 * Returns 0; UV_E2BIG past the limit; UV_EINVAL for data that is malformed, breaks off or goes on
 * behind its end; UV_ENOMEM.
 */
int inflater_run(const inflater_t *inflater, bytes_t from, size_t limit, bytes_t *to);

#endif
