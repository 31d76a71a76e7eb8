/* Boundaries, however the body is cut; and what heads of parts say. */
#include "middleware/multipart_parser.h"
#include "middleware/part_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD_LIMIT 64

/* --- Boundaries ------------------------------------------------------------------------------- */

struct run {
    multipart_parser_t parser;
    char window[HEAD_LIMIT + MULTIPART_BOUNDARY_MAX + 512];
    char told[4096]; /* "<head>data;<head>data;." */
};

static void tell(struct run *run, const char *text, size_t length) {
    size_t n = strlen(run->told);
    assert_true(n + length < sizeof run->told);
    memcpy(run->told + n, text, length);
    run->told[n + length] = '\0';
}

/* Takes all that is in the window. False at an error. */
static bool take_events(struct run *run) {
    bytes_t piece;
    for (;;)
        switch (multipart_parser_next(&run->parser, &piece)) {
        case MULTIPART_MORE:
            return true;
        case MULTIPART_HEAD:
            tell(run, "<", 1);
            tell(run, piece.data, piece.length);
            tell(run, ">", 1);
            break;
        case MULTIPART_DATA:
            assert_true(piece.length > 0);
            tell(run, piece.data, piece.length);
            break;
        case MULTIPART_PART_END:
            tell(run, ";", 1);
            break;
        case MULTIPART_END:
            tell(run, ".", 1);
            break;
        case MULTIPART_MALFORMED:
            tell(run, "!", 1);
            return false;
        case MULTIPART_HEAD_TOO_LARGE:
            tell(run, "#", 1);
            return false;
        }
}

/* Feeds it with a window of its own each time, so that ASan sees whoever looks beyond it. */
static bool feed(struct run *run, const char *data, size_t length) {
    bytes_t rest = multipart_parser_rest(&run->parser);
    assert_true(rest.length <= HEAD_LIMIT + MULTIPART_BOUNDARY_MAX + 8);
    memmove(run->window, rest.data, rest.length);
    char *exact = malloc(rest.length + length + 1);
    memcpy(exact, run->window, rest.length);
    memcpy(exact + rest.length, data, length);
    char *end = realloc(exact, rest.length + length ? rest.length + length : 1);
    multipart_parser_feed(&run->parser, end, rest.length + length);
    bool good = take_events(run);
    rest = multipart_parser_rest(&run->parser);
    memmove(run->window, rest.data, rest.length);
    multipart_parser_feed(&run->parser, run->window, rest.length);
    free(end);
    return good;
}

static void run_with(struct run *run, const char *boundary, const char *body, size_t length,
                     size_t first, size_t step) {
    run->told[0] = '\0';
    assert_true(
        multipart_parser_init(&run->parser, (bytes_t){boundary, strlen(boundary)}, HEAD_LIMIT));
    if (first > length)
        first = length;
    bool good = feed(run, body, first);
    for (size_t at = first; good && at < length; at += step)
        good = feed(run, body + at, at + step < length ? step : length - at);
}

/* The same whole, cut in two anywhere, and in steps of all sizes. */
static void check(const char *boundary, const char *body, const char *expected) {
    struct run run;
    size_t length = strlen(body);
    for (size_t first = 0; first <= length; first++) {
        run_with(&run, boundary, body, length, first, length);
        assert_string_equal(run.told, expected);
    }
    for (size_t step = 1; step < length; step++) {
        run_with(&run, boundary, body, length, step, step);
        assert_string_equal(run.told, expected);
    }
}

static void parts(void **state) {
    check("b", "--b\r\nA: 1\r\n\r\nx\r\n--b--\r\n", "<A: 1\r\n>x;.");
    check("b", "--b\r\nA: 1\r\nB: 2\r\n\r\nx\r\n--b\r\nC: 3\r\n\r\ny\r\n--b--",
          "<A: 1\r\nB: 2\r\n>x;<C: 3\r\n>y;.");
    check("b", "--b\r\n\r\nx\r\n--b--", "<>x;.");
    check("b", "--b\r\nA: 1\r\n\r\n\r\n--b--", "<A: 1\r\n>;.");
    check("b", "--b--", ".");
    check("b", "--b\r\nA: 1\r\n\r\n--b--", "<A: 1\r\n>;."); /* not even an empty line */
}

