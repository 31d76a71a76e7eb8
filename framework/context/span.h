/*
 * A piece of a string that belongs to somebody else: what parsers of header fields cut, trim and
 * compare, without a copy.
 *
 *     struct span rest = span_of("gzip, br"), item;
 *     while (span_next(&rest, ',', &item))
 *         item = span_trim(item); // "gzip", "br"
 */
#ifndef ACACIA_SPAN_H
#define ACACIA_SPAN_H

#include <stdbool.h>
#include <stddef.h>

struct span {
    const char *at;
    size_t length;
};

struct span span_of(const char *string);

/* As isspace and tolower, but whatever the locale is. */
bool ascii_is_space(char c);
char ascii_lower(char c);

/* The same without white space at its ends. */
struct span span_trim(struct span span);

/* Is it just this string? */
bool span_is(struct span span, const char *string);

/* Are they the same, but for the case of ASCII letters? */
bool span_equal(struct span a, struct span b);

/*
 * Cut at a separator: what is before the next one goes to *part, what is behind it stays in *rest.
 * n separators make n + 1 parts, some of which may be empty; false after the last.
 */
bool span_next(struct span *rest, char separator, struct span *part);

/* The same, but a separator does not count where the part has an odd number of '"' before it. */
bool span_next_unquoted(struct span *rest, char separator, struct span *part);

#endif
