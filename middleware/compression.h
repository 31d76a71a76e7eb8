/*
 * Compression, as koa-compress 5: answers are sent by zstd, br, gzip or deflate, whichever the
 * client likes best; of those that it likes equally well the first one of this list.
 *
 *     app_use(app, compression(NULL));
 *
 * It comes early, before what makes the bodies. Compressed is a body whose type gains by it, and
 * which is not known to be small; it then has the field Content-Encoding, a strong ETag becomes a
 * weak one, and Accept-Ranges is taken away. Left as they are: answers to HEAD, 204, 205 and 304,
 * parts (206, Content-Range), what has a Content-Encoding or "Cache-Control: no-transform" already,
 * and what is written at once (ctx_write, server-sent events). `Vary: Accept-Encoding` is set in
 * any case.
 *
 * A body in memory is compressed whole, and has a Content-Length. A stream is compressed piece by
 * piece: all that it has said is on its way to the client before it is asked for more. Large pieces
 * are compressed by a thread.
 *
 * A page that holds a secret, and beside it what somebody else has sent, such as a search word,
 * gives the secret away by its length, over TLS as well (BREACH): such pages are better not
 * compressed, by compression_choose(ctx, COMPRESSION_NEVER).
 */
#ifndef ACACIA_COMPRESSION_H
#define ACACIA_COMPRESSION_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Zero is the default. Strings and lists are copied. */
typedef struct {
    /* "zstd", "br", "gzip", "deflate", the best first, NULL at the end; NULL: these, as far as they
     * were there when Acacia was built. One that was not keeps the app from starting. */
    const char *const *encodings;

    const char *default_encoding;  /* for clients that say nothing; NULL: "identity", none */
    const char *wildcard_encoding; /* for those that say "*", and no more; NULL: "gzip" */

    size_t threshold; /* 1,024 bytes: what is shorter stays as it is. 1: everything is compressed */

    /* Is a body of this type, without parameters, to be compressed? NULL: compression_gains. */
    bool (*filter)(ctx_t *ctx, const char *type);

    int gzip_level;     /* 6, of 1 to 9 */
    int deflate_level;  /* 6, of 1 to 9 */
    int brotli_quality; /* 4, of 1 to 11 */
    int zstd_level;     /* 3, of 1 to 19 */

    size_t thread_size; /* 8 KiB: what is larger is compressed by a thread */
} compression_options_t;

/* `options` may be NULL. */
middleware_t compression(const compression_options_t *options);

/* Does a type gain by being compressed? Text of all kinds does, JSON, XML, fonts and so on, as
 * mime-db knows them; images, films and archives are compressed already. Parameters don't matter.
 */
bool compression_gains(const char *type);

/* For this answer: never, or whatever its type is; the other rules hold all the same. (Koa's
 * ctx.compress.) */
typedef enum { COMPRESSION_BY_TYPE, COMPRESSION_NEVER, COMPRESSION_ANY_TYPE } compression_choice_t;
int compression_choose(ctx_t *ctx, compression_choice_t choice);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
