#include "context/span.h"

#include <string.h>

struct span span_of(const char *string) {
    return (struct span){string, strlen(string)};
}

bool ascii_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

char ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

struct span span_trim(struct span span) {
    while (span.length > 0 && ascii_is_space(span.at[span.length - 1]))
        span.length--;
    while (span.length > 0 && ascii_is_space(span.at[0])) {
        span.at++;
        span.length--;
    }
    return span;
}

bool span_is(struct span span, const char *string) {
    return strlen(string) == span.length && memcmp(span.at, string, span.length) == 0;
}

bool span_equal(struct span a, struct span b) {
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
            return false;
    return true;
}

/* The first `length` bytes are the part, and one more is the separator, if there is one. */
static bool cut(struct span *rest, size_t length, struct span *part) {
    *part = (struct span){rest->at, length};
    if (length < rest->length)
        *rest = (struct span){rest->at + length + 1, rest->length - length - 1};
    else
        *rest = (struct span){NULL, 0};
    return true;
}

bool span_next(struct span *rest, char separator, struct span *part) {
    if (!rest->at)
        return false;
    const char *found = memchr(rest->at, separator, rest->length);
    return cut(rest, found ? (size_t)(found - rest->at) : rest->length, part);
}

bool span_next_unquoted(struct span *rest, char separator, struct span *part) {
    if (!rest->at)
        return false;
    bool quoted = false;
    size_t length = 0;
    while (length < rest->length && (quoted || rest->at[length] != separator))
        if (rest->at[length++] == '"')
            quoted = !quoted;
    return cut(rest, length, part);
}
