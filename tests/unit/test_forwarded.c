/* What proxies say, as Koa, RFC 7239 and npm proxy-addr 2.0.8 have it. */
#include "context/forwarded.h"

#include "../support/blocks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define STRINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- Lists with commas ------------------------------------------------------------------------ */

static void check_split(const char *list, size_t max, const char *const *expected) {
    size_t count = 99, i = 0;
    const char *const *items = forwarded_split(&empty, list, max, &count);
    for (; expected[i]; i++)
        if (!items[i] || strcmp(items[i], expected[i]) != 0)
            fail_msg("\"%s\": \"%s\" is not \"%s\"", list, items[i], expected[i]);
    assert_null(items[i]);
    assert_int_equal(count, i);
    release(NULL);
}

static void items_are_trimmed(void **state) {
    (void)state;
    check_split("a", 0, STRINGS("a"));
    check_split("a,b", 0, STRINGS("a", "b"));
    check_split(" a\t,  b c , d", 0, STRINGS("a", "b c", "d"));
    check_split("a,\"b,c\"", 0, STRINGS("a", "\"b", "c\""));
}

static void empty_items_stay(void **state) {
    (void)state;
    check_split(",", 0, STRINGS("", ""));
    check_split("a,, b,", 0, STRINGS("a", "", "b", ""));
    check_split(" ", 0, STRINGS(""));
    check_split("", 0, (const char *const[]){NULL});
    check_split("", 1, (const char *const[]){NULL});
}

static void last_ones_are_kept(void **state) {
    (void)state;
    check_split("a, b, c", 1, STRINGS("c"));
    check_split("a, b, c", 2, STRINGS("b", "c"));
    check_split("a, b, c", 3, STRINGS("a", "b", "c"));
    check_split("a, b, c", SIZE_MAX, STRINGS("a", "b", "c"));
    check_split("a, b,", 1, STRINGS(""));
}

static void check_first(const char *list, const char *expected) {
    size_t length = 99;
    const char *first = forwarded_first(list, &length);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(first, expected, length);
}

static void first_item(void **state) {
    (void)state;
    check_first("", "");
    check_first("https", "https");
    check_first(" a b\t, c", "a b");
    check_first(" , c", "");
}

static void no_memory_to_split(void **state) {
    (void)state;
    size_t count;
    for (fail_at = 1; !forwarded_split(&empty, "a,b", 0, &count);) {
        size_t next = fail_at + 1;
        release(NULL);
        fail_at = next;
    }
    assert_int_equal(fail_at, 3);
}

/* --- Forwarded -------------------------------------------------------------------------------- */

static struct forwarded_list parse(const char *value) {
    struct forwarded_list list;
    release(NULL);
    if (forwarded_parse(&list, &empty, value) != 0)
        fail_msg("%s", value);
    assert_null(list.nodes[list.count]);
    for (size_t i = 0; i < list.count; i++)
        assert_ptr_equal(list.nodes[i], list.elements[i].for_node);
    return list;
}

static void check_string(const char *value, const char *actual, const char *expected) {
    if (actual != expected && (!actual || !expected || strcmp(actual, expected) != 0))
        fail_msg("%s: \"%s\" is not \"%s\"", value, actual ? actual : "NULL",
                 expected ? expected : "NULL");
}

static void check_elements(const char *value, size_t count, const struct forwarded *expected) {
    struct forwarded_list list = parse(value);
    assert_int_equal(list.count, count);
    for (size_t i = 0; i < count; i++) {
        check_string(value, list.elements[i].for_node, expected[i].for_node);
        check_string(value, list.elements[i].by_node, expected[i].by_node);
        check_string(value, list.elements[i].host, expected[i].host);
        check_string(value, list.elements[i].proto, expected[i].proto);
    }
}

#define ELEMENTS(value, ...)                                                                       \
    check_elements(value, LENGTH(((struct forwarded[]){__VA_ARGS__})),                             \
                   (struct forwarded[]){__VA_ARGS__})

