/* Content negotiation: every answer here is that of npm's accepts 1.3.8, but where it says so. */
#include "context/negotiate.h"

#include "../support/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define OFFERS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The header at an address of its own, so that the sanitizer sees its end. NULL for no choice. */
static void check_choice(const char *(*negotiate)(const char *, const char *const *),
                         const char *header, const char *expected, const char *const *offers) {
    char *copy = header ? strdup(header) : NULL;
    const char *choice = negotiate(copy, offers), *said = header ? header : "(none)";
    if (expected && !choice)
        fail_msg("\"%s\": nothing instead of \"%s\"", said, expected);
    if (!expected && choice)
        fail_msg("\"%s\": \"%s\" instead of nothing", said, choice);
    if (expected)
        assert_string_equal(choice, expected);
    free(copy);
}

#define TYPE(header, expected, ...)                                                                \
    check_choice(negotiate_type, header, expected, OFFERS(__VA_ARGS__))
#define ENCODING(header, expected, ...)                                                            \
    check_choice(negotiate_encoding, header, expected, OFFERS(__VA_ARGS__))
#define PREFERRED(header, expected, ...)                                                           \
    check_choice(negotiate_preferred_encoding, header, expected, OFFERS(__VA_ARGS__))
#define CHARSET(header, expected, ...)                                                             \
    check_choice(negotiate_charset, header, expected, OFFERS(__VA_ARGS__))
#define LANGUAGE(header, expected, ...)                                                            \
    check_choice(negotiate_language, header, expected, OFFERS(__VA_ARGS__))

static void check_list(int (*negotiate)(struct arena *, const char *, const char *const **),
                       const char *header, const char *const *expected) {
    const char *const *list = NULL;
    release(NULL);
    assert_int_equal(negotiate(&empty, header, &list), 0);
    for (; *expected; expected++, list++) {
        assert_non_null(*list);
        assert_string_equal(*list, *expected);
    }
    assert_null(*list);
}

#define LIST(negotiate, header, ...) check_list(negotiate, header, OFFERS(__VA_ARGS__))

/* --- Types ------------------------------------------------------------------------------------ */

static void first_offer_without_header(void **state) {
    (void)state;
    TYPE(NULL, "json", "json", "html");
    TYPE("", "json", "json", "html");
    TYPE(NULL, "what is that?", "what is that?", "html");
    assert_null(negotiate_type(NULL, (const char *const[]){NULL}));
    assert_null(negotiate_type("*"
                               "/*",
                               (const char *const[]){NULL}));
}

static void offers_are_returned_as_given(void **state) {
    (void)state;
    TYPE("text/html", "html", "json", "html");
    TYPE("text/html", ".html", ".html");
    TYPE("text/html", "HTML", "HTML", "html");
    TYPE("text/html", "Text/HTML", "Text/HTML");
    TYPE("text/html", "text/html;level=1", "text/html;level=1");
    TYPE("text/html", NULL, "unheard-of", "", "urlencoded");
    TYPE("*/*", "html", "unheard-of", "html");
}

static void quality_comes_first(void **state) {
    (void)state;
    TYPE("text/html;q=0.5, application/json", "json", "html", "json");
    TYPE("text/html;q=0.5, application/json;q=0.51", "json", "html", "json");
    TYPE("*/*, text/html;q=0.9", "json", "html", "json");
    TYPE("text/html;q=.5, application/json;q=0.49", "html", "json", "html");
    TYPE("text/html;q=2, application/json", "html", "json", "html");
}

static void then_specificity_then_order(void **state) {
    (void)state;
    TYPE("*/*, text/html, text/*", "html", "json", "text", "html");
    TYPE("*/*, text/*", "text", "json", "text", "html");
    TYPE("text/html;level=1, text/html", "text/html;level=1", "html", "text/html;level=1");
    TYPE("application/json, text/html", "json", "html", "json");
    TYPE("*/*", "html", "html", "json");
}

