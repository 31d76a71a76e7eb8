/* Large files: uploaded to the disk, with progress over a WebSocket; listed, and downloaded again.
 */
#include <acacia.h>
#include <middleware/multipart.h>
#include <middleware/serve.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PAGE_DIR
#define PAGE_DIR "."
#endif

#define MIB (1024 * 1024)
#define ID_BYTES 40
#define WATCHERS 1000 /* pages that look at an upload */

/* Where the files are, and below it where they come in: on one disk, so that moving is renaming. */
static char uploads[200], incoming[220];

/* --- Progress --------------------------------------------------------------------------------- */

/* A page that has chosen an id for its upload, and wants to see how it goes. */
static struct watcher {
    char id[ID_BYTES + 1];
    websocket_t *socket;
    uint64_t told; /* bytes */
    struct watcher *next;
} * watchers;

static size_t watcher_count;

static struct watcher *find_watcher(const char *id) {
    struct watcher *watcher = watchers;
    while (watcher && strcmp(watcher->id, id) != 0)
        watcher = watcher->next;
    return watcher;
}

static void forget_watcher(ctx_t *ctx, int code, const char *reason) {
    struct watcher *me = ctx->state, **link = &watchers;
    while (*link != me)
        link = &(*link)->next;
    *link = me->next;
    watcher_count--;
}

static int watch(ctx_t *ctx) {
    const char *id = ctx_param(ctx, "id");
    if (strlen(id) > ID_BYTES || find_watcher(id))
        return ctx_throw(ctx, 400, "an id that nobody has, of at most %d bytes", ID_BYTES);
    struct watcher *me = ctx_new(ctx, struct watcher); /* lives as long as the socket */
    if (!me || watcher_count == WATCHERS)
        return ctx_throw(ctx, 503, "too many watch already");
    snprintf(me->id, sizeof me->id, "%s", id);
    me->socket = ctx->websocket;
    ctx->state = me;
    int err = ws_on_close(ctx->websocket, forget_watcher);
    if (err)
        return err;
    me->next = watchers;
    watchers = me;
    watcher_count++;
    return ws_send_text(ctx->websocket, "{\"watching\":true}");
}

/* What has come is on the disk already, but for the last piece. A hundred messages are enough. */
static void tell_progress(ctx_t *ctx, uint64_t received, int64_t total) {
    const char *id = ctx_query(ctx, "id");
    struct watcher *watcher = id ? find_watcher(id) : NULL;
    bool is_last = total >= 0 && received == (uint64_t)total;
    uint64_t step = total > 0 ? (uint64_t)total / 100 : MIB;
    if (!watcher || (received - watcher->told < step && !is_last))
        return;
    watcher->told = is_last ? 0 : received; /* a page may upload again */
    ws_sendf(watcher->socket, "{\"received\":%" PRIu64 ",\"total\":%" PRId64 "}", received, total);
}

/* --- Uploading -------------------------------------------------------------------------------- */

/* A name in the directory that no file has: "photo.jpg", "2-photo.jpg" … An empty file keeps it for
 * us. NULL if there is none, with the error. */
static const char *reserve_name(ctx_t *ctx, const char *filename, int *err) {
    const char *safe = multipart_safe_name(ctx, filename), *name = safe;
    for (int number = 2; name && number < 100; number++) {
        const char *path = ctx_printf(ctx, "%s/%s", uploads, name);
        int file = path ? await_fs_open(path, UV_FS_O_WRONLY | UV_FS_O_CREAT | UV_FS_O_EXCL, 0600)
                        : UV_ENOMEM;
        if (file >= 0)
            await_fs_close(file);
        if (file != UV_EEXIST) {
            *err = file < 0 ? file : 0;
            return file < 0 ? NULL : name;
        }
        name = ctx_printf(ctx, "%d-%s", number, safe);
    }
    *err = name ? ctx_throw(ctx, 409, "too many files of that name") : UV_ENOMEM;
    return NULL;
}

/* The file in place of the empty one that has kept its name. */
static int keep_file(ctx_t *ctx, const multipart_file_t *file, json_t *names) {
    int err;
    const char *name = reserve_name(ctx, file->filename, &err);
    if (!name)
        return err;
    const char *path = ctx_printf(ctx, "%s/%s", uploads, name);
    err = path ? multipart_move(ctx, file, path) : UV_ENOMEM;
    if (err && path)
        unlink(path);
    return err ? err : json_array_append_new(names, json_string(name)) ? UV_ENOMEM : 0;
}

static int keep_files(ctx_t *ctx) {
    const multipart_file_t *file;
    json_t *names = json_array();
    int err = 0;
    for (size_t i = 0; !err && (file = multipart_file_at(ctx, i)); i++)
        err = keep_file(ctx, file, names);
    if (err) {
        json_decref(names);
        return err;
    }
    ctx->status = 201;
    return ctx_json(ctx, names);
}

/* --- Downloading ------------------------------------------------------------------------------ */

static int list_files(ctx_t *ctx) {
    uv_dirent_t *entries;
    json_t *list = json_array();
    int count = await_fs_scandir(uploads, &entries);
    for (int i = 0; i < count; i++) {
        const char *path = ctx_printf(ctx, "%s/%s", uploads, entries[i].name);
        uv_stat_t found;
        if (path && *entries[i].name != '.' && await_fs_stat(path, &found) == 0 &&
            S_ISREG(found.st_mode))
            json_array_append_new(list, json_pack("{s:s, s:I}", "name", entries[i].name, "size",
                                                  (json_int_t)found.st_size));
    }
    free(entries);
    if (count < 0) {
        json_decref(list);
        return count;
    }
    return ctx_json(ctx, list);
}

/* To be saved, and never a page of this origin, whatever is in it. */
static int as_attachment(ctx_t *ctx, const char *path, const uv_stat_t *found) {
    int err = ctx_attachment(ctx, path); /* its last part */
    return err ? err : ctx_set(ctx, "X-Content-Type-Options", "nosniff");
}

/* --- The app ---------------------------------------------------------------------------------- */

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/upload.html");
}

static bool make_directories(void) {
    const char *directory = getenv("UPLOADS");
    snprintf(uploads, sizeof uploads, "%s", directory ? directory : "uploads");
    snprintf(incoming, sizeof incoming, "%s/.incoming", uploads);
    return (mkdir(uploads, 0700) == 0 || errno == EEXIST) &&
           (mkdir(incoming, 0700) == 0 || errno == EEXIST);
}

int main(void) {
    const multipart_options_t options = {
        .directory = incoming,
        .files = (const multipart_expected_t[]){{"file", 10}, {NULL, 0}},
        .total_size = 2048ull * MIB,
        .file_size = 1024ull * MIB,
        .progress = tell_progress,
    };
    /* Of what is compressed already nothing is sent in place of another; no page, and nothing
     * hidden. */
    const serve_options_t downloads = {
        .no_index = true,
        .no_brotli = true,
        .no_zstd = true,
        .no_gzip = true,
        .set_headers = as_attachment,
    };
    if (!make_directories()) {
        perror(incoming);
        return 1;
    }
    /* An hour for a large file over a slow line. */
    app_t *app = app_new_with(&(app_options_t){.http.request_timeout = 60 * 60 * 1000});
    app_ws_use(app, route_all("/progress/:id", watch));
    app_use(app, route_get("/", page));
    app_use(app, route_post("/files", compose(multipart(&options), middleware(keep_files))));
    app_use(app, route_get("/files", list_files));
    app_use(app, mount_at("/files", serve(uploads, &downloads)));
    return app_listen(app, 3000);
}
