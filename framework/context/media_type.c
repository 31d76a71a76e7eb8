#include "context/media_type.h"

#include "context/mime.h"
#include "context/span.h"
#include "runtime/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <uv.h>

#define ALPHANUMERIC "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* --- The charset ------------------------------------------------------------------------------ */

/* RFC 9110, 5.6.2. */
static struct span token_at(const char *at) {
    return (struct span){at, strspn(at, "!#$%&'*+-.^_`|~" ALPHANUMERIC)};
}

static bool is_token(struct span span) {
    return span.length > 0 && token_at(span.at).length == span.length;
}

/* The quoted string that begins here, quotes included; empty if it is none. */
static struct span quoted_at(const char *at) {
    size_t n = 1;
    while (at[n] != '"') {
        bool escaped = at[n] == '\\';
        n += escaped;
        unsigned char c = (unsigned char)at[n];
        if ((c < ' ' && c != '\v') || (c == 0x7F && !escaped))
            return (struct span){at, 0};
        n++;
    }
    return (struct span){at, n + 1};
}

/* Go over spaces and this character, if it comes then. */
static bool skip(const char **at, char c) {
    *at += strspn(*at, " ");
    bool found = **at == c;
    *at += found;
    return found;
}

/* "; name=value" with spaces around each of the four. The value keeps its quotes. */
static bool read_parameter(const char **at, struct span *name, struct span *value) {
    if (!skip(at, ';'))
        return false;
    *at += strspn(*at, " ");
    *name = token_at(*at);
    *at += name->length;
    if (name->length == 0 || !skip(at, '='))
        return false;
    *at += strspn(*at, " ");
    *value = **at == '"' ? quoted_at(*at) : token_at(*at);
    *at += value->length;
    *at += strspn(*at, " ");
    return value->length > 0;
}

/* The last one; it is empty if there is none. False if anything is malformed. */
static bool find_charset(const char *value, struct span *charset) {
    size_t length = strcspn(value, ";");
    struct span subtype = span_trim((struct span){value, length}), type, name, found;
    span_next(&subtype, '/', &type);
    *charset = (struct span){"", 0};
    if (!subtype.at || !is_token(type) || !is_token(subtype))
        return false;
    for (const char *at = value + length; *at;) {
        if (!read_parameter(&at, &name, &found))
            return false;
        if (span_equal(name, span_of("charset")))
            *charset = found;
    }
    return true;
}

const char *media_type_charset(struct arena *arena, const char *value) {
    struct span charset;
    if (!value || !find_charset(value, &charset))
        return "";
    char *text = arena_alloc(arena, charset.length + 1), *to = text;
    if (!text)
        return NULL;
    bool quoted = charset.length > 0 && charset.at[0] == '"';
    const char *end = charset.at + charset.length - quoted;
    for (const char *at = charset.at + quoted; at < end; at++) {
        at += quoted && *at == '\\';
        *to++ = *at;
    }
    *to = '\0';
    return text;
}

/* --- The type --------------------------------------------------------------------------------- */

struct type {
    struct span whole, main, sub;
};

/* RFC 6838, 4.2: a letter or digit, then up to 126 more characters. */
static bool is_name(struct span name, const char *characters) {
    return name.length > 0 && name.length <= 127 && strspn(name.at, ALPHANUMERIC) > 0 &&
           strspn(name.at, characters) == name.length;
}

static bool read_type(struct type *type, const char *value) {
    type->whole = span_trim((struct span){value, strcspn(value, ";")});
    type->sub = type->whole;
    span_next(&type->sub, '/', &type->main);
    return type->sub.at && is_name(type->main, "!#$&-^_" ALPHANUMERIC) &&
           is_name(type->sub, "!#$&+-.^_" ALPHANUMERIC);
}

/* Is `wanted` the end of the name, in lower case? */
static bool ends_with(struct span name, struct span wanted) {
    if (wanted.length > name.length)
        return false;
    const char *end = name.at + name.length - wanted.length;
    for (size_t i = 0; i < wanted.length; i++)
        if (ascii_lower(end[i]) != wanted.at[i])
            return false;
    return true;
}

static bool is(struct span name, struct span wanted) {
    return span_is(wanted, "*") || (wanted.length == name.length && ends_with(name, wanted));
}

static bool is_subtype(struct span name, struct span wanted) {
    if (wanted.length >= 2 && wanted.at[0] == '*' && wanted.at[1] == '+')
        return ends_with(name, (struct span){wanted.at + 1, wanted.length - 1});
    return is(name, wanted);
}

static const char *long_form(const char *wanted) {
    if (strcmp(wanted, "urlencoded") == 0)
        return "application/x-www-form-urlencoded";
    if (strcmp(wanted, "multipart") == 0)
        return "multipart/*";
    return strchr(wanted, '/') ? wanted : mime_of_extension(wanted, strlen(wanted));
}

static bool matches(const struct type *type, const char *wanted) {
    if (*wanted == '+')
        return !strchr(wanted, '/') && ends_with(type->sub, span_of(wanted));
    wanted = long_form(wanted);
    if (!wanted)
        return false;
    struct span sub = span_of(wanted), main;
    span_next(&sub, '/', &main);
    return sub.at && !memchr(sub.at, '/', sub.length) && is(type->main, main) &&
           is_subtype(type->sub, sub);
}

static int copy_type(struct arena *arena, const struct type *type, const char **match) {
    char *copy = arena_copy(arena, type->whole.at, type->whole.length);
    if (!copy)
        return UV_ENOMEM;
    for (char *at = copy; *at; at++)
        *at = ascii_lower(*at);
    *match = copy;
    return 0;
}

int media_type_is(struct arena *arena, const char *value, const char *const *types,
                  const char **match) {
    struct type type;
    if (!value || !read_type(&type, value)) {
        *match = NULL;
        return 0;
    }
    if (!*types)
        return copy_type(arena, &type, match);
    while (*types && !matches(&type, *types))
        types++;
    if (*types && (**types == '+' || strchr(*types, '*')))
        return copy_type(arena, &type, match);
    *match = *types;
    return 0;
}
