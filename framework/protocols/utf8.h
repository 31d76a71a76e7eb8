/*
 * Is it UTF-8? A check for text that comes in pieces, which may end in the middle of a character.
 *
 *     struct utf8 text = {0};
 *     while (…)
 *         if (!utf8_feed(&text, piece, length))
 *             return close_with(1007);
 *     if (!utf8_done(&text))
 *         return close_with(1007);
 *
 * UTF-8 is what RFC 3629 says: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef ACACIA_UTF8_H
#define ACACIA_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All of what is known about the text so far; zero at its start. Copy it as you like. */
struct utf8 {
    uint32_t state; /* private */
};

/*
 * Look at the next `n` bytes. False if no text can begin with what was fed until now. That is told
 * at the first byte that spoils it, not at the end of its character: after F4, 90 is wrong already.
 * Once false it stays false. `data` may be NULL if `n` is 0. O(n), for the most part 32 bytes at a
 * time, and 128 where it is ASCII.
 */
bool utf8_feed(struct utf8 *u, const void *data, size_t n);

/* May the text end here? Not in the middle of a character, nor after utf8_feed has failed. */
bool utf8_done(const struct utf8 *u);

/* The same for a text that is all there. The empty one is valid. */
bool utf8_valid(const void *data, size_t n);

#endif
