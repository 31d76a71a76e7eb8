/* HTTP/1.1 as scripted bytes: in one piece, in two pieces cut anywhere, and byte by byte. */
#include "protocols/http1_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 4096

/* One message, from the first byte to the last, or to its error. */
struct parsed {
    enum parse_result result;
    bool head; /* it stopped behind the head, as it does before a body */
    size_t used;
    struct exchange exchange;
    struct http1_parser *parser;
    char body[ROOM];
    size_t length;
};

static const struct http1_limits limits = {16384, 100};

static void begin(struct parsed *p, const struct http1_limits *with) {
    memset(p, 0, sizeof *p);
    arena_init(&p->exchange.arena, NULL);
    void *memory = arena_zalloc(&p->exchange.arena, http1_parser_size);
    assert_non_null(memory);
    p->parser = http1_parser_init(memory, &p->exchange, with);
}

static void end(struct parsed *p) {
    arena_release(&p->exchange.arena);
}

/* A piece lies in memory of its own, so that AddressSanitizer sees who reads past it. */
static bool feed(struct parsed *p, const char *data, size_t n) {
    char *piece = malloc(n ? n : 1);
    size_t at = 0, used;
    memcpy(piece, data, n);
    do {
        http1_parser_sink(p->parser, p->body + p->length);
        p->result = http1_parser_feed(p->parser, piece + at, n - at, &used);
        p->length += http1_parser_sunk(p->parser);
        assert_true(used <= n - at);
        at += used;
        if (p->result == PARSE_HEAD) {
            assert_false(p->head);
            p->head = true;
        }
    } while (p->result == PARSE_HEAD && at < n);
    p->used += at;
    free(piece);
    return p->result == PARSE_MORE || p->result == PARSE_HEAD;
}

/* The pieces: up to a, up to b, and the rest. */
static void parse_cut(struct parsed *p, const char *text, size_t n, size_t a, size_t b) {
    begin(p, &limits);
    if (feed(p, text, a) && feed(p, text + a, b - a))
        feed(p, text + b, n - b);
}

static void parse_bytes(struct parsed *p, const char *text, size_t n) {
    begin(p, &limits);
    for (size_t i = 0; i < n && feed(p, text + i, 1); i++)
        ;
}

/* What comes out does not depend on the pieces. */
static void check_all_cuts(const char *text, size_t n,
                           void (*check)(const struct parsed *p, const void *arg),
                           const void *arg) {
    struct parsed p;
    for (size_t a = 0; a <= n; a++) {
        size_t step = n < 150 ? 1 : 17;
        for (size_t b = a; b <= n; b += step) {
            parse_cut(&p, text, n, a, b);
            check(&p, arg);
            end(&p);
        }
    }
    parse_bytes(&p, text, n);
    check(&p, arg);
    end(&p);
}

/* --- What is right ---------------------------------------------------------------------------- */

struct expected {
    const char *method, *url, *headers, *body;
    int64_t content_length;
    bool keep_alive, is_1_0, upgrade;
};

static void check_message(const struct parsed *p, const void *arg) {
    const struct expected *e = arg;
    char headers[ROOM] = "";
    assert_int_equal(p->result, PARSE_DONE);
    assert_string_equal(p->exchange.method, e->method);
    assert_string_equal(p->exchange.url, e->url);
    for (uint32_t i = 0; i < p->exchange.headers.count; i++) {
        const struct header *header = &p->exchange.headers.list[i];
        size_t at = strlen(headers);
        assert_int_equal(strlen(header->name), header->name_length);
        assert_int_equal(strlen(header->value), header->value_length);
        snprintf(headers + at, sizeof headers - at, "%s=%s\n", header->name, header->value);
    }
    assert_string_equal(headers, e->headers);
    assert_int_equal(p->length, strlen(e->body));
    assert_memory_equal(p->body, e->body, p->length);
    assert_int_equal(p->exchange.content_length, e->content_length);
    assert_int_equal(http1_parser_keep_alive(p->parser), e->keep_alive);
    assert_int_equal(http1_parser_is_1_0(p->parser), e->is_1_0);
    assert_int_equal(p->exchange.upgrade, e->upgrade);
}

