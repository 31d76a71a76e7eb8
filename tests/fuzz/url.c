/*
 * URLs, and what is escaped for them and for HTML. Two lines: a URL, and the base that it may be
 * relative to.
 */
#include "context/url.h"
#include "context/escape.h"
#include "runtime/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void check(bool holds) {
    if (!holds)
        abort();
}

static void check_same(const char *a, const char *b) {
    check(a && b ? strcmp(a, b) == 0 : a == b);
}

/* Printable ASCII, without these characters. */
static void check_piece(const char *piece, const char *excluded) {
    for (; piece && *piece; piece++)
        check(*piece > ' ' && *piece <= '~' && !strchr(excluded, *piece));
}

/* No segment leads up, or nowhere. */
static void check_path(const char *path) {
    check(*path == '/');
    while (path) {
        size_t n = strcspn(++path, "/");
        check(!(n == 1 && *path == '.') && !(n == 2 && memcmp(path, "..", 2) == 0));
        path = strchr(path, '/');
    }
}

static void check_pieces(const struct url *url) {
    bool is_https = strcmp(url->scheme, "https") == 0;
    check(is_https || strcmp(url->scheme, "http") == 0);
    check(url->host && *url->host);
    check(!url->username || *url->username);
    check(!url->password || *url->password);
    check_piece(url->username, "/:;=@[\\]^|\"#<>?`{}");
    check_piece(url->password, "/:;=@[\\]^|\"#<>?`{}");
    check_piece(url->host, *url->host == '[' ? "/@" : "#/:<>?@[\\]^|%ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    check_piece(url->path, "\"#<>?\\`{}");
    check_piece(url->query, "\"#<>'");
    check_piece(url->fragment, "\"<>`");
    check_path(url->path);
    if (url->port) {
        check(*url->port && strspn(url->port, "0123456789") == strlen(url->port));
        check(atoi(url->port) <= 65535 && strcmp(url->port, is_https ? "443" : "80") != 0);
    }
}

static void check_equal(const struct url *a, const struct url *b) {
    check_same(a->scheme, b->scheme);
    check_same(a->username, b->username);
    check_same(a->password, b->password);
    check_same(a->host, b->host);
    check_same(a->port, b->port);
    check_same(a->path, b->path);
    check_same(a->query, b->query);
    check_same(a->fragment, b->fragment);
}

/* What is written says the same, whatever it is seen from. */
static void check_round_trip(struct arena *arena, const struct url *url, const struct url *base) {
    struct url again;
    const char *text = url_serialize(arena, url), *host = url_host(arena, url);
    check(url_parse(&again, arena, text, strlen(text), base) == 0);
    check_equal(url, &again);
    check_same(url_serialize(arena, &again), text);
    check_same(url_host(arena, &again), host);
    check(strncmp(host, url->host, strlen(url->host)) == 0);
}

static bool fuzz_parse(struct arena *arena, struct url *url, const char *text, size_t length,
                       const struct url *base) {
    char *copy = malloc(length + 1);
    memcpy(copy, text, length);
    int err = url_parse(url, arena, copy, length, base);
    free(copy); /* nothing may point into it */
    check(err == 0 || err == UV_EINVAL);
    if (err || !url->host) {
        check(!url->host && !url->path && !url->query && !url->port && !url->username);
        check((url->scheme == NULL) == (err != 0));
        return false;
    }
    check_pieces(url);
    check_round_trip(arena, url, NULL);
    check_round_trip(arena, url, base);
    return true;
}

/* What is a URL alone is the same one from everywhere, unless it has a scheme without slashes. */
static void fuzz_relative(struct arena *arena, const char *text, size_t length,
                          const struct url *base) {
    struct url alone, seen;
    bool is_url = fuzz_parse(arena, &alone, text, length, NULL);
    bool is_seen = fuzz_parse(arena, &seen, text, length, base);
    if (is_url && is_seen && strcmp(alone.scheme, base->scheme) != 0)
        check_equal(&alone, &seen);
    else if (is_seen && !alone.scheme)
        check_same(seen.scheme, base->scheme);
}

/* --- Escapes ---------------------------------------------------------------------------------- */

static void fuzz_url_escape(struct arena *arena, const char *text) {
    const char *escaped = escape_url(arena, text);
    check_piece(escaped, "\"<>`{}");
    check_same(escape_url(arena, escaped), escaped);
}

/* Without its entities it is the text again. */
static void fuzz_html_escape(struct arena *arena, const char *text) {
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"&quot;", '"'}, {"&amp;", '&'}, {"&#39;", '\''}, {"&lt;", '<'}, {"&gt;", '>'}};
    for (const char *at = escape_html(arena, text); *at; text++) {
        size_t i = 0, n = sizeof entities / sizeof *entities;
        while (i < n && strncmp(at, entities[i].name, strlen(entities[i].name)) != 0)
            i++;
        check(i < n || !strchr("\"&'<>", *at));
        check(*text == (i < n ? entities[i].c : *at));
        at += i < n ? strlen(entities[i].name) : 1;
    }
    check(!*text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct url base;
    if (size == 0)
        return 0;
    const char *text = (const char *)data, *end = memchr(text, '\n', size);
    size_t length = end ? (size_t)(end - text) : size;
    arena_init(&arena, NULL);
    if (end && fuzz_parse(&arena, &base, end + 1, size - length - 1, NULL))
        fuzz_relative(&arena, text, length, &base);
    else
        fuzz_parse(&arena, &base, text, length, NULL);
    const char *string = arena_copy(&arena, text, length);
    fuzz_url_escape(&arena, string);
    fuzz_html_escape(&arena, string);
    arena_release(&arena);
    return 0;
}
