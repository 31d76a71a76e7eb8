/* Content-Disposition. Every line here is what npm content-disposition 1.0.1 does, but for what is
 * called ours. */
#include "context/disposition.h"

#include "../support/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

/* --- Writing ---------------------------------------------------------------------------------- */

static void check_line(struct attachment attachment, const char *expected) {
    const char *error;
    release(NULL);
    const char *line = disposition_write(&empty, &attachment, &error);
    if (!line)
        fail_msg("%s", error);
    assert_string_equal(line, expected);
}

static void check_error(struct attachment attachment, const char *expected) {
    const char *error;
    release(NULL);
    assert_null(disposition_write(&empty, &attachment, &error));
    assert_string_equal(error, expected);
}

/* The name of the file, and then other fields, as in {.filename = "a", .type = "inline"}. */
#define CHECK_LINE(expected, ...) check_line((struct attachment){.filename = __VA_ARGS__}, expected)
#define CHECK_ERROR(expected, ...)                                                                 \
    check_error((struct attachment){.filename = __VA_ARGS__}, expected)

static void plain_names_are_quoted(void **state) {
    (void)state;
    CHECK_LINE("attachment; filename=\"plans.pdf\"", "plans.pdf");
    CHECK_LINE("attachment; filename=\"the plans, 1;2.pdf\"", "the plans, 1;2.pdf");
    CHECK_LINE("attachment; filename=\"the \\\"plans\\\".pdf\"", "the \"plans\".pdf");
    CHECK_LINE("attachment; filename=\"a\\\\b\"", "a\\b");
    CHECK_LINE("attachment; filename=\"100%.txt\"", "100%.txt");
}

static void there_may_be_no_name(void **state) {
    (void)state;
    CHECK_LINE("attachment", NULL);
    CHECK_LINE("attachment", NULL, .fallback = "\xE2\x82\xAC");
    CHECK_LINE("attachment; filename*=UTF-8''", "");
    CHECK_LINE("attachment; filename*=UTF-8''", "///");
}

static void only_the_last_part_counts(void **state) {
    (void)state;
    CHECK_LINE("attachment; filename=\"plans.pdf\"", "/path/to/plans.pdf");
    CHECK_LINE("attachment; filename=\"to\"", "/path//to//");
    CHECK_LINE("attachment; filename=\"..\"", "../..");
    CHECK_LINE("attachment; filename=\"plans.pdf\"; filename*=UTF-8''%E2%82%AC.pdf",
               "/path/\xE2\x82\xAC.pdf", .fallback = "/other/plans.pdf");
}

static void names_beyond_ascii_have_two_forms(void **state) {
    (void)state;
    CHECK_LINE("attachment; filename=\"? rates.txt\"; filename*=UTF-8''%E2%82%AC%20rates.txt",
               "\xE2\x82\xAC rates.txt");
    CHECK_LINE("attachment; filename=\"??.txt\"; filename*=UTF-8''%F0%9F%98%80.txt",
               "\xF0\x9F\x98\x80.txt");
    CHECK_LINE("attachment; filename=\"a?b?\"; filename*=UTF-8''a%0Ab%7F", "a\nb\x7F");
    CHECK_LINE("attachment; filename=\"?\"; filename*=UTF-8''%C2%85", "\xC2\x85");
    CHECK_LINE("attachment; filename=\"?'*()!~\\\"%\"; "
               "filename*=UTF-8''%E2%82%AC%27%2A%28%29!~%22%25",
               "\xE2\x82\xAC'*()!~\"%");
}

static void names_that_look_escaped_have_two_forms(void **state) {
    (void)state;
    CHECK_LINE("attachment; filename=\"the%20plans.pdf\"; filename*=UTF-8''the%2520plans.pdf",
               "the%20plans.pdf");
    CHECK_LINE("attachment; filename=\"a%2g\"", "a%2g");
}

static void ours_nothing_but_ascii(void **state) {
    (void)state;
    /* npm: filename="résumé.txt" alone, in which node 20 sends EF BF BD for each é */
    CHECK_LINE("attachment; filename=\"r?sum?.txt\"; filename*=UTF-8''r%C3%A9sum%C3%A9.txt",
               "r\xC3\xA9sum\xC3\xA9.txt");
    /* npm: filename="résumé ?.txt" */
    CHECK_LINE("attachment; filename=\"r?sum? ?.txt\"; "
               "filename*=UTF-8''r%C3%A9sum%C3%A9%20%E2%82%AC.txt",
               "r\xC3\xA9sum\xC3\xA9 \xE2\x82\xAC.txt");
    CHECK_LINE("attachment; filename=\"?\"; filename*=UTF-8''%E2%82%AC", "\xE2\x82\xAC",
               .fallback = "\xC3\xA9");
    CHECK_LINE("attachment; filename*=UTF-8''%C3%A9", "\xC3\xA9", .no_fallback = true);
}

