#include "protocols/http1_parser.h"

#include "protocols/authority.h"
#include "protocols/lines.h"
#include "protocols/plain_head.h"
#include "protocols/target.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#define USUAL_FIELDS 16

/* A string that comes in pieces. */
struct text {
    char *data;
    size_t length, capacity;
};

struct http1_parser {
    llhttp_t llhttp; /* first */
    struct exchange *exchange;
    struct http1_limits limits;
    const char *data;    /* what llhttp is working on */
    const char *framing; /* … and where it goes on behind the last piece of body */

    /* zero at first */
    const struct plain_head *plain; /* llhttp is seeing lines of it */
    struct text url, name, value;   /* of a head that is not plain */
    size_t head_length;             /* of the head, before `data` */
    size_t extras;                  /* bytes of a chunk's extensions, or of the trailers */
    struct request_line line;
    unsigned hosts, codings; /* fields Host and Transfer-Encoding */
    bool is_1_0;
    bool expects; /* there is a field Expect */
    bool closes;  /* … Connection: close, of which llhttp was not told */
    bool begun, head_done, message_done, failed;
    bool keep_alive;
    bool behind_chunk; /* the data of a chunk has just come: an empty line follows */
    char last_byte;    /* of what is not body, before `framing` */
    char *sink;
    size_t sunk;
    int status;
    /* … up to here */

    struct header fields[USUAL_FIELDS]; /* the exchange's list, unless it has to grow */
};

#define ZERO_FROM offsetof(struct http1_parser, plain)
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

static int append(struct http1_parser *p, struct text *text, const char *at, size_t n, int status) {
    return head_too_large(p, at, n) ? fail(p, status) : grow(p, text, at, n);
}

static int on_url(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    const struct plain_head *plain = p->plain;
    if (plain) /* that we understand the same is what smuggling would have to break */
        return at == plain->url && n == plain->url_length ? 0 : fail(p, 400);
    return append(p, &p->url, at, n, 414);
}

static int on_url_complete(llhttp_t *llhttp) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (!p->plain)
        p->exchange->url = p->url.data;
    if (llhttp->method == HTTP_PRI) /* HTTP/2's preface: llhttp would wait for the rest of it */
        return fail(p, 400);
    return 0;
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
    if (p->plain)
        return 0;
    return p->head_done ? drop_name(p, at, n) : append(p, &p->name, at, n, 431);
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (p->plain)
        return 0;
    return p->head_done ? drop_value(p, n) : append(p, &p->value, at, n, 431);
}

/* Asked of every request, where strncasecmp takes four times as long. */
static bool is_host(const char *name) {
    uint32_t four, host;
    memcpy(&four, name, sizeof four);
    memcpy(&host, "host", sizeof host);
    return (four | 0x20202020) == host;
}

