#include "application/route_params.h"

#include "application/pattern.h"
#include "context/context.h"
#include "context/percent.h"

#include <errno.h>
#include <string.h>

static int decode(struct context *context, struct param *param, const struct capture *capture) {
    if (capture->length == 0)
        return 0;
    char *value = arena_alloc(context->home.arena, capture->length + 1);
    if (!value)
        return context_no_memory(context);
    if (!percent_decode_string(value, capture->start, capture->length))
        return ctx_throw(&context->ctx, 400, "malformed percent-encoding in the path");
    param->value = value;
    return 0;
}

/* Is a parameter of that name, with a value, in the list from here on? */
static bool has_value(const struct param *list, size_t from, size_t count, const char *name) {
    for (size_t i = from; i < count; i++)
        if (list[i].value && list[i].name && strcmp(list[i].name, name) == 0)
            return true;
    return false;
}

/* ctx_param takes the first of a name: what comes before the one that counts loses its own. */
static void hide_names(struct param *list, size_t own, size_t count) {
    for (size_t i = 0; i < own; i++)
        if (has_value(list, i + 1, count, list[i].name))
            list[i].name = NULL;
}

/* The pattern's own parameters, and those of `outer` that have other names. Not inlined, since
 * most routes have none. */
static __attribute__((noinline)) int set_list(struct context *context,
                                              const struct pattern *pattern,
                                              const struct capture *captures,
                                              const struct params *outer) {
    size_t own = pattern_params(pattern), inherited = outer ? outer->count : 0;
    struct params *params =
        arena_alloc(context->home.arena, sizeof *params + (own + inherited) * sizeof *params->list);
    if (!params)
        return context_no_memory(context);
    struct param *list = params->list;
    params->count = own;
    for (size_t i = 0; i < own; i++) {
        list[i] = (struct param){pattern_param_name(pattern, i), NULL};
        int err = decode(context, &list[i], &captures[i]);
        if (err)
            return err;
    }
    for (size_t i = 0; i < inherited; i++) {
        const char *name = outer->list[i].name;
        if (name && !has_value(list, 0, own, name))
            list[params->count++] = outer->list[i];
    }
    hide_names(list, own, params->count);
    context->params = params;
    return 0;
}

int route_set_params(struct context *context, const struct pattern *pattern,
                     const struct capture *captures, bool inherit) {
    const struct params *outer = inherit ? context->params : NULL;
    if (pattern_params(pattern) > 0 || (outer && outer->count > 0))
        return set_list(context, pattern, captures, outer);
    context->params = NULL;
    return 0;
}

int route_throw_unmatched(struct context *context, int err) {
    if (err == -ENOMEM)
        return context_no_memory(context);
    return ctx_throw(&context->ctx, 414, "the path takes too long to match");
}
