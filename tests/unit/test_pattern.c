/* The patterns of routes. The .c is included so that its allocations can be made to fail. */
#include <stdlib.h>

static int allocations_left = -1; /* none fails */

static void *failing_malloc(size_t size) {
    if (allocations_left == 0)
        return NULL;
    if (allocations_left > 0)
        allocations_left--;
    return malloc(size);
}

#define malloc failing_malloc
#include "application/pattern.c"
#undef malloc

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct pattern *compile(const char *source) {
    char *error = "";
    struct pattern *pattern = pattern_compile(source, &error);
    if (!pattern)
        fail_msg("%s: %s", source, error);
    assert_null(error);
    assert_string_equal(pattern_source(pattern), source);
    return pattern;
}

/* What matched, as "a|b"; NULL if nothing did. The path is a block of its exact size, so that the
 * sanitizer sees who reads past it. */
static const char *match_bytes(const char *source, const char *path, size_t length) {
    static char text[4096];
    struct pattern *pattern = compile(source);
    size_t count = pattern_params(pattern);
    struct capture *captures = malloc((count + 1) * sizeof *captures);
    char *exact = malloc(length + 1);
    assert_non_null(captures);
    assert_non_null(exact);
    char *start = exact + 1;
    memcpy(start, path, length);
    bool matches = pattern_match(pattern, start, length, captures);
    char *to = text;
    for (size_t i = 0; matches && i < count; i++) {
        assert_true(captures[i].length > 0 && captures[i].start >= start);
        assert_true(captures[i].start + captures[i].length <= start + length);
        to += sprintf(to, "%s%.*s", i ? "|" : "", (int)captures[i].length, captures[i].start);
    }
    *to = '\0';
    free(exact);
    free(captures);
    pattern_free(pattern);
    return matches ? text : NULL;
}

static void check(const char *source, const char *path, const char *expected) {
    const char *found = match_bytes(source, path, strlen(path));
    if (!expected && found)
        fail_msg("%s must not match %s: [%s]", source, path, found);
    if (expected && (!found || strcmp(found, expected) != 0))
        fail_msg("%s with %s: [%s], not [%s]", source, path, found ? found : "-", expected);
}

static void literals(void **state) {
    (void)state;
    check("/", "/", "");
    check("/", "//", "");
    check("/", "/a", NULL);
    check("/", "", NULL);
    check("/users", "/users", "");
    check("/users", "/users/", "");
    check("/users", "/users#", "");
    check("/users", "/users?", "");
    check("/users", "/users//", NULL);
    check("/users", "/users/x", NULL);
    check("/users", "/user", NULL);
    check("/users", "x/users", NULL);
    check("/users/", "/users", NULL);
    check("/users/", "/users/", "");
    check("/users/", "/users//", "");
    check("/a.b", "/aXb", NULL);
    check("/a[b]$|^", "/a[b]$|^", "");
    check("", "", "");
    check("", "/", "");
    check("", "a", NULL);
}

static void case_of_ascii_does_not_matter(void **state) {
    (void)state;
    check("/users", "/USERS", "");
    check("/USERS", "/users", "");
    check("/User/:Id", "/uSER/Ab", "Ab");
    check("/[", "/{", NULL); /* 32 apart, but no letters */
    check("/@:a", "/`b", NULL);
    check("/caf\xC3\xA9", "/CAF\xC3\xA9", "");
    check("/caf\xC3\xA9", "/caf\xC3\x89", NULL);
    check("/caf\xC3\xA9", "/caf%C3%A9", NULL);
}

static void parameters(void **state) {
    (void)state;
    check("/users/:id", "/users/42", "42");
    check("/users/:id", "/users/42/", "42");
    check("/users/:id", "/users/42?", "42");
    check("/users/:id", "/users/", NULL);
    check("/users/:id", "/users//", NULL);
    check("/users/:id", "/users/a/b", NULL);
    check("/users/:id", "/users/a%2Fb", "a%2Fb");
    check("/users/:id", "/users/a.b", "a.b");
    check("/:a/:b/c/:d", "/1/2/c/3/", "1|2|3");
    check("/:a/:b", "/1//2", NULL);
    check("/:a#:b", "/1#2", "1|2");
    check(":a", "x", "x");
    check(":a", "/x", NULL);
    check("/@:name", "/@bob", "bob");
    check("/@:name", "/@a@b", "a@b");
    check("/user/:a-b", "/user/x-b", "x");
    check("/user/:a-b", "/user/x-b-b", "x-b");
    check("/:a_1b", "/x", "x");
    check("/:a\xC3\xA9", "/x\xC3\xA9", "x");
}

static void few_bytes_as_possible(void **state) {
    (void)state;
    check("/:a-:b", "/x-y", "x|y");
    check("/:a-:b", "/x-y-z", "x-y|z");
    check("/:a-:b", "/--", NULL);
    check("/:a-:b", "/---", NULL);
    check("/:a-:b", "/x--z", "x-|z");
    check("/:a-:b", "/-", NULL);
    check("/:a.:b", "/f.tar.gz", "f.tar|gz");
    check("/:a.:b", "/f.", NULL);
    check("/:a-.:b", "/x-.y-z", "x|y-z");
    check("/:a-.:b-", "/x-.y-.z-", "x-.y|z");
    check("/:a-X-:b", "/1-x-2", "1|2");
    check("/:a-X-:b", "/1-x-X-2", "1|X-2");
    check("/:a--:b--c", "/x---y--c", "x|-y");
    check("/:a--:b-c", "/x---y-c", "x|-y");
    check("/:a-:b/:c-:d", "/x-y-z/1-2-3", "x-y|z|1-2|3");
}

