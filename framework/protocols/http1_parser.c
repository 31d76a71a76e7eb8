#include "protocols/http1_parser.h"

#include "protocols/authority.h"
#include "protocols/lines.h"
#include "protocols/target.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#define USUAL_FIELDS 16

/* A string. As a rule it lies in the data that llhttp is working on; when a read ends in the middle
 * of the head it is copied, and grows. */
struct text {
    char *data;
    size_t length, capacity; /* capacity 0: it is not ours */
};

struct http1_parser {
    llhttp_t llhttp; /* first */
    struct exchange *exchange;
    struct http1_limits limits;
    const char *data, *data_end; /* what llhttp is working on */
    const char *framing;         /* … and where it goes on behind the last piece of body */

    /* zero at first */
    struct text url, name, value;
    const char *next_line; /* of a head in place: behind the last one that was strict */
    size_t head_length;    /* of the head, before `data` */
    size_t extras;         /* bytes of a chunk's extensions, or of the trailers */
    struct request_line line;
    unsigned hosts, codings; /* fields Host and Transfer-Encoding */
    bool expects;            /* there is a field Expect */
    bool in_place;           /* the head is one piece until now: nothing has been copied */
    bool head_done, message_done, failed;
    bool keep_alive;
    bool behind_chunk; /* the data of a chunk has just come: an empty line follows */
    char last_byte;    /* of what is not body, before `framing` */
    char *sink;
    size_t sunk;
    int status;
    /* … up to here */

    struct header fields[USUAL_FIELDS]; /* the exchange's list, unless it has to grow */
};

#define ZERO_FROM offsetof(struct http1_parser, url)
#define ZERO_TO offsetof(struct http1_parser, fields)

/* What is rare is not inlined: what is common would have to save registers for it. */
#define NOT_INLINE __attribute__((noinline))
#define RARE __attribute__((cold, noinline))

static RARE int fail(struct http1_parser *p, int status) {
    if (!p->failed)
        p->status = status;
    p->failed = true;
    return HPE_USER;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* --- The head --------------------------------------------------------------------------------- */

static int grow(struct http1_parser *p, struct text *text, const char *at, size_t n) {
    size_t needed = text->length + n + 1;
    if (needed > text->capacity) {
        size_t capacity = text->length ? needed * 2 : needed; /* most strings come in one piece */
        char *data = arena_resize(&p->exchange->arena, text->data, text->capacity, capacity);
        if (!data)
            return fail(p, 500);
        text->data = data;
        text->capacity = capacity;
    }
    memcpy(text->data + text->length, at, n);
    text->length += n;
    text->data[text->length] = '\0';
    return 0;
}

static bool head_too_large(const struct http1_parser *p, const char *at, size_t n) {
    return p->head_length + (size_t)(at + n - p->data) > p->limits.head_size;
}

/* Some of a string of a head that is one piece until now: how large it is will be looked at in its
 * end. */
static inline int note(struct text *text, const char *at, size_t n) {
    if (text->length == 0)
        text->data = (char *)at;
    text->length += n;
    return 0;
}

/* … of a head that came in pieces; `status` is for one that is too large. */
static RARE int append(struct http1_parser *p, struct text *text, const char *at, size_t n,
                       int status) {
    return head_too_large(p, at, n) ? fail(p, status) : grow(p, text, at, n);
}

static int on_url(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    return p->in_place ? note(&p->url, at, n) : append(p, &p->url, at, n, 414);
}

static int on_url_complete(llhttp_t *llhttp) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    p->exchange->url = p->url.data;
    return 0;
}

/* --- One piece, or several ----------------------------------------------------------------------
 */

static const char *skip_blanks(const char *at) {
    while (is_blank(*at))
        at++;
    return at;
}

static bool is_crlf(const char *at) {
    return at[0] == '\r' && at[1] == '\n';
}

/* "METHOD url HTTP/1.1": where the line behind it begins, or NULL. Without a version no more than
 * an empty line may come behind it. */