static void examples_of_the_rfc(void **state) {
    (void)state;
    ELEMENTS("for=\"_gazonk\"", {.for_node = "_gazonk"});
    ELEMENTS("For=\"[2001:db8:cafe::17]:4711\"", {.for_node = "2001:db8:cafe::17"});
    ELEMENTS("for=192.0.2.60;proto=http;by=203.0.113.43",
             {.for_node = "192.0.2.60", .proto = "http", .by_node = "203.0.113.43"});
    ELEMENTS("for=192.0.2.43, for=198.51.100.17", {.for_node = "192.0.2.43"},
             {.for_node = "198.51.100.17"});
    ELEMENTS("for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown", {.for_node = "192.0.2.43"},
             {.for_node = "2001:db8:cafe::17"}, {.for_node = "unknown"});
    ELEMENTS("for=_hidden, for=_SEVKISEK", {.for_node = "_hidden"}, {.for_node = "_SEVKISEK"});
}

static void parameters_are_in_any_case(void **state) {
    (void)state;
    ELEMENTS("FOR=UNKNOWN;hOsT=A.b;PROTO=HTTPS;By=_x",
             {.for_node = "UNKNOWN", .host = "A.b", .proto = "https", .by_node = "_x"});
}

static void quoted_strings(void **state) {
    (void)state;
    ELEMENTS("for=\"\\1\\9\\2.0.2.1\"", {.for_node = "192.0.2.1"});
    ELEMENTS("host=\"a:80\", host=\"\"", {.host = "a:80"}, {.host = ""});
    ELEMENTS("x=\"a,for=1.1.1.1;\\\",\";for=192.0.2.1", {.for_node = "192.0.2.1"});
    ELEMENTS("x=\"\t \x80\xFF\\\\\";proto=http", {.proto = "http"});
}

static void other_parameters_are_dropped(void **state) {
    (void)state;
    ELEMENTS("secret=s;for=192.0.2.1;x=1;x=2", {.for_node = "192.0.2.1"});
    ELEMENTS("a=b", {.for_node = NULL});
    ELEMENTS("forr=x, fo=x", {.for_node = NULL}, {.for_node = NULL});
}

static void nothing_is_ignored(void **state) {
    (void)state;
    ELEMENTS(", ,for=_a,\t, for=_b ,", {.for_node = "_a"}, {.for_node = "_b"});
    ELEMENTS(" for=_a ; proto=http ;; by=_b; ",
             {.for_node = "_a", .by_node = "_b", .proto = "http"});
    ELEMENTS("for=_a, ;, for=_b", {.for_node = "_a"}, {.for_node = NULL}, {.for_node = "_b"});
}

static void nodes_have_ports(void **state) {
    (void)state;
    ELEMENTS("for=\"192.0.2.1:80\"", {.for_node = "192.0.2.1"});
    ELEMENTS("for=\"192.0.2.1:_p.-_\"", {.for_node = "192.0.2.1"});
    ELEMENTS("for=\"unknown:99999\"", {.for_node = "unknown"});
    ELEMENTS("for=\"_a:_b\"", {.for_node = "_a"});
    ELEMENTS("by=\"[::ffff:192.0.2.1]:0\"", {.by_node = "::ffff:192.0.2.1"});
}

static void malformed(void **state) {
    (void)state;
    static const char *const values[] = {
        /* nothing there */
        "",
        " ",
        ",",
        " , ,",
        /* no pairs */
        "for",
        "for=",
        "=a",
        "for=_a proto=http",
        "for =_a",
        "for= _a",
        "for=_a;proto",
        "f\xC3=a",
        "for==_a",
        "for=_a=b",
        "\"for\"=_a",
        "for:_a",
        /* no quoted strings */
        "for=\"_a",
        "for=\"_a\\\"",
        "for=\"_a\\",
        "for=_a\"",
        "for=\"_a\"b",
        "x=\"\x01\"",
        "x=\"\\\x01\"",
        "x=\"\x7F\"",
        "x='a b'",
        /* no tokens */
        "for=192.0.2.1:80",
        "for=[::1]",
        "host=a:80",
        "x=a/b",
        /* twice */
        "for=_a;for=_a",
        "proto=http;PROTO=http",
        "for=_a;x=1;For=_b",
        /* no nodes */
        "for=\"\"",
        "for=a",
        "for=_",
        "for=\"_a b\"",
        "for=1.2.3",
        "for=1.2.3.256",
        "for=01.2.3.4",
        "for=\"::1\"",
        "for=\"[::1\"",
        "for=\"[]\"",
        "for=\"[::1]x\"",
        "for=\"[1.2.3.4]\"",
        "for=\"[fe80::1%lo]\"",
        "for=\"[::1]]\"",
        "for=unknow",
        "by=unknownx",
        /* no ports */
        "for=\"192.0.2.1:\"",
        "for=\"192.0.2.1:123456\"",
        "for=\"192.0.2.1:8a\"",
        "for=\"_a:_\"",
        "for=\"192.0.2.1:80:80\"",
        "for=\"[::1]:\"",
        "for=\"[::1]80\"",
        /* no hosts, no schemes */
        "host=\"a b\"",
        "host=\"a/b\"",
        "host=\"u@a\"",
        "host=\"a\\\"b\"",
        "host=\"a\\\\b\"",
        "host=\"\xC3\xA9\"",
        "proto=1http",
        "proto=\"\"",
        "proto=\"http:\"",
        "proto=+a",
        /* one bad element spoils all */
        "for=192.0.2.1, for=!",
        "for=!, for=192.0.2.1",
    };
    for (size_t i = 0; i < LENGTH(values); i++) {
        struct forwarded_list list = {.count = 99};
        release(NULL);
        if (forwarded_parse(&list, &empty, values[i]) != -EINVAL)
            fail_msg("%s", values[i]);
        assert_int_equal(list.count, 0);
        assert_null(list.elements);
        assert_null(list.nodes);
    }
}