static void most_specific_range_decides(void **state) {
    (void)state;
    TYPE("text/*;q=0.9, text/html;q=0.1, image/*;q=0.5", "png", "html", "png");
    TYPE("text/*, text/html;q=0", NULL, "html");
    TYPE("*/*, application/json;q=0", "html", "json", "html");
    TYPE("text/html;q=0.1, text/html;q=0.9, image/png;q=0.5", "html", "png", "html");
}

static void qualities_that_are_none(void **state) {
    (void)state;
    TYPE("text/html;q=0", NULL, "html");
    TYPE("text/html;q=0.000", NULL, "html");
    TYPE("text/html;q=-1", NULL, "html");
    TYPE("text/html;q=", NULL, "html");
    TYPE("text/html;q", NULL, "html");
    TYPE("text/html;q=high", NULL, "html");
    TYPE("text/html;q=\"0.5\"", "html", "html");
    TYPE("text/html;Q=0", NULL, "html");
    TYPE("text/html; q=0", NULL, "html");
    TYPE("text/html;q =0", "text/html;q =0", "html", "text/html;q =0");
    TYPE("text/html;q=0.5;level=1", "html", "html");
    TYPE("text/html;q=0.5x, image/png;q=0.4", "html", "png", "html");
    TYPE("text/html;q=x, */*", "png", "html", "png");
    TYPE("*/*;q=0.5, */*;q=x", NULL, "html");
    TYPE("*/*;q=0.5, */*;q=-1", "html", "html");
}

static void parameters_must_match(void **state) {
    (void)state;
    TYPE("text/html;level=1", NULL, "html");
    TYPE("text/html;level=1", "text/html;level=1", "html", "text/html;level=1");
    TYPE("text/html;LEVEL=A", "text/html; level=a;x=y", "text/html; level=a;x=y");
    TYPE("text/html;level=*", "html", "html");
    TYPE("text/html;level=", "html", "html");
    TYPE("text/html;level=1;level=2", "text/html;level=2", "text/html;level=1",
         "text/html;level=2");
    TYPE("text/html;level=\"1\"", "text/html;level=1", "text/html;level=1");
    TYPE("text/html;;q=0.1, text/html;q=0.9", "html", "html");
    TYPE("text/html;a=\"b;c,d\", image/png;q=0.1", "text/html;a=\"b;c,d\"", "png",
         "text/html;a=\"b;c,d\"");
    TYPE("text/html;a=\", image/png", NULL, "png");
    TYPE("text/html;a=\"\\\", image/png\", image/png", NULL, "png");
}

static void malformed_ranges_are_skipped(void **state) {
    (void)state;
    TYPE("text", NULL, "text");
    TYPE("text/, /html, /, ,", NULL, "html");
    TYPE("text html/x, text/html x, text/html", "html", "html");
    TYPE(" \t text/html \t ;q=1 ,", "html", "html");
    TYPE("*", NULL, "html");
    TYPE("*/html", "html", "json", "html");
    TYPE("text/*l", NULL, "html");
}

static void parameters_are_limited(void **state) {
    (void)state;
    TYPE("text/html;1=;2=;3=;4=;5=;6=;7=;8=;9=;a=;b=;c=;d=;e=;f=;g=;q=1", "html", "html");
    /* npm has no limit. */
    TYPE("text/html;1=;2=;3=;4=;5=;6=;7=;8=;9=;a=;b=;c=;d=;e=;f=;g=;h=;q=1", NULL, "html");
}

static void types_listed(void **state) {
    (void)state;
    LIST(negotiate_types, NULL,
         "*"
         "/*");
    LIST(negotiate_types, "text/html", "text/html");
    LIST(negotiate_types, "a/b;q=0.2, Text/HTML;level=1, c/d;q=0.2, e/f;q=0, x, g/h;q=x, */*;q=0.1",
         "Text/HTML", "a/b", "c/d",
         "*"
         "/*");
    check_list(negotiate_types, "", (const char *const[]){NULL});
    check_list(negotiate_types, ",;q=1,x/y;q=0", (const char *const[]){NULL});
}

/* --- Encodings -------------------------------------------------------------------------------- */

