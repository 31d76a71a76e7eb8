/* koa-mount: a middleware, or a whole app, under a prefix. */
#include "application/application.h"
#include "application/routing.h"
#include "request.h"
#include "route.h"

#include <stdlib.h>
#include <string.h>

struct mount {
    middleware_t layers[2]; /* what is mounted, and behind it step_out */
    size_t length;          /* of the prefix without a trailing '/' */
    bool slash;             /* it has one */
    char prefix[];          /* without it */
};

/* A path, and what goes with it. */
struct place {
    const char *url, *path, *querystring;
};

/* A request is under the prefix; lies on the coroutine's stack. */
struct mount_visit {
    const struct mount_visit *outer;
    const char *prefix; /* of all mounts up to this one */
    struct place outside, inside;
};

static struct place place_of(const ctx_t *ctx) {
    return (struct place){ctx->url, ctx->path, ctx->querystring};
}

/* If somebody else has rewritten the URL meanwhile, only the path is ours to change. */
static void go(ctx_t *ctx, const struct place *from, const struct place *to) {
    if (ctx->url != from->url) {
        ctx_set_path(ctx, to->path);
        return;
    }
    ctx->url = to->url;
    ctx->path = to->path;
    ctx->querystring = to->querystring;
}

/* What is mounted has called next(): upstream is outside of the prefix. */
static int step_out(ctx_t *ctx, void *state) {
    struct routing *routing = context_of(ctx)->routing;
    const struct mount_visit *visit = routing->mount;
    routing->mount = visit->outer;
    go(ctx, &visit->inside, &visit->outside);
    int err = next(ctx);
    go(ctx, &visit->outside, &visit->inside);
    routing->mount = visit;
    return err;
}

/* The path without the prefix, or NULL if it is not under it. */
static const char *path_within(const struct mount *mount, const char *path) {
    if (strncmp(path, mount->prefix, mount->length) != 0)
        return NULL;
    path += mount->length;
    if (*path == '/')
        return path;
    return *path || mount->slash ? NULL : "/";
}

static int run_mount(ctx_t *ctx, void *state) {
    struct mount *mount = state;
    struct context *context = context_of(ctx);
    const char *path = path_within(mount, ctx->path);
    if (!path)
        return next(ctx);
    struct routing *routing = routing_of(context);
    const struct mount_visit *outer = routing ? routing->mount : NULL;
    struct mount_visit visit = {.outer = outer, .outside = place_of(ctx)};
    visit.prefix = outer ? ctx_printf(ctx, "%s%s", outer->prefix, mount->prefix) : mount->prefix;
    if (!routing || !visit.prefix || ctx_set_path(ctx, path))
        return UV_ENOMEM;
    visit.inside = place_of(ctx);
    routing->mount = &visit;
    int err = stack_run(&(struct stack){.layers = mount->layers, .count = 2}, context);
    routing->mount = outer;
    go(ctx, &visit.inside, &visit.outside);
    return err;
}

const char *ctx_mount_path(ctx_t *ctx) {
    const struct routing *routing = context_of(ctx)->routing;
    return routing && routing->mount ? routing->mount->prefix : "";
}

/* --- Making one ------------------------------------------------------------------------------- */

static void free_mount(void *state) {
    struct mount *mount = state;
    const middleware_t *mounted = &mount->layers[0];
    if (mounted->destroy)
        mounted->destroy(mounted->state);
    free(mount);
}

middleware_t mount_middleware(const char *prefix, middleware_t middleware) {
    size_t length = strlen(prefix);
    bool slash = length > 0 && prefix[length - 1] == '/';
    if (strcmp(prefix, "/") == 0)
        return middleware;
    struct mount *mount = malloc(sizeof *mount + length + 1);
    if (!mount) {
        if (middleware.destroy)
            middleware.destroy(middleware.state);
        return (middleware_t){.name = "mount", .error = "out of memory"};
    }
    *mount = (struct mount){{middleware, {.fn = step_out}}, length - slash, slash};
    memcpy(mount->prefix, prefix, mount->length);
    mount->prefix[mount->length] = '\0';
    const char *error = middleware.error;
    if (!error && !middleware.fn)
        error = "a mount needs a middleware";
    if (!error && *prefix != '/')
        error = "mount path must begin with \"/\"";
    return (middleware_t){run_mount, mount, free_mount, mount->prefix, error};
}

middleware_t mount_fn(const char *prefix, middleware_fn *fn) {
    return mount_middleware(prefix, middleware_of(fn, "mounted"));
}

/* --- Apps ------------------------------------------------------------------------------------- */

/* An app in one or two stacks of another. */
struct mounted {
    app_t *app;
    int uses;
};

static int run_app(ctx_t *ctx, void *state) {
    const struct app *app = ((const struct mounted *)state)->app;
    return stack_run(ctx->websocket ? &app->ws : &app->http, context_of(ctx));
}

static void release_app(void *state) {
    struct mounted *mounted = state;
    if (--mounted->uses > 0)
        return;
    app_free(mounted->app);
    free(mounted);
}

static const char *setup_error(const struct app *app) {
    return !app || app->out_of_memory ? "out of memory" : app->setup_error;
}

app_t *app_mount(app_t *app, const char *prefix, app_t *mounted_app) {
    struct mounted *mounted = malloc(sizeof *mounted);
    const char *error = mounted ? setup_error(mounted_app) : "out of memory";
    middleware_t layer = {run_app, mounted, release_app, "mounted app", error};
    if (!mounted) {
        layer.destroy = NULL;
        app_use_middleware(app, layer, prefix);
        app_free(mounted_app);
        return app;
    }
    bool sockets = mounted_app && mounted_app->ws.count > 0;
    *mounted = (struct mounted){mounted_app, 1 + sockets};
    if (sockets)
        app_ws_use_middleware(app, mount_middleware(prefix, layer), prefix);
    return app_use_middleware(app, mount_middleware(prefix, layer), prefix);
}