static const char *skip_request_line(const struct http1_parser *p) {
    const char *at = p->data, *url = p->url.data, *end = url + p->url.length;
    while (is_crlf(at)) /* empty lines before it are allowed */
        at += 2;
    while (*at > ' ') /* the method, in which llhttp has found no fault */
        at++;
    if (*at != ' ' || at + 1 != url)
        return NULL;
    for (const char *c = url; c < end; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return NULL;
    bool strict = p->data_end - end >= 11 && memcmp(end, " HTTP/", 6) == 0 && is_crlf(end + 9);
    return strict ? end + 11 : NULL;
}

/* "Name: value", with blanks before and behind the value: where the next one begins, or NULL. */
static const char *skip_field(const struct text *name, const struct text *value, const char *at) {
    if (name->data != at || at[name->length] != ':')
        return NULL;
    at = skip_blanks(at + name->length + 1);
    if (value->length > 0 && value->data != at)
        return NULL;
    at = skip_blanks(at + value->length);
    return is_crlf(at) ? at + 2 : NULL;
}

/*
 * Is there nothing in this line but the strings that llhttp has found, and what must stand between
 * them? What llhttp accepts beyond that (LF alone, CR alone, folding) is where request smuggling
 * begins. llhttp has seen what stands behind the line, so that there are bytes to look at.
 */
static bool line_is_strict(struct http1_parser *p, const struct text *name,
                           const struct text *value) {
    p->next_line = skip_field(name, value, p->next_line);
    return p->next_line;
}

/* Where the head ends, if all of its lines were strict; else NULL. */
static const char *end_of_head(const struct http1_parser *p) {
    const char *at = p->next_line ? p->next_line : skip_request_line(p);
    return at && is_crlf(at) ? at : NULL;
}

/* The head ends in the piece in which it has begun: it is copied as a whole, and what separates its
 * strings becomes their NULs. */
static int copy_head(struct http1_parser *p) {
    struct headers *headers = &p->exchange->headers;
    const char *end = end_of_head(p);
    if ((size_t)(p->url.data + p->url.length - p->data) > p->limits.head_size)
        return fail(p, 414);
    if (!end)
        return fail(p, 400);
    size_t n = (size_t)(end - p->data);
    if (n + 2 > p->limits.head_size)
        return fail(p, 431);
    char *copy = arena_copy(&p->exchange->arena, p->data, n);
    if (!copy)
        return fail(p, 500);
    ptrdiff_t shift = copy - p->data;
    char *url = p->url.data + shift;
    url[p->url.length] = '\0';
    p->exchange->url = url;
    for (uint32_t i = 0; i < headers->count; i++) {
        struct header *header = &headers->list[i];
        char *name = (char *)header->name + shift;
        name[header->name_length] = '\0';
        header->name = name;
        if (header->value_length == 0)
            continue;
        char *value = (char *)header->value + shift;
        value[header->value_length] = '\0';
        header->value = value;
    }
    p->in_place = false;
    return 0;
}

static bool own(struct http1_parser *p, struct text *text) {
    struct text borrowed = *text;
    *text = (struct text){0};
    return borrowed.length == 0 || grow(p, text, borrowed.data, borrowed.length) == 0;
}

/* The rest of the head is yet to come, and the data goes: each string is copied for itself. */
static void leave_place(struct http1_parser *p) {
    struct headers *headers = &p->exchange->headers;
    struct arena *arena = &p->exchange->arena;
    bool has_url = p->exchange->url;
    p->in_place = false;
    bool done = own(p, &p->url) && own(p, &p->name) && own(p, &p->value);
    if (has_url)
        p->exchange->url = p->url.data;
    for (uint32_t i = 0; done && i < headers->count; i++) {
        struct header *header = &headers->list[i];
        header->name = arena_copy(arena, header->name, header->name_length);
        header->value = arena_copy(arena, header->value, header->value_length);
        done = header->name && header->value;
    }
    if (!done)
        fail(p, 500);
}

/* --- Fields ------------------------------------------------------------------------------------
 */

/* Trailers are read, and dropped. */
static int on_extra(struct http1_parser *p, size_t n) {
    p->extras += n;
    return p->extras > p->limits.head_size ? fail(p, 431) : 0;
}

static RARE int drop_name(struct http1_parser *p, const char *at, size_t n) {
    p->name.length += n;
    return memchr(at, ' ', n) ? fail(p, 400) : on_extra(p, n);
}

static RARE int drop_value(struct http1_parser *p, size_t n) {
    return on_extra(p, n);
}

static RARE int drop_field(struct http1_parser *p) {
    bool is_named = p->name.length > 0;
    p->name.length = 0;
    return is_named ? on_extra(p, strlen(": \r\n")) : fail(p, 400);
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (p->in_place)
        return note(&p->name, at, n);
    return p->head_done ? drop_name(p, at, n) : append(p, &p->name, at, n, 431);
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (p->in_place)
        return note(&p->value, at, n);
    return p->head_done ? drop_value(p, n) : append(p, &p->value, at, n, 431);
}

/* Asked of every request, where strncasecmp takes four times as long. */
static bool is_host(const char *name) {
    uint32_t four, host;
    memcpy(&four, name, sizeof four);
    memcpy(&host, "host", sizeof host);
    return (four | 0x20202020) == host;
}

static NOT_INLINE int note_host(struct http1_parser *p, const char *value, size_t length) {
    p->hosts++;
    return authority_is_host(value, length) ? 0 : fail(p, 400);
}

static NOT_INLINE int note_coding(struct http1_parser *p, const char *name) {
    p->codings += strncasecmp(name, "Transfer-Encoding", 17) == 0;
    return 0;
}

static NOT_INLINE int note_expectation(struct http1_parser *p, const char *name) {
    p->expects = p->expects || strncasecmp(name, "Expect", 6) == 0;
    return 0;
}

/* Those that make a difference here. */
static inline int note_field(struct http1_parser *p, const struct text *name,
                             const struct text *value) {
    switch (name->length) {
    case 4:
        return is_host(name->data) ? note_host(p, value->data, value->length) : 0;
    case 6:
        return note_expectation(p, name->data);
    case 17:
        return note_coding(p, name->data);
    default:
        return 0;
    }
}

static inline int add_field(struct http1_parser *p, const struct text *name,
                            const struct text *value) {
    struct exchange *ex = p->exchange;
    if (headers_add(&ex->headers, &ex->arena, name->data, name->length,
                    value->length ? value->data : "", value->length))
        return fail(p, 500);
    return note_field(p, name, value);
}

/* Does a name have a blank? llhttp lets that pass, but nothing else below '!'. Eight bytes at a
 * time: memchr takes twice as long for so few. */
static bool has_blank(const struct text *name) {
    const uint64_t low = 0x2121212121212121, high = 0x8080808080808080;
    size_t n = name->length;
    for (size_t i = 0; n < sizeof low && i < n; i++)
        if (name->data[i] == ' ')
            return true;
    if (n < sizeof low)
        return false;
    for (size_t at = 0;; at += sizeof low) {
        uint64_t eight;
        at = at < n - sizeof low ? at : n - sizeof low;
        memcpy(&eight, name->data + at, sizeof eight);
        if ((eight - low) & high) /* one below '!', or none of ASCII */
            return true;
        if (at == n - sizeof low)
            return false;
    }
}

static inline size_t trimmed_length(const struct text *value) {
    size_t n = value->length;
    while (n > 0 && is_blank(value->data[n - 1]))
        n--;
    return n;
}

/* A field of a head in pieces: its strings are ours, and get their NULs. Those of the next one
 * begin anew. */
static RARE int end_field(struct http1_parser *p) {
    struct text name = p->name, value = p->value;
    if (p->exchange->headers.count >= p->limits.header_count)
        return fail(p, 431);
    if (name.length == 0 || has_blank(&name))
        return fail(p, 400);
    value.length = trimmed_length(&p->value);
    if (value.data)
        value.data[value.length] = '\0';
    p->name = p->value = (struct text){0};
    return add_field(p, &name, &value);
}

/* A field of a head in place. */
static inline int note_line(struct http1_parser *p) {
    const struct text name = {p->name.data, p->name.length, 0};
    const struct text value = {p->value.data, trimmed_length(&p->value), 0};
    p->name.length = p->value.length = 0;
    if (p->exchange->headers.count >= p->limits.header_count)
        return fail(p, 431);
    if (name.length == 0 || has_blank(&name) || !line_is_strict(p, &name, &value))
        return fail(p, 400);
    return add_field(p, &name, &value);
}

/* … the first one, behind the request line. */
static NOT_INLINE int note_first_line(struct http1_parser *p) {
    p->next_line = skip_request_line(p);
    return p->next_line ? note_line(p) : fail(p, 400);
}

/* … that the list has no room for. */
static RARE int note_line_too_many(struct http1_parser *p) {
    struct exchange *ex = p->exchange;
    return headers_grow(&ex->headers, &ex->arena) ? fail(p, 500) : note_line(p);
}

static int on_header_value_complete(llhttp_t *llhttp) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    const struct headers *headers = &p->exchange->headers;
    if (!p->in_place)
        return p->head_done ? drop_field(p) : end_field(p);
    if (!p->next_line)
        return note_first_line(p);
    return headers->count < headers->capacity ? note_line(p) : note_line_too_many(p);
}

