#include "charset.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define REPLACEMENT 0xFFFD

charset_t charset_of(const char *name) {
    static const char *const utf8[] = {"", "utf-8", "utf8", "us-ascii", "ascii"};
    static const char *const latin1[] = {"iso-8859-1", "iso8859-1", "latin1", "windows-1252",
                                         "cp1252"};
    for (size_t i = 0; i < sizeof utf8 / sizeof *utf8; i++)
        if (strcasecmp(name, utf8[i]) == 0)
            return CHARSET_UTF8;
    for (size_t i = 0; i < sizeof latin1 / sizeof *latin1; i++)
        if (strcasecmp(name, latin1[i]) == 0)
            return CHARSET_LATIN1;
    return CHARSET_UNKNOWN;
}

/* What windows-1252 has in place of the control characters 0x80 to 0x9F. */
static uint32_t latin1_character(unsigned char byte) {
    static const uint16_t table[] = {
        0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178,
    };
    return byte >= 0x80 && byte < 0xA0 ? table[byte - 0x80] : byte;
}

/* Nothing here is beyond U+FFFF. */
static char *put(char *to, uint32_t character) {
    if (character < 0x80) {
        *to++ = (char)character;
    } else if (character < 0x800) {
        *to++ = (char)(0xC0 | character >> 6);
        *to++ = (char)(0x80 | (character & 0x3F));
    } else {
        *to++ = (char)(0xE0 | character >> 12);
        *to++ = (char)(0x80 | (character >> 6 & 0x3F));
        *to++ = (char)(0x80 | (character & 0x3F));
    }
    return to;
}

/* The width of the character that begins here, or of as much of one as there is: then it is not
 * valid. Table 3-7 of Unicode's chapter 3. */
static size_t character_at(const unsigned char *at, size_t n, bool *valid) {
    unsigned char first = *at, low = 0x80, high = 0xBF;
    size_t wanted = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    size_t width = 1;
    if (first == 0xE0)
        low = 0xA0; /* below it is overlong */
    else if (first == 0xED)
        high = 0x9F; /* above are surrogates */
    else if (first == 0xF0)
        low = 0x90;
    else if (first == 0xF4)
        high = 0x8F; /* above is nothing */
    else if (first > 0xF4)
        wanted = 0;
    for (; width < wanted && width < n && at[width] >= low && at[width] <= high; width++) {
        low = 0x80;
        high = 0xBF;
    }
    *valid = width == wanted && first != '\0';
    return width;
}

static char *decode_utf8(char *to, const char *from, size_t n) {
    bool valid;
    for (size_t i = 0, width; i < n; i += width) {
        width = character_at((const unsigned char *)from + i, n - i, &valid);
        if (!valid) {
            to = put(to, REPLACEMENT);
            continue;
        }
        memcpy(to, from + i, width);
        to += width;
    }
    return to;
}

static char *decode_latin1(char *to, const char *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to = put(to, from[i] ? latin1_character((unsigned char)from[i]) : REPLACEMENT);
    return to;
}

size_t charset_decode(charset_t charset, char *to, const char *from, size_t n) {
    char *end = charset == CHARSET_LATIN1 ? decode_latin1(to, from, n) : decode_utf8(to, from, n);
    *end = '\0';
    return (size_t)(end - to);
}

static int digit_of(char c) {
    const char *digits = "0123456789abcdef", *at = strchr(digits, tolower((unsigned char)c));
    return c && at ? (int)(at - digits) : -1;
}

int charset_escape(const char *at, const char *end) {
    if (end - at < 3 || *at != '%' || digit_of(at[1]) < 0 || digit_of(at[2]) < 0)
        return -1;
    return digit_of(at[1]) << 4 | digit_of(at[2]);
}