static void identity_is_implied(void **state) {
    (void)state;
    ENCODING(NULL, "identity", "gzip", "identity");
    ENCODING(NULL, NULL, "gzip");
    ENCODING("", NULL, "gzip");
    ENCODING("gzip", "gzip", "identity", "gzip");
    ENCODING("gzip;q=0.5", "gzip", "identity", "gzip");
    ENCODING("gzip;q=0.5, br;q=0.1", "identity", "identity");
    ENCODING("gzip;q=0", "identity", "gzip", "identity");
    ENCODING("gzip, identity;q=0", NULL, "identity");
    ENCODING("gzip, *;q=0", NULL, "identity");
    ENCODING("*;q=0, identity", "identity", "identity");
    ENCODING("gzip;q=-1", NULL, "gzip", "identity");
    ENCODING("*", "br", "br", "gzip");
}

static void encodings_chosen(void **state) {
    (void)state;
    ENCODING("gzip, deflate, br", "gzip", "br", "gzip");
    ENCODING("gzip;q=0.8, br;q=0.9", "br", "gzip", "br", "identity");
    ENCODING("GZIP", "gzip", "gzip");
    ENCODING("*;q=0.5, gzip", "gzip", "br", "gzip");
    ENCODING("*, gzip;q=0", "br", "gzip", "br");
    ENCODING("gzip;Q=0", "gzip", "gzip");
    ENCODING("gzip;q=\"1\"", "identity", "gzip", "identity");
    ENCODING("gzip; q=0;q=1", NULL, "gzip");
    ENCODING("gzip x, br", "br", "gzip", "br");
    ENCODING("\"gzip,br\"", NULL, "gzip", "br");
}

static void encodings_listed(void **state) {
    (void)state;
    LIST(negotiate_encodings, NULL, "identity");
    LIST(negotiate_encodings, "", "identity");
    LIST(negotiate_encodings, "br;q=0.5, gzip", "gzip", "br", "identity");
    LIST(negotiate_encodings, "br;q=0.5, gzip, identity;q=0.7", "gzip", "identity", "br");
    LIST(negotiate_encodings, "*;q=0.5, gzip", "gzip", "*");
    LIST(negotiate_encodings, "gzip, identity;q=0", "gzip");
    check_list(negotiate_encodings, "*;q=0", (const char *const[]){NULL});
}

/* --- Charsets and languages --------------------------------------------------------------------
 */

static void charsets_chosen(void **state) {
    (void)state;
    CHARSET(NULL, "utf-8", "utf-8", "utf-16");
    CHARSET("", NULL, "utf-8");
    CHARSET("UTF-8, iso-8859-1;q=0.2", "utf-8", "iso-8859-1", "utf-8");
    CHARSET("*;q=0.1, utf-8;q=0", "utf-16", "utf-8", "utf-16");
    CHARSET("utf-8;q=0", NULL, "utf-8");
    LIST(negotiate_charsets, NULL, "*");
    LIST(negotiate_charsets, "utf-8;q=0.2, iso-8859-1;q=0.8, utf-7;q=0", "iso-8859-1", "utf-8");
    check_list(negotiate_charsets, "", (const char *const[]){NULL});
}

static void languages_match_by_prefix(void **state) {
    (void)state;
    LANGUAGE("en", "en-US", "de", "en-US");
    LANGUAGE("en-US", "en", "de", "en");
    LANGUAGE("en-GB", NULL, "en-US");
    LANGUAGE("en-GB, en", "en-US", "en-US");
    LANGUAGE("EN-us", "en-US", "en-US");
    LANGUAGE("en, en-US", "en", "en-US", "en");
    LANGUAGE("zh-Hant", NULL, "zh-Hant-TW");
    LANGUAGE("zh", "zh-Hant-TW", "zh-Hant-TW");
    LANGUAGE("*", "de", "de", "en");
    LANGUAGE("de, *;q=0.5", "de", "en", "de");
}

