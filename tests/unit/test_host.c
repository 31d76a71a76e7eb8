/* Names of hosts, as Koa 3.3 on node 20 has them. */
#include "context/host.h"

#include "../support/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* --- Names ------------------------------------------------------------------------------------ */

static void check_name(const char *host, const char *expected) {
    size_t length = host_name_length(host);
    if (length != strlen(expected) || memcmp(host, expected, length) != 0)
        fail_msg("\"%s\": \"%.*s\" is not \"%s\"", host, (int)length, host, expected);
}

static void name_ends_at_the_port(void **state) {
    (void)state;
    check_name("example.org", "example.org");
    check_name("example.org:8080", "example.org");
    check_name("example.org:", "example.org");
    check_name("192.0.2.1:80", "192.0.2.1");
    check_name("a b/c?:x:y", "a b/c?");
    check_name("::1", "");
    check_name("", "");
}

static void brackets(void **state) {
    (void)state;
    check_name("[::1]", "[::1]");
    check_name("[::1]:", "[::1]");
    check_name("[::1]:0", "[::1]");
    check_name("[::1]:65535", "[::1]");
    check_name("[::1]:000000000000000000000080", "[::1]");
    check_name("[x]y]", "");
    check_name("[x]:80", "[x]"); /* what is in them is not looked at */
    check_name("[]", "[]");
}

static void bad_brackets(void **state) {
    (void)state;
    static const char *const hosts[] = {
        "[",        "[::1",      "[::1]x",      "[::1]80",    "[::1]:65536",
        "[::1]:8a", "[::1]:-1",  "[::1]:80:80", "[::1]]",     "[::1]:99999999999999999999",
        "[::1]/",   "[::1]:80?", "[::1]:80#",   "[::1]\\",    "[::1] ",
        "[::1 ]",   "[:/:1]",    "[::1\t]",     "[::1]:80\n", "[::1]:4294967376",
    };
    for (size_t i = 0; i < LENGTH(hosts); i++)
        check_name(hosts[i], "");
}

/* --- Addresses -------------------------------------------------------------------------------- */

static void check_version(const char *text, int expected) {
    if (ip_version(text) != expected)
        fail_msg("\"%s\" is not %d", text, expected);
}

static void addresses(void **state) {
    (void)state;
    check_version("127.0.0.1", 4);
    check_version("255.255.255.255", 4);
    check_version("::", 6);
    check_version("::1", 6);
    check_version("2001:DB8::1", 6);
    check_version("1:2:3:4:5:6:7:8", 6);
    check_version("1:2:3:4:5:6:7::", 6);
    check_version("::ffff:192.0.2.1", 6);
    check_version("1:2:3:4:5:6:192.0.2.1", 6);
    check_version("0000:0000:0000:0000:0000:ffff:255.255.255.255", 6);
}

static void zones(void **state) {
    (void)state;
    check_version("fe80::1%eth0", 6);
    check_version("fe80::1%eth0.100-x:y", 6);
    check_version("::1%a-zone-may-be-of-any-length-and-the-address-need-not-be-of-a-link", 6);
    check_version("fe80::1%", 0);
    check_version("fe80::1%eth_0", 0);
    check_version("fe80::1%a%b", 0);
    check_version("127.0.0.1%lo", 0);
    check_version("%lo", 0);
}

static void no_addresses(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "localhost",
        "127.1",
        "127.0.0.256",
        "127.0.0.01",
        "0x7f.0.0.1",
        "127.0.0.1 ",
        " 127.0.0.1",
        "127.0.0.1.",
        "127.0.0.1:80",
        "[::1]",
        "::1]",
        ":::",
        "1::2::3",
        "12345::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "::1.2.3",
        "1:2:3:4:5:6:7:1.2.3.4",
        ":1",
        "1:2:3:4:5:6:7::8",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    for (size_t i = 0; i < LENGTH(texts); i++)
        check_version(texts[i], 0);
}

/* --- Subdomains ------------------------------------------------------------------------------- */

static void check_subdomains(const char *hostname, size_t offset, const char *const *expected) {
    const char *const *list = host_subdomains(&empty, hostname, offset);
    size_t i = 0;
    for (; expected[i]; i++)
        if (!list[i] || strcmp(list[i], expected[i]) != 0)
            fail_msg("\"%s\": \"%s\" is not \"%s\"", hostname, list[i], expected[i]);
    assert_null(list[i]);
    release(NULL);
}

#define SUBDOMAINS(hostname, offset, ...)                                                          \
    check_subdomains(hostname, offset, (const char *const[]){__VA_ARGS__})

static void last_one_comes_first(void **state) {
    (void)state;
    SUBDOMAINS("tobi.ferrets.example.com", 2, "ferrets", "tobi", NULL);
    SUBDOMAINS("tobi.ferrets.example.com", 3, "tobi", NULL);
    SUBDOMAINS("tobi.ferrets.example.com", 4, NULL);
    SUBDOMAINS("tobi.ferrets.example.com", SIZE_MAX, NULL);
    SUBDOMAINS("example.com", 0, "com", "example", NULL);
    SUBDOMAINS("localhost", 2, NULL);
    SUBDOMAINS("localhost", 0, "localhost", NULL);
}

static void parts_may_be_empty(void **state) {
    (void)state;
    SUBDOMAINS("", 2, NULL);
    SUBDOMAINS("", 0, "", NULL);
    SUBDOMAINS(".", 0, "", "", NULL);
    SUBDOMAINS("a..example.com.", 2, "example", "", "a", NULL);
}

static void addresses_have_none(void **state) {
    (void)state;
    SUBDOMAINS("127.0.0.1", 2, NULL);
    SUBDOMAINS("[::ffff:127.0.0.1]", 0, NULL);
    SUBDOMAINS("::ffff:127.0.0.1", 2, NULL);
    SUBDOMAINS("[127.0.0.1]", 2, NULL);
    SUBDOMAINS("127.0.0.256", 2, "0", "127", NULL);
    SUBDOMAINS("[", 0, "[", NULL);
    SUBDOMAINS("[]", 0, "[]", NULL);
    SUBDOMAINS("[a.b.c]", 2, "[a", NULL);
}

static void no_memory(void **state) {
    (void)state;
    for (size_t i = 1; i <= 2; i++) {
        fail_at = i;
        assert_null(host_subdomains(&empty, "a.example.com", 2));
        release(NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_ends_at_the_port),
        cmocka_unit_test(brackets),
        cmocka_unit_test(bad_brackets),
        cmocka_unit_test(addresses),
        cmocka_unit_test(zones),
        cmocka_unit_test(no_addresses),
        cmocka_unit_test_teardown(last_one_comes_first, release),
        cmocka_unit_test_teardown(parts_may_be_empty, release),
        cmocka_unit_test_teardown(addresses_have_none, release),
        cmocka_unit_test_teardown(no_memory, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
