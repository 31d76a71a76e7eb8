#include "context/escape.h"

#include "runtime/arena.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* --- URLs ------------------------------------------------------------------------------------- */

static bool is_control(unsigned char byte) {
    return byte < ' ' || byte > '~';
}

size_t escape_percent(char *to, const char *from, size_t n, const char *also) {
    static const char hex[] = "0123456789ABCDEF";
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)from[i];
        bool escaped = is_control(byte) || strchr(also, byte);
        if (to && escaped) {
            to[length] = '%';
            to[length + 1] = hex[byte >> 4];
            to[length + 2] = hex[byte & 15];
        } else if (to) {
            to[length] = from[i];
        }
        length += escaped ? 3 : 1;
    }
    return length;
}

static bool is_escape(const char *at) {
    return at[0] == '%' && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2]);
}

static size_t put_url(char *to, const char *url) {
    size_t length = 0;
    for (; *url; url++) {
        const char *also = is_escape(url) ? "" : "% \"<>`{}";
        length += escape_percent(to ? to + length : NULL, url, 1, also);
    }
    return length;
}

char *escape_url(struct arena *arena, const char *url) {
    size_t length = put_url(NULL, url);
    char *escaped = arena_alloc(arena, length + 1);
    if (!escaped)
        return NULL;
    put_url(escaped, url);
    escaped[length] = '\0';
    return escaped;
}

/* --- HTML ------------------------------------------------------------------------------------- */

/* The entity for a character; NULL if it needs none. */
static const char *entity(char c) {
    switch (c) {
    case '"':
        return "&quot;";
    case '&':
        return "&amp;";
    case '\'':
        return "&#39;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    default:
        return NULL;
    }
}

static size_t html_length(const char *text) {
    size_t length = 0;
    for (; *text; text++)
        length += entity(*text) ? strlen(entity(*text)) : 1;
    return length;
}

char *escape_html(struct arena *arena, const char *text) {
    char *escaped = arena_alloc(arena, html_length(text) + 1), *to = escaped;
    if (!escaped)
        return NULL;
    for (; *text; text++) {
        const char *name = entity(*text);
        size_t n = name ? strlen(name) : 1;
        memcpy(to, name ? name : text, n);
        to += n;
    }
    *to = '\0';
    return escaped;
}
