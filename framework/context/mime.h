/*
 * Media types: what a file of some name is, and whether its charset has to be said.
 */
#ifndef ACACIA_MIME_H
#define ACACIA_MIME_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The type for an extension of `n` bytes in any case: "text/css" for "css", ".css" and "a.min.css",
 * for only what follows the last '.' counts. Without parameters; never to be freed. NULL if it is
 * unknown. The types are those of mime-db 1.54, on which Koa 3 is built: "js" is text/javascript.
 */
const char *mime_of_extension(const char *extension, size_t n);

/*
 * Does "; charset=utf-8" belong behind this type? It does for text/… and for the application/…
 * that mime-db declares to be UTF-8 (json, javascript, manifest+json, but not xml), unless the type
 * names a charset already. Other parameters don't matter.
 */
bool mime_needs_charset(const char *type);

#endif
