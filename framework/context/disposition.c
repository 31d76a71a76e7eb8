#include "context/disposition.h"

#include "context/escape.h"
#include "context/percent.h"
#include "context/span.h"
#include "protocols/utf8.h"
#include "runtime/arena.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* RFC 9110, 5.6.2. */
static struct span token_at(const char *at) {
    return (struct span){at, strspn(at, "!#$%&'*+-.^_`|~" DIGITS LETTERS)};
}

static bool is_escape(const char *at) {
    return at[0] == '%' && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2]);
}

/* --- Writing: names --------------------------------------------------------------------------- */

/* What is behind the last slash, if there is more than slashes: node's path.basename. */
static struct span base_name(const char *path) {
    struct span name = span_of(path);
    while (name.length > 0 && name.at[name.length - 1] == '/')
        name.length--;
    size_t start = name.length;
    while (start > 0 && name.at[start - 1] != '/')
        start--;
    return (struct span){name.at + start, name.length - start};
}

/* The width of the character that begins here; 0 if it is not UTF-8. */
static size_t character_width(const char *at, size_t n) {
    unsigned char first = (unsigned char)*at;
    size_t width = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    return width <= n && utf8_valid(at, width) ? width : 0;
}

/* A copy, with U+FFFD for each byte that is not UTF-8. NULL when there is no memory. */
static const char *copy_utf8(struct arena *arena, struct span text) {
    char *copy = arena_alloc(arena, 3 * text.length + 1), *to = copy;
    if (!copy)
        return NULL;
    for (size_t i = 0; i < text.length;) {
        size_t width = character_width(text.at + i, text.length - i);
        memcpy(to, width ? text.at + i : "\xEF\xBF\xBD", width ? width : 3);
        to += width ? width : 3;
        i += width ? width : 1;
    }
    *to = '\0';
    return copy;
}

static bool is_printable(char c) {
    return c >= ' ' && c <= '~';
}

/* Can it stand between quotes as it is? */
static bool is_plain(const char *name) {
    const char *at = name;
    while (is_printable(*at))
        at++;
    return at > name && !*at;
}

/* A copy with one '?' for each character that is not printable ASCII, and two for one that has four
 * bytes. NULL when there is no memory. */
static const char *copy_ascii(struct arena *arena, struct span text) {
    char *copy = arena_alloc(arena, text.length + 1), *to = copy;
    if (!copy)
        return NULL;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (is_printable(text.at[i]))
            *to++ = text.at[i];
        else if (byte < 0x80 || byte >= 0xC0)
            *to++ = '?';
        if (byte >= 0xF0)
            *to++ = '?';
    }
    *to = '\0';
    return copy;
}

/* Printable ASCII, and U+00A0 to U+00FF. */
static bool is_latin1(const char *text) {
    while (*text) {
        unsigned char first = (unsigned char)text[0], second = (unsigned char)text[1];
        bool beyond_ascii = (first == 0xC2 && second >= 0xA0 && second <= 0xBF) ||
                            (first == 0xC3 && second >= 0x80 && second <= 0xBF);
        if (!is_printable(*text) && !beyond_ascii)
            return false;
        text += beyond_ascii ? 2 : 1;
    }
    return true;
}

/* Those who decode what they should not would take "50%20.txt" for "50 .txt". */
static bool has_escape(const char *name) {
    while (*name && !is_escape(name))
        name++;
    return *name;
}

/* --- Writing: the line ------------------------------------------------------------------------ */

static char *put(char *to, const char *text) {
    size_t n = strlen(text);
    memcpy(to, text, n);
    return to + n;
}

static char *put_quoted(char *to, const char *text) {
    *to++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *to++ = '\\';
        *to++ = *text;
    }
    *to++ = '"';
    return to;
}

/* RFC 8187, 3.2.1, but for a few characters more that are encoded. */
static char *put_extended(char *to, const char *text) {
    to = put(to, "UTF-8''");
    return to + escape_percent(to, text, strlen(text), " \"#$%&'()*+,/:;<=>?@[\\]^`{|}");
}

/* Either name may be NULL. */
static char *write_line(struct arena *arena, const char *type, const char *plain,
                        const char *extended) {
    static const char fixed[] = "; filename=\"\"; filename*=UTF-8''";
    size_t size = strlen(type) + sizeof fixed + (plain ? 2 * strlen(plain) : 0) +
                  (extended ? 3 * strlen(extended) : 0);
    char *line = arena_alloc(arena, size);
    if (!line)
        return NULL;
    char *to = put(line, type);
    for (char *at = line; at < to; at++)
        *at = ascii_lower(*at);
    if (plain)
        to = put_quoted(put(to, "; filename="), plain);
    if (extended)
        to = put_extended(put(to, "; filename*="), extended);
    *to = '\0';
    return line;
}