static void text_before_may_not_begin_inside(void **state) {
    (void)state;
    check("ab:p", "abx", "x");
    check("ab:p", "abxab", NULL);
    check("ab:p", "ABxAB", NULL);
    check("ab:p", "abxa", "xa");
    check("ab:pb", "abxab", NULL); /* "ab" begins within p, even though it ends after it */
    check("/x.:p", "/x.y", "y");
    check("/x.:p", "/x.y.z", NULL);
    check("/x-:p", "/x-y-z", "y-z"); /* "/x-" has a delimiter in it */
}

static void bytes_of_any_value(void **state) {
    (void)state;
    assert_string_equal(match_bytes("/:a", "/x\xFF", 3), "x\xFF");
    assert_null(match_bytes("/users", "/users\0", 7));
    assert_non_null(match_bytes("/:a", "/\0", 2));
    assert_null(match_bytes("/u", "", 0));
}

static void names(void **state) {
    (void)state;
    struct pattern *pattern = compile("/:one/:Two_2.:3/:one");
    assert_int_equal(pattern_params(pattern), 4);
    assert_string_equal(pattern_param_name(pattern, 0), "one");
    assert_string_equal(pattern_param_name(pattern, 1), "Two_2");
    assert_string_equal(pattern_param_name(pattern, 2), "3");
    assert_string_equal(pattern_param_name(pattern, 3), "one");
    assert_null(pattern_param_name(pattern, 4));
    pattern_free(pattern);
    pattern_free(NULL);
}

static void check_error(const char *source, const char *expected) {
    char *error = NULL;
    assert_null(pattern_compile(source, &error));
    assert_non_null(error);
    assert_string_equal(error, expected);
    free(error);
}

#define UNSUPPORTED(what) "Unsupported '" what ": a pattern is text and :name parameters"

static void errors(void **state) {
    (void)state;
    check_error("/:", "Missing parameter name at 1");
    check_error("/::a", "Missing parameter name at 1");
    check_error("/:a/:-", "Missing parameter name at 4");
    check_error("/:\xC3\xA9", "Missing parameter name at 1");
    check_error("/:a:b", "Must have text between two parameters, missing text after \"a\"");
    check_error("/:a-:b:c", "Must have text between two parameters, missing text after \"b\"");
    check_error("/:a:b:", "Missing parameter name at 5");
    check_error("*", UNSUPPORTED("*' at 0"));
    check_error("/a+b", UNSUPPORTED("+' at 2"));
    check_error("/:id?", UNSUPPORTED("?' at 4"));
    check_error("/:id(x)", UNSUPPORTED("(' at 4"));
    check_error("/a)", UNSUPPORTED(")' at 2"));
    check_error("/{a", UNSUPPORTED("{' at 1"));
    check_error("/}", UNSUPPORTED("}' at 1"));
    check_error("/a\\:b", UNSUPPORTED("\\' at 2"));
}

static void at_most_32_parameters(void **state) {
    (void)state;
    char source[3 * 33 + 1] = "", path[2 * 32 + 1] = "", expected[2 * 32 + 1] = "";
    for (int i = 0; i < 32; i++) {
        strcat(source, "/:a");
        strcat(path, "/x");
        strcat(expected, i ? "|x" : "x");
    }
    check(source, path, expected);
    check_error(strcat(source, "/:a"), "More than 32 parameters at 97");
}

/* Where a plain backtracker would not come back within a lifetime. */
static void no_exponential_time(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"--", "-"}, {"-!-", "-!"}, {"---", "-"},
                                           {"-", "x-"}, {".", "x."},   {"-.", "-."}};
    static char source[512], path[20000];
    static struct capture captures[PATTERN_PARAMS_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strcpy(source, "/:p");
        for (size_t n = 1; n < PATTERN_PARAMS_MAX; n++)
            strcat(strcat(source, cases[i][0]), ":p");
        for (size_t n = 0; n < sizeof path; n++)
            path[n] = cases[i][1][n % strlen(cases[i][1])];
        path[0] = '/';
        memcpy(path + sizeof path - 2, "//", 2);
        struct pattern *pattern = compile(source);
        assert_int_equal(pattern_params(pattern), PATTERN_PARAMS_MAX);
        assert_false(pattern_match(pattern, path, sizeof path, captures));
        pattern_free(pattern);
    }
}

static void no_memory(void **state) {
    (void)state;
    char *error = "";
    allocations_left = 0;
    assert_null(pattern_compile("/:a", &error));
    assert_null(error);
    error = "";
    assert_null(pattern_compile("/:", &error));
    assert_null(error);
    error = "";
    allocations_left = 1;
    assert_null(pattern_compile("/:a:b", &error)); /* no memory for the message */
    assert_null(error);
    allocations_left = -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals),
        cmocka_unit_test(case_of_ascii_does_not_matter),
        cmocka_unit_test(parameters),
        cmocka_unit_test(few_bytes_as_possible),
        cmocka_unit_test(text_before_may_not_begin_inside),
        cmocka_unit_test(bytes_of_any_value),
        cmocka_unit_test(names),
        cmocka_unit_test(errors),
        cmocka_unit_test(at_most_32_parameters),
        cmocka_unit_test(no_exponential_time),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
