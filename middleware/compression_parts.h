/* The parts of compression: its encoders. */
#ifndef ACACIA_COMPRESSION_PARTS_H
#define ACACIA_COMPRESSION_PARTS_H

#include "compression.h"

#ifdef __cplusplus
extern "C" {
#endif

enum compression_coding { COMPRESSION_ZSTD, COMPRESSION_BR, COMPRESSION_GZIP, COMPRESSION_DEFLATE };
#define COMPRESSION_CODINGS 4

/* As Content-Encoding calls them; and was it there when Acacia was built? */
extern const char *const compression_coding_names[COMPRESSION_CODINGS];
bool compression_has(enum compression_coding coding);

/* The levels that a coding has. */
int compression_highest_level(enum compression_coding coding);

/*
 * An encoder turns bytes into fewer bytes, piece by piece. Any thread may use it, one at a time.
 * `length` is how many there will be, 0 if nobody knows. NULL when there is no memory.
 */
struct compression_encoder;
struct compression_encoder *compression_encoder_new(enum compression_coding coding, int level,
                                                    uint64_t length);
void compression_encoder_free(struct compression_encoder *encoder); /* NULL is fine */

/* What goes in, and where it comes out. Both move on. */
struct compression_flow {
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
};

/*
 * Encode all that goes in, so that the other side can read all of it; if `is_last` there will be no
 * more. Returns 1 when all of it is out; 0 if there was no more room: call it again, with room, and
 * what is left; or UV_ENOMEM. 64 bytes of room are enough to get on.
 */
int compression_encode(struct compression_encoder *encoder, bool is_last,
                       struct compression_flow *flow);

/* What `length` bytes become at the most, if they are the only ones. */
size_t compression_bound(const struct compression_encoder *encoder, size_t length);

#ifdef __cplusplus
}
#endif

#endif
