/*
 * A set of bytes, what a regular expression writes as [...].
 */
#ifndef ACACIA_PATTERN_BYTES_H
#define ACACIA_PATTERN_BYTES_H

#include <stdbool.h>
#include <stdint.h>

struct byte_set {
    uint32_t words[8];
};

static inline bool byte_set_has(const struct byte_set *set, unsigned char byte) {
    return set->words[byte / 32] >> (byte % 32) & 1;
}

/* Not tolower(), which asks the locale: only ASCII has case here. */
static inline char byte_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* From `first` to `last`. */
void byte_set_add(struct byte_set *set, unsigned char first, unsigned char last);
void byte_set_unite(struct byte_set *set, const struct byte_set *other);
void byte_set_invert(struct byte_set *set);
bool byte_set_overlap(const struct byte_set *a, const struct byte_set *b);

/* Each letter brings its other case. */
void byte_set_fold(struct byte_set *set);

/* All of `list`, where "a-z" is a range, since path-to-regexp puts its delimiters between brackets
 * like that. False if a range is in the wrong order. */
bool byte_set_list(struct byte_set *set, const char *list);

#endif
