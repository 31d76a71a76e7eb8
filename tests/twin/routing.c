/* Apps out of routes, routers and mounts, as a file describes them: routing.js is the same in Koa,
 * and says what is in that file; e2e/routing.test.mjs compares the two. */
#include <acacia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool flag_of(const json_t *object, const char *key) {
    return json_is_true(json_object_get(object, key));
}

static int number_of(const json_t *object, const char *key) {
    return (int)json_integer_value(json_object_get(object, key));
}

/* --- The trail -------------------------------------------------------------------------------- */

static int leave(ctx_t *ctx, const char *line) {
    const char *trail = ctx_value(ctx, "trail");
    char *longer = ctx_printf(ctx, "%s%s\n", trail ? trail : "", line);
    return longer ? ctx_set_value(ctx, "trail", longer, NULL) : UV_ENOMEM;
}

/* The captures of a route, without those that are missing at the end. */
static const char *see_args(ctx_t *ctx) {
    const char *all = "", *seen = "";
    for (size_t i = 0; i < 8; i++) {
        const char *value = ctx_param_at(ctx, i);
        all = ctx_printf(ctx, "%s%s%s", all, i ? "," : "", value ? value : "(none)");
        if (value)
            seen = all;
    }
    return ctx_printf(ctx, " [%s] %s", seen, ctx->route_path);
}

static const char *see_params(ctx_t *ctx) {
    static const char *const names[] = {"a", "b", "c", "d", "id", "tail", "user"};
    const char *all = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = ctx_param(ctx, names[i]);
        if (value)
            all = ctx_printf(ctx, "%s%s%s=%s", all, *all ? "," : "", names[i], value);
    }
    return ctx_printf(ctx, " {%s}", all);
}

static const char *see(ctx_t *ctx, const char *what) {
    if (strcmp(what, "args") == 0)
        return see_args(ctx);
    if (strcmp(what, "use") == 0)
        return see_params(ctx);
    if (strcmp(what, "route") == 0)
        return ctx_printf(ctx, " %s", ctx->route_path);
    if (strcmp(what, "mount") == 0)
        return ctx_printf(ctx, " under %s", ctx_mount_path(ctx));
    const char *name = ctx_route_name(ctx);
    return ctx_printf(ctx, "%s %s %s", see_params(ctx), ctx->route_path, name ? name : "-");
}

/* --- Steps ------------------------------------------------------------------------------------ */

static int go_on(ctx_t *ctx, const json_t *step) {
    return next(ctx);
}

static int stop(ctx_t *ctx, const json_t *step) {
    return 0;
}

static int answer(ctx_t *ctx, const json_t *step) {
    return ctx->websocket ? 0 : ctx_body(ctx, "answered");
}

static int throw_teapot(ctx_t *ctx, const json_t *step) {
    return ctx_throw(ctx, 418, "thrown");
}

static int call_twice(ctx_t *ctx, const json_t *step) {
    int err = next(ctx);
    return err ? err : next(ctx);
}

static int rewrite(ctx_t *ctx, const json_t *step) {
    int err = ctx_set_path(ctx, text_of(step, "to"));
    return err ? err : next(ctx);
}

static int wait_first(ctx_t *ctx, const json_t *step) {
    int err = await_sleep(0);
    return err ? err : next(ctx);
}

static int catch_error(ctx_t *ctx, const json_t *step) {
    int err = next(ctx);
    const ctx_error_t *error = err ? ctx_catch(ctx) : NULL;
    return error ? leave(ctx, ctx_printf(ctx, "caught %s", error->message)) : err;
}

/* {"id": "7"} as "id", "7", NULL. */
static const char *const *list_of(ctx_t *ctx, json_t *object) {
    const char **list = ctx_alloc(ctx, (2 * json_object_size(object) + 1) * sizeof *list);
    const char *name;
    json_t *value;
    size_t count = 0;
    json_object_foreach(object, name, value) {
        list[count++] = name;
        list[count++] = json_string_value(value);
    }
    return list;
}

static int show_url(ctx_t *ctx, const json_t *step) {
    const char *url = router_url_of(ctx, ctx_router(ctx), text_of(step, "name"),
                                    list_of(ctx, json_object_get(step, "params")),
                                    list_of(ctx, json_object_get(step, "query")));
    int err = url ? leave(ctx, url) : UV_EINVAL;
    return err ? err : next(ctx);
}

static int set_status(ctx_t *ctx, const json_t *step) {
    ctx->status = number_of(step, "status");
    return next(ctx);
}