static int note_host(struct http1_parser *p, const char *value, size_t length) {
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
static inline int note_field(struct http1_parser *p, const struct header *field) {
    switch (field->name_length) {
    case 4:
        return is_host(field->name) ? note_host(p, field->value, field->value_length) : 0;
    case 6:
        return note_expectation(p, field->name);
    case 17:
        return note_coding(p, field->name);
    default:
        return 0;
    }
}

static void trim(struct text *value) {
    while (value->length > 0 && is_blank(value->data[value->length - 1]))
        value->length--;
    if (value->data)
        value->data[value->length] = '\0';
}

/* A field is complete; the strings of the next one begin anew. */
static int end_field(struct http1_parser *p) {
    struct exchange *ex = p->exchange;
    struct headers *headers = &ex->headers;
    struct text name = p->name, value = p->value;
    if (headers->count >= p->limits.header_count)
        return fail(p, 431);
    if (name.length == 0 || memchr(name.data, ' ', name.length)) /* which llhttp lets pass */
        return fail(p, 400);
    trim(&value);
    p->name = p->value = (struct text){0};
    if (headers_add(headers, &ex->arena, name.data, name.length, value.data ? value.data : "",
                    value.length))
        return fail(p, 500);
    return note_field(p, &headers->list[headers->count - 1]);
}

static int on_header_value_complete(llhttp_t *llhttp) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (p->plain)
        return 0;
    return p->head_done ? drop_field(p) : end_field(p);
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
    p->plain = NULL;
    p->head_done = true;
    if (check_head(p))
        return HPE_USER;
    p->is_1_0 = llhttp->http_minor == 0;
    p->keep_alive = !p->closes && llhttp_should_keep_alive(llhttp);
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

/* --- Plain heads ------------------------------------------------------------------------------ */

static bool read_plain_head(struct http1_parser *p, struct plain_head *head, const char *data,
                            size_t n) {
    if (n > p->limits.head_size)
        n = p->limits.head_size;
    return plain_head_read(head, &p->exchange->headers, &p->exchange->arena, p->limits.header_count,
                           data, n);
}

static llhttp_errno_t feed_line(struct http1_parser *p, const char *line, const char *end) {
    return llhttp_execute(&p->llhttp, line, (size_t)(end - line));
}

/* The strings of a head are copied as a whole, and what separates them becomes their NULs. Returns
 * how far the copies are from the originals, or 0 when there is no memory. */
static ptrdiff_t copy_strings(struct exchange *ex, const struct plain_head *head) {
    size_t length = (size_t)(head->end - head->url);
    char *copy = arena_alloc(&ex->arena, length);
    if (!copy)
        return 0;
    ptrdiff_t shift = copy - head->url;
    memcpy(copy, head->url, length);
    copy[head->url_length] = '\0';
    ex->url = copy;
    for (uint32_t i = 0; i < ex->headers.count; i++) {
        struct header *field = &ex->headers.list[i];
        char *name = (char *)field->name + shift, *value = (char *)field->value + shift;
        name[field->name_length] = '\0';
        value[field->value_length] = '\0';
        field->name = name;
        field->value = value;
    }
    return shift;
}

static bool has_value(const struct header *field, const char *value, size_t length) {
    return field->value_length == length && memcmp(field->value, value, length) == 0;
}

#define HAS_VALUE(field, literal) has_value((field), (literal), sizeof(literal) - 1)

/* What nearly all say of the connection, if they do: that it stays, as it does in HTTP/1.1 anyway;
 * or that it ends. It would take llhttp as long as the rest of the head. */
static bool note_connection(struct http1_parser *p, const struct header *field) {
    static const char name[] = "Connection";
    if (field->name_length != strlen(name) || strncasecmp(field->name, name, strlen(name)) != 0)
        return false;
    bool closes = HAS_VALUE(field, "close");
    p->closes = p->closes || closes;
    return closes || (!p->is_1_0 && HAS_VALUE(field, "keep-alive"));
}

/* The fields that llhttp knows have longer names than those that are looked at here. */
static bool is_for_llhttp(struct http1_parser *p, const struct header *field) {
    return field->name_length >= strlen("Upgrade") && !note_connection(p, field);
}

/* Look at the fields that say something of the message, which have no NUL behind them yet. Returns
 * a bit for each that llhttp has to see, as `framing` has them; *err is not 0 if one is wrong. */
static uint64_t note_framing(struct http1_parser *p, const struct plain_head *head, int *err) {
    uint64_t lines = 0;
    for (uint64_t left = head->framing; left && !*err; left &= left - 1) {
        const struct header *field = &p->exchange->headers.list[__builtin_ctzll(left)];
        *err = note_field(p, field);
        if (is_for_llhttp(p, field))
            lines |= left & -left;
    }
    return lines;
}

/* Its line, in the original. */
static llhttp_errno_t feed_field(struct http1_parser *p, const struct plain_head *head,
                                 const struct header *field, ptrdiff_t shift) {
    const struct headers *headers = &p->exchange->headers;
    bool is_last = field + 1 == headers->list + headers->count;
    return feed_line(p, field->name - shift, is_last ? head->end : field[1].name - shift);
}

static bool has_method(const struct plain_head *head, const char *line, const char *method) {
    size_t length = (size_t)(head->url - line) - 1;
    return length == strlen(method) && memcmp(line, method, length) == 0;
}

/* GET and HEAD of a path, from one host: when no field says anything of a body, or of another
 * protocol, llhttp has nothing to judge. It would take a fifth of all that a request takes. NULL if
 * it is something else. */
static const char *simple_method(const struct http1_parser *p, const struct plain_head *head) {
    if (head->minor != '1' || p->hosts != 1 || *head->url != '/')
        return NULL;
    if (has_method(head, p->data, "GET"))
        return "GET";
    return has_method(head, p->data, "HEAD") ? "HEAD" : NULL;
}

/* llhttp gets the lines that say where the message ends and what comes behind it. */
static llhttp_errno_t feed_lines(struct http1_parser *p, const struct plain_head *head,
                                 uint64_t lines, ptrdiff_t shift) {
    p->plain = head;
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    llhttp_errno_t err = feed_line(p, p->data, head->fields);
    for (; lines && !err; lines &= lines - 1)
        err = feed_field(p, head, &p->exchange->headers.list[__builtin_ctzll(lines)], shift);
    return err ? err : feed_line(p, head->end, head->end + strlen("\r\n"));
}

static llhttp_errno_t feed_plain_head(struct http1_parser *p, const struct plain_head *head,
                                      size_t *used) {
    int err = 0;
    p->is_1_0 = head->minor == '0';
    uint64_t lines = note_framing(p, head, &err);
    if (err)
        return err;
    ptrdiff_t shift = copy_strings(p->exchange, head);
    if (!shift)
        return (llhttp_errno_t)fail(p, 500);
    const char *method = lines ? NULL : simple_method(p, head);
    if (!method)
        return feed_lines(p, head, lines, shift);
    p->exchange->method = method;
    p->keep_alive = !p->closes;
    p->head_done = p->message_done = true;
    *used = (size_t)(head->end - p->data) + strlen("\r\n");
    return HPE_OK;
}

/* --- Driving ---------------------------------------------------------------------------------- */

const size_t http1_parser_size = sizeof(struct http1_parser);

struct http1_parser *http1_parser_init(void *memory, struct exchange *exchange,
                                       const struct http1_limits *limits) {
    struct http1_parser *p = memory;
    memset((char *)p + ZERO_FROM, 0, ZERO_TO - ZERO_FROM); /* llhttp sees to its part */
    p->exchange = exchange;
    exchange->headers = (struct headers){.list = p->fields, .capacity = USUAL_FIELDS};
    p->limits = *limits;
    p->last_byte = '\n';
    return p;
}

/* Lines of a head that is not plain. */
static NOT_INLINE void check_lines(struct http1_parser *p, const char *data, size_t n) {
    if (!lines_are_strict(&p->last_byte, data, n))
        fail(p, 400);
    p->head_length += n;
    if (p->head_length > p->limits.head_size)
        fail(p, p->exchange->url ? 431 : 414);
}

enum parse_result http1_parser_feed(struct http1_parser *p, const char *data, size_t n,
                                    size_t *used) {
    struct plain_head plain;
    bool in_head = !p->head_done, is_plain = !p->begun && read_plain_head(p, &plain, data, n);
    if (!p->begun && !is_plain)
        llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    *used = n;
    p->begun = true;
    if (in_head && !is_plain && !request_line_is_strict(&p->line, data, n))
        fail(p, 400);
    if (p->failed)
        return PARSE_ERROR;
    p->data = p->framing = data;
    llhttp_errno_t err =
        is_plain ? feed_plain_head(p, &plain, used) : llhttp_execute(&p->llhttp, data, n);
    if (err == HPE_PAUSED) {
        *used = (size_t)(llhttp_get_error_pos(&p->llhttp) - data);
        llhttp_resume(&p->llhttp);
    } else if (err != HPE_OK) {
        fail(p, 400);
        return PARSE_ERROR;
    }
    if (!in_head && p->exchange->content_length < 0)
        check_framing(p, data + *used);
    else if (in_head && !is_plain)
        check_lines(p, data, *used);
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
    return p->is_1_0;
}
