/* Which request targets are read alike by everybody. */
#include "protocols/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct target {
    const char *target, *method, *host;
};

static void clear(void **state) {
    static const struct target good[] = {
        {"/", "GET", "a"},
        {"/a?b=/http://c/", "GET", "a"},
        {"//a", "GET", "b"},
        {"/*", "GET", "a"},
        {"/", "GET", NULL},
        {"*", "OPTIONS", "a"},
        {"http://a", "GET", "a"},
        {"http://a/", "GET", "a"},
        {"http://a?b", "GET", "a"},
        {"HTTP://EXAMPLE.org:80/x", "GET", "example.ORG:80"},
        {"https://[::1]:9/x", "GET", "[::1]:9"},
        {"http://a/", "GET", NULL},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!target_is_clear(good[i].target, good[i].method, good[i].host))
            fail_msg("%s is refused", good[i].target);
}

static void others(void **state) {
    static const struct target bad[] = {
        {"/#", "GET", "a"},
        {"/a?b#c", "GET", "a"},
        {"http://a/#b", "GET", "a"},
        {"*", "GET", "a"},
        {"*", "options", "a"},
        {"*/", "OPTIONS", "a"},
        {"**", "OPTIONS", "a"},
        {"", "GET", "a"},
        {"a", "GET", "a"},
        {"a:80", "GET", "a:80"},
        {"?a", "GET", "a"},
        {"http:", "GET", "a"},
        {"http:/a", "GET", "a"},
        {"http://", "GET", ""},
        {"http:///", "GET", "a"},
        {"http://b/", "GET", "a"},
        {"http://a:80/", "GET", "a"},
        {"http://a/", "GET", "a:80"},
        {"http://a.b/", "GET", "a"},
        {"http://a/", "GET", "a.b"},
        {"http://user@a/", "GET", "a"},
        {"http://a@b/", "GET", "a"},
        {"http://a%zz/", "GET", "a%zz"},
        {"http://a:x/", "GET", "a:x"},
        {"http://a\\b/", "GET", "a"},
        {"http://[::1/", "GET", "[::1"},
        {"http://user@a/", "GET", NULL},
        {"ftp://a/", "GET", "a"},
        {"ws://a/", "GET", "a"},
        {"httpx://a/", "GET", "a"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (target_is_clear(bad[i].target, bad[i].method, bad[i].host))
            fail_msg("%s is accepted", bad[i].target);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clear),
        cmocka_unit_test(others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
