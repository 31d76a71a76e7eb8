/* The field Range: RFC 9110 14.1. */
#include "middleware/serve_parts.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 4

/* "0-4,6-6", "whole" or "nothing". The value at an address of its own, for the sanitizer. */
static void check_of(uint64_t length, const char *value, const char *expected) {
    struct serve_range ranges[LIMIT];
    char text[256] = "", *copy = strdup(value);
    size_t count;
    switch (serve_parse_range(copy, length, LIMIT, ranges, &count)) {
    case SERVE_WHOLE:
        strcpy(text, "whole");
        break;
    case SERVE_NOTHING:
        strcpy(text, "nothing");
        break;
    default:
        for (size_t i = 0; i < count; i++)
            sprintf(text + strlen(text), "%s%" PRIu64 "-%" PRIu64, i ? "," : "", ranges[i].first,
                    ranges[i].last);
    }
    if (strcmp(text, expected) != 0)
        fail_msg("\"%s\" of %" PRIu64 ": \"%s\", not \"%s\"", value, length, text, expected);
    free(copy);
}

static void check(const char *value, const char *expected) {
    check_of(10, value, expected);
}

static void single_ones(void **state) {
    check("bytes=0-0", "0-0");
    check("bytes=0-4", "0-4");
    check("bytes=0-9", "0-9");
    check("bytes=0-10", "0-9");
    check("bytes=9-", "9-9");
    check("bytes=3-", "3-9");
    check("bytes=-1", "9-9");
    check("bytes=-10", "0-9");
    check("bytes=-11", "0-9");
    check("bytes=007-008", "7-8");
    check("BYTES=1-2", "1-2");
}

static void out_of_the_file(void **state) {
    check("bytes=10-", "nothing");
    check("bytes=10-10", "nothing");
    check("bytes=-0", "nothing");
    check("bytes=-000", "nothing");
    check("bytes=10-,-0,99-100", "nothing");
    check("bytes=10-,1-1", "1-1");
    check_of(0, "bytes=0-", "nothing");
    check_of(0, "bytes=0-0", "nothing");
    check_of(0, "bytes=-0", "nothing");
    check_of(0, "bytes=-1", "whole");
    check_of(0, "bytes=0-,-1", "whole");
}

static void several(void **state) {
    check("bytes=0-0,2-2", "0-0,2-2");
    check("bytes=8-,0-1", "8-9,0-1");
    check("bytes= 0-0 , \t2-2 ,, ,", "0-0,2-2");
    check("bytes=,0-0", "0-0");
    check("bytes=0-4,5-9", "0-4,5-9");
    check("bytes=0-0,0-0", "0-0,0-0");
    check("bytes=0-0,1-1,2-2,3-3", "0-0,1-1,2-2,3-3");
}

static void too_much(void **state) {
    check("bytes=0-0,1-1,2-2,3-3,4-4", "whole"); /* too many */
    check("bytes=0-0,1-1,2-2,3-3,99-", "whole");
    check("bytes=0-5,4-9", "whole"); /* longer than the file */
    check("bytes=0-9,0-0", "whole");
    check("bytes=0-,0-", "whole");
    check_of(UINT64_MAX, "bytes=0-,0-", "whole");
}

static void malformed(void **state) {
    static const char *const values[] = {
        "",           "bytes",       "bytes=",      "bytes=,",       "bytes=-",    "bytes=--1",
        "bytes=1",    "bytes=a-",    "bytes=1-a",   "bytes=1-2-",    "bytes=2-1",  "bytes=1 -2",
        "bytes=1- 2", "bytes=1-2 3", "bytes=0-0,x", "bytes=x,0-0",   "items=0-1",  "bytes =0-1",
        " bytes=0-1", "bytes=+1-2",  "bytes=0x1-2", "bytes=0-1;2-3", "bytes=1-\n2"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        check(values[i], "whole");
}

static void large_numbers(void **state) {
    check("bytes=1-99999999999999999999999999999999", "1-9");
    check("bytes=-99999999999999999999999999999999", "0-9");
    check("bytes=99999999999999999999999999999999-", "nothing");
    check("bytes=99999999999999999999-99999999999999999998", "whole");
    check("bytes=99999999999999999998-99999999999999999999", "nothing");
    check("bytes=18446744073709551616-18446744073709551616", "nothing"); /* not 0-0 */
    check("bytes=00000000000000000000000001-0000000000000000000002", "1-2");
    check_of(UINT64_MAX, "bytes=18446744073709551614-",
             "18446744073709551614-18446744073709551614");
    check_of(UINT64_MAX, "bytes=-1", "18446744073709551614-18446744073709551614");
    check_of(UINT64_MAX, "bytes=0-18446744073709551615", "0-18446744073709551614");
}

/* Ten thousand of them take no long. */
static void very_many(void **state) {
    char *value = malloc(50007), *at = stpcpy(value, "bytes=");
    for (int i = 0; i < 10000; i++)
        at = stpcpy(at, "0-0,");
    check(value, "whole");
    memset(value + 6, ',', 40000);
    check(value, "whole");
    free(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_ones), cmocka_unit_test(out_of_the_file),
        cmocka_unit_test(several),     cmocka_unit_test(too_much),
        cmocka_unit_test(malformed),   cmocka_unit_test(large_numbers),
        cmocka_unit_test(very_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
