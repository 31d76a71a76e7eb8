/* Text of clients as UTF-8, and bytes that stand in it as escapes: a part of body_parser and
 * multipart. */
#ifndef ACACIA_CHARSET_H
#define ACACIA_CHARSET_H

#include <stddef.h>

typedef enum {
    CHARSET_UTF8,
    CHARSET_LATIN1, /* as browsers have it: windows-1252 */
    CHARSET_UNKNOWN
} charset_t;

/* The charset of that name, in any case. "" is UTF-8, and so is US-ASCII, of which it is an
 * extension. */
charset_t charset_of(const char *name);

/*
 * Decode `n` bytes. What is not UTF-8 becomes U+FFFD, one for each maximal part of a character, as
 * TextDecoder has it. So does a NUL, so that the result is whole as a C string.
 *
 * `to` has room for 3 * n + 1 bytes, and does not overlap `from`. Returns the length of the result,
 * behind which stands a NUL.
 */
size_t charset_decode(charset_t charset, char *to, const char *from, size_t n);

/* The byte that "%41" at `at` stands for; -1 if that is no escape. */
int charset_escape(const char *at, const char *end);

#endif
