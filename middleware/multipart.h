/*
 * Forms with files: multipart/form-data (RFC 7578). As @koa/multer.
 *
 *     static int save_photo(ctx_t *ctx) {
 *         const multipart_file_t *photo = multipart_file(ctx, "photo");
 *         const char *title = multipart_field(ctx, "title");
 *         if (!photo || !title)
 *             return ctx_throw(ctx, 422, "a photo with a title, please");
 *         int err = multipart_move(ctx, photo, new_name_of_our_own(ctx));
 *         return err ? err : ctx_textf(ctx, "%s, %" PRIu64 " bytes", title, photo->size);
 *     }
 *
 *     app_use(app, route_post("/photos", compose(multipart(NULL), middleware(save_photo))));
 *
 * The whole form is read before the handler runs. Fields are kept in memory, files go to a
 * directory piece by piece, while the client is not read faster than the disk writes. A file has
 * a name that nobody can guess, and is gone when the handlers below have returned, unless one of
 * them keeps or moves it. When anything fails, a limit, the disk, a client that goes away, all of
 * them are gone at once.
 *
 * Other requests pass through.
 */
#ifndef ACACIA_MULTIPART_H
#define ACACIA_MULTIPART_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* A field. It lives as long as the ctx. */
typedef struct {
    const char *name;
    const char *value; /* UTF-8: what is malformed, and a NUL, is U+FFFD */
    size_t length;     /* of the value */
    const char *type;  /* "text/plain" */
} multipart_field_t;

/* A file. It lives as long as the ctx. */
typedef struct {
    /* read-only */
    const char *field;    /* the name of the field */
    const char *filename; /* what the client calls it, without directories; "" if it says nothing */
    const char *type;     /* what the client says that it is, "image/png": never trust it */
    uint64_t size;        /* in bytes; so far, while it comes */
    const char *path;     /* where it lies; NULL if it is not on the disk */
    const char *data;     /* its bytes, with a NUL behind them; NULL if it is not in memory */

    /* public */
    void *state; /* anything, for a multipart_sink_t */
} multipart_file_t;

/*
 * Where files go that are neither for the disk nor for memory: to another server, through a hash, a
 * decoder. Each function returns 0, or an error that fails the request, and may suspend: the client
 * has to wait.
 */
typedef struct {
    int (*begin)(ctx_t *ctx, multipart_file_t *file); /* may be NULL */
    int (*write)(ctx_t *ctx, multipart_file_t *file, const void *data, size_t length);

    /* Once for each file that has begun: `err` is 0 if all of it has come, else what it broke off
     * with; then nobody looks at the result. What a request has brought before it failed is the
     * sink's own affair. May be NULL. */
    int (*end)(ctx_t *ctx, multipart_file_t *file, int err);
} multipart_sink_t;

/* A field that may have files. */
typedef struct {
    const char *field;
    size_t count; /* so many of them; 0: 1 */
} multipart_expected_t;

/* Zero is the default. All is copied but the functions. */
typedef struct {
    /* where files go */
    const char *directory; /* NULL: TMPDIR in the environment, else "/tmp" */
    bool memory;           /* to memory; the limits are lower then */
    const multipart_sink_t *sink;

    /* which ones */
    const multipart_expected_t *files; /* those of these fields, {NULL} at the end; any other is 400
                                          ("Unexpected file field"); NULL: all */
    bool no_files;                     /* none */

    /* Called when a file begins, with what is known of it. 0 takes it, 1 passes over it, an error
     * fails the request. May be NULL, and may suspend. */
    int (*filter)(ctx_t *ctx, const multipart_file_t *file);

    /* Called when more has come: how many bytes of the body there are, and how many it will be, -1
     * if the client does not say. May be NULL. Must not suspend. */
    void (*progress)(ctx_t *ctx, uint64_t received, int64_t total);

    /* Limits. Beyond one of them: 413. */
    uint64_t
        total_size;     /* 128 MiB of body, 8 MiB if `memory`; one that announces more isn't read */
    uint64_t file_size; /* 64 MiB a file, 1 MiB if `memory` */
    size_t file_count;  /* 100 */
    size_t field_size;  /* 1 MiB a value */
    size_t fields_size; /* 2 MiB of names and values of all fields */
    size_t field_count; /* 1,000 */
    size_t field_name_size; /* 100 bytes of a name, of fields and of files' fields */
    size_t part_count;      /* 1,000 fields and files, those that are passed over included */
    size_t head_size;       /* 8 KiB of header lines of a part */
    size_t head_count;      /* 32 lines */
} multipart_options_t;

/*
 * `options` may be NULL. A directory that is not there, or can't be written to, keeps the app from
 * starting.
 *
 * It throws 400 for what is malformed or breaks off; 413 for what is too large or too many; 415 for
 * what is compressed; 507 when there is no room on the disk. A file that nobody has chosen in the
 * browser, without name and content, does not count.
 */
middleware_t multipart(const multipart_options_t *options);

/* --- What came -------------------------------------------------------------------------------- */

/* The value of the first field of that name; NULL if there is none. */
const char *multipart_field(ctx_t *ctx, const char *name);

/* The fields in their order, repeated names included; NULL past the last. */
const multipart_field_t *multipart_field_at(ctx_t *ctx, size_t index);

/* The first file of the field of that name; NULL if there is none. */
const multipart_file_t *multipart_file(ctx_t *ctx, const char *field);

/* The files in their order; NULL past the last. */
const multipart_file_t *multipart_file_at(ctx_t *ctx, size_t index);

#ifdef ACACIA_HAVE_JSON
/* The fields as an object, names nesting as ctx_nest_pairs has it; `options` may be NULL. A new
 * reference, or NULL when there is no memory; {} if there are none. */
json_t *multipart_json(ctx_t *ctx, const nesting_options_t *options);
#endif

/* --- Keeping it ------------------------------------------------------------------------------- */

/* From now on the file on the disk is the caller's: it stays where it lies. */
void multipart_keep(const multipart_file_t *file);

/*
 * Move the file on the disk to `path`, and keep it. What is called so is replaced, at once. To
 * another file system it is copied, to a file beside `path` that is then renamed.
 *
 * `path` must not be made of what the client says without multipart_safe_name, or better a name of
 * your own. Returns 0, and file->path is the new one; UV_EINVAL for a file that is not on the disk;
 * or the error of rename(2) or of copying: then the file is where it was.
 */
may_await int multipart_move(ctx_t *ctx, const multipart_file_t *file, const char *path);

/*
 * What a client calls a file as a name for one in a directory of ours: "../.profile" is "_profile".
 * It has only letters, digits, "+,-.=@_" and what is beyond ASCII, begins with neither '.' nor '-',
 * does not end with a '.', and has at most 200 bytes; it is never empty. Other files may have the
 * same name. In memory of the ctx; NULL when there is no memory.
 */
char *multipart_safe_name(ctx_t *ctx, const char *filename);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
