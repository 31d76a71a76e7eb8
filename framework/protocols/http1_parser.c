#include "protocols/http1_parser.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

/* A string that comes in pieces, when a read ends in the middle of it. */
struct text {
    char *data;
    size_t length, capacity;
};

/* How far the request line has come. */
struct request_line {
    unsigned blanks;
    unsigned protocol; /* how much of "HTTP/" has come behind them */
    bool begun, done;
};

struct http1_parser {
    llhttp_t llhttp; /* first */
    struct exchange *exchange;
    struct http1_limits limits;
    struct text url, name, value;
    const char *data;    /* what llhttp is working on */
    const char *framing; /* … and where it goes on behind the last piece of body */
    size_t head_length;  /* of the head, before `data` */
    size_t extras;       /* bytes of a chunk's extensions, or of the trailers */
    struct request_line line;
    bool head_done, message_done, failed;
    bool keep_alive;
    bool behind_chunk; /* the data of a chunk has just come: an empty line follows */
    char last_byte;    /* of what is not body, before `framing` */
    char *sink;
    size_t sunk;
    int status;
};

static int fail(struct http1_parser *p, int status) {
    if (!p->failed)
        p->status = status;
    p->failed = true;
    return HPE_USER;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* --- The head --------------------------------------------------------------------------------- */

static int append(struct http1_parser *p, struct text *text, const char *at, size_t n) {
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

static int on_url(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (head_too_large(p, at, n))
        return fail(p, 414);
    return append(p, &p->url, at, n);
}

static int on_url_complete(llhttp_t *llhttp) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    p->exchange->url = p->url.data;
    return 0;
}

/* Trailers are read, and dropped. */
static int on_extra(struct http1_parser *p, size_t n) {
    p->extras += n;
    return p->extras > p->limits.head_size ? fail(p, 431) : 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (p->head_done)
        return on_extra(p, n);
    return head_too_large(p, at, n) ? fail(p, 431) : append(p, &p->name, at, n);
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t n) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    if (p->head_done)
        return on_extra(p, n);
    return head_too_large(p, at, n) ? fail(p, 431) : append(p, &p->value, at, n);
}

static int on_header_value_complete(llhttp_t *llhttp) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    struct exchange *ex = p->exchange;
    if (p->head_done)
        return 0;
    if (ex->headers.count >= p->limits.header_count)
        return fail(p, 431);
    struct text name = p->name, value = p->value;
    if (name.length == 0 || memchr(name.data, ' ', name.length))
        return fail(p, 400);
    while (value.length > 0 && is_blank(value.data[value.length - 1]))
        value.data[--value.length] = '\0';
    p->name = p->value = (struct text){0};
    return headers_add(&ex->headers, &ex->arena, name.data, name.length,
                       value.data ? value.data : "", value.length)
               ? fail(p, 500)
               : 0;
}

static unsigned count(const struct headers *headers, const char *name) {
    size_t length = strlen(name);
    unsigned seen = 0;
    for (uint32_t i = 0; i < headers->count; i++)
        if (headers->list[i].name_length == length &&
            strncasecmp(headers->list[i].name, name, length) == 0)
            seen++;
    return seen;
}

