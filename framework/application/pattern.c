#include "application/pattern.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A piece of the source. */
struct literal {
    const char *text;
    size_t length;
};

struct param {
    const char *name;
    struct literal avoid; /* may not begin inside of the parameter; empty if anything may */
    struct literal next;  /* what follows, up to the next parameter or the end */
};

struct pattern {
    char *source;
    char *names;         /* the source once more, with a NUL behind each name */
    struct literal lead; /* what comes before the first parameter */
    size_t count;
    struct param params[];
};

/* --- Errors ----------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static char *message(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

/* --- Compiling -------------------------------------------------------------------------------- */

static bool is_delimiter(char c) {
    return c == '/' || c == '#' || c == '?';
}

static size_t name_length(const char *name) {
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

/* Count the parameters. False, and the error, if there is anything that is not one of ours. */
static bool count_params(const char *source, size_t *count, char **error) {
    *count = 0;
    for (const char *at = source; *at != '\0'; at++) {
        int position = (int)(at - source);
        if (strchr("(){}?*+\\", *at)) {
            *error = message("Unsupported '%c' at %d: a pattern is text and :name parameters", *at,
                             position);
            return false;
        }
        if (*at != ':')
            continue;
        size_t length = name_length(at + 1);
        if (length == 0) {
            *error = message("Missing parameter name at %d", position);
            return false;
        }
        if (++*count > PATTERN_PARAMS_MAX) {
            *error = message("More than %d parameters at %d", PATTERN_PARAMS_MAX, position);
            return false;
        }
        at += length;
    }
    return true;
}

/* What must not begin inside of the parameter that follows `text`: of a '.', which is its prefix,
 * no more than that; nothing if there is a delimiter, where the parameter would have to stop
 * anyway. */
static struct literal text_to_avoid(struct literal text) {
    if (text.length > 0 && text.text[text.length - 1] == '.')
        return (struct literal){text.text + text.length - 1, 1};
    for (size_t i = 0; i < text.length; i++)
        if (is_delimiter(text.text[i]))
            return (struct literal){0};
    return text;
}

/* Cut the source into literals and parameters: `count` of them, which count_params has checked.
 * False, and the error, if two parameters touch each other. */
static bool split(struct pattern *pattern, size_t count, char **error) {
    const char *at = pattern->source;
    struct literal *text = &pattern->lead;
    for (; pattern->count < count; pattern->count++) {
        struct param *param = &pattern->params[pattern->count];
        *text = (struct literal){at, strcspn(at, ":")};
        if (text->length == 0 && pattern->count > 0) {
            *error = message("Must have text between two parameters, missing text after \"%s\"",
                             param[-1].name);
            return false;
        }
        const char *name = at + text->length + 1;
        at = name + name_length(name);
        pattern->names[at - pattern->source] = '\0';
        param->name = pattern->names + (name - pattern->source);
        param->avoid = text_to_avoid(*text);
        text = &param->next;
    }
    *text = (struct literal){at, strlen(at)};
    return true;
}

struct pattern *pattern_compile(const char *source, char **error) {
    size_t count, size = strlen(source) + 1;
    *error = NULL;
    if (!count_params(source, &count, error))
        return NULL;
    struct pattern *pattern =
        malloc(sizeof *pattern + count * sizeof pattern->params[0] + 2 * size);
    if (!pattern)
        return NULL;
    pattern->count = 0;
    pattern->source = (char *)&pattern->params[count];
    pattern->names = pattern->source + size;
    memcpy(pattern->source, source, size);
    memcpy(pattern->names, source, size);
    if (!split(pattern, count, error)) {
        free(pattern);
        return NULL;
    }
    return pattern;
}

void pattern_free(struct pattern *pattern) {
    free(pattern);
}

const char *pattern_source(const struct pattern *pattern) {
    return pattern->source;
}

size_t pattern_params(const struct pattern *pattern) {
    return pattern->count;
}

const char *pattern_param_name(const struct pattern *pattern, size_t index) {
    return index < pattern->count ? pattern->params[index].name : NULL;
}

/* --- Matching --------------------------------------------------------------------------------- */

/* Not tolower(), which asks the locale. */
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool begins_with(const char *at, const char *end, const struct literal *literal) {
    if ((size_t)(end - at) < literal->length)
        return false;
    for (size_t i = 0; i < literal->length; i++)
        if (lower(at[i]) != lower(literal->text[i]))
            return false;
    return true;
}

/* The end of the path, but for one delimiter. */
static bool is_end(const char *at, const char *end) {
    return at == end || (at + 1 == end && is_delimiter(*at));
}

static bool can_take(const struct param *param, const char *at, const char *end) {
    return at < end && !is_delimiter(*at) &&
           (param->avoid.length == 0 || !begins_with(at, end, &param->avoid));
}

/* Make the capture longer, by as little as lets the next literal follow. If that can't be, it is
 * left as long as it can get. */
static bool extend(struct capture *capture, const struct param *param, const char *end) {
    const char *at = capture->start + capture->length;
    bool found = false;
    while (!found && can_take(param, at, end))
        found = begins_with(++at, end, &param->next);
    capture->length = (size_t)(at - capture->start);
    return found;
}

/*
 * Each parameter tries its possible ends from left to right. When one has no more of them, it is
 * the turn of the parameter before it.
 *
 * What keeps this from being exponential: a parameter never tries the same end twice. Suppose it
 * has begun at s, gone on until something at t stopped it, and failed at all ends between. The
 * parameter before can only have moved on since, so it would now begin at some s' > s. If s' <= t,
 * the same thing stops it at t, and the ends up to there are known to fail. If s' > t, they are all
 * new. So its end only ever moves to the right, and the capture, which is kept when we go back, is
 * all that has to be remembered.
 */
static bool match_params(const struct pattern *pattern, const char *path, const char *end,
                         struct capture *captures) {
    for (size_t i = 1; i < pattern->count; i++)
        captures[i] = (struct capture){path, 0};
    captures[0] = (struct capture){path + pattern->lead.length, 0};
    size_t i = 0;
    for (;;) {
        const struct param *param = &pattern->params[i];
        if (!extend(&captures[i], param, end)) {
            if (i-- == 0)
                return false;
            continue;
        }
        const char *at = captures[i].start + captures[i].length + param->next.length;
        if (i + 1 < pattern->count) {
            if (at > captures[i + 1].start + captures[i + 1].length)
                captures[++i] = (struct capture){at, 0};
        } else if (is_end(at, end)) {
            return true;
        }
    }
}

bool pattern_match(const struct pattern *pattern, const char *path, size_t length,
                   struct capture *captures) {
    const char *end = path + length;
    if (!begins_with(path, end, &pattern->lead))
        return false;
    if (pattern->count == 0)
        return is_end(path + pattern->lead.length, end);
    return match_params(pattern, path, end, captures);
}
