/*
 * Percent-encoding: what "%C3%A9" in a URL stands for.
 *
 * There are two readers, because the web has two. A parameter of a route is read strictly, as by
 * decodeURIComponent: what is malformed is refused. A query or a form is read as by
 * URLSearchParams: nothing is refused, what is malformed stays or is replaced.
 */
#ifndef ACACIA_PERCENT_H
#define ACACIA_PERCENT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Decode `n` bytes strictly: every '%' must begin an escape of two hex digits, and the result must
 * be UTF-8 (no overlong forms, no surrogates, nothing past U+10FFFF). A '+' stays one.
 *
 * `to` has room for n bytes and may be `from`. Returns the length of the result, or -1 if the input
 * is malformed; `to` then holds nothing useful.
 *
 * "%00" is well-formed and gives a NUL. Whoever goes on with a C string must refuse it, or
 * "admin%00x" becomes "admin": use percent_decode_string.
 */
ptrdiff_t percent_decode(char *to, const char *from, size_t n);

/* The same, as a C string: `to` has room for n + 1 bytes, and false is also the answer if the
 * result would have a NUL in it. */
bool percent_decode_string(char *to, const char *from, size_t n);

/*
 * Decode `n` bytes of a name or value in application/x-www-form-urlencoded. A '+' is a space, a '%'
 * without two hex digits stays, and what is not UTF-8 becomes U+FFFD, one for each maximal part of
 * a character, as WHATWG's "UTF-8 decode without BOM" has it. The one thing that is ours: a NUL
 * becomes U+FFFD as well, so that the result is whole as a C string.
 *
 * Returns the length of the result, which is at most 3 * n. With `to` NULL it only counts; else
 * `to` has room for that many bytes and does not overlap `from`. No NUL is appended.
 */
size_t percent_decode_form(char *to, const char *from, size_t n);

#endif
