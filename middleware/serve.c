/* koa-static: the files below a directory. */
#include "serve_parts.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_RANGES 16
#define CACHE_FILES 128
#define CACHE_TIME 1000

struct serve {
    char *root; /* absolute */
    serve_options_t options;
    struct serve_cache cache;
    char *error;
};

const char *const serve_coding_names[SERVE_CODINGS] = {"br", "zstd", "gzip", "identity"};

/* --- The file --------------------------------------------------------------------------------- */

static uint64_t now_of(const ctx_t *ctx) {
    return uv_now(app_loop(ctx->app));
}

/* From the cache, or from the disk. An app that has run out of descriptors gets these back. */
static int find(ctx_t *ctx, struct serve *serve, const char *name, struct serve_found **found) {
    struct serve_cache *cache = &serve->cache;
    *found = serve_cache_get(cache, name, now_of(ctx));
    if (*found && !serve_has_changed(*found))
        return 0;
    if (*found) {
        serve_cache_drop(cache, *found);
        serve_release(*found);
    }
    int err = serve_find(serve->root, &serve->options, name, found);
    if (err == UV_EMFILE || err == UV_ENFILE) {
        serve_cache_clear(cache);
        err = serve_find(serve->root, &serve->options, name, found);
    }
    if (!err)
        serve_cache_put(cache, *found, now_of(ctx));
    return err;
}

/* The form of the file that the client likes best; SERVE_CODINGS if there is none for it. */
static enum serve_coding choose(ctx_t *ctx, const struct serve_found *found) {
    const char *offers[SERVE_CODINGS + 1] = {NULL};
    bool has_plain = found->files[SERVE_PLAIN].descriptor >= 0;
    size_t count = 0;
    for (size_t i = 0; i < SERVE_PLAIN; i++)
        if (found->files[i].descriptor >= 0)
            offers[count++] = serve_coding_names[i];
    if (count > 0) {
        ctx_vary(ctx, "Accept-Encoding");
        offers[count] = serve_coding_names[SERVE_PLAIN];
        const char *best = ctx_prefers_encoding_of(ctx, offers);
        for (size_t i = 0; i < SERVE_PLAIN; i++)
            if (best == serve_coding_names[i])
                return (enum serve_coding)i;
    }
    return has_plain ? SERVE_PLAIN : SERVE_CODINGS;
}

/* `*done` is false if there is no such file. */
static int try_to_serve(ctx_t *ctx, struct serve *serve, bool *done) {
    const char *name;
    struct serve_found *found;
    *done = false;
    if (strcmp(ctx->method, "GET") != 0 && strcmp(ctx->method, "HEAD") != 0)
        return 0;
    int err = serve_path(ctx, &serve->options, &name);
    if (err || !name || strlen(name) >= PATH_MAX)
        return err;
    err = find(ctx, serve, name, &found);
    if (err)
        return err;
    enum serve_coding coding = choose(ctx, found);
    *done = coding != SERVE_CODINGS;
    if (*done)
        err = serve_send(ctx, &serve->options, found, coding);
    serve_release(found);
    return err;
}

static bool is_answered(const ctx_t *ctx) {
    return ctx_header_sent(ctx) || ctx_body_kind(ctx) != CTX_BODY_UNSET ||
           (ctx->status && ctx->status != 404);
}

static int run(ctx_t *ctx, void *state) {
    struct serve *serve = state;
    bool done, is_last = serve->options.defer;
    int err = is_last ? next(ctx) : 0;
    if (err || (is_last && is_answered(ctx)))
        return err;
    err = try_to_serve(ctx, serve, &done);
    return err || done || is_last ? err : next(ctx);
}

/* --- Making one ------------------------------------------------------------------------------- */

static void free_list(char **list) {
    for (char **item = list; list && *item; item++)
        free(*item);
    free(list);
}

static char **copy_list(const char *const *list) {
    size_t count = 0;
    while (list[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(list[i]);
        if (!copy[i]) {
            free_list(copy);
            return NULL;
        }
    }
    return copy;
}

static void destroy(void *state) {
    struct serve *serve = state;
    serve_cache_release(&serve->cache);
    free(serve->root);
    free((char *)serve->options.index);
    free_list((char **)serve->options.extensions);
    free(serve->error);
    free(serve);
}

static middleware_t failed(struct serve *serve, const char *error) {
    return (middleware_t){run, serve, serve ? destroy : NULL, "serve", error};
}

/* NULL when there is no memory. */
static char *joined(const char *a, const char *between, const char *b) {
    size_t size = strlen(a) + strlen(between) + strlen(b) + 1;
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "%s%s%s", a, between, b);
    return text;
}

static char *absolute(const char *root) {
    char directory[PATH_MAX];
    size_t size = sizeof directory;
    if (*root == '/')
        return strdup(root);
    return uv_cwd(directory, &size) ? NULL : joined(directory, "/", root);
}

/* What is wrong with the root, or NULL. */
static const char *check_root(const char *root) {
    uv_fs_t request;
    int err = uv_fs_stat(NULL, &request, root, NULL);
    bool is_directory = !err && S_ISDIR(request.statbuf.st_mode);
    uv_fs_req_cleanup(&request);
    return err ? uv_strerror(err) : is_directory ? NULL : "not a directory";
}

/* False when there is no memory. */
static bool set_options(struct serve *serve, const serve_options_t *given) {
    serve_options_t *options = &serve->options;
    *options = *given;
    options->index = strdup(given->index && *given->index ? given->index : "index.html");
    options->extensions = NULL;
    if (given->extensions)
        options->extensions = (const char *const *)copy_list(given->extensions);
    if (!options->max_ranges)
        options->max_ranges = MAX_RANGES;
    if (!options->cache_files)
        options->cache_files = CACHE_FILES;
    if (!options->cache_time)
        options->cache_time = CACHE_TIME;
    return options->index && (options->extensions || !given->extensions) &&
           serve_cache_init(&serve->cache, options) == 0;
}

middleware_t serve(const char *root, const serve_options_t *options) {
    struct serve *serve = calloc(1, sizeof *serve);
    if (!serve || !set_options(serve, options ? options : &(serve_options_t){0}))
        return failed(serve, "out of memory");
    if (!root || !*root)
        return failed(serve, "a root directory is required");
    serve->root = absolute(root);
    if (!serve->root)
        return failed(serve, "out of memory");
    const char *error = check_root(serve->root);
    if (!error)
        return (middleware_t){run, serve, destroy, serve->root, NULL};
    serve->error = joined(serve->root, ": ", error);
    return failed(serve, serve->error ? serve->error : error);
}
