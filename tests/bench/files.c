/*
 * What tests/bench/files.mjs measures: files of the directory ROOT, and the same compressed on the
 * way, by ENCODING, and by a thread from THREAD_SIZE bytes on.
 */
#include <acacia.h>
#include <middleware/compression.h>
#include <middleware/serve.h>

#include <stdlib.h>

/* A page in memory, which is compressed whole. */
static char page[100 * 1024 + 1];

static int show_page(ctx_t *ctx) {
    const char *length = ctx_query(ctx, "length");
    ctx_type(ctx, "html");
    return ctx_bytes(ctx, page, length ? (size_t)atoi(length) : sizeof page - 1);
}

/* From the file that everybody serves. */
static void read_page(const char *root) {
    char path[4096];
    snprintf(path, sizeof path, "%s/page.html", root);
    FILE *file = fopen(path, "r");
    if (!file || fread(page, 1, sizeof page - 1, file) == 0)
        perror(path);
    if (file)
        fclose(file);
}

int main(void) {
    const char *root = getenv("ROOT"), *encoding = getenv("ENCODING");
    const char *thread_size = getenv("THREAD_SIZE");
    const char *const encodings[] = {encoding ? encoding : "gzip", NULL};
    compression_options_t options = {.encodings = encodings,
                                     .thread_size = thread_size ? (size_t)atol(thread_size) : 0};
    app_t *app = app_new();
    read_page(root);
    app_use(app, mount_at("/compressed", compose(compression(&options), serve(root, NULL))));
    app_use(app, mount_at("/page", compose(compression(&options), middleware(show_page))));
    app_use(app, serve(root, NULL));
    return app_listen(app, 3000);
}
