/*
 * Text that grows in an arena while a pattern is read or written.
 *
 *     struct pattern_text text = {.arena = &arena};
 *     pattern_text_add(&text, "/users", 6);
 *     pattern_text_format(&text, "/%d", 7);
 *     const char *string = pattern_text_end(&text); // "/users/7", or NULL: no memory
 */
#ifndef ACACIA_PATTERN_TEXT_H
#define ACACIA_PATTERN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct pattern_text {
    struct arena *arena;
    char *data;
    size_t length, size;
    bool failed; /* there was no memory: what follows is not added */
};

void pattern_text_add(struct pattern_text *text, const char *data, size_t length);
void pattern_text_string(struct pattern_text *text, const char *string);
__attribute__((format(printf, 2, 3))) void pattern_text_format(struct pattern_text *text,
                                                               const char *format, ...);

/* The text with a NUL behind it; NULL if there was no memory. It may go on growing, which can move
 * it. */
const char *pattern_text_end(struct pattern_text *text);

/* As printf into a block for the caller to free(); false, always, and *error NULL if there is no
 * memory: `return pattern_error(error, "Missing pattern at %zu", at);` */
__attribute__((format(printf, 2, 3))) bool pattern_error(char **error, const char *format, ...);

#endif
