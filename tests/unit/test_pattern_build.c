/* Paths out of patterns. */
#include "test_pattern.h"

#include "application/pattern_build.h"
#include "runtime/arena.h"

#define PARAMS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define RAW (&(const struct pattern_build_options){.raw = true})

static void check_build(const char *source, const char *const *params,
                        const struct pattern_build_options *options, const char *expected) {
    struct arena arena;
    char *error = "";
    struct pattern *pattern = compile(source, NULL);
    arena_init(&arena, NULL);
    const char *path = pattern_build(pattern, &arena, params, options, &error);
    if (path)
        assert_null(error);
    assert_string_equal(path ? path : error, expected);
    arena_release(&arena);
    pattern_free(pattern);
}

static void filled_in(void **state) {
    check_build("/", PARAMS(NULL), NULL, "/");
    check_build("", PARAMS(NULL), NULL, "");
    check_build("/users/:id", PARAMS("id", "7"), NULL, "/users/7");
    check_build("/:a-:b.:c", PARAMS("c", "3", "a", "1", "b", "2"), NULL, "/1-2.3");
    check_build("/:a/:a", PARAMS("a", "1"), NULL, "/1/1");
    check_build("/:a", PARAMS("b", "0", "a", "1"), NULL, "/1");
    check_build("/(\\d+)/(.*)", PARAMS("0", "1", "1", "x"), NULL, "/1/x");
    check_build("/:id?", PARAMS("id", "7"), NULL, "/7");
    check_build("/x/:id?", PARAMS(NULL), NULL, "/x");
    check_build("/x/:id?", PARAMS("id", NULL), NULL, "/x");
    check_build("/x{-:a,}?", PARAMS("a", "y"), NULL, "/x-y,");
    check_build("/x{y}?{y}*{z}", PARAMS(NULL), NULL, "/xz");
    check_build("/a\\:b", PARAMS(NULL), NULL, "/a:b");
}

static void lists(void **state) {
    check_build("/:a*", PARAMS("a", "x", "a", "y z"), NULL, "/x/y%20z");
    check_build("/:a+", PARAMS("a", "x"), NULL, "/x");
    check_build("{-:a,}+", PARAMS("a", "x", "a", "y"), NULL, "-x,-y,");
    check_build("/x/:a*", PARAMS("a", NULL), NULL, "/x");
    check_build("/x/:a*", PARAMS(NULL), NULL, "/x");
}

static void encoded(void **state) {
    check_build("/:a", PARAMS("a", "a/b?c#d%e f+g"), NULL, "/a%2Fb%3Fc%23d%25e%20f%2Bg");
    check_build("/:a", PARAMS("a", "-_.!~*'()"), NULL, "/-_.!~*'()");
    check_build("/:a", PARAMS("a", "\xC3\xA9"), NULL, "/%C3%A9");
    check_build("/:a", PARAMS("a", "a%2Fb"), RAW, "/a%2Fb");
    check_build("/(.*)", PARAMS("0", "a/b"), RAW, "/a/b");
    check_build("/(.*)", PARAMS("0", "a/b"), NULL, "/a%2Fb");
}

static void errors(void **state) {
    check_build("/:id", PARAMS(NULL), NULL, "Expected \"id\" to be a string");
    check_build("/:id", PARAMS("ID", "7"), NULL, "Expected \"id\" to be a string");
    check_build("/:id+", PARAMS(NULL), NULL, "Expected \"id\" to be an array");
    check_build("/:id+", PARAMS("id", NULL), NULL, "Expected \"id\" to not be empty");
    check_build("/:id", PARAMS("id", "7", "id", "8"), NULL,
                "Expected \"id\" to not repeat, but got an array");
    check_build("/:id", PARAMS("id", "a/b"), RAW,
                "Expected \"id\" to match \"[^\\/#\\?]+?\", but got \"a/b\"");
    check_build("/:id", PARAMS("id", ""), NULL,
                "Expected \"id\" to match \"[^\\/#\\?]+?\", but got \"\"");
    check_build("/:a-:b", PARAMS("a", "x", "b", "y-z"), NULL,
                "Expected \"b\" to match \"(?:(?!-)[^\\/#\\?])+?\", but got \"y-z\"");
    check_build("/:id(\\d+)", PARAMS("id", "x"), NULL,
                "Expected \"id\" to match \"\\d+\", but got \"x\"");
    check_build("/:id(\\d+)*", PARAMS("id", "1", "id", "x"), NULL,
                "Expected all \"id\" to match \"\\d+\", but got \"x\"");
    check_build("/:id(\\d+)", PARAMS("id", "x"),
                &(const struct pattern_build_options){.unchecked = true}, "/x");
}

#ifdef ACACIA_PCRE2
static void checked_by_an_engine(void **state) {
    check_build("/:id(\\d{4})", PARAMS("id", "2024"), NULL, "/2024");
    check_build("/:id(\\d{4})", PARAMS("id", "202"), NULL,
                "Expected \"id\" to match \"\\d{4}\", but got \"202\"");
    check_build("/:id(\\d{4})", PARAMS("id", "20244"), NULL,
                "Expected \"id\" to match \"\\d{4}\", but got \"20244\"");
    check_build("/:id(a|b)", PARAMS("id", "B"), NULL, "/B");
    check_build("/:a(x|y):b(\\1|z)", PARAMS("a", "x", "b", "z"), NULL, "/xz");
    check_build("/:a(x|y):b(\\1|z)", PARAMS("a", "x", "b", "x"), NULL,
                "Expected \"b\" to match \"\\1|z\", but got \"x\"");
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filled_in),
        cmocka_unit_test(lists),
        cmocka_unit_test(encoded),
        cmocka_unit_test(errors),
#ifdef ACACIA_PCRE2
        cmocka_unit_test(checked_by_an_engine),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
