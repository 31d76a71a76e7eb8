/* Which values of Host are one. */
#include "protocols/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In memory of just that size, so that the sanitizer sees who reads too far. */
static bool accepts(const char *text) {
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, text, n);
    bool result = authority_is_host(exact, n);
    free(exact);
    return result;
}

static void hosts(void **state) {
    static const char *const good[] = {
        "a",
        "example.com",
        "EXAMPLE.com:8080",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:80",
        "[::1]:",
        "a:",
        "a..b",
        "xn--bcher-kva.de",
        "a%20b",
        "a,b",
        "[v1.x]",
        "[vF.a:b]",
        "[fe80::1%25eth0]",
        "[::1]:99999",
        "...",
        "a:00080",
        "[::1.2.3.4]",
        "[2001:DB8::1]",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!accepts(good[i]))
            fail_msg("%s is refused", good[i]);
}

static void others(void **state) {
    static const char *const bad[] = {
        "",
        ":80",
        "user@host",
        "user:pass@host:80",
        "@a",
        "a@",
        "a/b",
        "a?b",
        "a#b",
        "a b",
        "a\\b",
        "a\"b",
        "<a>",
        "h\xe4",
        "::1",
        "[::1",
        "[]",
        "[:::]",
        "[::1]x",
        "a:b",
        "a:1:2",
        "[1::2::3]",
        "[12345::]",
        "[::1]]",
        "[v.x]",
        "[v1]",
        "[v1.]",
        "[fe80::1%eth0]",
        "[fe80::1%25]",
        "a%2",
        "a%zz",
        "[a]",
        "a:-1",
        "a: 80",
        "[1:2:3:4:5:6:7:8:9]",
        "http://a",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (accepts(bad[i]))
            fail_msg("%s is accepted", bad[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),
        cmocka_unit_test(others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