static void preamble_and_epilogue(void **state) {
    check("b", "\r\n--b\r\n\r\nx\r\n--b--", "<>x;.");
    check("b", "hello\r\n-b --b\r\n--b\r\n\r\nx\r\n--b--", "<>x;.");
    check("b", "\r\n--c\r\n\r\ny\r\n--b\r\n\r\nx\r\n--b--", "<>x;.");
    check("b", "--b--\r\n--b\r\n\r\nx\r\n--b--", ".");
    check("b", "--b\r\n\r\nx\r\n--b--  \r\n and so on\r\n--bx", "<>x;.");
}

static void padding(void **state) {
    check("b", "--b \t \r\n\r\nx\r\n--b\t\r\n\r\ny\r\n--b-- \r\n", "<>x;<>y;.");
}

static void almost_boundaries(void **state) {
    check("ab", "--ab\r\n\r\n\r\n--a\r\n--\r\n-\r\n\r\n--aa--ab\r\r\n--ab--",
          "<>\r\n--a\r\n--\r\n-\r\n\r\n--aa--ab\r;.");
    check("b", "--b\r\n\r\n--\r\n\r\r\n\n--b\r--b\n--b\r\n--b--",
          "<>--\r\n\r\r\n\n--b\r--b\n--b;.");
    check("--b", "----b\r\n\r\n--b\r\n----b--", "<>--b;.");
    check("'()+_,-./:=? b", "--'()+_,-./:=? b\r\n\r\nx\r\n--'()+_,-./:=? b--", "<>x;.");
}

static void malformed(void **state) {
    check("b", "--bc\r\n", "!");
    check("b", "--b\r\n\r\nx\r\n--bc\r\n", "<>x;!");
    check("b", "--b\n\nx\n--b--", "!");
    check("b", "--b \r\r\n", "!");
    check("b", "--b-\r\n", "!");
    check("b", "--b- -\r\n", "!");
    check("b", "--b\r\n\r\nx\r\n--b--x", "<>x;.!");
    check("b", "--b-- x\r\n", ".!");
}

static void unfinished(void **state) {
    check("b", "", "");
    check("b", "--", "");
    check("b", "--b", "");
    check("b", "--b-", "");
    check("b", "--b\r", "");
    check("b", "--b\r\nA: 1\r\n", "");
    check("b", "--b\r\nA: 1\r\n\r\n", "<A: 1\r\n>");
    check("b", "--b\r\nA: 1\r\n\r\nx\r", "<A: 1\r\n>x");
    check("b", "--b\r\nA: 1\r\n\r\nx\r\n--b", "<A: 1\r\n>x;");
    check("b", "no boundary at all", "");
}

static void heads_are_limited(void **state) {
    char body[256], expected[256];
    for (int length = 60; length <= 61; length++) {
        /* with the empty line it is four bytes more */
        snprintf(body, sizeof body, "--b\r\n%0*d\r\n\r\nx\r\n--b--", length, 1);
        snprintf(expected, sizeof expected, "<%0*d\r\n>x;.", length, 1);
        check("b", body, length == 60 ? expected : "#");
    }
}

static void boundaries_are_limited(void **state) {
    multipart_parser_t parser;
    char boundary[72], body[512], *to = body;
    memset(boundary, 'x', 71);
    boundary[71] = '\0';
    assert_false(multipart_parser_init(&parser, (bytes_t){boundary, 71}, HEAD_LIMIT));
    assert_false(multipart_parser_init(&parser, (bytes_t){"", 0}, HEAD_LIMIT));
    assert_false(multipart_parser_init(&parser, (bytes_t){"a\rb", 3}, HEAD_LIMIT));
    boundary[70] = '\0';
    to += sprintf(to, "--%s\r\n\r\n%.69s\r\n--%.69s\r\n--%s--", boundary, boundary, boundary,
                  boundary);
    char expected[256];
    snprintf(expected, sizeof expected, "<>%.69s\r\n--%.69s;.", boundary, boundary);
    check(boundary, body, expected);
}