static void check(const char *text, struct expected expected) {
    if (!expected.body)
        expected.body = "";
    check_all_cuts(text, strlen(text), check_message, &expected);
}

static void test_requests(void **state) {
    check(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        (struct expected){.method = "GET", .url = "/", .headers = "Host=a\n", .keep_alive = true});
    check("GET /a?b#c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
          (struct expected){
              .method = "GET", .url = "/a?b#c", .headers = "Host=a\nConnection=close\n"});
    check("GET / HTTP/1.1\r\nHost: a\r\nconnection: Close\r\n\r\n",
          (struct expected){.method = "GET", .url = "/", .headers = "Host=a\nconnection=Close\n"});
    check("GET / HTTP/1.1\r\nHost: a\r\nCache-Busy: close\r\n\r\n", /* a name as long */
          (struct expected){.method = "GET",
                            .url = "/",
                            .headers = "Host=a\nCache-Busy=close\n",
                            .keep_alive = true});
    check("GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
          (struct expected){.method = "GET",
                            .url = "/",
                            .headers = "Connection=close\nHost=a\nConnection=keep-alive\n"});
    check("GET / HTTP/1.0\r\nConnection: close\r\n\r\n",
          (struct expected){
              .method = "GET", .url = "/", .headers = "Connection=close\n", .is_1_0 = true});
    check("OPTIONS * HTTP/1.0\r\n\r\n",
          (struct expected){.method = "OPTIONS", .url = "*", .headers = "", .is_1_0 = true});
    check("HEAD http://b/c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          (struct expected){.method = "HEAD",
                            .url = "http://b/c",
                            .headers = "Connection=keep-alive\n",
                            .keep_alive = true,
                            .is_1_0 = true});
    check(
        "M-SEARCH /%zz~ HTTP/1.1\r\nhOST:[::1]:8\r\n\r\n",
        (struct expected){
            .method = "M-SEARCH", .url = "/%zz~", .headers = "hOST=[::1]:8\n", .keep_alive = true});
    check("\r\n\r\nDELETE /a HTTP/1.1\r\nHost: a\r\n\r\n",
          (struct expected){
              .method = "DELETE", .url = "/a", .headers = "Host=a\n", .keep_alive = true});
}

/* What one piece says, of which llhttp sees little or nothing, is what llhttp says of single bytes.
 */
static void check_one_piece(const char *text) {
    struct parsed whole, bytes;
    size_t n = strlen(text);
    parse_cut(&whole, text, n, n, n);
    parse_bytes(&bytes, text, n);
    if (whole.result != bytes.result)
        fail_msg("%d and %d: %s", whole.result, bytes.result, text);
    if (whole.result == PARSE_ERROR) {
        assert_int_equal(http1_parser_status(whole.parser), http1_parser_status(bytes.parser));
    } else {
        assert_int_equal(whole.used, bytes.used);
        assert_string_equal(whole.exchange.method, bytes.exchange.method);
        assert_string_equal(whole.exchange.url, bytes.exchange.url);
        assert_int_equal(whole.exchange.content_length, bytes.exchange.content_length);
        assert_int_equal(whole.exchange.upgrade, bytes.exchange.upgrade);
        assert_int_equal(whole.exchange.headers.count, bytes.exchange.headers.count);
        assert_int_equal(http1_parser_keep_alive(whole.parser),
                         http1_parser_keep_alive(bytes.parser));
        assert_int_equal(http1_parser_is_1_0(whole.parser), http1_parser_is_1_0(bytes.parser));
        assert_int_equal(http1_parser_expects(whole.parser), http1_parser_expects(bytes.parser));
    }
    end(&whole);
    end(&bytes);
}

