/* What the tests of routes, routers and mounts share: a request, and what comes back. */
#include <acacia.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static inline app_t *quiet_app(void) {
    return app_new_with(&(app_options_t){.silent = true});
}

static inline app_response_t *ask(app_t *app, const char *method, const char *url) {
    app_response_t *response = app_inject(app, &(app_request_t){.method = method, .url = url});
    assert_non_null(response);
    return response;
}

/* `body` NULL: whatever it is. */
static inline void check(app_t *app, const char *method, const char *url, int status,
                         const char *body) {
    app_response_t *response = ask(app, method, url);
    if (response->status != status || (body && strcmp(response->body.data, body) != 0))
        fail_msg("%s %s: %d \"%s\", not %d \"%s\"", method, url, response->status,
                 response->body.data, status, body ? body : "...");
    app_response_free(response);
}

static inline void check_header(app_t *app, const char *method, const char *url, int status,
                                const char *name, const char *value) {
    app_response_t *response = ask(app, method, url);
    const char *found = app_response_get(response, name);
    if (response->status != status || (!found != !value) || (value && strcmp(found, value) != 0))
        fail_msg("%s %s: %d %s: %s", method, url, response->status, name, found ? found : "-");
    app_response_free(response);
}

/* The app can't start, and says this on stderr. */
static inline void check_error(app_t *app, const char *expected) {
    char text[512] = "";
    FILE *file = tmpfile();
    int saved = dup(2);
    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), 2);
    app_response_t *response = app_inject(app, &(app_request_t){0});
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    rewind(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    assert_null(response);
    if (!strstr(text, expected))
        fail_msg("\"%s\", not \"%s\"", text, expected);
    app_free(app);
}

/* --- A trail of who has run ------------------------------------------------------------------- */

static inline int leave_trail(ctx_t *ctx, const char *step) {
    const char *trail = ctx_value(ctx, "trail");
    return ctx_set_value(ctx, "trail", ctx_printf(ctx, "%s%s;", trail ? trail : "", step), NULL);
}

/* A handler that leaves its name, and goes on. */
#define STEP(name)                                                                                 \
    static int name(ctx_t *ctx) {                                                                  \
        int err = leave_trail(ctx, #name);                                                         \
        return err ? err : next(ctx);                                                              \
    }

/* The first layer: what the others have left is the body; the status is theirs. */
static inline int show_trail(ctx_t *ctx) {
    int err = next(ctx);
    const char *trail = ctx_value(ctx, "trail");
    int status = ctx->status ? ctx->status : 404;
    if (err || ctx_body_kind(ctx) != CTX_BODY_UNSET)
        return err;
    err = ctx_text(ctx, trail ? trail : "");
    ctx->status = status;
    return err;
}

/* --- A router that shows what its layers see ---------------------------------------------------
 */

/* "name{a=1,b=2}/pattern;" with the parameters a, b and id, as far as they are there. */
static inline int leave_sight(ctx_t *ctx, void *state) {
    static const char *const names[] = {"a", "b", "id"};
    const char *params = "";
    for (size_t i = 0; i < 3; i++) {
        const char *value = ctx_param(ctx, names[i]);
        if (value)
            params = ctx_printf(ctx, "%s%s%s=%s", params, *params ? "," : "", names[i], value);
    }
    int err = leave_trail(ctx, ctx_printf(ctx, "%s{%s}%s", (char *)state, params, ctx->route_path));
    return err ? err : next(ctx);
}

static inline middleware_t sees(const char *name) {
    return (middleware_t){.fn = leave_sight, .state = (void *)name};
}

static inline int after(ctx_t *ctx) {
    int err = leave_trail(ctx, "after");
    return err ? err : next(ctx);
}

static inline int answer(ctx_t *ctx) {
    return ctx_textf(ctx, "%s %s", ctx->method, ctx->path);
}

/* An app with the router in the middle; the router is given up. */
static inline app_t *app_with_router(router_t *router) {
    app_t *app = quiet_app();
    app_use(app, show_trail);
    app_use(app, router_routes(router));
    app_use(app, router_allowed_methods(router, NULL));
    app_use(app, after);
    router_free(router);
    return app;
}

#define NAMED(n) (&(route_options_t){.name = (n)})
