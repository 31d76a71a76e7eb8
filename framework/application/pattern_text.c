#include "application/pattern_text.h"

#include "runtime/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for so many bytes and a NUL. */
static bool make_room(struct pattern_text *text, size_t length) {
    if (text->failed || text->size - text->length > length)
        return !text->failed;
    size_t size = 2 * text->size + length + 32;
    char *data = arena_resize(text->arena, text->data, text->size, size);
    text->failed = !data;
    if (data) {
        text->data = data;
        text->size = size;
    }
    return data;
}

void pattern_text_add(struct pattern_text *text, const char *data, size_t length) {
    if (!make_room(text, length))
        return;
    if (length > 0)
        memcpy(text->data + text->length, data, length);
    text->length += length;
}

void pattern_text_string(struct pattern_text *text, const char *string) {
    pattern_text_add(text, string, strlen(string));
}

void pattern_text_format(struct pattern_text *text, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    if (length < 0)
        text->failed = true;
    else if (make_room(text, (size_t)length))
        text->length +=
            (size_t)vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
}

const char *pattern_text_end(struct pattern_text *text) {
    if (!make_room(text, 0))
        return NULL;
    text->data[text->length] = '\0';
    return text->data;
}

bool pattern_error(char **error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    *error = length < 0 ? NULL : malloc((size_t)length + 1);
    if (*error) {
        va_start(args, format);
        vsnprintf(*error, (size_t)length + 1, format, args);
        va_end(args);
    }
    return false;
}