/* A name that is plain is its own fallback, and needs no other form. */
static char *write_names(struct arena *arena, const char *type,
                         const struct attachment *attachment) {
    const char *name = copy_utf8(arena, base_name(attachment->filename)), *plain = name;
    if (!name)
        return NULL;
    if (attachment->fallback)
        plain = copy_ascii(arena, base_name(attachment->fallback));
    else if (!attachment->no_fallback)
        plain = copy_ascii(arena, span_of(name));
    if (!plain)
        return NULL;
    bool same = strcmp(plain, name) == 0;
    bool needs_extended = !same || !is_plain(name) || has_escape(name);
    return write_line(arena, type, same && !is_plain(name) ? NULL : plain,
                      needs_extended ? name : NULL);
}

char *disposition_write(struct arena *arena, const struct attachment *attachment,
                        const char **error) {
    const char *type = attachment->type && *attachment->type ? attachment->type : "attachment";
    const char *filename = attachment->filename, *fallback = attachment->fallback;
    *error = NULL;
    if (filename && fallback && !is_latin1(fallback))
        *error = "fallback must be ISO-8859-1 string";
    else if (type[token_at(type).length])
        *error = "invalid type";
    if (*error)
        return NULL;
    return filename ? write_names(arena, type, attachment) : write_line(arena, type, NULL, NULL);
}

/* --- Reading: the grammar --------------------------------------------------------------------- */

static void skip_blanks(const char **at) {
    *at += strspn(*at, " \t");
}

/* The quoted string that begins here, quotes included; empty if it is none. */
static struct span quoted_at(const char *at) {
    size_t n = 1;
    while (at[n] != '"') {
        bool escaped = at[n] == '\\';
        n += escaped;
        bool beyond_ascii = at[n] & '\x80';
        if (!is_printable(at[n]) && (escaped || !beyond_ascii))
            return (struct span){at, 0};
        n++;
    }
    return (struct span){at, n + 1};
}

struct part {
    struct span name, value; /* the value with its quotes */
    bool extended;
};

/* "; name=value". False, and no change, if that is not what comes next. */
static bool next_part(const char **rest, struct part *part) {
    const char *at = *rest;
    if (*at++ != ';')
        return false;
    skip_blanks(&at);
    part->name = token_at(at);
    at += part->name.length;
    skip_blanks(&at);
    if (part->name.length == 0 || *at++ != '=')
        return false;
    skip_blanks(&at);
    part->value = *at == '"' ? quoted_at(at) : token_at(at);
    if (part->value.length == 0)
        return false;
    at += part->value.length;
    skip_blanks(&at);
    /* A '*' before the last one makes it an ordinary name, for npm content-disposition. */
    const char *star = memchr(part->name.at, '*', part->name.length);
    part->extended = star && star + 1 == part->name.at + part->name.length;
    *rest = at;
    return true;
}

/* --- Reading: extended values ----------------------------------------------------------------- */

/* "en", "zh-cmn", or none (RFC 5987, 3.2.1). What follows it is no letter. */
static bool is_language(struct span language) {
    size_t first = strspn(language.at, LETTERS);
    if (first == language.length)
        return first == 0 || (first >= 2 && first <= 8);
    for (size_t i = first; i < language.length; i += 4)
        if (language.at[i] != '-' || strspn(language.at + i + 1, LETTERS) != 3)
            return false;
    return (first == 2 || first == 3) && language.length - first <= 12;
}

/* Every '%' begins an escape, and nothing stands there that had to be one. */
static bool is_encoded(struct span text) {
    if (text.length == 0 || strspn(text.at, "%!#$&+-.^_`|~" DIGITS LETTERS) < text.length)
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] == '%' && !is_escape(text.at + i))
            return false;
    return true;
}

/* percent_decode_form reads a '+' as a space, which here it is not: decode what lies between. */
static char *decode_utf8(char *to, struct span text) {
    struct span part;
    while (span_next(&text, '+', &part)) {
        to += percent_decode_form(to, part.at, part.length);
        if (text.at)
            *to++ = '+';
    }
    return to;
}

/* Of two hex digits. */
static unsigned char byte_of(const char *digits) {
    return (unsigned char)strtoul((const char[]){digits[0], digits[1], '\0'}, NULL, 16);
}

