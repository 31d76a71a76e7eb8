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
 * An encoder turns bytes into fewer bytes, piece by piece. It holds some 100 KiB, which take longer
 * to get from the system than a small body to be encoded; so some that are not in use are kept, in
 * a pool for each coding and level. Any thread may take one and give it back, and use what it has
 * taken.
 */
struct compression_encoder;
struct compression_pool {
    enum compression_coding coding;
    int level;
    uv_mutex_t lock;
    struct compression_encoder *idle;
    size_t idle_count;
};

int compression_pool_init(struct compression_pool *pool, enum compression_coding coding, int level);
void compression_pool_release(struct compression_pool *pool); /* all have been given back */

/* `length` is how many bytes will be encoded, 0 if nobody knows. NULL when there is no memory. */
struct compression_encoder *compression_take(struct compression_pool *pool, uint64_t length);

/* Whatever it has done. NULL is fine. */
void compression_give(struct compression_pool *pool, struct compression_encoder *encoder);

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