static void test_one_piece(void **state) {
    static const char *const methods[] = {"GET",  "HEAD",   "POST",    "DELETE", "OPTIONS",
                                          "GETS", "HEADER", "G",       "get",    "CONNECT",
                                          "PRI",  "SOURCE", "M-SEARCH"};
    static const char *const targets[] = {
        "/",  "/a?b#c#d?e", "*",         "http://a/b", "a:80", "//a/b", "/\"<>\\^`{|}", "?/", "#",
        "/%", "ftp:a",      "http://b/", "HTTP://a/",  "a/b",  "/*"};
    static const char *const versions[] = {"1.1", "1.0", "1.2", "1.x", "0.9", "2.0"};
    static const char *const fields[] = {
        "",
        "Host: a\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a b\r\n",
        "Connection: close\r\nHost: a\r\n",
        "Host: a\r\nCONNECTION: keep-alive\r\n",
        "Host: a\r\nConnection: Upgrade\r\n",
        "Host: a\r\nConnection: close, Upgrade\r\nUpgrade: b\r\n",
        "Host: a\r\nUpgrade: b\r\n",
        "Host: a\r\nProxy-Connection: close\r\n",
        "Host: a\r\nContent-Length: 0\r\n",
        "Host: a\r\nContent-Length: 1\r\n",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: gzip\r\n",
        "Host: a\r\nExpect: 100-continue\r\n",
    };
    char text[256];
#define EACH(i, list) for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++)
    EACH(m, methods)
    EACH(t, targets)
    EACH(v, versions)
    EACH(f, fields) {
        snprintf(text, sizeof text, "%s %s HTTP/%s\r\n%s\r\nG", methods[m], targets[t], versions[v],
                 fields[f]);
        check_one_piece(text);
    }
}

static void test_headers(void **state) {
    check("GET / HTTP/1.1\r\nHost:a\r\nX:\r\nX: \r\nX:\t b \t c \t\r\n!#$%&'*+-.^_`|~: :,\"\x80\xff"
          "\r\n\r\n",
          (struct expected){
              .method = "GET",
              .url = "/",
              .headers = "Host=a\nX=\nX=\nX=b \t c\n!#$%&'*+-.^_`|~=:,\"\x80\xff\n",
              .keep_alive = true,
          });
}

static void test_upgrade(void **state) {
    check("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n",
          (struct expected){
              .method = "GET",
              .url = "/",
              .headers = "Host=a\nConnection=keep-alive, Upgrade\nUpgrade=x\n",
              .keep_alive = true,
              .upgrade = true,
          });
    check("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: Upgrade\r\n"
          "Upgrade: x\r\n\r\n",
          (struct expected){.method = "GET",
                            .url = "/",
                            .headers = "Host=a\nConnection=close\nConnection=Upgrade\nUpgrade=x\n",
                            .upgrade = true});
    check("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2"
          "\r\n\r\nab",
          (struct expected){
              .method = "POST",
              .url = "/",
              .headers = "Host=a\nConnection=Upgrade\nUpgrade=x\nContent-Length=2\n",
              .body = "ab",
              .content_length = 2,
              .keep_alive = true,
              .upgrade = true,
          });
}

static void test_bodies(void **state) {
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 010 \r\n\r\n\r\n\r \n\tGET ",
          (struct expected){
              .method = "POST",
              .url = "/",
              .headers = "Host=a\nContent-Length=010\n",
              .body = "\r\n\r \n\tGET ",
              .content_length = 10,
              .keep_alive = true,
          });
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
          "3\r\n\r\n \r\n00a;b=c\r\n\n0123\r5678\r\n1;d;e=\"f;g\"\r\n0\r\n000;h\r\nX: "
          "y\r\nZ:\r\n\r\n",
          (struct expected){
              .method = "POST",
              .url = "/",
              .headers = "Host=a\nTransfer-Encoding=Chunked\n",
              .body = "\r\n \n0123\r56780",
              .content_length = -1,
              .keep_alive = true,
          });
    check("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
          (struct expected){.method = "PUT",
                            .url = "/",
                            .headers = "Host=a\nContent-Length=0\n",
                            .keep_alive = true});
}

static void test_stops_behind_the_head(void **state) {
    static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /";
    struct parsed p;
    size_t used;
    begin(&p, &limits);
    assert_int_equal(http1_parser_feed(p.parser, text, sizeof text - 1, &used), PARSE_HEAD);
    assert_int_equal(used, strstr(text, "abc") - text);
    assert_int_equal(p.exchange.content_length, 3);
    http1_parser_sink(p.parser, p.body);
    assert_int_equal(http1_parser_feed(p.parser, text + used, 1, &used), PARSE_MORE);
    assert_int_equal(http1_parser_sunk(p.parser), 1);
    http1_parser_sink(p.parser, NULL); /* the rest is dropped, and counted */
    assert_int_equal(http1_parser_feed(p.parser, "bcGET /", 7, &used), PARSE_DONE);
    assert_int_equal(used, 2);
    assert_int_equal(http1_parser_sunk(p.parser), 2);
    assert_memory_equal(p.body, "a\0", 2);
    end(&p);
}