/* Of some fields two make the message ambiguous: which one would the next server believe? */
static int check_head(struct http1_parser *p) {
    struct exchange *ex = p->exchange;
    if (p->llhttp.http_major != 1 || p->llhttp.http_minor > 1)
        return fail(p, 505);
    if (p->llhttp.method == HTTP_CONNECT)
        return fail(p, 0); /* as node does: this is no proxy */
    if (p->hosts > 1 || (p->hosts == 0 && p->llhttp.http_minor == 1))
        return fail(p, 400);
    if (p->codings > 1 || (p->codings == 1 && !(p->llhttp.flags & F_CHUNKED)))
        return fail(p, 400);
    if (p->codings == 1 && p->llhttp.http_minor == 0)
        return fail(p, 400); /* RFC 9112 6.1: faulty framing */
    if (*ex->url != '/' && !target_is_clear(ex->url, headers_get(&ex->headers, "Host")))
        return fail(p, 400);
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    struct exchange *ex = p->exchange;
    ex->method = llhttp_method_name((llhttp_method_t)llhttp->method);
    if (p->in_place && copy_head(p))
        return HPE_USER;
    p->head_done = true;
    if (check_head(p))
        return HPE_USER;
    p->keep_alive = llhttp_should_keep_alive(llhttp);
    ex->upgrade = llhttp->upgrade;
    llhttp->upgrade = 0; /* whether it is one is decided by the layers above */
    if (llhttp->flags & F_CHUNKED)
        ex->content_length = -1;
    else if (llhttp->content_length > INT64_MAX)
        return fail(p, 413);
    else
        ex->content_length = (int64_t)llhttp->content_length;
    return ex->content_length ? HPE_PAUSED : 0;
}

