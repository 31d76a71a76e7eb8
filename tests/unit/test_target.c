/* Which request targets are read alike by everybody. */
#include "protocols/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct target {
    const char *target, *host;
};

static void clear(void **state) {
    static const struct target good[] = {
        {"/", "a"},
        {"/a?b=/http://c/", "a"},
        {"//a", "b"},
        {"/*", "a"},
        {"/", NULL},
        {"*", "a"},
        {"*?a", "a"},
        {"/a?b#c", "a"},
        {"http://a#b", "a"},
        {"http://a", "a"},
        {"http://a/", "a"},
        {"http://a?b", "a"},
        {"HTTP://EXAMPLE.org:80/x", "example.ORG:80"},
        {"https://[::1]:9/x", "[::1]:9"},
        {"http://a/", NULL},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!target_is_clear(good[i].target, good[i].host))
            fail_msg("%s is refused", good[i].target);
}

static void others(void **state) {
    static const struct target bad[] = {
        {"", "a"},
        {"a", "a"},
        {"a:80", "a:80"},
        {"?a", "a"},
        {"http:", "a"},
        {"http:/a", "a"},
        {"http://", ""},
        {"http:///", "a"},
        {"http://b/", "a"},
        {"http://a:80/", "a"},
        {"http://a/", "a:80"},
        {"http://a.b/", "a"},
        {"http://a/", "a.b"},
        {"http://user@a/", "a"},
        {"http://a@b/", "a"},
        {"http://a%zz/", "a%zz"},
        {"http://a:x/", "a:x"},
        {"http://a\\b/", "a"},
        {"http://[::1/", "[::1"},
        {"http://user@a/", NULL},
        {"ftp://a/", "a"},
        {"ws://a/", "a"},
        {"httpx://a/", "a"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (target_is_clear(bad[i].target, bad[i].host))
            fail_msg("%s is accepted", bad[i].target);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clear),
        cmocka_unit_test(others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