/* What belongs to the next message is left alone, wherever the cut is. */
static void test_stops_behind_the_message(void **state) {
    static const char *const messages[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        char text[256];
        size_t length = strlen(messages[i]);
        size_t n = (size_t)snprintf(text, sizeof text, "%s\nnonsense", messages[i]);
        for (size_t cut = 0; cut <= length; cut++) {
            struct parsed p;
            parse_cut(&p, text, n, cut, n);
            assert_int_equal(p.result, PARSE_DONE);
            assert_int_equal(p.used, length);
            end(&p);
        }
    }
}

/* --- What is wrong ---------------------------------------------------------------------------- */

struct refused {
    const char *text;
    int status;
};

static void check_error(const struct parsed *p, const void *arg) {
    const struct refused *r = arg;
    size_t used;
    if (p->result != PARSE_ERROR || http1_parser_status(p->parser) != r->status)
        fail_msg("not refused with %d: %s", r->status, r->text);
    assert_int_equal(http1_parser_feed(p->parser, "GET / ", 6, &used), PARSE_ERROR);
    assert_int_equal(http1_parser_status(p->parser), r->status); /* it stays so */
}

static void refuse(const char *text, size_t n, int status) {
    check_all_cuts(text, n, check_error, &(struct refused){text, status});
}