static void languages_chosen(void **state) {
    (void)state;
    LANGUAGE(NULL, "de", "de", "en");
    LANGUAGE("", NULL, "de");
    LANGUAGE("de;q=0.5, en;q=0.8", "en", "de", "en");
    LANGUAGE("en-US;q=0, en", NULL, "en-US");
    LANGUAGE("en-, -en, e n", NULL, "en");
    LANGUAGE(NULL, NULL, "", "-", "en-");
    LIST(negotiate_languages, NULL, "*");
    LIST(negotiate_languages, "de;q=0.5, en-GB, *;q=0.1, fr;q=0", "en-GB", "de", "*");
    /* npm reads the q of a language only right behind the ';', and the last of several. */
    LANGUAGE("de; q=0.1, en;q=0.5", "de", "de", "en");
    LANGUAGE("de;q=0.1;q=0.9, en;q=0.5", "de", "de", "en");
}

static void no_memory(void **state) {
    (void)state;
    static const char *const unset[] = {NULL};
    for (fail_at = 1; fail_at <= 3; fail_at++) {
        const char *const *list = unset;
        assert_int_equal(negotiate_encodings(&empty, "gzip, br", &list), UV_ENOMEM);
        assert_ptr_equal(list, unset);
        while (block_count > 0)
            free(blocks[--block_count]);
    }
    fail_at = 0;
    LIST(negotiate_encodings, "gzip, br", "gzip", "br", "identity");
    assert_int_equal(block_count, 3);
}

/* Every answer is that of npm's negotiator 1.0.0 with its option `preferred`. */
static void encodings_preferred(void **state) {
    (void)state;
    PREFERRED("gzip, deflate, br", "br", "br", "gzip", "identity");
    PREFERRED("gzip, deflate, br", "gzip", "gzip", "br", "identity");
    PREFERRED("gzip, br;q=0.9", "gzip", "br", "gzip", "identity");
    PREFERRED("gzip;q=0.5", "gzip", "br", "gzip", "identity");
    PREFERRED("gzip;q=0.5", "identity", "identity", "gzip");
    PREFERRED("*", "br", "br", "gzip", "identity");
    PREFERRED("*;q=0.5, gzip;q=0.4", "br", "br", "gzip", "identity");
    PREFERRED("*, br;q=0", "gzip", "br", "gzip", "identity");
    PREFERRED("identity, gzip", "gzip", "gzip", "identity");
    PREFERRED("identity;q=0", NULL, "gzip", "identity");
    PREFERRED("*;q=0", NULL, "gzip", "identity");
    PREFERRED("identity;q=0, *;q=0.1", "gzip", "gzip", "identity");
    PREFERRED(NULL, "identity", "gzip", "identity");
    PREFERRED("", "identity", "gzip", "identity");
}

static void many_items_take_no_long(void **state) {
    (void)state;
    const char *const *list = NULL;
    char *header = malloc(16385);
    for (size_t i = 0; i < 16384; i++)
        header[i] = i % 2 ? ',' : 'a';
    header[16384] = '\0';
    assert_int_equal(negotiate_charsets(&empty, header, &list), 0);
    size_t count = 0;
    while (list[count])
        count++;
    assert_int_equal(count, 8192);
    assert_null(negotiate_charset(header, OFFERS("b", "c", "d")));
    free(header);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_offer_without_header),
        cmocka_unit_test(offers_are_returned_as_given),
        cmocka_unit_test(quality_comes_first),
        cmocka_unit_test(then_specificity_then_order),
        cmocka_unit_test(most_specific_range_decides),
        cmocka_unit_test(qualities_that_are_none),
        cmocka_unit_test(parameters_must_match),
        cmocka_unit_test(malformed_ranges_are_skipped),
        cmocka_unit_test(parameters_are_limited),
        cmocka_unit_test_teardown(types_listed, release),
        cmocka_unit_test(identity_is_implied),
        cmocka_unit_test(encodings_chosen),
        cmocka_unit_test(encodings_preferred),
        cmocka_unit_test_teardown(encodings_listed, release),
        cmocka_unit_test_teardown(charsets_chosen, release),
        cmocka_unit_test(languages_match_by_prefix),
        cmocka_unit_test_teardown(languages_chosen, release),
        cmocka_unit_test_teardown(no_memory, release),
        cmocka_unit_test_teardown(many_items_take_no_long, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