static void no_memory_to_parse(void **state) {
    (void)state;
    struct forwarded_list list;
    int err = -ENOMEM;
    for (size_t i = 1; err; i++) {
        release(NULL);
        fail_at = i;
        err = forwarded_parse(&list, &empty, "for=_a, for=_b");
        assert_int_equal(err, i < 4 ? -ENOMEM : 0);
        assert_int_equal(list.count, i < 4 ? 0 : 2);
    }
}

/* --- Trusted proxies -------------------------------------------------------------------------- */

static struct proxies *make(const char *const *entries) {
    char *error;
    struct proxies *proxies = proxies_new(entries, &error);
    if (!proxies)
        fail_msg("%s", error);
    return proxies;
}

static void check_trust(const char *entry, const char *address, bool expected) {
    struct proxies *proxies = make(STRINGS(entry));
    if (proxies_trust(proxies, address) != expected)
        fail_msg("%s in %s is %s", address ? address : "NULL", entry,
                 expected ? "not trusted" : "trusted");
    proxies_free(proxies);
}

static void addresses(void **state) {
    (void)state;
    check_trust("192.0.2.1", "192.0.2.1", true);
    check_trust("192.0.2.1", "192.0.2.2", false);
    check_trust("::1", "0:0:0:0:0:0:0:1", true);
    check_trust("2001:DB8::1", "2001:db8::0:1", true);
    check_trust("::1", "::2", false);
    check_trust("::1", "127.0.0.1", false);
    check_trust("0.0.0.1", "::1", false);
}

static void networks(void **state) {
    (void)state;
    check_trust("10.0.0.0/8", "10.255.0.1", true);
    check_trust("10.0.0.0/8", "11.0.0.1", false);
    check_trust("10.9.9.9/8", "10.0.0.1", true);
    check_trust("192.0.2.128/25", "192.0.2.127", false);
    check_trust("192.0.2.128/25", "192.0.2.129", true);
    check_trust("192.0.2.1/32", "192.0.2.0", false);
    check_trust("10.0.0.0/000008", "10.1.1.1", true);
    check_trust("128.0.0.0/1", "255.1.1.1", true);
    check_trust("2001:db8::/32", "2001:db8:ffff::1", true);
    check_trust("2001:db8::/33", "2001:db8:ffff::1", false);
    check_trust("fc00::/7", "fdff::1", true);
    check_trust("::1/128", "::1", true);
}

static void masks(void **state) {
    (void)state;
    check_trust("10.0.0.0/255.0.0.0", "10.1.1.1", true);
    check_trust("10.0.0.0/255.255.0.0", "10.1.1.1", false);
    check_trust("10.0.0.0/255.254.0.0", "10.1.1.1", true);
    check_trust("10.0.0.1/255.255.255.255", "10.0.0.1", true);
}

static void mapped_addresses_are_ipv4(void **state) {
    (void)state;
    check_trust("10.0.0.0/8", "::ffff:10.1.1.1", true);
    check_trust("10.0.0.0/8", "::ffff:a01:101", true);
    check_trust("10.0.0.0/8", "::FFFF:11.1.1.1", false);
    check_trust("::ffff:10.0.0.1", "10.0.0.1", true);
    check_trust("::ffff:10.0.0.0/104", "10.1.1.1", true);
    check_trust("::ffff:0:0/96", "192.0.2.1", true);
    check_trust("::ffff:0:0/96", "::1", false);
    check_trust("::/1", "192.0.2.1", false);
    check_trust("::/1", "::ffff:192.0.2.1", false);
    check_trust("::/1", "2001:db8::1", true);
    check_trust("10.0.0.0/8", "::10.0.0.1", false); /* ours: ipaddr.js takes it for a mapped one */
}

