#include "favicon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY UINT64_C(86400000) /* in milliseconds */
#define YEAR UINT64_C(31556926000)

struct favicon {
    char cache_control[48];
    char error[256];
    char *mime;
    size_t length; /* of the icon, which follows */
    char icon[];
};

/* --- The answer ------------------------------------------------------------------------------- */

static int send_icon(ctx_t *ctx, const struct favicon *favicon) {
    int err = ctx_set(ctx, "Cache-Control", favicon->cache_control);
    if (!err)
        err = ctx_type(ctx, favicon->mime);
    return err ? err : ctx_bytes(ctx, favicon->icon, favicon->length);
}

static int run(ctx_t *ctx, void *state) {
    const struct favicon *favicon = state;
    if (strcmp(ctx->path, "/favicon.ico") != 0)
        return next(ctx);
    if (!favicon)
        return 0;
    if (strcmp(ctx->method, "GET") == 0 || strcmp(ctx->method, "HEAD") == 0)
        return send_icon(ctx, favicon);
    ctx->status = strcmp(ctx->method, "OPTIONS") == 0 ? 200 : 405;
    return ctx_set(ctx, "Allow", "GET, HEAD, OPTIONS");
}

/* --- Reading it ------------------------------------------------------------------------------- */

static void destroy(void *state) {
    struct favicon *favicon = state;
    free(favicon->mime);
    free(favicon);
}

static middleware_t refuse(struct favicon *favicon, const char *path, const char *why) {
    snprintf(favicon->error, sizeof favicon->error, "%s: %s", path, why);
    return (middleware_t){run, favicon, destroy, "favicon", favicon->error};
}

static void set_cache_control(struct favicon *favicon, const favicon_options_t *options) {
    uint64_t age = options && options->max_age ? options->max_age : DAY;
    if (options && options->no_cache)
        age = 0;
    snprintf(favicon->cache_control, sizeof favicon->cache_control, "public, max-age=%" PRIu64,
             (age < YEAR ? age : YEAR) / 1000);
}

static middleware_t read_icon(FILE *file, const char *path, const favicon_options_t *options) {
    struct favicon *favicon = calloc(1, sizeof *favicon + FAVICON_SIZE_MAX + 1);
    if (!favicon)
        return (middleware_t){.name = "favicon", .error = "out of memory"};
    favicon->length = fread(favicon->icon, 1, FAVICON_SIZE_MAX + 1, file);
    if (ferror(file))
        return refuse(favicon, path, strerror(errno));
    if (favicon->length > FAVICON_SIZE_MAX)
        return refuse(favicon, path, "larger than 1 MiB");
    struct favicon *smaller = realloc(favicon, sizeof *favicon + favicon->length);
    favicon = smaller ? smaller : favicon;
    set_cache_control(favicon, options);
    favicon->mime = strdup(options && options->mime ? options->mime : "image/x-icon");
    if (!favicon->mime)
        return refuse(favicon, path, "out of memory");
    return (middleware_t){run, favicon, destroy, "favicon", NULL};
}

static middleware_t cannot_open(const char *path) {
    const char *why = strerror(errno);
    struct favicon *favicon = calloc(1, sizeof *favicon);
    if (favicon)
        return refuse(favicon, path, why);
    return (middleware_t){.name = "favicon", .error = "out of memory"};
}

middleware_t favicon(const char *path, const favicon_options_t *options) {
    if (!path)
        return (middleware_t){run, NULL, NULL, "favicon", NULL};
    FILE *file = fopen(path, "rbe");
    if (!file)
        return cannot_open(path);
    middleware_t middleware = read_icon(file, path, options);
    fclose(file);
    return middleware;
}
