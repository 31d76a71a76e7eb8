/*
 * Messages that are inflated: in pieces as in one, with memory given back between them as without,
 * never more than the limit; and what is compressed comes back.
 *
 * The first byte is the window and whether it is kept, the second one the limit; then come
 * messages, each a byte with its length and as many bytes.
 */
#include "protocols/deflate.h"

#include <stdlib.h>
#include <string.h>

static void check(bool holds) {
    if (!holds)
        abort();
}

static int inflate_pieces(struct inflater *inflater, const uint8_t *data, size_t size, size_t piece,
                          size_t limit, struct deflate_buffer *out) {
    int err = 0;
    out->length = 0;
    do {
        size_t n = size < piece ? size : piece;
        uint8_t *exact = malloc(n ? n : 1); /* at its own address, so that ASan sees an overrun */
        memcpy(exact, data, n);
        err = inflater_feed(inflater, exact, n, n == size, limit, deflate_buffer_take, out);
        free(exact);
        data += n;
        size -= n;
    } while (size > 0 && !err);
    check(out->length <= limit);
    check(inflater_memory(inflater) <= 48 << 10);
    return err;
}

static bool are_equal(const struct deflate_buffer *a, const struct deflate_buffer *b) {
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

struct sides {
    struct inflater whole, pieces, back;
    struct deflater deflater;
    struct deflate_buffer one, other, packed;
};

/* False if it was not DEFLATE data, or too long: whichever of both is seen first. Zlib sees that a
 * message refers further back than a smaller window allows only if that comes in another piece. */
static bool inflate_both(struct sides *sides, const uint8_t *data, size_t size, size_t limit) {
    int one = inflate_pieces(&sides->whole, data, size, size, limit, &sides->one);
    int other = inflate_pieces(&sides->pieces, data, size, 1, limit, &sides->other);
    check(!one == !other || sides->whole.window_bits < 15);
    if (one || other)
        return false;
    check(are_equal(&sides->one, &sides->other));
    check(inflater_release(&sides->pieces) == 0);
    return true;
}

/* The same bytes as a message to be compressed, in two fragments. */
static void deflate_and_back(struct sides *sides, const uint8_t *data, size_t size) {
    const struct deflate_buffer given = {.data = (char *)data, .length = size};
    size_t half = size / 2;
    sides->packed.length = 0;
    check(deflater_feed(&sides->deflater, data, half, false, deflate_buffer_take, &sides->packed) ==
          0);
    check(deflater_feed(&sides->deflater, data + half, size - half, true, deflate_buffer_take,
                        &sides->packed) == 0);
    check(inflate_pieces(&sides->back, (uint8_t *)sides->packed.data, sides->packed.length, 100,
                         size, &sides->other) == 0);
    check(are_equal(&sides->other, &given));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sides sides = {0};
    if (size < 2)
        return 0;
    int bits = 8 + (data[0] & 7);
    bool forgets = data[0] & 8, good = true;
    size_t limit = (size_t)data[1] * data[1];
    inflater_init(&sides.whole, bits, forgets);
    inflater_init(&sides.pieces, bits, forgets);
    inflater_init(&sides.back, bits, forgets);
    deflater_init(&sides.deflater, &(struct deflater_options){.window_bits = bits,
                                                              .memory_level = 1,
                                                              .no_context_takeover = forgets});
    data += 2;
    size -= 2;
    while (size > 0) {
        size_t n = data[0] < size ? data[0] : size - 1;
        good = good && inflate_both(&sides, data + 1, n, limit);
        deflate_and_back(&sides, data + 1, n);
        data += n + 1;
        size -= n + 1;
    }
    inflater_free(&sides.whole);
    inflater_free(&sides.pieces);
    inflater_free(&sides.back);
    deflater_free(&sides.deflater);
    deflate_buffer_free(&sides.one);
    deflate_buffer_free(&sides.other);
    deflate_buffer_free(&sides.packed);
    return 0;
}