static const struct action {
    const char *name;
    int (*fn)(ctx_t *ctx, const json_t *step);
} actions[] = {
    {"next", go_on},       {"stop", stop},         {"answer", answer},    {"throw", throw_teapot},
    {"twice", call_twice}, {"rewrite", rewrite},   {"later", wait_first}, {"catch", catch_error},
    {"url", show_url},     {"status", set_status}, {NULL, NULL},
};

static int run_step(ctx_t *ctx, void *state) {
    const json_t *step = state;
    const char *name = text_of(step, "step"), *sees = text_of(step, "sees");
    const char *then = text_of(step, "then");
    const struct action *action = actions;
    while (then && strcmp(action->name, then) != 0)
        action++;
    int err = leave(ctx, ctx_printf(ctx, "%s %s%s", name, ctx->url, sees ? see(ctx, sees) : ""));
    if (!err)
        err = action->fn(ctx, step);
    if (err || !flag_of(step, "back"))
        return err;
    return leave(ctx, ctx_printf(ctx, "%s back %s%s", name, ctx->url, sees ? see(ctx, sees) : ""));
}

/* --- Layers ----------------------------------------------------------------------------------- */

static middleware_t make(const json_t *layer, bool sockets);

static middleware_t make_all(const json_t *layers, bool sockets) {
    size_t count = json_array_size(layers);
    middleware_t *list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = make(json_array_get(layers, i), sockets);
    middleware_t all = compose_list(list, count);
    free(list);
    return all;
}

static route_options_t route_options_of(const json_t *layer) {
    const json_t *options = json_object_get(layer, "options");
    return (route_options_t){
        .sensitive = flag_of(options, "sensitive"),
        .strict = flag_of(options, "strict"),
        .no_end = json_is_false(json_object_get(options, "end")),
        .no_start = json_is_false(json_object_get(options, "start")),
        .delimiter = text_of(options, "delimiter"),
        .prefixes = text_of(options, "prefixes"),
        .ends_with = text_of(options, "endsWith"),
        .name = text_of(layer, "name"),
    };
}

static middleware_t make_route(const json_t *layer, bool sockets) {
    route_options_t options = route_options_of(layer);
    return route_with_middleware(text_of(layer, "method"), text_of(layer, "route"),
                                 make_all(json_object_get(layer, "layers"), sockets), &options);
}

static middleware_t make_mount(const json_t *layer, bool sockets) {
    middleware_t mounted = make_all(json_object_get(layer, "layers"), sockets);
    return mount_middleware(text_of(layer, "mount"), mounted);
}

/* --- Routers ---------------------------------------------------------------------------------- */

static int see_param(ctx_t *ctx, const char *name, const char *value) {
    int err = leave(ctx, ctx_printf(ctx, "%s is %s", name, value));
    if (!err && strcmp(value, "nobody") == 0)
        err = ctx_throw(ctx, 404, "no %s", value);
    return err ? err : next(ctx);
}

#define HOOK(name)                                                                                 \
    static int hook_##name(ctx_t *ctx, const char *value) {                                        \
        return see_param(ctx, #name, value);                                                       \
    }
HOOK(a)
HOOK(b)
HOOK(id)
HOOK(user)

static const struct hook {
    const char *name;
    router_param_fn *fn;
} hooks[] = {{"a", hook_a}, {"b", hook_b}, {"id", hook_id}, {"user", hook_user}};

static void add_hook(router_t *router, const char *name) {
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
        if (strcmp(hooks[i].name, name) == 0)
            router_param(router, name, hooks[i].fn);
}

static void add_middleware(router_t *router, const json_t *entry, bool sockets) {
    const json_t *layers = json_object_get(entry, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++)
        router_use(router, text_of(entry, "use"), make(json_array_get(layers, i), sockets));
}

static void add_entry(router_t *router, const json_t *entry, bool sockets) {
    route_options_t options = route_options_of(entry);
    if (json_object_get(entry, "use"))
        add_middleware(router, entry, sockets);
    else if (text_of(entry, "param"))
        add_hook(router, text_of(entry, "param"));
    else if (text_of(entry, "prefix"))
        router_prefix(router, text_of(entry, "prefix"));
    else if (json_object_get(entry, "notFound"))
        router_not_found(router, make(json_object_get(entry, "notFound"), sockets));
    else if (text_of(entry, "path"))
        router_add_with(router, text_of(entry, "method"), text_of(entry, "path"),
                        make_all(json_object_get(entry, "layers"), sockets), &options);
    else if (!sockets)
        router_redirect(router, text_of(entry, "redirect"), text_of(entry, "to"),
                        number_of(entry, "status"));
}

/* ["GET", "PUT"] with NULL at the end; NULL if there is no list. */
static const char *const *strings_of(const json_t *options, const char *key, const char **list) {
    const json_t *array = json_object_get(options, key);
    size_t count = json_array_size(array);
    for (size_t i = 0; i < count; i++)
        list[i] = json_string_value(json_array_get(array, i));
    list[count] = NULL;
    return json_is_array(array) ? list : NULL;
}