/* --- Heads ------------------------------------------------------------------------------------ */

/* "name|filename|type|charset", '~' for what is not there. */
static void head_is(const char *lines, const char *expected) {
    part_head_t head;
    char told[1024];
    char *exact = malloc(strlen(lines) + 1);
    memcpy(exact, lines, strlen(lines));
    char *end = realloc(exact, strlen(lines) ? strlen(lines) : 1);
    int err = part_head_parse(&head, (bytes_t){end, strlen(lines)}, 4);
    free(end);
    if (err) {
        assert_string_equal(err == UV_EINVAL ? "malformed" : "too many", expected);
        return;
    }
    snprintf(told, sizeof told, "%s|%s|%s|%s", head.name ? head.name : "~",
             head.filename ? head.filename : "~", head.type, head.charset);
    part_head_free(&head);
    assert_string_equal(told, expected);
}

#define FORM_DATA "Content-Disposition: form-data"

static void heads(void **state) {
    head_is("", "~|~|text/plain|");
    head_is(FORM_DATA "; name=\"a\"\r\n", "a|~|text/plain|");
    head_is(FORM_DATA "; name=a; filename=b.txt\r\n", "a|b.txt|text/plain|");
    head_is("content-TYPE: Image/PNG\r\n" FORM_DATA ";name=\"a\";filename=\"b\"\r\n",
            "a|b|image/png|");
    head_is(FORM_DATA "; name=\"a\"\r\nContent-Type: text/plain; charset=\"ISO-8859-1\"; x=y\r\n",
            "a|~|text/plain|ISO-8859-1");
    head_is(FORM_DATA "; name=\"a\"; name=\"b\"; filename=\"\"; filename=\"c\"\r\n",
            "a||text/plain|");
    head_is(FORM_DATA "; name=\"a\"\r\n" FORM_DATA "; name=\"b\"\r\n", "a|~|text/plain|");
    head_is(FORM_DATA " ;\tname=\"a\" ; x=y ;\r\n", "a|~|text/plain|");
    head_is("Content-Disposition: FORM-DATA; NAME=\"a\"\r\n", "a|~|text/plain|");
    head_is("Content-Disposition:form-data;\r\n name=\"a\"\r\n", "a|~|text/plain|");
    head_is("Content-Disposition: form-data; name=\"a\r\n b\"\r\n", "a b|~|text/plain|");
    head_is("Content-Disposition: attachment; name=\"a\"\r\n", "~|~|text/plain|");
    head_is("X: 1\r\n", "~|~|text/plain|");
    head_is(FORM_DATA "; name=\"a\"\r\nContent-Type: nonsense\r\n", "a|~|text/plain|");
    head_is(FORM_DATA "; name=\"a\"\r\nContent-Type: a/b; nonsense\r\n", "a|~|a/b|");
}

static void names_as_browsers_write_them(void **state) {
    head_is(FORM_DATA "; name=\"\xC3\xA9 \xF0\x9F\x8C\xB3\"\r\n",
            "\xC3\xA9 \xF0\x9F\x8C\xB3|~|text/plain|");
    head_is(FORM_DATA "; name=\"a%22b%0D%0ac%41%\"\r\n", "a\"b\r\nc%41%|~|text/plain|");
    head_is(FORM_DATA "; name=\"\xFF\"\r\n", "\xEF\xBF\xBD|~|text/plain|");
    head_is(FORM_DATA "; name=\"a\\\"b\\\\c\\d\"\r\n", "a\"b\\c\\d|~|text/plain|");
    head_is(FORM_DATA "; name=\"a\"; filename=\"C:\\dir\\a.txt\"\r\n",
            "a|C:\\dir\\a.txt|text/plain|");
    head_is(FORM_DATA "; name=\"a\"; filename=\"back\\\"\r\n", "a|back\\|text/plain|");
    head_is(FORM_DATA "; name=\"a\"; filename=\"a;b\\\"\"\r\n", "a|a;b\"|text/plain|");
}