static void named_ranges(void **state) {
    (void)state;
    check_trust("loopback", "127.9.9.9", true);
    check_trust("loopback", "::1", true);
    check_trust("loopback", "::2", false);
    check_trust("loopback", "10.0.0.1", false);
    check_trust("linklocal", "169.254.255.1", true);
    check_trust("linklocal", "febf::1", true);
    check_trust("linklocal", "fec0::1", false);
    check_trust("uniquelocal", "10.0.0.1", true);
    check_trust("uniquelocal", "172.15.0.1", false);
    check_trust("uniquelocal", "172.31.0.1", true);
    check_trust("uniquelocal", "172.32.0.1", false);
    check_trust("uniquelocal", "192.168.0.1", true);
    check_trust("uniquelocal", "fd00::1", true);
    check_trust("uniquelocal", "fe00::1", false);
}

static void what_is_no_address_is_not_trusted(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "unknown",
        "_hidden",
        "127.0.0.1:80",
        "[::1]",
        " 127.0.0.1",
        "127.1",
        "0x7f.1",
        "127.0.0.1 ",
        "2130706433",
        "127.000.000.001",
        "::1%lo",
        "127.0.0.1%",
        "::ffff:127.0.0.1:80",
    };
    check_trust("loopback", NULL, false);
    for (size_t i = 0; i < LENGTH(texts); i++)
        check_trust("loopback", texts[i], false);
}

static void several_entries(void **state) {
    (void)state;
    struct proxies *proxies = make(STRINGS("uniquelocal", "8.8.8.8", "loopback", "uniquelocal"));
    assert_true(proxies_trust(proxies, "8.8.8.8"));
    assert_true(proxies_trust(proxies, "fd00::1"));
    assert_true(proxies_trust(proxies, "::1"));
    assert_false(proxies_trust(proxies, "8.8.4.4"));
    proxies_free(proxies);
    proxies = make((const char *const[]){NULL});
    assert_false(proxies_trust(proxies, "127.0.0.1"));
    proxies_free(proxies);
    proxies_free(NULL);
}

static void check_error(const char *entry, const char *expected) {
    char *error = NULL;
    if (proxies_new(STRINGS("loopback", entry, "::1"), &error))
        fail_msg("%s", entry);
    assert_string_equal(error, expected);
    free(error);
}

#define NO_ADDRESS "neither an address or a network, nor loopback, linklocal or uniquelocal"
#define NO_BITS "a network of IPv4 has 1 to 32 bits"

static void bad_entries(void **state) {
    (void)state;
    check_error("", "trusted proxy \"\": " NO_ADDRESS);
    check_error("localhost", "trusted proxy \"localhost\": " NO_ADDRESS);
    check_error("Loopback", "trusted proxy \"Loopback\": " NO_ADDRESS);
    check_error("10.0.0.0/8/8", "trusted proxy \"10.0.0.0/8/8\": " NO_ADDRESS);
    check_error("10.0.0/8", "trusted proxy \"10.0.0/8\": " NO_ADDRESS);
    check_error("/8", "trusted proxy \"/8\": " NO_ADDRESS);
    check_error("fe80::1%lo", "trusted proxy \"fe80::1%lo\": " NO_ADDRESS);
    check_error("loopback/8", "trusted proxy \"loopback/8\": " NO_ADDRESS);
    check_error("2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
                "trusted proxy "
                "\"2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000\": " NO_ADDRESS);
    check_error("10.0.0.0/", "trusted proxy \"10.0.0.0/\": " NO_BITS);
    check_error("10.0.0.0/0", "trusted proxy \"10.0.0.0/0\": " NO_BITS);
    check_error("10.0.0.0/33", "trusted proxy \"10.0.0.0/33\": " NO_BITS);
    check_error("10.0.0.0/-1", "trusted proxy \"10.0.0.0/-1\": " NO_BITS);
    check_error("10.0.0.0/8 ", "trusted proxy \"10.0.0.0/8 \": " NO_BITS);
    check_error("10.0.0.0/4294967304", "trusted proxy \"10.0.0.0/4294967304\": " NO_BITS);
    check_error("10.0.0.0/255.0.255.0", "trusted proxy \"10.0.0.0/255.0.255.0\": " NO_BITS);
    check_error("10.0.0.0/0.0.0.0", "trusted proxy \"10.0.0.0/0.0.0.0\": " NO_BITS);
    check_error("::1/129", "trusted proxy \"::1/129\": a network of IPv6 has 1 to 128 bits");
    check_error("::1/ffff::", "trusted proxy \"::1/ffff::\": a network of IPv6 has 1 to 128 bits");
    /* Ours: npm proxy-addr takes it, and it trusts nobody. */
    check_error("::ffff:0:0/95", "trusted proxy \"::ffff:0:0/95\": "
                                 "a network of mapped IPv4 addresses has 96 bits or more");
}

