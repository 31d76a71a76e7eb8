/* What the path of a request means, as koa-send and its resolve-path read it. */
#include "serve_parts.h"

#include <string.h>

static const char malicious[] = "Malicious Path";

/* On any system: a name that lies below the root has no root of its own. */
static bool is_absolute(const char *path) {
    bool has_drive = ((*path >= 'A' && *path <= 'Z') || (*path >= 'a' && *path <= 'z')) &&
                     path[1] == ':' && (path[2] == '/' || path[2] == '\\');
    return *path == '/' || *path == '\\' || has_drive;
}

static bool is_segment(const char *at, size_t length, const char *segment) {
    return length == strlen(segment) && memcmp(at, segment, length) == 0;
}

/* Take out ".", ".." with what it takes back, and empty segments; a '/' at the end stays. False if
 * it leads out. */
static bool normalize(char *path) {
    char *to = path;
    size_t length;
    bool slash = false;
    for (const char *at = path; *at; at += length + slash) {
        length = strcspn(at, "/");
        slash = at[length] == '/';
        if (is_segment(at, length, "..")) {
            if (to == path)
                return false;
            while (to > path && *--to != '/')
                ;
        } else if (length > 0 && !is_segment(at, length, ".")) {
            if (to > path)
                *to++ = '/'; /* the one before `at`, or one before that */
            memmove(to, at, length);
            to += length;
        }
    }
    if (slash && to > path)
        *to++ = '/';
    *to = '\0';
    return true;
}

/* Would it lead upwards where '\' separates names as well? */
static bool climbs(const char *path) {
    size_t length;
    for (;; path += length + 1) {
        length = strcspn(path, "/\\");
        if (is_segment(path, length, ".."))
            return true;
        if (!path[length])
            return false;
    }
}

static bool is_hidden(const char *path) {
    while (*path != '.') {
        const char *slash = strchr(path, '/');
        if (!slash)
            return false;
        path = slash + 1;
    }
    return true;
}

static int throw_malformed(ctx_t *ctx) {
    return ctx_throw(ctx, 400, "%s", strstr(ctx->path, "%00") ? malicious : "failed to decode");
}

/* Decoded, with the index's name if it is a directory's. */
static int decode(ctx_t *ctx, const serve_options_t *options, char **path) {
    size_t length = strlen(ctx->path);
    bool is_directory = length > 0 && ctx->path[length - 1] == '/' && !options->no_index;
    const char *decoded;
    int err = ctx_decode(ctx, ctx->path + (*ctx->path == '/'), &decoded);
    if (err)
        return err == UV_EINVAL ? throw_malformed(ctx) : err;
    *path = ctx_printf(ctx, "%s%s", decoded, is_directory ? options->index : "");
    return *path ? 0 : UV_ENOMEM;
}

int serve_path(ctx_t *ctx, const serve_options_t *options, const char **name) {
    char *path = NULL;
    *name = NULL;
    int err = decode(ctx, options, &path);
    if (err)
        return err;
    if (is_absolute(path))
        return ctx_throw(ctx, 400, "%s", malicious);
    if (!normalize(path) || climbs(path))
        return ctx_throw(ctx, 403, NULL);
    if (options->hidden || !is_hidden(path))
        *name = path;
    return 0;
}