static void extended_names(void **state) {
    head_is(FORM_DATA "; name=a; filename=x; filename*=UTF-8''%e2%82%ac%20r%C3%A9.txt\r\n",
            "a|\xE2\x82\xAC r\xC3\xA9.txt|text/plain|");
    head_is(FORM_DATA "; name=a; filename*=iso-8859-1'en'%A3; filename=x\r\n",
            "a|\xC2\xA3|text/plain|");
    head_is(FORM_DATA "; name=a; filename*=utf-8''a%00b%FF\r\n", "a|a\xEF\xBF\xBD"
                                                                 "b\xEF\xBF\xBD|text/plain|");
    head_is(FORM_DATA "; name=a; filename=x; filename*=koi8-r''%C3\r\n", "a|x|text/plain|");
    head_is(FORM_DATA "; name=a; filename=x; filename*=utf-8''%C\r\n", "a|x|text/plain|");
    head_is(FORM_DATA "; name=a; filename=x; filename*=utf-8\r\n", "a|x|text/plain|");
    head_is(FORM_DATA "; name=a; filename=x; filename*=''y\r\n", "a|x|text/plain|");
}

static void malformed_heads(void **state) {
    head_is("nonsense\r\n", "malformed");
    head_is(": x\r\n", "malformed");
    head_is("A : x\r\n", "malformed");
    head_is(" A: x\r\n", "malformed");
    head_is("A: \x01\r\n", "malformed");
    head_is("A: \x7F\r\n", "malformed");
    head_is("A: b\nC: d\r\n", "malformed");
    head_is("A: b\rC: d\r\n", "malformed");
    head_is(FORM_DATA "; name\r\n", "malformed");
    head_is(FORM_DATA "; name=\r\n", "malformed");
    head_is(FORM_DATA "; name=\"a\r\n", "malformed");
    head_is(FORM_DATA "; name=\"a\"b\r\n", "malformed");
    head_is(FORM_DATA "; name=a b\r\n", "malformed");
    head_is(FORM_DATA "; =a\r\n", "malformed");
    head_is("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n", "~|~|text/plain|");
    head_is("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n", "too many");
}

static void boundary_is(const char *type, const char *expected) {
    char boundary[8];
    size_t length = part_head_boundary(type, boundary, sizeof boundary);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(boundary, expected, length);
}

static void boundaries_of_types(void **state) {
    boundary_is("multipart/form-data; boundary=abc", "abc");
    boundary_is("multipart/form-data; charset=utf-8; BOUNDARY=\"a b\"", "a b");
    boundary_is("multipart/form-data; boundary=\"a\\\"b\"; boundary=c", "a\"b");
    boundary_is("multipart/form-data;boundary=12345678;", "12345678");
    boundary_is("multipart/form-data; boundary=123456789", "");
    boundary_is("multipart/form-data; boundary=123456789; boundary=a", "");
    boundary_is("multipart/form-data; boundary=\"\"", "");
    boundary_is("multipart/form-data; boundary=a/b", "");
    boundary_is("multipart/form-data; boundary", "");
    boundary_is("multipart/form-data", "");
    boundary_is("multipart", "");
    boundary_is("", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),
        cmocka_unit_test(preamble_and_epilogue),
        cmocka_unit_test(padding),
        cmocka_unit_test(almost_boundaries),
        cmocka_unit_test(malformed),
        cmocka_unit_test(unfinished),
        cmocka_unit_test(heads_are_limited),
        cmocka_unit_test(boundaries_are_limited),
        cmocka_unit_test(heads),
        cmocka_unit_test(names_as_browsers_write_them),
        cmocka_unit_test(extended_names),
        cmocka_unit_test(malformed_heads),
        cmocka_unit_test(boundaries_of_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
