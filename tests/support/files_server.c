/*
 * serve, etag, conditional_get and compression, each under prefixes of its own; tests/e2e/files.mjs
 * has the same in Koa. ROOT in the environment is what is served.
 */
#include <acacia.h>
#include <middleware/compression.h>
#include <middleware/conditional_get.h>
#include <middleware/etag.h>
#include <middleware/serve.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Bodies, as the query wants them ---------------------------------------------------------- */

/* Half of it repeats itself, and half is noise; all of it letters. */
static char *make_text(ctx_t *ctx, size_t length) {
    char *text = ctx_alloc(ctx, length + 1);
    uint32_t noise = 1;
    for (size_t i = 0; text && i < length; i++) {
        noise = noise * 1664525 + 1013904223;
        text[i] = i / 100 % 2 ? (char)('A' + (noise >> 24) % 26) : "abcdefghij"[i % 10];
    }
    return text;
}

struct source {
    const char *text;
    size_t left, piece;
};

static ssize_t read_source(ctx_t *ctx, void *state, void *buffer, size_t size) {
    struct source *source = state;
    size_t n = source->left < source->piece ? source->left : source->piece;
    if (n > size)
        n = size;
    memcpy(buffer, source->text, n);
    source->text += n;
    source->left -= n;
    return (ssize_t)n;
}

static int send_stream(ctx_t *ctx, const char *text, size_t length) {
    struct source *source = ctx_new(ctx, struct source);
    if (!source)
        return UV_ENOMEM;
    *source = (struct source){text, length, (size_t)atoi(ctx_query(ctx, "piece"))};
    return ctx_stream(ctx, (body_stream_t){read_source, NULL, source});
}

static int set_body(ctx_t *ctx) {
    const char *kind = ctx_query(ctx, "kind"), *length_text = ctx_query(ctx, "length");
    size_t length = length_text ? (size_t)atoi(length_text) : 0;
    char *text = make_text(ctx, length);
    if (!text || !kind)
        return text ? 0 : UV_ENOMEM;
    if (strcmp(kind, "text") == 0)
        return ctx_text(ctx, text);
    if (strcmp(kind, "html") == 0)
        return ctx_html(ctx, text);
    if (strcmp(kind, "bytes") == 0)
        return ctx_bytes(ctx, text, length);
    if (strcmp(kind, "json") == 0)
        return ctx_json(ctx, json_pack("{s:s}", "text", text));
    if (strcmp(kind, "empty") == 0)
        return ctx_empty(ctx);
    if (strcmp(kind, "file") == 0)
        return ctx_file(ctx, ctx_printf(ctx, "%s/hello.txt", getenv("ROOT")));
    return send_stream(ctx, text, length);
}

static int bodies(ctx_t *ctx) {
    const char *type = ctx_query(ctx, "type"), *status = ctx_query(ctx, "status");
    const char *choice = ctx_query(ctx, "compress"), *name, *value;
    if (type)
        ctx_type(ctx, type);
    for (size_t i = 0; ctx_query_at(ctx, i, &name, &value); i++)
        if (strncmp(name, "h-", 2) == 0)
            ctx_set(ctx, name + 2, value);
    if (choice)
        compression_choose(ctx, *choice == 't' ? COMPRESSION_ANY_TYPE : COMPRESSION_NEVER);
    int err = set_body(ctx);
    if (status)
        ctx->status = atoi(status);
    return err;
}

/* --- A stream that waits to be told to go on -------------------------------------------------- */

static bool told;

struct pausing {
    int said;
};

static ssize_t read_pausing(ctx_t *ctx, void *state, void *buffer, size_t size) {
    static const char *const words[] = {"before the pause, ", "after it"};
    struct pausing *pausing = state;
    if (pausing->said == 2)
        return 0;
    while (pausing->said == 1 && !told) {
        int err = await_sleep(2);
        if (err)
            return err;
    }
    return snprintf(buffer, size, "%s", words[pausing->said++]);
}

static int pauses(ctx_t *ctx) {
    struct pausing *pausing = ctx_new(ctx, struct pausing);
    if (!pausing)
        return UV_ENOMEM;
    told = false;
    ctx_type(ctx, "text");
    return ctx_stream(ctx, (body_stream_t){read_pausing, NULL, pausing});
}

static int go_on(ctx_t *ctx) {
    told = true;
    return ctx_text(ctx, "told");
}

/* --- The app ---------------------------------------------------------------------------------- */

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static int behind(ctx_t *ctx) {
    return ctx_text(ctx, "behind");
}

static int answers_some(ctx_t *ctx) {
    int err = strstr(ctx->path, "hello") ? ctx_text(ctx, "downstream") : 0;
    if (strstr(ctx->path, "page"))
        ctx->status = 403;
    return err;
}

static void mount_serve(app_t *app, const char *prefix, serve_options_t options) {
    options.follow_links = true; /* as koa-static does */
    app_use(app, mount_at(prefix, serve(getenv("ROOT"), &options)));
}

int main(void) {
    const char *root = getenv("ROOT");
    app_t *app = app_new_with(&(app_options_t){.http.keep_alive_timeout = 60000, .silent = true});
    mount_serve(app, "/default", (serve_options_t){0});
    mount_serve(app, "/many",
                (serve_options_t){.extensions = LIST("html", ".txt"),
                                  .hidden = true,
                                  .max_age = 3600,
                                  .immutable = true});
    mount_serve(app, "/no-index", (serve_options_t){.no_index = true});
    mount_serve(app, "/strict", (serve_options_t){.strict = true, .index = "a.css"});
    mount_serve(app, "/no-gzip", (serve_options_t){.no_gzip = true});
    mount_serve(app, "/no-brotli", (serve_options_t){.no_brotli = true});
    serve_options_t deferred = {.defer = true, .follow_links = true};
    app_use(app, mount_at("/defer", compose(serve(root, &deferred), middleware(answers_some))));
    serve_options_t weak = {.weak_etag = true, .no_ranges = true, .follow_links = true};
    app_use(app, mount_at("/tagged",
                          compose(middleware(conditional_get), etag(NULL), serve(root, &weak))));
    app_use(app, mount_at("/ranges", serve(root, NULL)));
    app_use(app, mount_at("/etag",
                          compose(middleware(conditional_get), etag(NULL), middleware(bodies))));
    app_use(app, mount_at("/weak-etag",
                          compose(middleware(conditional_get),
                                  etag(&(etag_options_t){.weak = true}), middleware(bodies))));
    compression_options_t usual = {.encodings = LIST("br", "gzip", "deflate")};
    compression_options_t other = {.encodings = LIST("deflate", "br"),
                                   .default_encoding = "deflate",
                                   .wildcard_encoding = "br",
                                   .threshold = 1};
    app_use(app, mount_at("/compress", compose(compression(&usual), middleware(bodies))));
    app_use(app, mount_at("/compress-other", compose(compression(&other), middleware(bodies))));
    app_use(app, mount_at("/all", compose(compression(NULL), middleware(conditional_get),
                                          etag(NULL), serve(root, NULL), middleware(bodies))));
    app_use(app, mount_at("/pauses", compose(compression(NULL), middleware(pauses))));
    app_use(app, route_get("/go-on", go_on));
    app_use(app, behind);
    return app_listen(app, 3000);
}
