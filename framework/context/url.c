#include "context/url.h"

#include "context/escape.h"
#include "context/span.h"
#include "context/url_host.h"
#include "runtime/arena.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* What is percent-encoded in each piece: the "percent-encode sets" of the standard. */
#define IN_FRAGMENT " \"<>`"
#define IN_QUERY " \"#<>'"
#define IN_PATH " \"#<>?`{}"
#define IN_USERINFO IN_PATH "/:;=@[\\]^|"

struct parser {
    struct arena *arena;
    struct url *url;
    const char *at, *end; /* what is not read yet */
};

/* --- The text --------------------------------------------------------------------------------- */

static bool is_trimmed(char c) {
    return (unsigned char)c <= ' ';
}

static bool is_ignored(char c) {
    return c == '\t' || c == '\n' || c == '\r';
}

/* Control characters and spaces around it don't count, nor tabs and line ends anywhere. */
static bool clean(struct parser *parser, const char *text, size_t length) {
    while (length > 0 && is_trimmed(text[length - 1]))
        length--;
    while (length > 0 && is_trimmed(*text)) {
        text++;
        length--;
    }
    char *to = arena_alloc(parser->arena, length);
    if (!to)
        return false;
    parser->at = to;
    for (size_t i = 0; i < length; i++)
        if (!is_ignored(text[i]))
            *to++ = text[i];
    parser->end = to;
    return true;
}

/* Browsers take a backslash for a slash, so that those who look for "//" must do so, too. */
static bool is_slash(char c) {
    return c == '/' || c == '\\';
}

static bool starts_with(const struct parser *parser, char c) {
    return parser->at < parser->end && *parser->at == c;
}

static size_t skip_slashes(struct parser *parser) {
    const char *start = parser->at;
    while (parser->at < parser->end && is_slash(*parser->at))
        parser->at++;
    return (size_t)(parser->at - start);
}

/* The first of these characters, or the end. */
static const char *find(const char *at, const char *end, const char *characters) {
    while (at < end && !(*at && strchr(characters, *at)))
        at++;
    return at;
}

/* A piece that begins here. NULL when there is no memory. */
static const char *encode(struct parser *parser, const char *at, const char *end,
                          const char *also) {
    size_t n = (size_t)(end - at), length = escape_percent(NULL, at, n, also);
    char *piece = arena_alloc(parser->arena, length + 1);
    if (!piece)
        return NULL;
    escape_percent(piece, at, n, also);
    piece[length] = '\0';
    return piece;
}

/* --- The scheme ------------------------------------------------------------------------------- */

static bool is_letter(char c) {
    c = ascii_lower(c);
    return c >= 'a' && c <= 'z';
}

static bool is_scheme_character(char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* How many bytes stand in front of the ':'; 0 if the text does not begin with a scheme. */
static size_t scheme_length(const struct parser *parser) {
    const char *at = parser->at;
    if (at == parser->end || !is_letter(*at))
        return 0;
    while (at < parser->end && is_scheme_character(*at))
        at++;
    return at < parser->end && *at == ':' ? (size_t)(at - parser->at) : 0;
}

static bool parse_scheme(struct parser *parser, size_t length) {
    char *scheme = arena_copy(parser->arena, parser->at, length);
    if (!scheme)
        return false;
    parser->url->scheme = scheme;
    parser->at += length + 1;
    for (; *scheme; scheme++)
        *scheme = ascii_lower(*scheme);
    return true;
}

static bool is_http(const char *scheme) {
    return strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
}

/* --- Who and where: "user:password@host:port" ------------------------------------------------- */

static int parse_userinfo(struct parser *parser, const char *end) {
    struct url *url = parser->url;
    const char *colon = find(parser->at, end, ":");
    if (colon > parser->at && !(url->username = encode(parser, parser->at, colon, IN_USERINFO)))
        return UV_ENOMEM;
    if (end - colon > 1 && !(url->password = encode(parser, colon + 1, end, IN_USERINFO)))
        return UV_ENOMEM;
    return 0;
}

/* Digits, or nothing, which is the port of the scheme. */
static int parse_port(struct parser *parser, const char *at, const char *end) {
    struct url *url = parser->url;
    unsigned port = strcmp(url->scheme, "https") == 0 ? 443 : 80, scheme_port = port;
    char text[sizeof "65535"];
    if (at < end)
        port = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return UV_EINVAL;
        port = port * 10 + (unsigned)(*at - '0');
        if (port > 65535)
            return UV_EINVAL;
    }
    if (port == scheme_port)
        return 0;
    int length = snprintf(text, sizeof text, "%u", port);
    url->port = arena_copy(parser->arena, text, (size_t)length);
    return url->port ? 0 : UV_ENOMEM;
}