/* A control character becomes a '?'. */
static char *decode_latin1(char *to, struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (byte == '%') {
            byte = byte_of(text.at + i + 1);
            i += 2;
        }
        if (byte >= 0xA0) {
            *to++ = (char)(byte < 0xC0 ? 0xC2 : 0xC3);
            *to++ = (char)(0x80 | (byte & 0x3F));
        } else {
            *to++ = is_printable((char)byte) ? (char)byte : '?';
        }
    }
    return to;
}

/* charset "'" [ language ] "'" text. NULL if it is malformed. */
static char *decode_extended(char *to, struct span value) {
    struct span charset, language;
    span_next(&value, '\'', &charset);
    if (!span_next(&value, '\'', &language) || !value.at || !is_language(language) ||
        !is_encoded(value))
        return NULL;
    if (span_equal(charset, span_of("utf-8")) || span_equal(charset, span_of("utf8")))
        return decode_utf8(to, value);
    return span_equal(charset, span_of("iso-8859-1")) ? decode_latin1(to, value) : NULL;
}

/* --- Reading: the parameters ------------------------------------------------------------------ */

static char *put_lower(char *to, struct span text) {
    for (size_t i = 0; i < text.length; i++)
        *to++ = ascii_lower(text.at[i]);
    *to = '\0';
    return to + 1;
}

static char *unquote(char *to, struct span value) {
    bool quoted = value.at[0] == '"';
    const char *end = value.at + value.length - quoted;
    for (const char *at = value.at + quoted; at < end; at++) {
        at += quoted && *at == '\\';
        *to++ = *at;
    }
    return to;
}

/* Nothing is longer than what it came from: *to never gets past the end of that. */
static bool read_parameter(struct disposition_parameter *parameter, char **to,
                           const struct part *part) {
    struct span name = part->name;
    name.length -= part->extended;
    parameter->name = *to;
    parameter->extended = part->extended;
    parameter->value = *to = put_lower(*to, name);
    char *end = part->extended ? decode_extended(*to, part->value) : unquote(*to, part->value);
    if (!end)
        return false;
    *end = '\0';
    *to = end + 1;
    return true;
}

/* By name; of two with the same name the extended one comes first. */
static int compare(const void *a, const void *b) {
    const struct disposition_parameter *x = *(struct disposition_parameter *const *)a;
    const struct disposition_parameter *y = *(struct disposition_parameter *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : y->extended - x->extended;
}

/* Keep the extended one of two. They are sorted first, since a client may send thousands. */
static int merge(struct disposition *disposition, struct arena *arena) {
    struct disposition_parameter **sorted = arena_alloc(arena, disposition->count * sizeof *sorted);
    if (!sorted)
        return UV_ENOMEM;
    for (size_t i = 0; i < disposition->count; i++)
        sorted[i] = &disposition->parameters[i];
    qsort(sorted, disposition->count, sizeof *sorted, compare);
    for (size_t i = 1; i < disposition->count; i++) {
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
            continue;
        if (sorted[i - 1]->extended == sorted[i]->extended)
            return UV_EINVAL;
        sorted[i]->value = NULL;
    }
    size_t kept = 0;
    for (size_t i = 0; i < disposition->count; i++)
        if (disposition->parameters[i].value)
            disposition->parameters[kept++] = disposition->parameters[i];
    disposition->count = kept;
    return 0;
}

/* `rest` is known to be well-formed, and to have as many parameters as there is room for. */
static int read_all(struct disposition *disposition, struct arena *arena, char *to,
                    struct span type, const char *rest) {
    struct part part;
    disposition->type = to;
    to = put_lower(to, type);
    for (; next_part(&rest, &part); disposition->count++)
        if (!read_parameter(&disposition->parameters[disposition->count], &to, &part))
            return UV_EINVAL;
    return merge(disposition, arena);
}

int disposition_parse(struct disposition *disposition, struct arena *arena, const char *value) {
    struct span type = token_at(value);
    const char *start = value + type.length, *rest;
    struct part part;
    size_t count = 0;
    *disposition = (struct disposition){0};
    skip_blanks(&start);
    for (rest = start; next_part(&rest, &part); count++)
        continue;
    if (type.length == 0 || *rest)
        return UV_EINVAL;
    disposition->parameters = arena_alloc(arena, count * sizeof *disposition->parameters);
    char *text = arena_alloc(arena, strlen(value) + 1);
    int err = UV_ENOMEM;
    if (disposition->parameters && text)
        err = read_all(disposition, arena, text, type, start);
    if (err)
        *disposition = (struct disposition){0};
    return err;
}

const char *disposition_get(const struct disposition *disposition, const char *name) {
    for (size_t i = 0; i < disposition->count; i++)
        if (strcmp(disposition->parameters[i].name, name) == 0)
            return disposition->parameters[i].value;
    return NULL;
}
