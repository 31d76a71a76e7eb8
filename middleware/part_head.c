#include "part_head.h"

#include "charset.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOKEN "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* --- Parameters: name=value, name="value" ----------------------------------------------------- */

struct parameter {
    bytes_t name, value; /* the value without its quotes */
    bool quoted;
};

static bytes_t token_at(const char *at) {
    return (bytes_t){at, strspn(at, TOKEN)};
}

static const char *skip_blanks(const char *at) {
    return at + strspn(at, " \t");
}

static bool is(bytes_t name, const char *expected) {
    return strlen(expected) == name.length && strncasecmp(name.data, expected, name.length) == 0;
}

static bool is_end_of_value(const char *at) {
    at = skip_blanks(at);
    return *at == '\0' || *at == ';';
}

/* The quote that closes what begins at `at`. Browsers leave a backslash as it is, and if by the
 * rule of RFC 9110 nothing closes it, then it was such a one. NULL if there is none. */
static const char *closing_quote(const char *at) {
    const char *end = at;
    while (*end && *end != '"')
        end += *end == '\\' && (end[1] == '"' || end[1] == '\\') ? 2 : 1;
    if (*end)
        return end;
    for (end = strchr(at, '"'); end && !is_end_of_value(end + 1);)
        end = strchr(end + 1, '"');
    return end;
}

/* The next parameter: 1; at the end 0; UV_EINVAL for what is none. `*at` is behind the one before.
 */
static int next_parameter(const char **at, struct parameter *parameter) {
    const char *from = skip_blanks(*at);
    while (*from == ';')
        from = skip_blanks(from + 1);
    if (*from == '\0')
        return 0;
    bool follows = *skip_blanks(*at) == ';';
    parameter->name = token_at(from);
    from += parameter->name.length;
    if (!follows || parameter->name.length == 0 || *from++ != '=')
        return UV_EINVAL;
    parameter->quoted = *from == '"';
    if (parameter->quoted) {
        const char *end = closing_quote(++from);
        if (!end)
            return UV_EINVAL;
        parameter->value = (bytes_t){from, (size_t)(end - from)};
        *at = end + 1;
    } else {
        parameter->value = token_at(from);
        *at = from + parameter->value.length;
    }
    return is_end_of_value(*at) && (parameter->quoted || parameter->value.length > 0) ? 1
                                                                                      : UV_EINVAL;
}

/* Without the backslashes before '"' and '\'. `to` has room for all of it. */
static size_t unquote(char *to, const struct parameter *parameter) {
    const char *from = parameter->value.data, *end = from + parameter->value.length;
    size_t length = 0;
    while (from < end) {
        if (parameter->quoted && *from == '\\' && end - from > 1 &&
            (from[1] == '"' || from[1] == '\\'))
            from++;
        to[length++] = *from++;
    }
    return length;
}

/* --- Memory: one block, from its beginning to its end ------------------------------------------
 */

struct block {
    char *at;
};

/* A part of the block becomes a string; there is always room, since it was reckoned before. */
static char *take(struct block *block, size_t length) {
    char *string = block->at;
    string[length] = '\0';
    block->at += length + 1;
    return string;
}

static const char *take_decoded(struct block *block, charset_t charset, const char *from,
                                size_t length) {
    return take(block, charset_decode(charset, block->at, from, length));
}

/* --- Names ------------------------------------------------------------------------------------ */

/* What browsers can't write into a quoted string they write as escapes, and only that. */
static size_t unescape_name(char *name, size_t length) {
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        int byte = charset_escape(name + i, name + length);
        bool counts = byte == '"' || byte == '\r' || byte == '\n';
        name[n++] = counts ? (char)byte : name[i];
        i += counts ? 2 : 0;
    }
    return n;
}

static const char *take_name(struct block *block, const struct parameter *parameter) {
    char *raw = block->at;
    size_t length = unescape_name(raw, unquote(raw, parameter));
    block->at += length + 1;
    return take_decoded(block, CHARSET_UTF8, raw, length);
}

/* UTF-8'en'na%C3%AFve.txt. NULL if that is not what it is. */
static const char *take_extended(struct block *block, bytes_t value) {
    const char *end = value.data + value.length;
    const char *first = memchr(value.data, '\'', value.length);
    const char *second = first ? memchr(first + 1, '\'', (size_t)(end - first - 1)) : NULL;
    if (!second)
        return NULL;
    char *raw = block->at;
    memcpy(raw, value.data, (size_t)(first - value.data));
    raw[first - value.data] = '\0';
    charset_t charset = *raw ? charset_of(raw) : CHARSET_UNKNOWN;
    size_t length = 0;
    for (const char *from = second + 1; from < end; from++) {
        int byte = charset_escape(from, end);
        if (*from == '%' && byte < 0)
            return NULL;
        raw[length++] = byte >= 0 ? (char)byte : *from;
        from += byte >= 0 ? 2 : 0;
    }
    if (charset == CHARSET_UNKNOWN || length == 0)
        return NULL;
    block->at += value.length + 1;
    return take_decoded(block, charset, raw, length);
}

/* --- The fields of the head ---------------------------------------------------------------------
 */

