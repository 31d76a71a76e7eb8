#include "context/json_text.h"

#ifdef ACACIA_HAVE_JSON

#include "protocols/utf8.h"
#include "runtime/arena.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* It is written twice: first to know how long it will be, then in memory of that size. */
struct sink {
    char *text; /* NULL: it only counts */
    size_t length;
};

static void put(struct sink *sink, const char *bytes, size_t length) {
    if (sink->text)
        memcpy(sink->text + sink->length, bytes, length);
    sink->length += length;
}

/* --- Strings ---------------------------------------------------------------------------------- */

static void put_escape(struct sink *sink, unsigned char c) {
    static const char letters[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                   ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    char escape[8] = {'\\', letters[c]};
    size_t length = letters[c] ? 2 : (size_t)snprintf(escape, sizeof escape, "\\u%04x", c);
    put(sink, escape, length);
}

/* False if it is no UTF-8. */
static bool put_string(struct sink *sink, const char *string, size_t length) {
    size_t written = 0;
    if (!sink->text && !utf8_valid(string, length))
        return false;
    put(sink, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)string[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(sink, string + written, i - written);
        put_escape(sink, c);
        written = i + 1;
    }
    put(sink, string + written, length - written);
    put(sink, "\"", 1);
    return true;
}

/* --- Numbers ---------------------------------------------------------------------------------- */

/* The digits that are needed to read the same number again, and how many of them stand before the
 * point. 15 are enough for all that were written with as many, save for the smallest numbers. */
static int shortest_digits(double number, char digits[32]) {
    char text[32];
    char *end = digits;
    int count = number < DBL_MIN ? 1 : 15;
    do
        snprintf(text, sizeof text, "%.*e", count - 1, number);
    while (strtod(text, NULL) != number && count++ < 17);
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9') /* the point is a comma in some places */
            *end++ = *at;
    while (end > digits + 1 && end[-1] == '0')
        end--;
    *end = '\0';
    return (int)strtol(at + 1, NULL, 10) + 1;
}

/* As JavaScript has it: 1e+21, 100, 0.5, 0.000001, 1e-7. */
static void put_real(struct sink *sink, double number) {
    static const char zeros[] = "000000000000000000000";
    const char *sign = number < 0 ? "-" : "";
    char digits[32], text[64];
    int before = shortest_digits(fabs(number), digits), count = (int)strlen(digits), length;
    if (number == 0)
        length = snprintf(text, sizeof text, "0");
    else if (before >= count && before <= 21)
        length = snprintf(text, sizeof text, "%s%s%.*s", sign, digits, before - count, zeros);
    else if (before > 0 && before <= 21)
        length = snprintf(text, sizeof text, "%s%.*s.%s", sign, before, digits, digits + before);
    else if (before > -6 && before <= 0)
        length = snprintf(text, sizeof text, "%s0.%.*s%s", sign, -before, zeros, digits);
    else
        length = snprintf(text, sizeof text, "%s%c%s%se%+d", sign, *digits, count > 1 ? "." : "",
                          digits + 1, before - 1);
    put(sink, text, (size_t)length);
}

static void put_integer(struct sink *sink, json_int_t number) {
    char text[32];
    int length = snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, number);
    put(sink, text, (size_t)length);
}

/* --- Values ----------------------------------------------------------------------------------- */

static bool put_value(struct sink *sink, json_t *json, int levels);

static bool put_array(struct sink *sink, json_t *array, int levels) {
    json_t *value;
    size_t i;
    put(sink, "[", 1);
    json_array_foreach(array, i, value) {
        put(sink, ",", i > 0);
        if (!put_value(sink, value, levels))
            return false;
    }
    put(sink, "]", 1);
    return true;
}

static bool put_object(struct sink *sink, json_t *object, int levels) {
    const char *name;
    json_t *value;
    bool is_first = true;
    put(sink, "{", 1);
    json_object_foreach(object, name, value) {
        put(sink, ",", !is_first);
        is_first = false;
        if (!put_string(sink, name, strlen(name)))
            return false;
        put(sink, ":", 1);
        if (!put_value(sink, value, levels))
            return false;
    }
    put(sink, "}", 1);
    return true;
}

static bool put_value(struct sink *sink, json_t *json, int levels) {
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return levels > 0 && put_object(sink, json, levels - 1);
    case JSON_ARRAY:
        return levels > 0 && put_array(sink, json, levels - 1);
    case JSON_STRING:
        return put_string(sink, json_string_value(json), json_string_length(json));
    case JSON_REAL:
        put_real(sink, json_real_value(json));
        return true;
    case JSON_INTEGER:
        put_integer(sink, json_integer_value(json));
        return true;
    case JSON_TRUE:
        put(sink, "true", 4);
        return true;
    case JSON_FALSE:
        put(sink, "false", 5);
        return true;
    default:
        put(sink, "null", 4);
        return true;
    }
}

int json_text(struct arena *arena, json_t *json, bytes_t *text) {
    struct sink sink = {0};
    if (!put_value(&sink, json, JSON_TEXT_LEVELS))
        return UV_EINVAL;
    sink.text = arena_alloc(arena, sink.length + 1);
    if (!sink.text)
        return UV_ENOMEM;
    sink.length = 0;
    put_value(&sink, json, JSON_TEXT_LEVELS);
    sink.text[sink.length] = '\0';
    *text = (bytes_t){sink.text, sink.length};
    return 0;
}

#endif