/* --- Lines ------------------------------------------------------------------------------------ */

/* What stands between the data of chunks, and behind the last one, up to `end`. */
static NOT_INLINE int check_framing(struct http1_parser *p, const char *end) {
    const char *start = p->framing;
    if (start == end)
        return 0;
    p->framing = end;
    if (p->behind_chunk && *start != '\r')
        return fail(p, 400);
    p->behind_chunk = false;
    return lines_are_strict(&p->last_byte, start, (size_t)(end - start)) ? 0 : fail(p, 400);
}

/* --- The body --------------------------------------------------------------------------------- */

static int on_body(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (p->exchange->content_length < 0) {
        if (check_framing(p, at))
            return HPE_USER;
        p->framing = at + n;
        p->behind_chunk = true;
        p->last_byte = '\0';
    }
    if (p->sink)
        memcpy(p->sink + p->sunk, at, n);
    p->sunk += n;
    return 0;
}

static int on_chunk_extension(llhttp_t *llhttp, const char *at, size_t n) {
    return on_extra((struct http1_parser *)llhttp, n);
}

/* No body is that long, and who counts it by a signed number would see a negative one. */
static int on_chunk_header(llhttp_t *llhttp) {
    return llhttp->content_length > INT64_MAX ? fail((struct http1_parser *)llhttp, 400) : 0;
}