#define REFUSE(text) refuse((text), sizeof(text) - 1, 400)
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static void test_request_lines(void **state) {
    REFUSE("nonsense\r\n\r\n");
    REFUSE("get / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET /\r\n\r\n");
    REFUSE("GET /(HTTP/1.1\r\n\r\n");
    REFUSE("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    REFUSE("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n");
    REFUSE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n");
    REFUSE("GET / HTTP/1.0\r\nHost: a b\r\n\r\n");
    REFUSE("GETT / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("FROB / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE(" GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("\r\n GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET  / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET /  HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET / HTTP/1.1 \r\nHost: a\r\n\r\n");
    REFUSE("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET / HTTP/1.1\nHost: a\r\n\r\n");
    REFUSE("GET / HTTP/1.1\rHost: a\r\n\r\n");
    REFUSE("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET /\f HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET a HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET / http/1.1\r\nHost: a\r\n\r\n");
    REFUSE("GET / HTTP/1.2\r\nHost: a\r\n\r\n");
    REFUSE("GET / HTTP/1.10\r\nHost: a\r\n\r\n");
    REFUSE("GET / RTSP/1.0\r\nHost: a\r\n\r\n");
    REFUSE("SOURCE / ICE/1.0\r\nHost: a\r\n\r\n");
    REFUSE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    REFUSE("PRI / HTTP/1.1\r\n\r\n");
    REFUSE("PRI / HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSE("PRI * HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\nSM\r\n\r\n");
}

static void test_header_lines(void **state) {
    REFUSE(GET "X: a\n\r\n");
    REFUSE(GET "X: a\rb\r\n\r\n");
    REFUSE(GET "X: a\r\r\n\r\n");
    REFUSE(GET "X: a\r\n b\r\n\r\n");
    REFUSE(GET "X: a\r\n\tb\r\n\r\n");
    REFUSE(GET "X:\r\n b\r\n\r\n");
    REFUSE(GET " X: a\r\n\r\n");
    REFUSE(GET "X : a\r\n\r\n");
    REFUSE(GET "X\t: a\r\n\r\n");
    REFUSE(GET "X Y: a\r\n\r\n");
    REFUSE(GET ": a\r\n\r\n");
    REFUSE(GET "X\r\n\r\n");
    REFUSE(GET "X\0: a\r\n\r\n");
    REFUSE(GET "X\x80: a\r\n\r\n");
    REFUSE(GET "X(: a\r\n\r\n");
    REFUSE(GET "X: a\0b\r\n\r\n");
    REFUSE(GET "X: a\x01\r\n\r\n");
    REFUSE(GET "X: a\x0b\r\n\r\n");
    REFUSE(GET "X: a\x7f\r\n\r\n");
    REFUSE(GET "\n");
    REFUSE(GET "\rX");
    REFUSE("GET / HTTP/1.1\r\n\r\n");
    REFUSE(GET "Host: a\r\n\r\n");
    REFUSE("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n");
}

static void test_framing(void **state) {
    REFUSE(GET "Content-Length: 1\r\nContent-Length: 1\r\n\r\n");
    REFUSE(GET "Content-Length: 1\r\nContent-Length: 2\r\n\r\n");
    REFUSE(GET "Content-Length: 1, 1\r\n\r\n");
    REFUSE(GET "Content-Length: +1\r\n\r\n");
    REFUSE(GET "Content-Length: -1\r\n\r\n");
    REFUSE(GET "Content-Length: 0x1\r\n\r\n");
    REFUSE(GET "Content-Length: 1 1\r\n\r\n");
    REFUSE(GET "Content-Length:\r\n\r\n");
    REFUSE(GET "Content-Length: 18446744073709551616\r\n\r\n");
    REFUSE(GET "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    REFUSE(GET "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n");
    REFUSE(GET "Content-Length: 1\r\nTransfer-Encoding:\r\n\r\n");
    REFUSE(GET "Transfer-Encoding:\r\n\r\n");
    REFUSE(GET "Transfer-Encoding: identity\r\n\r\n");
    REFUSE(GET "Transfer-Encoding: chunked, identity\r\n\r\n");
    REFUSE(GET "Transfer-Encoding: chunked, chunked\r\n\r\n");
    REFUSE(GET "Transfer-Encoding: xchunked\r\n\r\n");
    REFUSE(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n");
    REFUSE(GET "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n");
    REFUSE("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
}

#define CHUNKED GET "Transfer-Encoding: chunked\r\n\r\n"

static void test_chunks(void **state) {
    REFUSE(CHUNKED "-1\r\n");
    REFUSE(CHUNKED "+1\r\n");
    REFUSE(CHUNKED "0x1\r\n");
    REFUSE(CHUNKED "1_0\r\n");
    REFUSE(CHUNKED "\r\n");
    REFUSE(CHUNKED "g\r\n");
    REFUSE(CHUNKED " 1\r\n");
    REFUSE(CHUNKED "1 \r\n");
    REFUSE(CHUNKED "10000000000000000\r\n");
    REFUSE(CHUNKED "1\n");
    REFUSE(CHUNKED "1\ra");
    REFUSE(CHUNKED "1\r\naX");
    REFUSE(CHUNKED "1\r\na\n");
    REFUSE(CHUNKED "1\r\na\rX");
    REFUSE(CHUNKED "1\r\na\r\r\n");
    REFUSE(CHUNKED "1;x\n");
    REFUSE(CHUNKED "1;x\ra");
    REFUSE(CHUNKED "1;\0\r\n");
    REFUSE(CHUNKED "0\n");
    REFUSE(CHUNKED "0\r\n\n");
    REFUSE(CHUNKED "0\r\n\rX");
    REFUSE(CHUNKED "0\r\nX: y\n");
    REFUSE(CHUNKED "0\r\nX: y\r\n z\r\n");
    REFUSE(CHUNKED "0\r\nX: \0\r\n");
    REFUSE(CHUNKED "0\r\n X: y\r\n");
    REFUSE(CHUNKED "1\r\na\r\n0\r\nX\r\n");
}

#define REFUSE_WITH(status, text) refuse((text), sizeof(text) - 1, (status))

static void test_other_statuses(void **state) {
    REFUSE_WITH(505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n");
    REFUSE_WITH(505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n");
    REFUSE_WITH(413, GET "Content-Length: 9223372036854775808\r\n\r\n");
    REFUSE_WITH(0, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* --- Limits ----------------------------------------------------------------------------------- */

/* "GET /xxx… HTTP/1.1", Host, and n headers "X: xxx…", of `size` bytes in all. */
static char *head_of(size_t size, size_t url, size_t n) {
    char *text = malloc(size + 1), *at = text;
    at += sprintf(at, "GET /");
    memset(at, 'x', url);
    at += url;
    at += sprintf(at, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "X:\r\n");
    size_t rest = size - (size_t)(at - text) - 2;
    if (rest > 0) {
        assert_true(rest >= 6);
        at += sprintf(at, "X: ");
        memset(at, 'x', rest - 5);
        at += rest - 5;
        at += sprintf(at, "\r\n");
    }
    sprintf(at, "\r\n");
    return text;
}

static struct parsed *parse_limited(const char *text, size_t n, size_t piece,
                                    const struct http1_limits *with) {
    static struct parsed p;
    bool more = true;
    begin(&p, with);
    for (size_t at = 0; at < n && more; at += piece)
        more = feed(&p, text + at, n - at < piece ? n - at : piece);
    return &p;
}

static void check_limit(char *text, size_t head_size, size_t header_count, int status) {
    static const size_t pieces[] = {1, 2, 7, 64, 100, 1000, 1000000};
    struct http1_limits with = {head_size, header_count};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct parsed *p = parse_limited(text, strlen(text), pieces[i], &with);
        assert_int_equal(p->result, status ? PARSE_ERROR : PARSE_DONE);
        if (status)
            assert_int_equal(http1_parser_status(p->parser), status);
        end(p);
    }
    free(text);
}

static void test_head_size(void **state) {
    check_limit(head_of(300, 1, 0), 300, 100, 0);
    check_limit(head_of(301, 1, 0), 300, 100, 431);
    check_limit(head_of(5000, 1, 0), 300, 100, 431);
    check_limit(head_of(300, 264, 0), 300, 100, 0);
    check_limit(head_of(1000, 500, 0), 300, 100, 414);
}

static void test_header_count(void **state) {
    check_limit(head_of(64, 1, 0), 16384, 2, 0); /* Host and X */
    check_limit(head_of(64, 1, 1), 16384, 2, 431);
    check_limit(head_of(1000, 1, 98), 16384, 100, 0);
    check_limit(head_of(1000, 1, 99), 16384, 100, 431);
}

/* A head that never ends is refused when the limit is reached, and not when it ends. */
static void test_endless_heads(void **state) {
    static const struct {
        const char *start, *again;
        int status;
    } endless[] = {
        {"GET /", "x", 414},
        {"GET / HTTP/1.1\r\nX", "x", 431},
        {"GET / HTTP/1.1\r\nX: ", "x", 431},
        {"GET / HTTP/1.1\r\nX:", " ", 431},
        {"GET / HTTP/1.1\r\n", "X:\r\n", 431},
        {"", "\r\n", 414},
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        struct parsed p;
        size_t fed = strlen(endless[i].start), n = strlen(endless[i].again);
        begin(&p, &(struct http1_limits){1000, 1000});
        if (fed)
            assert_true(feed(&p, endless[i].start, fed));
        while (feed(&p, endless[i].again, n))
            assert_true((fed += n) <= 1000);
        assert_int_equal(http1_parser_status(p.parser), endless[i].status);
        end(&p);
    }
}

static void test_extensions_and_trailers(void **state) {
    struct parsed p;
    char line[256];
    begin(&p, &limits);
    assert_true(feed(&p, CHUNKED, sizeof CHUNKED - 1));
    snprintf(line, sizeof line, "1;%0200d\r\nx\r\n", 0);
    for (int i = 0; i < 1000; i++) { /* each chunk may have some */
        p.length = 0;
        assert_true(feed(&p, line, strlen(line)));
    }
    assert_true(feed(&p, "1;", 2)); /* … but not too many */
    size_t fed = 0;
    while (feed(&p, "xxxxxxxxxx", 10))
        assert_true((fed += 10) <= limits.head_size);
    end(&p);

    begin(&p, &limits);
    assert_true(feed(&p, CHUNKED "0\r\n", sizeof CHUNKED "0\r\n" - 1));
    fed = 0;
    while (feed(&p, "X: yyyyyyyyyy\r\n", 15))
        assert_true((fed += 11) <= limits.head_size);
    end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_one_piece),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_stops_behind_the_head),
        cmocka_unit_test(test_stops_behind_the_message),
        cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_header_lines),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_other_statuses),
        cmocka_unit_test(test_head_size),
        cmocka_unit_test(test_header_count),
        cmocka_unit_test(test_endless_heads),
        cmocka_unit_test(test_extensions_and_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