/* A colon within brackets is part of an address. */
static const char *find_port(const char *at, const char *end) {
    bool bracketed = false;
    for (; at < end && (bracketed || *at != ':'); at++)
        if (*at == '[' || *at == ']')
            bracketed = *at == '[';
    return at;
}

static int parse_host(struct parser *parser, const char *end) {
    char *host = NULL;
    const char *colon = find_port(parser->at, end);
    int err = url_host_parse(&host, parser->arena, parser->at, (size_t)(colon - parser->at));
    if (err)
        return err;
    parser->url->host = host;
    return parse_port(parser, colon < end ? colon + 1 : end, end);
}

/* The last '@' ends the userinfo, in which others are escaped. */
static int parse_authority(struct parser *parser) {
    const char *end = find(parser->at, parser->end, "/\\?#"), *at_sign = end;
    while (at_sign > parser->at && at_sign[-1] != '@')
        at_sign--;
    if (at_sign > parser->at) {
        int err = parse_userinfo(parser, at_sign - 1);
        if (err)
            return err;
        parser->at = at_sign;
    }
    int err = parse_host(parser, end);
    parser->at = end;
    return err;
}

/* --- What: "/path?query#fragment" ------------------------------------------------------------- */

/* 1 for ".", 2 for "..", escaped or not; 0 for what is neither. */
static size_t count_dots(const char *at, size_t n) {
    size_t dots = 0;
    for (; n > 0 && dots < 3; dots++) {
        size_t width = *at == '.' ? 1 : 3;
        if (width > n || (width == 3 && strncasecmp(at, "%2e", 3) != 0))
            return 0;
        at += width;
        n -= width;
    }
    return dots < 3 ? dots : 0;
}

/* Append a segment with a slash before it, or go up. */
static char *put_segment(char *path, char *to, const char *at, const char *end, bool is_last) {
    size_t n = (size_t)(end - at), dots = count_dots(at, n);
    if (dots == 2)
        while (to > path && *--to != '/')
            continue;
    if (dots == 0 || is_last)
        *to++ = '/';
    return dots == 0 ? to + escape_percent(to, at, n, IN_PATH) : to;
}

/* The path, which begins with `folder`, of which the last segment is left out. */
static int parse_path(struct parser *parser, const char *folder) {
    const char *end = find(parser->at, parser->end, "?#"), *last = strrchr(folder, '/');
    size_t length = last ? (size_t)(last - folder) : 0;
    if (parser->at < end && is_slash(*parser->at))
        parser->at++;
    size_t rest = escape_percent(NULL, parser->at, (size_t)(end - parser->at), IN_PATH);
    char *path = arena_alloc(parser->arena, length + 1 + rest + 1);
    if (!path)
        return UV_ENOMEM;
    memcpy(path, folder, length);
    char *to = path + length;
    for (bool more = true; more;) {
        const char *slash = find(parser->at, end, "/\\");
        more = slash < end;
        to = put_segment(path, to, parser->at, slash, !more);
        parser->at = slash + more;
    }
    *to = '\0';
    parser->url->path = path;
    return 0;
}

static int parse_query(struct parser *parser) {
    const char *end = find(parser->at, parser->end, "#");
    if (starts_with(parser, '?') &&
        !(parser->url->query = encode(parser, parser->at + 1, end, IN_QUERY)))
        return UV_ENOMEM;
    parser->at = end;
    return 0;
}