static void ours_bytes_become_replacement_characters(void **state) {
    (void)state;
    CHECK_LINE("attachment; filename=\"a?b\"; filename*=UTF-8''a%EF%BF%BDb", "a\xFF\x62");
    CHECK_LINE("attachment; filename=\"?\"; filename*=UTF-8''%EF%BF%BD", "\xC3");
    CHECK_LINE("attachment; filename=\"??\"; filename*=UTF-8''%EF%BF%BD%EF%BF%BD", "\xE2\x82");
}

static void fallback_may_be_chosen(void **state) {
    (void)state;
    CHECK_LINE("attachment; filename=\"euro.txt\"; filename*=UTF-8''%E2%82%AC.txt",
               "\xE2\x82\xAC.txt", .fallback = "euro.txt");
    CHECK_LINE("attachment; filename=\"\"; filename*=UTF-8''%E2%82%AC.txt", "\xE2\x82\xAC.txt",
               .fallback = "");
    CHECK_LINE("attachment; filename*=UTF-8''%E2%82%AC.txt", "\xE2\x82\xAC.txt",
               .no_fallback = true);
    CHECK_LINE("attachment; filename=\"a.txt\"", "a.txt", .no_fallback = true);
    CHECK_LINE("attachment; filename=\"a.txt\"", "a.txt", .fallback = "a.txt");
    CHECK_LINE("attachment; filename=\"b.txt\"; filename*=UTF-8''a.txt", "a.txt",
               .fallback = "b.txt");
}

static void fallback_is_checked(void **state) {
    (void)state;
    const char *error = "fallback must be ISO-8859-1 string";
    CHECK_ERROR(error, "a", .fallback = "\xE2\x82\xAC");
    CHECK_ERROR(error, "a", .fallback = "a\n");
    CHECK_ERROR(error, "a", .fallback = "\x7F");
    CHECK_ERROR(error, "a", .fallback = "\xC2\x9F");
    CHECK_ERROR(error, "a", .fallback = "\xC4\x80");
    CHECK_ERROR(error, "a", .fallback = "\xC3");
    CHECK_ERROR(error, "a", .fallback = "\xFF");
    CHECK_ERROR(error, "a", .type = " ", .fallback = "\xFF");
}

