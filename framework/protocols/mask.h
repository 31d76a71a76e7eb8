/* The masking of WebSocket payloads (RFC 6455, section 5.3): every byte that a client sends is
 * XORed with one of the four bytes of its frame's key. Doing it twice undoes it. */
#ifndef ACACIA_MASK_H
#define ACACIA_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copy `n` bytes and mask, or unmask, them. `offset` is the position of the first of them in the
 * payload of the frame, for payloads that come in pieces.
 *
 * `to` may equal `from`; otherwise the two must not overlap, and `key` must not lie in `to`.
 * Nothing needs to be aligned; with `n` = 0 both may be NULL. O(n), 128 bytes at a time.
 *
 * Returns whether all that was written is ASCII, which costs next to nothing here.
 */
bool mask_copy(void *to, const void *from, size_t n, const uint8_t key[4], size_t offset);

#endif
