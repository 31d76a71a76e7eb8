/* Status codes: phrases and kinds. */
#include "protocols/status.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void phrases(void **state) {
    (void)state;
    assert_string_equal(status_phrase(100), "Continue");
    assert_string_equal(status_phrase(101), "Switching Protocols");
    assert_string_equal(status_phrase(200), "OK");
    assert_string_equal(status_phrase(204), "No Content");
    assert_string_equal(status_phrase(302), "Found");
    assert_string_equal(status_phrase(404), "Not Found");
    assert_string_equal(status_phrase(413), "Payload Too Large");
    assert_string_equal(status_phrase(418), "I'm a Teapot");
    assert_string_equal(status_phrase(422), "Unprocessable Entity");
    assert_string_equal(status_phrase(500), "Internal Server Error");
    assert_string_equal(status_phrase(511), "Network Authentication Required");
}

static void unknown_statuses(void **state) {
    (void)state;
    const int unknown[] = {INT_MIN, -404, 0, 99, 199, 299, 306, 419, 499, 512, 600, 999, INT_MAX};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_null(status_phrase(unknown[i]));
}

static void count_all(void **state) {
    (void)state;
    int phrases = 0, empty = 0, redirects = 0;
    for (int status = -1000; status < 2000; status++) {
        phrases += status_phrase(status) != NULL;
        empty += status_is_empty(status);
        redirects += status_is_redirect(status);
    }
    assert_int_equal(phrases, 63);
    assert_int_equal(empty, 3);
    assert_int_equal(redirects, 7);
}

static void kinds(void **state) {
    (void)state;
    assert_true(status_is_empty(204) && status_is_empty(205) && status_is_empty(304));
    assert_false(status_is_empty(200) || status_is_empty(206) || status_is_empty(404));
    assert_true(status_is_redirect(300) && status_is_redirect(301) && status_is_redirect(302));
    assert_true(status_is_redirect(303) && status_is_redirect(305) && status_is_redirect(307));
    assert_true(status_is_redirect(308));
    assert_false(status_is_redirect(304) || status_is_redirect(306) || status_is_redirect(200));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phrases),
        cmocka_unit_test(unknown_statuses),
        cmocka_unit_test(count_all),
        cmocka_unit_test(kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