static router_t *new_router(const json_t *options) {
    const char *methods[16], *hosts[16], *exclusive = text_of(options, "exclusive");
    return router_new(&(router_options_t){
        .prefix = text_of(options, "prefix"),
        .sensitive = flag_of(options, "sensitive"),
        .strict = flag_of(options, "strict"),
        .exclusive = exclusive                       ? ROUTER_SPECIFICITY
                     : flag_of(options, "exclusive") ? ROUTER_LAST
                                                     : ROUTER_ALL,
        .host = text_of(options, "host"),
        .hosts = strings_of(options, "host", hosts),
        .host_pattern = text_of(options, "hostPattern"),
        .methods = strings_of(options, "methods", methods),
    });
}

static middleware_t make_router(const json_t *layer, bool sockets) {
    router_t *router = new_router(json_object_get(layer, "options"));
    const json_t *list = json_object_get(layer, "router");
    const json_t *allowed = json_object_get(layer, "allowed");
    for (size_t i = 0; i < json_array_size(list); i++)
        add_entry(router, json_array_get(list, i), sockets);
    middleware_t routes = router_routes(router);
    if (allowed && !sockets) {
        allowed_methods_options_t options = {.throws = flag_of(allowed, "throw")};
        routes = compose(routes, router_allowed_methods(router, &options));
    }
    router_free(router);
    return routes;
}

static middleware_t make(const json_t *layer, bool sockets) {
    if (json_object_get(layer, "router"))
        return make_router(layer, sockets);
    if (json_object_get(layer, "route"))
        return make_route(layer, sockets);
    if (json_object_get(layer, "mount"))
        return make_mount(layer, sockets);
    return (middleware_t){.fn = run_step, .state = (void *)layer, .name = text_of(layer, "step")};
}

/* --- The apps --------------------------------------------------------------------------------- */

struct apps {
    middleware_t *list;
    size_t count;
};

static int run_app(ctx_t *ctx, void *state) {
    const struct apps *apps = state;
    const char *number = ctx_get(ctx, "X-App");
    size_t i = strtoul(number, NULL, 10);
    return *number && i < apps->count ? apps->list[i].fn(ctx, apps->list[i].state) : next(ctx);
}

static void free_apps(void *state) {
    struct apps *apps = state;
    for (size_t i = 0; i < apps->count; i++)
        apps->list[i].destroy(apps->list[i].state);
    free(apps->list);
    free(apps);
}

static middleware_t make_apps(const json_t *list, bool sockets) {
    struct apps *apps = calloc(1, sizeof *apps);
    middleware_t all = {.fn = run_app, .state = apps, .destroy = free_apps};
    apps->count = json_array_size(list);
    apps->list = calloc(apps->count, sizeof *apps->list);
    for (size_t i = 0; i < apps->count; i++) {
        apps->list[i] = make_all(json_array_get(list, i), sockets);
        if (apps->list[i].error)
            fprintf(stderr, "app %zu: %s\n", i, all.error = apps->list[i].error);
    }
    return all;
}

static app_t *add_apps(app_t *app, const json_t *list) {
    app_use(app, make_apps(list, false));
    return app_ws_use(app, make_apps(list, true));
}

static int show_trail(ctx_t *ctx) {
    int err = next(ctx);
    const char *trail = ctx_value(ctx, "trail");
    int status = ctx->status;
    if (err || !trail || ctx_body_kind(ctx) != CTX_BODY_UNSET)
        return err;
    err = ctx_body(ctx, trail);
    ctx->status = status ? status : 404;
    return err;
}

/* A socket whose layers have left nothing is left as it is. */
static int send_trail(ctx_t *ctx) {
    const ctx_error_t *error = next(ctx) ? ctx_catch(ctx) : NULL;
    int err = error ? leave(ctx, ctx_printf(ctx, "error %d", error->status)) : 0;
    const char *trail = ctx_value(ctx, "trail");
    return err || !trail ? err : ws_send_text(ctx->websocket, trail);
}

static void ignore(ctx_t *ctx, const ctx_error_t *error) {
}

int main(void) {
    json_error_t why;
    json_t *list = json_load_file(getenv("APPS"), 0, &why);
    app_t *app = app_new_with(&(app_options_t){.ws.any_origin = true});
    app_on_error(app, ignore);
    app_use(app, show_trail);
    app_ws_use(app, send_trail);
    app_mount(app, "/mounted", add_apps(app_new(), list));
    add_apps(app, list);
    int err = app_listen(app, 0);
    json_decref(list);
    return err != 0;
}