static int on_chunk_complete(llhttp_t *llhttp) {
    ((struct http1_parser *)llhttp)->extras = 0;
    return 0;
}

static int on_message_complete(llhttp_t *llhttp) {
    ((struct http1_parser *)llhttp)->message_done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_chunk_header = on_chunk_header,
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_message_complete,
};

/* --- Driving ---------------------------------------------------------------------------------- */

const size_t http1_parser_size = sizeof(struct http1_parser);

struct http1_parser *http1_parser_init(void *memory, struct exchange *exchange,
                                       const struct http1_limits *limits) {
    struct http1_parser *p = memory;
    memset((char *)p + ZERO_FROM, 0, ZERO_TO - ZERO_FROM); /* llhttp sees to its part */
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->exchange = exchange;
    exchange->headers = (struct headers){.list = p->fields, .capacity = USUAL_FIELDS};
    p->limits = *limits;
    p->last_byte = '\n';
    p->in_place = true;
    return p;
}

/* The rest of a head that came in pieces. */
static NOT_INLINE void check_lines(struct http1_parser *p, const char *data, size_t n) {
    if (!lines_are_strict(&p->last_byte, data, n))
        fail(p, 400);
    p->head_length += n;
    if (p->head_length > p->limits.head_size)
        fail(p, p->exchange->url ? 431 : 414);
}

/* All that has come belongs to the head, and that goes on. */
static NOT_INLINE void end_place(struct http1_parser *p, const char *data, size_t n) {
    if (!request_line_is_strict(&p->line, data, n))
        fail(p, 400);
    check_lines(p, data, n);
    leave_place(p);
}

enum parse_result http1_parser_feed(struct http1_parser *p, const char *data, size_t n,
                                    size_t *used) {
    bool in_head = !p->head_done, was_in_place = p->in_place;
    *used = n;
    if (in_head && !was_in_place && !request_line_is_strict(&p->line, data, n))
        fail(p, 400);
    if (p->failed)
        return PARSE_ERROR;
    p->data = p->framing = data;
    p->data_end = data + n;
    llhttp_errno_t err = llhttp_execute(&p->llhttp, data, n);
    if (err == HPE_PAUSED) {
        *used = (size_t)(llhttp_get_error_pos(&p->llhttp) - data);
        llhttp_resume(&p->llhttp);
    } else if (err != HPE_OK) {
        fail(p, 400);
        return PARSE_ERROR;
    }
    if (p->in_place) {
        end_place(p, data, n);
    } else if (in_head && !was_in_place) {
        check_lines(p, data, *used);
    } else if (!in_head && p->exchange->content_length < 0) {
        check_framing(p, data + *used);
    }
    if (p->failed)
        return PARSE_ERROR;
    if (p->message_done)
        return PARSE_DONE;
    return err == HPE_PAUSED ? PARSE_HEAD : PARSE_MORE;
}

void http1_parser_sink(struct http1_parser *p, char *buffer) {
    p->sink = buffer;
    p->sunk = 0;
}

size_t http1_parser_sunk(const struct http1_parser *p) {
    return p->sunk;
}

int http1_parser_status(const struct http1_parser *p) {
    return p->status;
}

bool http1_parser_expects(const struct http1_parser *p) {
    return p->expects;
}

bool http1_parser_keep_alive(const struct http1_parser *p) {
    return p->keep_alive;
}

bool http1_parser_is_1_0(const struct http1_parser *p) {
    return p->llhttp.http_minor == 0;
}
