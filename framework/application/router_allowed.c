/* What no route has answered: OPTIONS, 405 and 501. */
#include "application/methods.h"
#include "application/router_parts.h"
#include "application/routing.h"
#include "response.h"

#include <stdlib.h>
#include <string.h>

struct allowed {
    allowed_methods_options_t options;
    struct arena arena;
    const char **methods; /* that are implemented, NULL at the end */
};

static bool contains(const char *const *list, const char *method) {
    for (; *list; list++)
        if (strcmp(*list, method) == 0)
            return true;
    return false;
}

/* --- What is allowed -------------------------------------------------------------------------- */

static void add(const char **list, const char *method) {
    if (contains(list, method))
        return;
    while (*list)
        list++;
    *list = method;
}

/* The methods of all routes that have matched, each once, NULL at the end; in the arena. */
static const char **allowed_methods(struct context *context) {
    static const char *const get[] = {"HEAD", "GET", NULL};
    const struct routing *routing = context->routing;
    size_t size = routing->matched_count + 64; /* all_methods, and any other ones */
    const char **list = arena_zalloc(context->home.arena, size * sizeof *list);
    for (size_t i = 0; list && i < routing->matched_count; i++) {
        const char *method = routing->matched[i]->method;
        const char *const one[] = {method, NULL};
        const char *const *methods = !method ? all_methods : strcmp(method, "GET") == 0 ? get : one;
        while (*methods)
            add(list, *methods++);
    }
    return list;
}

/* "HEAD, GET, POST" */
static const char *join(struct context *context, const char *const *list) {
    size_t size = 1;
    for (const char *const *one = list; *one; one++)
        size += strlen(*one) + 2;
    char *text = arena_alloc(context->home.arena, size), *at = text;
    if (text)
        *at = '\0';
    for (; text && *list; list++)
        at = stpcpy(stpcpy(at, *list), list[1] ? ", " : "");
    return text;
}

/* --- Answering -------------------------------------------------------------------------------- */

static int answer(ctx_t *ctx, const struct allowed *allowed, int status, middleware_fn *fn,
                  const char *allow) {
    int err;
    if (allowed->options.throws || fn) {
        err = ctx_throw_header(ctx, "Allow", allow);
        if (err)
            return err;
        return fn ? fn(ctx) : ctx_throw(ctx, status, NULL);
    }
    ctx->status = status;
    return ctx_set(ctx, "Allow", allow);
}

static int answer_options(ctx_t *ctx, const char *allow) {
    ctx->status = 200;
    int err = ctx_text(ctx, "");
    return err ? err : ctx_set(ctx, "Allow", allow);
}

/* Has nobody answered, though some router was asked? */
static bool is_open(const struct context *context) {
    int status = context->ctx.status;
    return context->routing && context->routing->router && !context->header_sent &&
           (status == 404 || (status == 0 && context->kind == CTX_BODY_UNSET));
}

static int run_allowed(ctx_t *ctx, void *state) {
    const struct allowed *allowed = state;
    struct context *context = context_of(ctx);
    int err = next(ctx);
    if (err || !is_open(context))
        return err;
    const char **list = allowed_methods(context);
    const char *allow = list ? join(context, list) : NULL;
    if (!allow)
        return context_no_memory(context);
    if (!contains(allowed->methods, ctx->method))
        return answer(ctx, allowed, 501, allowed->options.not_implemented, allow);
    if (!*list)
        return 0;
    if (strcmp(ctx->method, "OPTIONS") == 0)
        return answer_options(ctx, allow);
    if (!contains(list, ctx->method))
        return answer(ctx, allowed, 405, allowed->options.method_not_allowed, allow);
    return 0;
}

/* --- Making one ------------------------------------------------------------------------------- */

static void free_allowed(void *state) {
    struct allowed *allowed = state;
    arena_release(&allowed->arena);
    free(allowed);
}

/* The router may go before we do. */
static bool copy_methods(struct allowed *allowed, const char *const *methods) {
    size_t count = 0;
    while (methods[count])
        count++;
    allowed->methods = arena_zalloc(&allowed->arena, (count + 1) * sizeof *methods);
    for (size_t i = 0; allowed->methods && i < count; i++) {
        char *copy = arena_copy(&allowed->arena, methods[i], strlen(methods[i]));
        if (!copy)
            return false;
        method_capitalize(copy);
        allowed->methods[i] = copy;
    }
    return allowed->methods;
}

middleware_t router_allowed_methods(const router_t *router,
                                    const allowed_methods_options_t *options) {
    struct allowed *allowed = router ? calloc(1, sizeof *allowed) : NULL;
    if (!allowed)
        return (middleware_t){.name = "allowed methods", .error = "out of memory"};
    if (options)
        allowed->options = *options;
    arena_init(&allowed->arena, NULL);
    bool done = copy_methods(allowed, router->options.methods);
    return (middleware_t){run_allowed, allowed, free_allowed, "allowed methods",
                          done ? NULL : "out of memory"};
}