static int parse_fragment(struct parser *parser) {
    if (starts_with(parser, '#') &&
        !(parser->url->fragment = encode(parser, parser->at + 1, parser->end, IN_FRAGMENT)))
        return UV_ENOMEM;
    return 0;
}

/* --- The whole -------------------------------------------------------------------------------- */

static int parse_from_path(struct parser *parser, const char *folder) {
    int err = parse_path(parser, folder);
    if (!err)
        err = parse_query(parser);
    return err ? err : parse_fragment(parser);
}

static int parse_from_authority(struct parser *parser) {
    int err = parse_authority(parser);
    return err ? err : parse_from_path(parser, "");
}

static int parse_relative(struct parser *parser, const struct url *base) {
    struct url *url = parser->url;
    const char *start = parser->at;
    *url = *base;
    url->query = url->fragment = NULL;
    if (skip_slashes(parser) > 1) {
        *url = (struct url){.scheme = base->scheme};
        return parse_from_authority(parser);
    }
    if (parser->at > start)
        return parse_from_path(parser, "");
    if (parser->at < parser->end && *parser->at != '?' && *parser->at != '#')
        return parse_from_path(parser, base->path);
    if (!starts_with(parser, '?'))
        url->query = base->query;
    int err = parse_query(parser);
    return err ? err : parse_fragment(parser);
}

static int parse(struct parser *parser, const struct url *base) {
    size_t length = scheme_length(parser);
    if (length == 0)
        return base && base->host ? parse_relative(parser, base) : UV_EINVAL;
    if (!parse_scheme(parser, length))
        return UV_ENOMEM;
    const char *scheme = parser->url->scheme;
    if (!is_http(scheme))
        return 0;
    /* Behind a scheme that the base has, too, even "http:a" is relative. */
    if (base && base->host && strcmp(base->scheme, scheme) == 0)
        return parse_relative(parser, base);
    skip_slashes(parser);
    return parse_from_authority(parser);
}

int url_parse(struct url *url, struct arena *arena, const char *text, size_t length,
              const struct url *base) {
    struct parser parser = {.arena = arena, .url = url};
    *url = (struct url){0};
    if (!clean(&parser, text, length))
        return UV_ENOMEM;
    int err = parse(&parser, base);
    if (err)
        *url = (struct url){0};
    return err;
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* Nine pieces, and what stands before each of them. */
struct strings {
    const char *list[2 * 9];
    size_t count;
};

/* Nothing, if the piece is absent. */
static void add(struct strings *strings, const char *separator, const char *piece) {
    if (piece) {
        strings->list[strings->count++] = separator;
        strings->list[strings->count++] = piece;
    }
}

static char *join(struct arena *arena, const struct strings *strings) {
    size_t size = 1;
    for (size_t i = 0; i < strings->count; i++)
        size += strlen(strings->list[i]);
    char *text = arena_alloc(arena, size), *to = text;
    if (!text)
        return NULL;
    for (size_t i = 0; i < strings->count; i++) {
        size_t n = strlen(strings->list[i]);
        memcpy(to, strings->list[i], n);
        to += n;
    }
    *to = '\0';
    return text;
}

char *url_host(struct arena *arena, const struct url *url) {
    struct strings strings = {0};
    add(&strings, "", url->host);
    add(&strings, ":", url->port);
    return join(arena, &strings);
}

char *url_serialize(struct arena *arena, const struct url *url) {
    struct strings strings = {0};
    add(&strings, "", url->scheme);
    add(&strings, ":", url->host ? "//" : "");
    add(&strings, "", url->username);
    add(&strings, ":", url->password);
    add(&strings, url->username || url->password ? "@" : "", url->host);
    add(&strings, ":", url->port);
    add(&strings, "", url->path);
    add(&strings, "?", url->query);
    add(&strings, "#", url->fragment);
    return join(arena, &strings);
}
