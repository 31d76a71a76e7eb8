#include "application/pattern_build.h"

#include "application/pattern.h"
#include "application/pattern_parse.h"
#include "application/pattern_text.h"
#include "runtime/arena.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

struct builder {
    const struct pattern *pattern;
    const char *const *params;
    struct pattern_build_options options;
    struct pattern_text path;
    char **error;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct builder *builder, const char *format,
                                                       ...) {
    va_list args;
    va_start(args, format);
    *builder->error = arena_vprintf(builder->path.arena, NULL, format, args);
    va_end(args);
    return false;
}

static void put_encoded(struct pattern_text *path, const char *value) {
    static const char plain[] = "-_.!~*'()0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (; *value; value++) {
        if (strchr(plain, *value))
            pattern_text_add(path, value, 1);
        else
            pattern_text_format(path, "%%%02X", (unsigned char)*value);
    }
}

/* One value with its prefix and suffix. `all` is what the message says of one in a list. */
static bool put_value(struct builder *builder, size_t index, const char *value, const char *all) {
    const struct pattern_token *token = &pattern_tokens(builder->pattern)->list[index];
    struct pattern_text *path = &builder->path;
    pattern_text_string(path, token->prefix);
    size_t start = path->length;
    if (builder->options.raw)
        pattern_text_string(path, value);
    else
        put_encoded(path, value);
    const char *text = pattern_text_end(path);
    if (!text)
        return false;
    int accepted = builder->options.unchecked ? 1
                                              : pattern_accepts(builder->pattern, index,
                                                                text + start, path->length - start);
    if (accepted == -ENOMEM)
        return false;
    if (accepted != 1)
        return fail(builder, "Expected %s\"%s\" to match \"%s\", but got \"%s\"", all, token->name,
                    token->regex, text + start);
    pattern_text_string(path, token->suffix);
    return true;
}

static bool is_named(const char *const *params, const char *name) {
    while (*params && strcmp(*params, name) != 0)
        params += 2;
    return *params;
}

/* The value at `*at` or behind that has this name; *at moves behind it. */
static const char *next_value(const char *const **at, const char *name) {
    while ((*at)[0]) {
        const char *const *pair = *at;
        *at += 2;
        if (pair[1] && strcmp(pair[0], name) == 0)
            return pair[1];
    }
    return NULL;
}

static bool put_param(struct builder *builder, size_t index) {
    const struct pattern_token *token = &pattern_tokens(builder->pattern)->list[index];
    const char *const *at = builder->params, *const * behind;
    const char *value = next_value(&at, token->name);
    behind = at;
    bool several = value && next_value(&behind, token->name);
    if (several && !token_repeats(token))
        return fail(builder, "Expected \"%s\" to not repeat, but got an array", token->name);
    if (!value && !token_is_optional(token))
        return fail(builder, "Expected \"%s\" to %s", token->name,
                    !token_repeats(token)                    ? "be a string"
                    : is_named(builder->params, token->name) ? "not be empty"
                                                             : "be an array");
    for (; value; value = next_value(&at, token->name))
        if (!put_value(builder, index, value, several ? "all " : ""))
            return false;
    return true;
}

char *pattern_build(const struct pattern *pattern, struct arena *arena, const char *const *params,
                    const struct pattern_build_options *options, char **error) {
    struct builder builder = {pattern, params, .path = {.arena = arena}, .error = error};
    const struct pattern_tokens *tokens = pattern_tokens(pattern);
    *error = NULL;
    if (options)
        builder.options = *options;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct pattern_token *token = &tokens->list[i];
        if (token->text) {
            if (!token_is_optional(token))
                pattern_text_string(&builder.path, token->text);
        } else if (!put_param(&builder, i)) {
            return NULL;
        }
    }
    return (char *)pattern_text_end(&builder.path);
}
