/*
 * Text that grows, and is escaped for where it goes: a log, JSON, HTML. For the other middleware;
 * it is not installed.
 */
#ifndef ACACIA_TEXT_H
#define ACACIA_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Zero is an empty one. */
struct text {
    char *data; /* NULL while nothing was added; else followed by a NUL that doesn't count */
    size_t length, capacity;
    bool failed; /* there was no memory for some of it */
};

void text_free(struct text *text);

void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const void *data, size_t length);
void text_add_char(struct text *text, char c);
void text_printf(struct text *text, const char *format, ...)
#ifdef __GNUC__
    __attribute__((__format__(__printf__, 2, 3)))
#endif
    ;

/*
 * What came from outside, so that it can be nothing but text. Control characters, and what turns
 * the direction of writing, are escaped everywhere, since a terminal may show it.
 */
typedef enum {
    ESCAPE_LOG,    /* control characters as \n, or \u001b; bytes that are no UTF-8 as \xff */
    ESCAPE_QUOTED, /* the same between double quotes: these and '\' are escaped, too */
    ESCAPE_JSON,   /* between double quotes; what is no UTF-8 is U+FFFD */
    ESCAPE_HTML    /* text, or an attribute in quotes; likewise */
} text_escape_t;
void text_add_escaped(struct text *text, const char *string, text_escape_t escape);

/* Is it UTF-8 (RFC 3629)? A NUL must follow. */
bool text_is_utf8(const char *data, size_t length);

#endif
