#include "method_override.h"

#include "body_parser.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct method_override {
    bool no_header, no_query, no_body;
    char *header, *field;
    char **allowed, **methods; /* NULL at the end */
};

/* --- The middleware --------------------------------------------------------------------------- */

static const char *find(char *const *list, const char *method,
                        int (*compare)(const char *a, const char *b)) {
    for (; *list; list++)
        if (compare(*list, method) == 0)
            return *list;
    return NULL;
}

static int refuse(ctx_t *ctx, const char *method) {
    char *upper = ctx_strdup(ctx, method);
    if (!upper)
        return UV_ENOMEM;
    for (char *at = upper; *at; at++)
        *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 32) : *at;
    return ctx_throw(ctx, 400, "invalid override method: \"%s\"", upper);
}

/* What a body says that has been parsed, as JSON or as a form. */
static const char *meant_by_body(ctx_t *ctx, const char *field) {
#ifdef ACACIA_HAVE_JSON
    return json_string_value(json_object_get(body_parsed(ctx), field));
#else
    return body_field(ctx, field);
#endif
}

/* What the client means, as it says it; "" for nothing. */
static const char *meant(ctx_t *ctx, const struct method_override *override) {
    const char *method = override->no_body ? NULL : meant_by_body(ctx, override->field);
    if ((!method || !*method) && !override->no_header)
        method = ctx_get(ctx, override->header);
    if ((!method || !*method) && !override->no_query)
        method = ctx_query(ctx, override->field);
    return method ? method : "";
}

static int run(ctx_t *ctx, void *state) {
    const struct method_override *override = state;
    if (ctx->websocket || !find(override->allowed, ctx->method, strcmp))
        return next(ctx);
    const char *method = meant(ctx, override);
    if (*method) {
        const char *known = find(override->methods, method, strcasecmp);
        if (!known)
            return refuse(ctx, method);
        int err = ctx_set_method(ctx, known);
        if (err)
            return err;
    }
    return next(ctx);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void free_list(char **list) {
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static char **copy_list(const char *const *list) {
    size_t count = 0;
    while (list[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        if ((copy[i] = strdup(list[i])))
            continue;
        free_list(copy);
        return NULL;
    }
    return copy;
}

static void destroy(void *state) {
    struct method_override *override = state;
    free(override->header);
    free(override->field);
    free_list(override->allowed);
    free_list(override->methods);
    free(override);
}

static struct method_override *new_override(const method_override_options_t *options) {
    static const char *const post[] = {"POST", NULL};
    static const char *const all[] = {
        "ACL",        "BIND",       "CHECKOUT", "CONNECT",   "COPY",        "DELETE",
        "GET",        "HEAD",       "LINK",     "LOCK",      "M-SEARCH",    "MERGE",
        "MKACTIVITY", "MKCALENDAR", "MKCOL",    "MOVE",      "NOTIFY",      "OPTIONS",
        "PATCH",      "POST",       "PROPFIND", "PROPPATCH", "PURGE",       "PUT",
        "QUERY",      "REBIND",     "REPORT",   "SEARCH",    "SOURCE",      "SUBSCRIBE",
        "TRACE",      "UNBIND",     "UNLINK",   "UNLOCK",    "UNSUBSCRIBE", NULL};
    struct method_override *override = calloc(1, sizeof *override);
    if (!override)
        return NULL;
    override->no_header = options->no_header;
    override->no_query = options->no_query;
    override->no_body = options->no_body;
    override->header = strdup(options->header ? options->header : "X-HTTP-Method-Override");
    override->field = strdup(options->field ? options->field : "_method");
    override->allowed = copy_list(options->allowed_methods ? options->allowed_methods : post);
    override->methods = copy_list(options->methods ? options->methods : all);
    if (override->header && override->field && override->allowed && override->methods)
        return override;
    destroy(override);
    return NULL;
}

middleware_t method_override(const method_override_options_t *options) {
    static const method_override_options_t defaults;
    struct method_override *override = new_override(options ? options : &defaults);
    if (!override)
        return (middleware_t){.name = "method_override", .error = "out of memory"};
    return (middleware_t){run, override, destroy, "method_override", NULL};
}
