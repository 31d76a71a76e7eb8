#include "application/pattern_bytes.h"

#include <stddef.h>

void byte_set_add(struct byte_set *set, unsigned char first, unsigned char last) {
    for (unsigned byte = first; byte <= last; byte++)
        set->words[byte / 32] |= (uint32_t)1 << (byte % 32);
}

void byte_set_unite(struct byte_set *set, const struct byte_set *other) {
    for (size_t i = 0; i < 8; i++)
        set->words[i] |= other->words[i];
}

void byte_set_invert(struct byte_set *set) {
    for (size_t i = 0; i < 8; i++)
        set->words[i] = ~set->words[i];
}

bool byte_set_overlap(const struct byte_set *a, const struct byte_set *b) {
    uint32_t common = 0;
    for (size_t i = 0; i < 8; i++)
        common |= a->words[i] & b->words[i];
    return common;
}

void byte_set_fold(struct byte_set *set) {
    for (unsigned char lower = 'a'; lower <= 'z'; lower++) {
        unsigned char upper = (unsigned char)(lower - 'a' + 'A');
        if (byte_set_has(set, lower))
            byte_set_add(set, upper, upper);
        if (byte_set_has(set, upper))
            byte_set_add(set, lower, lower);
    }
}

bool byte_set_list(struct byte_set *set, const char *list) {
    *set = (struct byte_set){0};
    while (*list) {
        unsigned char first = (unsigned char)*list, last = first;
        list++;
        if (list[0] == '-' && list[1]) {
            last = (unsigned char)list[1];
            list += 2;
        }
        if (first > last)
            return false;
        byte_set_add(set, first, last);
    }
    return true;
}
