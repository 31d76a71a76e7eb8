/*
 * Files, as koa-static serves them:
 *
 *     app_use(app, serve("public", NULL));
 *
 * GET or HEAD of "/img/logo.svg" is answered with public/img/logo.svg, and "/docs" or "/docs/" with
 * public/docs/index.html. Where there is no such file, and for other methods, it passes on to what
 * comes behind. Put it behind routes that are asked often: to know that there is no such file costs
 * a look at the disk.
 *
 * - Content-Type by the extension, Content-Length, Last-Modified, ETag and Cache-Control; what has
 *   been set before stays. Conditions are obeyed: 304, 412.
 * - Ranges (RFC 9110 14): 206 with one part, or with several as multipart/byteranges; 416 where
 *   there is nothing in them. If-Range is obeyed.
 * - Where app.js.br, app.js.zst or app.js.gz lie beside app.js, the one that the client likes best
 *   is sent in its place, with Content-Encoding and Vary. They may be there without it.
 * - A path that is malformed, or has a NUL in it, is a 400, and one that leads out of the root a
 *   403. What is hidden (a name that begins with '.'), is no regular file, or is reached by a
 *   symbolic link that leads out of the root, is as if it were not there.
 *
 * The loop is never blocked: threads look for files. What they find is kept open for a second, so
 * that a file that is asked for often costs no more than reading it. A file that is changed in
 * place is sent as it is now; that another has taken its name is noticed after that second. To
 * replace files while they are served, write the new one beside the old one and rename it.
 */
#ifndef ACACIA_SERVE_H
#define ACACIA_SERVE_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Zero is the default. Strings and lists are copied. */
typedef struct {
    /* which files */
    const char *index;             /* of a directory; NULL: "index.html" */
    bool no_index;                 /* none: directories are not served */
    bool strict;                   /* "/docs" is not the directory "/docs/" (koa-send's format) */
    const char *const *extensions; /* "/about" may be about.html: {"html", NULL} */
    bool hidden;                   /* what begins with '.', too */
    bool follow_links;             /* symbolic links may lead out of the root */
    bool no_brotli, no_zstd, no_gzip; /* nothing that ends in .br, .zst, .gz in place of another */

    /* how */
    bool defer;       /* after all that comes behind, if that has not answered */
    uint64_t max_age; /* of Cache-Control, in seconds */
    bool immutable;   /* it will never change: no need to ask again until max_age */
    bool no_etag, no_last_modified;
    bool weak_etag;    /* W/"…" always, as koa-etag; else only of files that have just changed */
    bool no_ranges;    /* Range is ignored */
    size_t max_ranges; /* 16 at once; beyond it Range is ignored */

    /* Called before headers are set, for others, or for other values: with the path of the file,
     * without .br and so on, and what is known about the one that is sent. May suspend. What it
     * returns, if not 0, is thrown. */
    int (*set_headers)(ctx_t *ctx, const char *path, const uv_stat_t *stat);

    /* what is kept of what was found */
    bool no_cache;
    size_t cache_files;  /* 128 names, with one to four descriptors each */
    uint64_t cache_time; /* 1,000 milliseconds */
} serve_options_t;

/*
 * Serve what is in the directory `root`, which must exist; relative to the working directory of
 * now. It may be a symbolic link, and lead elsewhere later. `options` may be NULL.
 */
middleware_t serve(const char *root, const serve_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
