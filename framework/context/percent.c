#include "context/percent.h"

#include "protocols/utf8.h"

#include <string.h>

/* --- Escapes ---------------------------------------------------------------------------------- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* The byte that the '%' at `at` and two digits stand for, or -1 if they don't follow. */
static int escaped_byte(const char *at, const char *end) {
    if (end - at < 3)
        return -1;
    int high = hex_digit(at[1]);
    int low = hex_digit(at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* --- Strictly --------------------------------------------------------------------------------- */

ptrdiff_t percent_decode(char *to, const char *from, size_t n) {
    const char *end = from + n;
    ptrdiff_t length = 0;
    while (from < end) {
        int byte = (unsigned char)*from;
        size_t width = 1;
        if (byte == '%') {
            byte = escaped_byte(from, end);
            width = 3;
        }
        if (byte < 0)
            return -1;
        to[length++] = (char)byte;
        from += width;
    }
    return utf8_valid(to, (size_t)length) ? length : -1;
}

bool percent_decode_string(char *to, const char *from, size_t n) {
    ptrdiff_t length = percent_decode(to, from, n);
    if (length < 0 || memchr(to, '\0', (size_t)length))
        return false;
    to[length] = '\0';
    return true;
}

/* --- As in a form ----------------------------------------------------------------------------- */

/* What is being written, or only counted if `to` is NULL. */
struct text {
    char *to;
    size_t length;
    size_t whole; /* the length up to the last complete character */
    struct utf8 utf8;
};

static void text_put(struct text *text, char byte) {
    if (text->to)
        text->to[text->length] = byte;
    text->length++;
}

/* U+FFFD takes the place of the incomplete character at the end. At most three bytes of that have
 * been written, so the text never had been longer than it becomes. */
static void text_replace(struct text *text) {
    text->length = text->whole;
    text_put(text, '\xEF');
    text_put(text, '\xBF');
    text_put(text, '\xBD');
    text->whole = text->length;
    text->utf8 = (struct utf8){0};
}

static void text_add(struct text *text, unsigned char byte) {
    bool begins = utf8_done(&text->utf8);
    if (!utf8_feed(&text->utf8, &byte, 1)) {
        text_replace(text);
        /* A byte that cut a character short may well begin the next one. */
        if (!begins)
            text_add(text, byte);
    } else if (byte == '\0') {
        text_replace(text);
    } else {
        text_put(text, (char)byte);
        if (utf8_done(&text->utf8))
            text->whole = text->length;
    }
}

size_t percent_decode_form(char *to, const char *from, size_t n) {
    const char *end = from + n;
    struct text text = {.to = to};
    while (from < end) {
        int byte = *from == '%' ? escaped_byte(from, end) : -1;
        from += byte < 0 ? 1 : 3;
        if (byte < 0)
            byte = from[-1] == '+' ? ' ' : (unsigned char)from[-1];
        text_add(&text, (unsigned char)byte);
    }
    if (!utf8_done(&text.utf8))
        text_replace(&text);
    return text.length;
}