/* Of some fields two make the message ambiguous: which one would the next server believe? */
static int check_head(struct http1_parser *p) {
    const struct headers *headers = &p->exchange->headers;
    unsigned hosts = count(headers, "Host"), codings = count(headers, "Transfer-Encoding");
    if (p->llhttp.http_major != 1 || p->llhttp.http_minor > 1)
        return fail(p, 505);
    if (p->llhttp.method == HTTP_CONNECT)
        return fail(p, 0); /* as node does: this is no proxy */
    if (hosts > 1 || (hosts == 0 && p->llhttp.http_minor == 1))
        return fail(p, 400);
    if (codings > 1 || (codings == 1 && !(p->llhttp.flags & F_CHUNKED)))
        return fail(p, 400);
    if (codings == 1 && p->llhttp.http_minor == 0)
        return fail(p, 400); /* RFC 9112 6.1: faulty framing */
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp) {
    struct http1_parser *p = (struct http1_parser *)llhttp;
    struct exchange *ex = p->exchange;
    p->head_done = true;
    ex->method = llhttp_method_name((llhttp_method_t)llhttp->method);
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

/*
 * Every line ends in CRLF, none begins with a blank, and a CR stands nowhere else. What llhttp
 * accepts beyond that (LF alone, folding) is where request smuggling begins.
 */
static bool lines_are_strict(struct http1_parser *p, const char *data, size_t n) {
    const char *end = data + n, *at;
    if (n == 0)
        return true;
    if ((p->last_byte == '\r' && data[0] != '\n') || (p->last_byte == '\n' && is_blank(data[0])))
        return false;
    for (at = data; (at = memchr(at, '\n', (size_t)(end - at))); at++) {
        char before = at > data ? at[-1] : p->last_byte;
        if (before != '\r' || (at + 1 < end && is_blank(at[1])))
            return false;
    }
    for (at = data; (at = memchr(at, '\r', (size_t)(end - at))); at++)
        if (at + 1 < end && at[1] != '\n')
            return false;
    p->last_byte = end[-1];
    return true;
}

/* "METHOD url HTTP/1.1": one blank between them, nothing but ASCII (RFC 3986 2), no control
 * characters, no other protocol. */
static bool request_line_is_strict(struct http1_parser *p, const char *data, size_t n) {
    static const char protocol[] = "HTTP/";
    struct request_line line = p->line;
    for (const char *at = data; at < data + n && !line.done; at++) {
        unsigned char c = (unsigned char)*at;
        if (c > ' ' && c < 0x7f) {
            line.begun = true;
            if (line.blanks == 2 && line.protocol < sizeof protocol - 1 &&
                c != protocol[line.protocol++])
                return false;
        } else if (c == ' ') {
            line.begun = true;
            line.blanks++;
        } else if (c == '\r' || c == '\n') {
            line.done = line.begun; /* empty lines before it are allowed */
        } else {
            return false;
        }
    }
    p->line = line;
    return !line.done || line.blanks == 2;
}

/* What stands between the data of chunks, and behind the last one, up to `end`. */
static int check_framing(struct http1_parser *p, const char *end) {
    const char *start = p->framing;
    if (start == end)
        return 0;
    p->framing = end;
    if (p->behind_chunk && *start != '\r')
        return fail(p, 400);
    p->behind_chunk = false;
    return lines_are_strict(p, start, (size_t)(end - start)) ? 0 : fail(p, 400);
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
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_message_complete,
};

/* --- Driving ---------------------------------------------------------------------------------- */

struct http1_parser *http1_parser_new(struct exchange *exchange,
                                      const struct http1_limits *limits) {
    struct http1_parser *p = arena_zalloc(&exchange->arena, sizeof *p);
    if (!p)
        return NULL;
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->exchange = exchange;
    p->limits = *limits;
    p->last_byte = '\n';
    return p;
}

static void check_progress(struct http1_parser *p, bool in_head, const char *data, size_t n) {
    if (in_head) {
        if (!lines_are_strict(p, data, n))
            fail(p, 400);
        p->head_length += n;
        if (p->head_length > p->limits.head_size)
            fail(p, p->exchange->url ? 431 : 414);
    } else if (p->exchange->content_length < 0) {
        check_framing(p, data + n);
    }
}

enum parse_result http1_parser_feed(struct http1_parser *p, const char *data, size_t n,
                                    size_t *used) {
    bool in_head = !p->head_done;
    *used = n;
    if (in_head && !request_line_is_strict(p, data, n))
        fail(p, 400);
    if (p->failed)
        return PARSE_ERROR;
    p->data = p->framing = data;
    llhttp_errno_t err = llhttp_execute(&p->llhttp, data, n);
    if (err == HPE_PAUSED) {
        *used = (size_t)(llhttp_get_error_pos(&p->llhttp) - data);
        llhttp_resume(&p->llhttp);
    } else if (err != HPE_OK) {
        fail(p, 400);
        return PARSE_ERROR;
    }
    check_progress(p, in_head, data, *used);
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

bool http1_parser_keep_alive(const struct http1_parser *p) {
    return p->keep_alive;
}

bool http1_parser_is_1_0(const struct http1_parser *p) {
    return p->llhttp.http_minor == 0;
}
