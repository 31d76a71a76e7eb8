#include "runtime/pile.h"

#include <stdbool.h>

static bool is_held(const struct pile *pile) {
    return pile->bytes->references > 1;
}

char *pile_reserve(struct pile *pile, size_t n) {
    if (pile->bytes && !is_held(pile))
        pile->used = 0; /* everything has been sent */
    if (!pile->bytes || PILE_SIZE - pile->used < n) {
        shared_release(pile->bytes);
        *pile = (struct pile){.bytes = shared_new(PILE_SIZE)};
    }
    return pile->bytes ? pile->bytes->data + pile->used : NULL;
}

struct part pile_take(struct pile *pile, size_t n) {
    struct part part = {shared_hold(pile->bytes), pile->bytes->data + pile->used, n};
    pile->used += n;
    return part;
}

void pile_trim(struct pile *pile) {
    if (!pile->bytes || is_held(pile))
        return;
    shared_release(pile->bytes);
    pile->bytes = NULL;
}
