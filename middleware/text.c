#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- It grows --------------------------------------------------------------------------------- */

void text_free(struct text *text) {
    free(text->data);
    *text = (struct text){0};
}

/* Room for `length` more bytes and a NUL. */
static bool reserve(struct text *text, size_t length) {
    if (text->failed)
        return false;
    if (text->capacity - text->length > length)
        return true;
    size_t capacity = 2 * text->capacity + length + 256;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_add_bytes(struct text *text, const void *data, size_t length) {
    if (!reserve(text, length))
        return;
    memcpy(text->data + text->length, data, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_add(struct text *text, const char *string) {
    text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char c) {
    text_add_bytes(text, &c, 1);
}

void text_printf(struct text *text, const char *format, ...) {
    va_list args, again;
    if (!reserve(text, 64)) /* mostly it needs no more */
        return;
    va_start(args, format);
    va_copy(again, args);
    size_t room = text->capacity - text->length;
    int length = vsnprintf(text->data + text->length, room, format, args);
    if (length >= 0 && (size_t)length >= room && reserve(text, (size_t)length))
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    if (length >= 0 && !text->failed)
        text->length += (size_t)length;
    va_end(args);
    va_end(again);
}

/* --- It is escaped ---------------------------------------------------------------------------- */

/* One character of UTF-8 (RFC 3629). Returns how many bytes it has; 0 if that is none. */
static size_t decode(const char *at, uint32_t *character) {
    const unsigned char *s = (const unsigned char *)at;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (length <= 1) {
        *character = s[0];
        return length;
    }
    uint32_t c = s[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) { /* a NUL ends it as well */
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    *character = c;
    bool is_one = s[0] < 0xf5 && c >= least[length] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    return is_one ? length : 0;
}

bool text_is_utf8(const char *data, size_t length) {
    uint32_t character;
    size_t n = 1;
    for (const char *at = data, *end = data + length; at < end && n > 0; at += n)
        n = decode(at, &character);
    return n > 0;
}

/* Control characters, ends of lines, and what turns the direction of writing. */
static bool is_control(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void add_control(struct text *text, uint32_t c, text_escape_t escape) {
    static const char letters[] = "btn\0fr"; /* from 8 on */
    if (escape == ESCAPE_HTML && (c == '\n' || c == '\t'))
        text_add_char(text, (char)c);
    else if (escape == ESCAPE_HTML)
        text_add(text, "\xef\xbf\xbd");
    else if (c >= 8 && c <= 13 && letters[c - 8])
        text_printf(text, "\\%c", letters[c - 8]);
    else
        text_printf(text, "\\u%04x", (unsigned)c);
}

static void add_malformed(struct text *text, char byte, text_escape_t escape) {
    if (escape == ESCAPE_HTML || escape == ESCAPE_JSON)
        text_add(text, "\xef\xbf\xbd");
    else
        text_printf(text, "\\x%02x", (unsigned char)byte);
}

/* What stands for this character there; NULL if that is itself. */
static const char *named(char c, text_escape_t escape) {
    if (escape == ESCAPE_LOG)
        return NULL;
    if (escape != ESCAPE_HTML)
        return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* Bytes from here on that are themselves. */
static size_t plain(const char *at, text_escape_t escape) {
    size_t n = 0;
    while (at[n] >= 0x20 && at[n] < 0x7f && !named(at[n], escape))
        n++;
    return n;
}

void text_add_escaped(struct text *text, const char *string, text_escape_t escape) {
    const char *at = string;
    while (*at) {
        uint32_t character = 0;
        size_t length = plain(at, escape);
        if (length > 0) {
            text_add_bytes(text, at, length);
        } else if ((length = decode(at, &character)) == 0) {
            add_malformed(text, *at, escape);
            length = 1;
        } else if (is_control(character)) {
            add_control(text, character, escape);
        } else if (length == 1) {
            text_add(text, named(*at, escape));
        } else {
            text_add_bytes(text, at, length);
        }
        at += length;
    }
}