/* The first of each parameter counts. */
static int parse_disposition(part_head_t *head, struct block *block, const char *value) {
    struct parameter parameter;
    const char *extended = NULL, *at = value + token_at(value).length;
    int more;
    if (!is(token_at(value), "form-data") || !is_end_of_value(at))
        return 0; /* then it has no name */
    while ((more = next_parameter(&at, &parameter)) > 0) {
        if (is(parameter.name, "name") && !head->name)
            head->name = take_name(block, &parameter);
        else if (is(parameter.name, "filename") && !head->filename)
            head->filename = take_name(block, &parameter);
        else if (is(parameter.name, "filename*") && !extended && !parameter.quoted)
            extended = take_extended(block, parameter.value);
    }
    if (extended)
        head->filename = extended;
    return more;
}

/* Whether this is "type/subtype"; `*length` is its length. */
static bool is_type(const char *value, size_t *length) {
    size_t type = token_at(value).length;
    size_t subtype = value[type] == '/' ? token_at(value + type + 1).length : 0;
    *length = type + 1 + subtype;
    return type > 0 && subtype > 0 && is_end_of_value(value + *length);
}

/* What is malformed is as if it were not there. */
static void parse_type(part_head_t *head, struct block *block, const char *value) {
    struct parameter parameter;
    size_t length;
    if (!is_type(value, &length))
        return;
    const char *at = value + length;
    char *type = block->at;
    for (size_t i = 0; i < length; i++)
        type[i] = (char)tolower((unsigned char)value[i]);
    head->type = take(block, length);
    while (next_parameter(&at, &parameter) > 0)
        if (is(parameter.name, "charset") && !*head->charset) {
            char *charset = block->at;
            head->charset = take(block, unquote(charset, &parameter));
        }
}

/* --- Lines ------------------------------------------------------------------------------------ */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* All lines as one string, each with an LF behind it; what goes on in a second line becomes one.
 * False for control characters, and for a first line that goes on with none. */
static bool unfold(char *to, bytes_t lines) {
    for (size_t i = 0; i < lines.length; i++) {
        char c = lines.data[i];
        bool ends = c == '\r' && i + 1 < lines.length && lines.data[i + 1] == '\n';
        if (ends && i + 2 < lines.length && is_blank(lines.data[i + 2])) {
            i++;
        } else if (ends) {
            *to++ = '\n';
            i++;
        } else if (((unsigned char)c < ' ' && c != '\t') || c == '\x7F') {
            return false;
        } else {
            *to++ = c;
        }
    }
    *to = '\0';
    return lines.length == 0 || !is_blank(*lines.data);
}

/* "Name: value" at `line`, whose end becomes a NUL. */
static int parse_line(part_head_t *head, struct block *block, char *line, bool *disposed,
                      bool *typed) {
    bytes_t name = token_at(line);
    if (name.length == 0 || line[name.length] != ':')
        return UV_EINVAL;
    char *value = (char *)skip_blanks(line + name.length + 1);
    for (char *end = value + strlen(value); end > value && is_blank(end[-1]);)
        *--end = '\0';
    if (is(name, "Content-Disposition") && !*disposed) {
        *disposed = true;
        return parse_disposition(head, block, value);
    }
    if (is(name, "Content-Type") && !*typed) {
        *typed = true;
        parse_type(head, block, value);
    }
    return 0;
}

static int parse_lines(part_head_t *head, struct block *block, bytes_t lines, size_t most) {
    bool disposed = false, typed = false;
    char *line = block->at;
    if (!unfold(line, lines))
        return UV_EINVAL;
    block->at += lines.length + 1;
    for (size_t count = 0; *line; count++) {
        char *end = strchr(line, '\n');
        if (count == most || !end)
            return count == most ? UV_E2BIG : UV_EINVAL;
        *end = '\0';
        int err = parse_line(head, block, line, &disposed, &typed);
        if (err)
            return err;
        line = end + 1;
    }
    return 0;
}

int part_head_parse(part_head_t *head, bytes_t lines, size_t most) {
    /* the lines; the values of both fields, raw and decoded, which is at most three times as long
     */
    char *memory = malloc(6 * lines.length + 64);
    struct block block = {memory};
    *head = (part_head_t){.type = "text/plain", .charset = "", .memory = memory};
    int err = memory ? parse_lines(head, &block, lines, most) : UV_ENOMEM;
    if (err)
        part_head_free(head);
    return err;
}

void part_head_free(part_head_t *head) {
    free(head->memory);
    *head = (part_head_t){0};
}

/* --- The boundary ----------------------------------------------------------------------------- */

size_t part_head_boundary(const char *content_type, char *to, size_t size) {
    struct parameter parameter, boundary = {0};
    size_t length;
    int more;
    if (!is_type(content_type, &length))
        return 0;
    const char *at = content_type + length;
    while ((more = next_parameter(&at, &parameter)) > 0)
        if (is(parameter.name, "boundary") && !boundary.name.data)
            boundary = parameter;
    bool is_good = more == 0 && boundary.name.data && boundary.value.length <= size;
    return is_good ? unquote(to, &boundary) : 0;
}
