/* Dates in header fields. */
#include "context/http_date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define REFUSED INT64_MIN

/* At an address of its own, so that the sanitizer sees its end. */
static int64_t parse(const char *text) {
    int64_t seconds = REFUSED;
    char *copy = strdup(text);
    bool is_date = http_date_parse(copy, &seconds);
    assert_int_equal(is_date, seconds != REFUSED);
    free(copy);
    return seconds;
}

static void check_format(int64_t seconds, const char *expected) {
    char text[HTTP_DATE_SIZE];
    http_date_format(text, seconds);
    assert_string_equal(text, expected);
    assert_int_equal(parse(text), seconds);
}

static void written_and_read(void **state) {
    (void)state;
    check_format(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    check_format(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    check_format(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
    check_format(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    check_format(951868799, "Tue, 29 Feb 2000 23:59:59 GMT");
    check_format(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    check_format(-2203891200, "Thu, 01 Mar 1900 00:00:00 GMT");
    check_format(1735689599, "Tue, 31 Dec 2024 23:59:59 GMT");
    check_format(2147483648, "Tue, 19 Jan 2038 03:14:08 GMT");
    check_format(-62167219200, "Sat, 01 Jan 0000 00:00:00 GMT");
    check_format(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void years_are_limited(void **state) {
    (void)state;
    char text[HTTP_DATE_SIZE];
    http_date_format(text, INT64_MIN);
    assert_string_equal(text, "Sat, 01 Jan 0000 00:00:00 GMT");
    http_date_format(text, INT64_MAX);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
}

/* Every day of 400 years, after which the calendar repeats, at some second of it. */
static void as_the_library_of_c(void **state) {
    (void)state;
    for (int64_t day = -100000; day < 146097 - 100000; day++) {
        time_t seconds = (time_t)(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
        struct tm tm;
        char text[HTTP_DATE_SIZE], expected[64];
        assert_non_null(gmtime_r(&seconds, &tm));
        strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        http_date_format(text, seconds);
        assert_string_equal(text, expected);
        assert_int_equal(parse(text), seconds);
    }
}

static void obsolete_forms(void **state) {
    (void)state;
    assert_int_equal(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    assert_int_equal(parse("Wednesday, 01-Jan-70 00:00:00 GMT"), 0);
    assert_int_equal(parse("Friday, 31-Dec-49 23:59:59 GMT"), 2524607999);
    assert_int_equal(parse("Sunday, 01-Jan-50 00:00:00 GMT"), -631152000);
    assert_int_equal(parse("Sun Nov  6 08:49:37 1994"), 784111777);
    assert_int_equal(parse("Sun Nov 06 08:49:37 1994"), 784111777);
    assert_int_equal(parse("Wed Nov 16 08:49:37 1994"), 784975777);
}

static void iso_8601(void **state) {
    (void)state;
    assert_int_equal(parse("1994-11-06"), 784080000);
    assert_int_equal(parse("1994-11-06T08:49:37Z"), 784111777);
    assert_int_equal(parse("1994-11-06T08:49Z"), 784111740);
    assert_int_equal(parse("1994-11-06T08:49:37.999Z"), 784111777);
    assert_int_equal(parse("1994-11-06T09:49:37+01:00"), 784111777);
    assert_int_equal(parse("1994-11-05T23:19:37.0-09:30"), 784111777);
    assert_int_equal(parse("1969-12-31T23:59:59Z"), -1);
}

static void weekday_does_not_matter(void **state) {
    (void)state;
    assert_int_equal(parse("Mon, 06 Nov 1994 08:49:37 GMT"), 784111777);
    assert_int_equal(parse("Monday, 06-Nov-94 08:49:37 GMT"), 784111777);
    assert_int_equal(parse("Foo, 06 Nov 1994 08:49:37 GMT"), REFUSED);
}

static void there_must_be_such_a_time(void **state) {
    (void)state;
    assert_int_equal(parse("Mon, 29 Feb 2100 00:00:00 GMT"), REFUSED);
    assert_int_equal(parse("Wed, 30 Feb 2000 00:00:00 GMT"), REFUSED);
    assert_int_equal(parse("Mon, 31 Apr 2000 00:00:00 GMT"), REFUSED);
    assert_int_equal(parse("Mon, 00 Apr 2000 00:00:00 GMT"), REFUSED);
    assert_int_equal(parse("Mon, 32 Dec 2000 00:00:00 GMT"), REFUSED);
    assert_int_equal(parse("2000-13-01"), REFUSED);
    assert_int_equal(parse("2000-00-01"), REFUSED);
    assert_int_equal(parse("Sat, 01 Jan 2000 24:00:00 GMT"), REFUSED);
    assert_int_equal(parse("Sat, 01 Jan 2000 00:60:00 GMT"), REFUSED);
    assert_int_equal(parse("Sat, 01 Jan 2000 00:00:60 GMT"), REFUSED);
    assert_int_equal(parse("2000-01-01T00:00:00+24:00"), REFUSED);
    assert_int_equal(parse("2000-01-01T00:00:00+00:60"), REFUSED);
}

static void leap_second(void **state) {
    (void)state;
    assert_int_equal(parse("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228800);
    assert_int_equal(parse("Sun, 01 Jan 2017 00:00:00 GMT"), 1483228800);
    assert_int_equal(parse("Sat, 31 Dec 2016 23:59:61 GMT"), REFUSED);
}

static void nothing_else_is_a_date(void **state) {
    (void)state;
    assert_int_equal(parse(""), REFUSED);
    assert_int_equal(parse("0"), REFUSED);
    assert_int_equal(parse("yesterday"), REFUSED);
    assert_int_equal(parse("784111777"), REFUSED);
    assert_int_equal(parse(" Sun, 06 Nov 1994 08:49:37 GMT"), REFUSED);
    assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 GMT "), REFUSED);
    assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37"), REFUSED);
    assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 UTC"), REFUSED);
    assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 +0000"), REFUSED);
    assert_int_equal(parse("Sun, 6 Nov 1994 08:49:37 GMT"), REFUSED);
    assert_int_equal(parse("Sun, 06 Nov 94 08:49:37 GMT"), REFUSED);
    assert_int_equal(parse("sun, 06 nov 1994 08:49:37 gmt"), REFUSED);
    assert_int_equal(parse("06 Nov 1994 08:49:37 GMT"), REFUSED);
    assert_int_equal(parse("Sunday, 06-Nov-1994 08:49:37 GMT"), REFUSED);
    assert_int_equal(parse("Sun Nov 6 08:49:37 1994"), REFUSED);
    assert_int_equal(parse("1994-11-06T08:49:37"), REFUSED);
    assert_int_equal(parse("1994-11-06T08Z"), REFUSED);
    assert_int_equal(parse("1994-11-06T08:49:37.Z"), REFUSED);
    assert_int_equal(parse("1994-11-06T08:49:37+0100"), REFUSED);
    assert_int_equal(parse("1994-11-06 08:49:37Z"), REFUSED);
    assert_int_equal(parse("1994-11"), REFUSED);
}

/* Cut off anywhere it is no date; the sanitizer sees whether anything is read behind the end. */
static void truncated(void **state) {
    (void)state;
    static const char *const dates[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "1994-11-06T08:49:37.5+01:00",
    };
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        for (size_t length = 0; length < strlen(dates[i]); length++) {
            char *cut = strndup(dates[i], length);
            if (strcmp(cut, "1994-11-06") != 0)
                assert_int_equal(parse(cut), REFUSED);
            free(cut);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read),
        cmocka_unit_test(years_are_limited),
        cmocka_unit_test(as_the_library_of_c),
        cmocka_unit_test(obsolete_forms),
        cmocka_unit_test(iso_8601),
        cmocka_unit_test(weekday_does_not_matter),
        cmocka_unit_test(there_must_be_such_a_time),
        cmocka_unit_test(leap_second),
        cmocka_unit_test(nothing_else_is_a_date),
        cmocka_unit_test(truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