/* --- The walk --------------------------------------------------------------------------------- */

static void check_believed(const char *peer, const char *const *list, size_t count,
                           size_t expected) {
    struct proxies *proxies = make(STRINGS("loopback", "10.0.0.0/8"));
    assert_int_equal(proxies_believed(proxies, peer, list, count), expected);
    proxies_free(proxies);
}

#define BELIEVED(expected, peer, ...)                                                              \
    check_believed(peer, (const char *const[]){__VA_ARGS__},                                       \
                   LENGTH(((const char *const[]){__VA_ARGS__})), expected)

static void client_is_the_first_that_is_not_trusted(void **state) {
    (void)state;
    BELIEVED(0, "8.8.8.8", "1.1.1.1", "127.0.0.1");
    BELIEVED(1, "127.0.0.1", "1.1.1.1", "8.8.8.8");
    BELIEVED(2, "127.0.0.1", "1.1.1.1", "8.8.8.8", "10.0.0.1");
    BELIEVED(3, "::ffff:127.0.0.1", "8.8.8.8", "10.0.0.2", "10.0.0.1");
    BELIEVED(2, "127.0.0.1", "10.0.0.2", "10.0.0.1"); /* all are trusted */
    check_believed("127.0.0.1", NULL, 0, 0);
    check_believed("8.8.8.8", NULL, 0, 0);
}

static void peer_may_have_no_address(void **state) {
    (void)state;
    BELIEVED(0, "", "1.1.1.1");
    BELIEVED(0, NULL, "1.1.1.1");
}

static void what_is_no_address_ends_the_walk(void **state) {
    (void)state;
    BELIEVED(1, "127.0.0.1", "127.0.0.1", "unknown");
    BELIEVED(2, "127.0.0.1", "127.0.0.1", "10.0.0.1:80", "10.0.0.1");
    BELIEVED(1, "127.0.0.1", "127.0.0.1", NULL);
}

static void empty_ones_are_skipped(void **state) {
    (void)state;
    BELIEVED(3, "127.0.0.1", "8.8.8.8", "", "10.0.0.1");
    BELIEVED(1, "127.0.0.1", "", "10.0.0.1");
    BELIEVED(0, "127.0.0.1", "", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(items_are_trimmed, release),
        cmocka_unit_test_teardown(empty_items_stay, release),
        cmocka_unit_test_teardown(last_ones_are_kept, release),
        cmocka_unit_test(first_item),
        cmocka_unit_test_teardown(no_memory_to_split, release),
        cmocka_unit_test_teardown(examples_of_the_rfc, release),
        cmocka_unit_test_teardown(parameters_are_in_any_case, release),
        cmocka_unit_test_teardown(quoted_strings, release),
        cmocka_unit_test_teardown(other_parameters_are_dropped, release),
        cmocka_unit_test_teardown(nothing_is_ignored, release),
        cmocka_unit_test_teardown(nodes_have_ports, release),
        cmocka_unit_test_teardown(malformed, release),
        cmocka_unit_test_teardown(no_memory_to_parse, release),
        cmocka_unit_test(addresses),
        cmocka_unit_test(networks),
        cmocka_unit_test(masks),
        cmocka_unit_test(mapped_addresses_are_ipv4),
        cmocka_unit_test(named_ranges),
        cmocka_unit_test(what_is_no_address_is_not_trusted),
        cmocka_unit_test(several_entries),
        cmocka_unit_test(bad_entries),
        cmocka_unit_test(client_is_the_first_that_is_not_trusted),
        cmocka_unit_test(peer_may_have_no_address),
        cmocka_unit_test(what_is_no_address_ends_the_walk),
        cmocka_unit_test(empty_ones_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
