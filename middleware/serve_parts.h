/*
 * The parts of serve, each in a file of its own: what a path means, which file that is, which of
 * its bytes are wanted, and sending them.
 */
#ifndef ACACIA_SERVE_PARTS_H
#define ACACIA_SERVE_PARTS_H

#include "serve.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- serve_path.c: the path of a request ------------------------------------------------------ */

/*
 * The name, below the root, of the file that ctx->path asks for: decoded, without ".", ".." and
 * empty segments, in memory of the ctx. With a '/' at its end only if the path has one and there
 * is no index. "" is the root itself.
 *
 * Returns 0, and `*name` is NULL if there is nothing by that name for a client: it is hidden. Or
 * -400 or -403, thrown.
 */
int serve_path(ctx_t *ctx, const serve_options_t *options, const char **name);

/* --- serve_find.c: files on the disk ---------------------------------------------------------- */

/* How the bytes of a file may be coded: its name then ends in ".br", and so on. In the order in
 * which we like them. */
enum serve_coding { SERVE_BR, SERVE_ZSTD, SERVE_GZIP, SERVE_PLAIN, SERVE_CODINGS };

/* As Content-Encoding calls them. */
extern const char *const serve_coding_names[SERVE_CODINGS];

struct serve_file {
    int descriptor; /* -1: there is none */
    uv_stat_t stat;
};

/* What a name has led to, and until when that is believed. The cache holds it, and each response
 * that is being sent. */
struct serve_found {
    size_t holders;
    struct serve_file files[SERVE_CODINGS]; /* none at all: the name leads nowhere */
    char *path;                             /* of the plain one, whether there is one or not */
    uint64_t expires;                       /* in milliseconds, as uv_now has it */
    uint32_t hash;                          /* of the name */
    struct serve_found *same_bucket, *older, *newer;
    const char *name; /* lies behind it */
};

/* Look for `name` below `root`, an absolute path. Suspends. 0 and a new one, to be released; or an
 * error that is more than a missing file. */
may_await int serve_find(const char *root, const serve_options_t *options, const char *name,
                         struct serve_found **found);

void serve_release(struct serve_found *found); /* NULL is fine */

/* Has one of the files been changed in place since it was found? */
may_await bool serve_has_changed(const struct serve_found *found);

/* --- serve_cache.c: what was found ------------------------------------------------------------ */

struct serve_cache {
    struct serve_found **buckets;
    size_t bucket_count; /* a power of two; 0: nothing is kept */
    size_t count, limit;
    uint64_t lifetime; /* milliseconds */
    struct serve_found *newest, *oldest;
};

/* 0 or UV_ENOMEM. */
int serve_cache_init(struct serve_cache *cache, const serve_options_t *options);
void serve_cache_release(struct serve_cache *cache);

/* What was found by that name and is still believed, held for the caller; or NULL. */
struct serve_found *serve_cache_get(struct serve_cache *cache, const char *name, uint64_t now);

/* Keep it, in place of what was known by its name, and of the oldest if there are too many. */
void serve_cache_put(struct serve_cache *cache, struct serve_found *found, uint64_t now);

/* Forget it. */
void serve_cache_drop(struct serve_cache *cache, struct serve_found *found);

/* Forget all: descriptors are wanted elsewhere. */
void serve_cache_clear(struct serve_cache *cache);

/* --- serve_range.c: Range --------------------------------------------------------------------- */

/* Bytes of a file, the last one included. */
struct serve_range {
    uint64_t first, last;
};

/* The list in the value of a Range field, behind "bytes="; NULL if it is of another unit. */
const char *serve_range_specs(const char *value);

enum serve_spec {
    SERVE_NO_MORE,
    SERVE_MALFORMED,
    SERVE_WITHIN,
    SERVE_OUTSIDE, /* nothing of it is there */
    SERVE_ALL      /* the last bytes of what has none */
};

/* Read one of the list, of something that has `length` bytes. `*range` is set if it is within. */
enum serve_spec serve_next_range(const char **at, uint64_t length, struct serve_range *range);

enum serve_extent {
    SERVE_WHOLE, /* the field is ignored */
    SERVE_PARTS,
    SERVE_NOTHING /* it asks for what the file has not: 416 */
};

/*
 * What the value of a Range field wants of a file that has `length` bytes (RFC 9110 14.1.2):
 * `*count` ranges, in the client's order, none of them empty or beyond the end. `ranges` has room
 * for `limit` of them.
 *
 * It is ignored if it is malformed, of another unit, has more than `limit` ranges, or if they are
 * longer than the file in all, as only overlapping ones can be. In time linear in its length.
 */
enum serve_extent serve_parse_range(const char *value, uint64_t length, size_t limit,
                                    struct serve_range *ranges, size_t *count);

/* --- serve_conditions.c: If-Match and its sisters --------------------------------------------- */

/* Does If-Match, or If-Unmodified-Since, forbid to send what the response's ETag and Last-Modified
 * stand for (RFC 9110 13.1)? Then it is a 412. */
bool serve_is_unwanted(ctx_t *ctx);

/* Is it still what the client has a part of, as If-Range says? True without that field. While it
 * may yet change within the second of its Last-Modified, it is not settled. */
bool serve_may_send_part(ctx_t *ctx, bool is_settled);

/* --- serve_send.c: the answer ----------------------------------------------------------------- */

/* Answer with this form of the file, which there is. */
int serve_send(ctx_t *ctx, const serve_options_t *options, struct serve_found *found,
               enum serve_coding coding);

/* --- serve_body.c: its body --------------------------------------------------------------------
 */

/* Make these ranges the body, or the whole file if `count` is 0. Sets status, Content-Length,
 * Content-Range, and Content-Type if there are several. Holds `found` while it needs it. */
int serve_body(ctx_t *ctx, struct serve_found *found, const struct serve_file *file,
               const struct serve_range *ranges, size_t count);

#ifdef __cplusplus
}
#endif

#endif
