#include "application/pattern.h"

#include "application/pattern_parse.h"
#include "application/pattern_regex.h"
#include "application/pattern_text.h"
#include "application/pattern_walk.h"
#include "runtime/arena.h"

#include <stdlib.h>
#include <string.h>

struct pattern {
    struct arena arena; /* of all that it points to, but PCRE2's */
    const char *source;
    struct pattern_options options;
    struct pattern_tokens tokens;
    const char *names[PATTERN_PARAMS_MAX];
    struct walk walk;
    struct pattern_regex *regex;   /* NULL: the walk does it */
    struct pattern_regex **values; /* for each token that is not simple; NULL: all are */
};

/* --- Compiling -------------------------------------------------------------------------------- */

static const char *copy(struct pattern *pattern, const char *string, const char *otherwise) {
    if (!string)
        return otherwise;
    return arena_copy(&pattern->arena, string, strlen(string));
}

static bool set_source(struct pattern *pattern, const char *source,
                       const struct pattern_options *given) {
    struct pattern_options *options = &pattern->options;
    if (given)
        *options = *given;
    pattern->source = copy(pattern, source, NULL);
    options->delimiter = copy(pattern, options->delimiter, "/#?");
    options->prefixes = copy(pattern, options->prefixes, "./");
    options->ends_with = copy(pattern, options->ends_with, "");
    return pattern->source && options->delimiter && options->prefixes && options->ends_with;
}

/* Where one repetition ends and the next begins must be seen. */
static bool check_repetitions(const struct pattern_tokens *tokens, char **error) {
    for (size_t i = 0; i < tokens->count; i++) {
        const struct pattern_token *token = &tokens->list[i];
        if (!token->text && token_repeats(token) && !*token->prefix && !*token->suffix)
            return pattern_error(error, "Can not repeat \"%s\" without a prefix and suffix",
                                 token->name);
    }
    return true;
}

static bool set_regexes(struct pattern *pattern, char **error) {
    const struct walk *walk = &pattern->walk;
    if (walk->simple)
        return true;
    pattern->values = arena_zalloc(&pattern->arena, walk->count * sizeof *pattern->values);
    if (!pattern->values)
        return false;
    /* Each by itself first, which tells what is wrong with it. */
    for (size_t i = 0; i < walk->count; i++) {
        if (walk->steps[i].simple)
            continue;
        pattern->values[i] = pattern_regex_for_value(&pattern->tokens, i, !walk->fold, error);
        if (!pattern->values[i])
            return false;
    }
    pattern->regex = pattern_regex_new(&pattern->tokens, walk, error);
    return pattern->regex;
}

static void set_names(struct pattern *pattern) {
    size_t count = 0;
    for (size_t i = 0; i < pattern->tokens.count; i++)
        if (!pattern->tokens.list[i].text)
            pattern->names[count++] = pattern->tokens.list[i].name;
}

struct pattern *pattern_compile(const char *source, const struct pattern_options *options,
                                char **error) {
    *error = NULL;
    struct pattern *pattern = calloc(1, sizeof *pattern);
    if (!pattern)
        return NULL;
    arena_init(&pattern->arena, NULL);
    if (!set_source(pattern, source, options) ||
        !pattern_parse(&pattern->tokens, &pattern->arena, pattern->source, &pattern->options,
                       error) ||
        !check_repetitions(&pattern->tokens, error) ||
        !walk_init(&pattern->walk, &pattern->arena, &pattern->tokens, &pattern->options, error) ||
        !set_regexes(pattern, error)) {
        pattern_free(pattern);
        return NULL;
    }
    set_names(pattern);
    return pattern;
}

void pattern_free(struct pattern *pattern) {
    if (!pattern)
        return;
    for (size_t i = 0; pattern->values && i < pattern->walk.count; i++)
        pattern_regex_free(pattern->values[i]);
    pattern_regex_free(pattern->regex);
    arena_release(&pattern->arena);
    free(pattern);
}

/* --- Asking ----------------------------------------------------------------------------------- */

const char *pattern_source(const struct pattern *pattern) {
    return pattern->source;
}

const struct pattern_options *pattern_options(const struct pattern *pattern) {
    return &pattern->options;
}

const struct pattern_tokens *pattern_tokens(const struct pattern *pattern) {
    return &pattern->tokens;
}

size_t pattern_params(const struct pattern *pattern) {
    return pattern->tokens.params;
}

const char *pattern_param_name(const struct pattern *pattern, size_t index) {
    return index < pattern->tokens.params ? pattern->names[index] : NULL;
}

bool pattern_is_path(const struct pattern *pattern, const char *path, size_t length) {
    return walk_is_path(&pattern->walk, path, length);
}

int pattern_match(const struct pattern *pattern, const char *path, size_t length,
                  struct capture *captures) {
    if (pattern->regex)
        return pattern_regex_match(pattern->regex, path, length, captures);
    return walk_match(&pattern->walk, path, length, captures);
}

int pattern_accepts(const struct pattern *pattern, size_t token, const char *value, size_t length) {
    if (!pattern->walk.steps[token].simple)
        return pattern_regex_match(pattern->values[token], value, length, NULL);
    return walk_accepts(&pattern->walk, token, value, length);
}