static void type_is_a_token(void **state) {
    (void)state;
    CHECK_LINE("inline; filename=\"a\"", "a", .type = "INLINE");
    CHECK_LINE("attachment", NULL, .type = "");
    CHECK_LINE("x!#$%&'*+-.^_`|~9", NULL, .type = "X!#$%&'*+-.^_`|~9");
    CHECK_ERROR("invalid type", NULL, .type = "a b");
    CHECK_ERROR("invalid type", "a", .type = "inline;");
    CHECK_ERROR("invalid type", "a", .type = "inline\r\nA: b");
    CHECK_ERROR("invalid type", "a", .type = "\xC3\xA9");
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* `expected` is the type, and then names and values in turn, with NULL at the end. */
static void check_parts(const char *value, const char *const *expected) {
    struct disposition disposition;
    release(NULL);
    int err = disposition_parse(&disposition, &empty, value);
    if (err)
        fail_msg("\"%s\": %d", value, err);
    assert_string_equal(disposition.type, *expected++);
    for (size_t i = 0; i < disposition.count; i++) {
        assert_non_null(expected[0]);
        assert_string_equal(disposition.parameters[i].name, expected[0]);
        assert_string_equal(disposition.parameters[i].value, expected[1]);
        assert_ptr_equal(disposition_get(&disposition, expected[0]),
                         disposition.parameters[i].value);
        expected += 2;
    }
    assert_null(*expected);
    assert_null(disposition_get(&disposition, "none"));
}

#define CHECK_PARTS(value, ...) check_parts(value, (const char *const[]){__VA_ARGS__, NULL})

static void check_malformed(const char *value) {
    struct disposition disposition = {.count = 99};
    release(NULL);
    if (disposition_parse(&disposition, &empty, value) != UV_EINVAL)
        fail_msg("\"%s\" is well-formed", value);
    assert_null(disposition.type);
    assert_int_equal(disposition.count, 0);
}

static void type_comes_first(void **state) {
    (void)state;
    CHECK_PARTS("attachment", "attachment");
    CHECK_PARTS("ATTACHMENT \t", "attachment");
    CHECK_PARTS("form-data; name=a", "form-data", "name", "a");
    check_malformed("");
    check_malformed(" attachment");
    check_malformed("\"attachment\"");
    check_malformed("attach ment");
    check_malformed("attachment,inline");
    check_malformed("; name=a");
    check_malformed("name=a");
}

static void parameters_follow(void **state) {
    (void)state;
    CHECK_PARTS("a;b=c", "a", "b", "c");
    CHECK_PARTS("a ;\tB = c ; D =\"e\"\t", "a", "b", "c", "d", "e");
    CHECK_PARTS("a; b=%41; c=!#$%&'*+-.^_`|~", "a", "b", "%41", "c", "!#$%&'*+-.^_`|~");
    check_malformed("a;");
    check_malformed("a; b");
    check_malformed("a; b=");
    check_malformed("a; =c");
    check_malformed("a; b=c;");
    check_malformed("a; b=c d");
    check_malformed("a; b=c, d=e");
    check_malformed("a; b=c=d");
    check_malformed("a;; b=c");
    check_malformed("a; b=\xC3\xA9");
    check_malformed("a; \xC3\xA9=b");
    check_malformed("a; b=c\r\n; d=e");
}

static void values_may_be_quoted(void **state) {
    (void)state;
    CHECK_PARTS("a; b=\"\"", "a", "b", "");
    CHECK_PARTS("a; b=\"c; d=\\\"e\\\\\"", "a", "b", "c; d=\"e\\");
    CHECK_PARTS("a; b=\"\\c\\%41\"", "a", "b", "c%41");
    CHECK_PARTS("form-data; name=\"a\"; filename=\"\xC3\xA9\xFF\"", "form-data", "name", "a",
                "filename", "\xC3\xA9\xFF");
    CHECK_PARTS("a; b=\"\\\\\xFF\"", "a", "b", "\\\xFF");
    check_malformed("a; b=\"");
    check_malformed("a; b=\"c");
    check_malformed("a; b=\"c\\\"");
    check_malformed("a; b=\"c\\");
    check_malformed("a; b=\"c\"d");
    check_malformed("a; b=c\"d\"");
    check_malformed("a; b=\"\t\"");
    check_malformed("a; b=\"\x7F\"");
    check_malformed("a; b=\"\\\x7F\"");
    check_malformed("a; b=\"\\\xFF\"");
}

static void extended_values_are_decoded(void **state) {
    (void)state;
    CHECK_PARTS("a; filename*=UTF-8''%E2%82%ac%20rates", "a", "filename", "\xE2\x82\xAC rates");
    CHECK_PARTS("a; b*=utf8'en'c+d%2B", "a", "b", "c+d+");
    CHECK_PARTS("a; b*=utf-8''++", "a", "b", "++");
    CHECK_PARTS("a; b*=utf-8''!#$&+-.^_`|~", "a", "b", "!#$&+-.^_`|~");
    CHECK_PARTS("a; b*=ISO-8859-1''%A3%e9%FF%20r", "a", "b", "\xC2\xA3\xC3\xA9\xC3\xBF r");
    CHECK_PARTS("a; b*=iso-8859-1''%00%1f%7f%80%9F%A0", "a", "b", "?????\xC2\xA0");
    CHECK_PARTS("a; b*=utf-8''%ff%e2%82+%ed%a0%80", "a", "b",
                "\xEF\xBF\xBD\xEF\xBF\xBD+\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK_PARTS("a; *=utf-8''b", "a", "", "b");
    CHECK_PARTS("a; b*c=d; e*f*=g", "a", "b*c", "d", "e*f*", "g");
}

static void extended_values_are_checked(void **state) {
    (void)state;
    check_malformed("a; b*=c");
    check_malformed("a; b*=\"utf-8''c\"");
    check_malformed("a; b*=utf-8'c");
    check_malformed("a; b*=utf-8''");
    check_malformed("a; b*=''c");
    check_malformed("a; b*=utf-16''c");
    check_malformed("a; b*=utf-8''c'd");
    check_malformed("a; b*=utf-8''c*d");
    check_malformed("a; b*=utf-8''%");
    check_malformed("a; b*=utf-8''%4");
    check_malformed("a; b*=utf-8''%zz");
    check_malformed("a; b*=utf-8''\xC3\xA9");
}

static void languages_are_checked(void **state) {
    (void)state;
    static const char *const languages[] = {"en",       "eng",    "engl",
                                            "englisch", "zh-cmn", "zh-cmn-abc-def"};
    static const char *const others[] = {"e",       "englische", "en-",  "en-ab",
                                         "en-abcd", "engl-abc",  "-abc", "zh-cmn-abc-def-ghi",
                                         "en-US",   "e1",        "en--", "en-abc-"};
    char value[64];
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
        snprintf(value, sizeof value, "a; b*=utf-8'%s'c", languages[i]);
        CHECK_PARTS(value, "a", "b", "c");
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(value, sizeof value, "a; b*=utf-8'%s'c", others[i]);
        check_malformed(value);
    }
}

static void extended_one_wins(void **state) {
    (void)state;
    struct disposition disposition;
    CHECK_PARTS("a; b=1; b*=utf-8''2; c=3", "a", "b", "2", "c", "3");
    CHECK_PARTS("a; b*=utf-8''2; c=3; B=1", "a", "b", "2", "c", "3");
    assert_int_equal(disposition_parse(&disposition, &empty, "a; b*=utf-8''2; b=1; c=3"), 0);
    assert_true(disposition.parameters[0].extended);
    assert_false(disposition.parameters[1].extended);
    check_malformed("a; b=1; b*=2");
}

static void nothing_comes_twice(void **state) {
    (void)state;
    check_malformed("a; b=1; b=1");
    check_malformed("a; b=1; c=2; B=3");
    check_malformed("a; b*=utf-8''1; b*=utf-8''1");
    check_malformed("a; b=1; b*=utf-8''1; b=2");
    CHECK_PARTS("a; b=1; bb=2; c=3", "a", "b", "1", "bb", "2", "c", "3");
}

static void ours_nul_cuts_nothing(void **state) {
    (void)state;
    CHECK_PARTS("a; b*=utf-8''c%00d", "a", "b", "c\xEF\xBF\xBD\x64");
}

static void no_memory(void **state) {
    (void)state;
    const char *error;
    struct disposition disposition;
    struct attachment attachment = {.filename = "\xC3\xA9", .fallback = "e"};
    for (fail_at = 1; !disposition_write(&empty, &attachment, &error); fail_at++) {
        assert_null(error);
        assert_true(fail_at < 8);
        while (block_count > 0)
            free(blocks[--block_count]);
    }
    assert_int_equal(fail_at, 4);
    release(NULL);
    for (fail_at = 1; disposition_parse(&disposition, &empty, "a; b=c") != 0; fail_at++) {
        assert_int_equal(disposition_parse(&disposition, &empty, "a; b=c"), UV_ENOMEM);
        assert_null(disposition.type);
        assert_int_equal(disposition.count, 0);
        assert_true(fail_at < 8);
        while (block_count > 0)
            free(blocks[--block_count]);
    }
    assert_int_equal(fail_at, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(plain_names_are_quoted, release),
        cmocka_unit_test_teardown(there_may_be_no_name, release),
        cmocka_unit_test_teardown(only_the_last_part_counts, release),
        cmocka_unit_test_teardown(names_beyond_ascii_have_two_forms, release),
        cmocka_unit_test_teardown(names_that_look_escaped_have_two_forms, release),
        cmocka_unit_test_teardown(ours_nothing_but_ascii, release),
        cmocka_unit_test_teardown(ours_bytes_become_replacement_characters, release),
        cmocka_unit_test_teardown(fallback_may_be_chosen, release),
        cmocka_unit_test_teardown(fallback_is_checked, release),
        cmocka_unit_test_teardown(type_is_a_token, release),
        cmocka_unit_test_teardown(type_comes_first, release),
        cmocka_unit_test_teardown(parameters_follow, release),
        cmocka_unit_test_teardown(values_may_be_quoted, release),
        cmocka_unit_test_teardown(extended_values_are_decoded, release),
        cmocka_unit_test_teardown(extended_values_are_checked, release),
        cmocka_unit_test_teardown(languages_are_checked, release),
        cmocka_unit_test_teardown(extended_one_wins, release),
        cmocka_unit_test_teardown(nothing_comes_twice, release),
        cmocka_unit_test_teardown(ours_nul_cuts_nothing, release),
        cmocka_unit_test_teardown(no_memory, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
