/* The patterns of routes, as far as they need no regular expression engine. */
#include "test_pattern.h"

#include "application/pattern_parse.h"

#define WITH(...) (&(const struct pattern_options){__VA_ARGS__})

/* From path-to-regexp 6.3.0 itself, over the beginning of its grammar to its end. */
static void facts(void **state) {
    check("/", "/", "");
    check("/", "//", "");
    check("/", "/a", NULL);
    check("/users", "/users/", "");
    check("/users", "/users//", NULL);
    check("/users", "/USERS", "");
    check_with(WITH(.sensitive = true), "/users", "/USERS", NULL);
    check_with(WITH(.strict = true), "/users", "/users/", NULL);
    check("/users/", "/users", NULL);
    check("/users/", "/users/", "");
    check_with(WITH(.no_end = true), "/users", "/users/x", "");
    check_with(WITH(.no_end = true), "/users", "/usersX", NULL);
    check_with(WITH(.no_end = true), "/users/:id", "/users/42/posts", "42");
    check("/users/:id", "/users/42", "42");
    check("/users/:id", "/users/42/", "42");
    check("/users/:id", "/users/", NULL);
    check("/users/:id", "/users/a/b", NULL);
    check("/users/:id", "/users/a%2Fb", "a%2Fb");
    check("/users/:id", "/users/a.b", "a.b");
    check("/users/:id?", "/users", "~");
    check("/users/:id?", "/users/", "~");
    check("/users/:id(\\d+)", "/users/7", "7");
    check("/users/:id(\\d+)", "/users/7a", NULL);
    check("/:a-:b", "/x-y-z", "x-y|z");
    check("/:a.:b", "/f.tar.gz", "f.tar|gz");
    check("/:a.:ext?", "/file", "file|~");
    check("/:a.:ext?", "/file.txt", "file|txt");
    check("/user/:a-b", "/user/x-b", "x");
    check("/@:name", "/@bob", "bob");
    check("/files/:p*", "/files", "~");
    check("/files/:p*", "/files/a/b/c", "a/b/c");
    check("/files/:p*", "/files//a", NULL);
    check("/files/:p+", "/files", NULL);
    check("/files/:p+", "/files/a/b/", "a/b");
    check("/files/:p(.*)", "/files/a/b.c", "a/b.c");
    check("/files/:p(.*)", "/files", NULL);
    check("/(.*)", "/", "");
    check("/(.*)", "/a/b", "a/b");
    check("(.*)", "/a/b", "/a/b");
    check("/a/(.*)/z", "/a/b/c/z", "b/c");
    check("/:foo/(.*)", "/x/y/z", "x|y/z");
    check("/(\\d+)-(\\w+)", "/12-ab", "12|ab");
    check("/:a1?{-:a2}?{-:a3}?", "/test", "test|~|~");
    check("/:a1?{-:a2}?{-:a3}?", "/test-x-y", "test|x|y");
    check("/a{/b}?/c", "/a/c", "");
    check("{/:lang}?/docs", "/en/docs", "en");
    check("/x{:s,}+", "/xa,b,", "a,b");
    check("/a{b}*c", "/abbc", "");
    check("/a\\:b", "/a:b", "");
    check("/a.b", "/aXb", NULL);
    check("/caf\xC3\xA9", "/caf%C3%A9", NULL);
    check_error("/a+b", "Unexpected MODIFIER at 2, expected END");
    check_error("*", "Unexpected MODIFIER at 0, expected END");
    check_error("/:a:b", "Must have text between two parameters, missing text after \"a\"");
    check_error("/(a(b))", "Capturing groups are not allowed at 3");
    check_error("(a)*", "Can not repeat \"0\" without a prefix and suffix");
}

static void literals(void **state) {
    check("/", "", NULL);
    check("/users", "/users", "");
    check("/users", "/users#", "");
    check("/users", "/users?", "");
    check("/users", "/users/x", NULL);
    check("/users", "/user", NULL);
    check("/users", "x/users", NULL);
    check("/users/", "/users//", "");
    check("/a[b]$|^", "/a[b]$|^", "");
    check("", "", "");
    check("", "/", "");
    check("", "a", NULL);
    check("/\\(\\{\\?\\*\\+\\\\\\a", "/({?*+\\a", "");
    check("/a\\", "/a", ""); /* what would have been escaped isn't there */
}

static void case_of_ascii_does_not_matter(void **state) {
    check("/users", "/USERS", "");
    check("/USERS", "/users", "");
    check("/User/:Id", "/uSER/Ab", "Ab");
    check("/[", "/{", NULL); /* 32 apart, but no letters */
    check("/@:a", "/`b", NULL);
    check("/caf\xC3\xA9", "/CAF\xC3\xA9", "");
    check("/caf\xC3\xA9", "/caf\xC3\x89", NULL);
    check_with(WITH(.sensitive = true), "/a{B}*-:c", "/aBB-C", "C");
    check_with(WITH(.sensitive = true), "/a{B}*-:c", "/aBb-C", NULL);
}

static void parameters(void **state) {
    check("/users/:id", "/users/42?", "42");
    check("/users/:id", "/users//", NULL);
    check("/:a/:b/c/:d", "/1/2/c/3/", "1|2|3");
    check("/:a/:b", "/1//2", NULL);
    check("/:a#:b", "/1#2", "1|2");
    check(":a", "x", "x");
    check(":a", "/x", NULL);
    check("/@:name", "/@a@b", "a@b");
    check("/user/:a-b", "/user/x-b-b", "x-b");
    check("/:a_1b", "/x", "x");
    check("/:a\xC3\xA9", "/x\xC3\xA9", "x");
}

static void few_bytes_as_possible(void **state) {
    check("/:a-:b", "/x-y", "x|y");
    check("/:a-:b", "/--", NULL);
    check("/:a-:b", "/x--z", "x-|z");
    check("/:a-:b", "/-", NULL);
    check("/:a.:b", "/f.", NULL);
    check("/:a-.:b", "/x-.y-z", "x|y-z");
    check("/:a-.:b-", "/x-.y-.z-", "x-.y|z");
    check("/:a-X-:b", "/1-x-X-2", "1|X-2");
    check("/:a--:b--c", "/x---y--c", "x|-y");
    check("/:a--:b-c", "/x---y-c", "x|-y");
    check("/:a-:b/:c-:d", "/x-y-z/1-2-3", "x-y|z|1-2|3");
}

static void text_before_may_not_begin_inside(void **state) {
    check("ab:p", "abx", "x");
    check("ab:p", "abxab", NULL);
    check("ab:p", "ABxAB", NULL);
    check("ab:p", "abxa", "xa");
    check("ab:pb", "abxab", NULL); /* "ab" begins within p, even though it ends after it */
    check("/x.:p", "/x.y", "y");
    check("/x.:p", "/x.y.z", NULL);
    check("/x-:p", "/x-y-z", "y-z"); /* "/x-" has a delimiter in it */
}

static void what_is_optional_is_taken_if_it_can_be(void **state) {
    check("/:a?/:b", "/x", "~|x");
    check("/:a?/:b", "/x/y", "x|y");
    check("/:a?/edit", "/edit", "~");
    check("/:a?/edit", "/edit/edit", "edit");
    check("/:a?/:b?/:c?", "/x/y", "x|y|~");
    check("/x{-:a}?-y", "/x-y", "~");
    check("/x{-:a}?-y", "/x-y-y", "y");
    check("/x{-:a(.*)}?", "/x-", ""); /* empty is not absent */
    check("(.*)?", "", "~");          /* but nothing is */
    check("/a{b}?b", "/ab", "");
    check("/a{b}?b", "/abbb", NULL);
    check("/a{}?{}*{}+{}b", "/ab", "");
}

static void what_repeats_is_taken_often(void **state) {
    check("/:a*/:b", "/x", "~|x");
    check("/:a*/:b", "/x/y/z", "x/y|z");
    check("/:a+/:b+", "/x/y/z", "x/y|z");
    check("/:a+/y/:b*", "/x/y/y/z", "x/y|z");
    check("/x{-:a\\+}*", "/x-a+-b+", "a+-b");
    check("/x{-:a(.*),}+", "/x-a,b,-c,", "a,b,-c");
    check("/a{b}+b", "/ab", NULL);
    check("/a{b}+b", "/abbb", "");
    check("/a{bc}*b", "/abcbcb", "");
}

static void sets_of_characters(void **state) {
    check("/:a(\\d+):b(\\w*)", "/12x3", "12|x3");
    check("/:a(\\d+?):b(\\w*)", "/12x3", "1|2x3");
    check("/:a([a-c.]+)", "/A.b", "A.b");
    check_with(WITH(.sensitive = true), "/:a([a-c.]+)", "/A.b", NULL);
    check("/:a([^/]*)/:b([^]+)", "/x/y/\n", "x|y/\n");
    check("/:a([]*)b", "/b", "");
    check("/(.*)", "/a\rb", NULL);
    check("/:a(.*?)-:b(.*)", "/x-y-z", "x|y-z");
    check("/:a([\\]\\-\\x41]+)", "/]-A", "]-A");
}

static void options(void **state) {
    check_with(WITH(.strict = true), "/:a?", "/", NULL);
    check_with(WITH(.no_end = true), "/a/", "/a/b", "");
    check_with(WITH(.no_end = true), "/a/", "/a", NULL);
    check_with(WITH(.no_end = true), "", "xyz", "");
    check_with(WITH(.no_end = true), "/:a", "/x#y", "x");
    check_with(WITH(.no_end = true, .strict = true), "/a", "/a/", "");
    check_with(WITH(.no_start = true), "/:a", "x/y/z", "z");
    check_with(WITH(.no_start = true, .no_end = true), "/:a", "x/y/z", "y");
    check_with(WITH(.no_start = true), "b", "ab", "");
    check_with(WITH(.delimiter = "-"), "/:a-:b", "/x#y-z", "x#y|z");
    check_with(WITH(.delimiter = "-"), "/a", "/a-", "");
    check_with(WITH(.delimiter = ""), "/:a", "/x#\n", "x#\n");
    check_with(WITH(.delimiter = "a-c"), "/:p", "/xB", "x"); /* a range */
    check_with(WITH(.prefixes = "-"), "/a-:b?", "/a", "~");
    check_with(WITH(.prefixes = ""), "/a/:b?", "/a/", "~");
    check_with(WITH(.prefixes = ""), "/a/:b?", "/a", NULL);
    check_with(WITH(.ends_with = "?"), "/a", "/a?b", "");
    check_with(WITH(.ends_with = "?"), "/a", "/a/?b", "");
    check_with(WITH(.ends_with = "."), "/:a", "/x.y", "x");
    check_with(WITH(.ends_with = ".", .no_end = true), "/a", "/a.b", "");
    check_with(WITH(.no_end = true), "/a]", "/a]b", ""); /* path-to-regexp's own */
}

static void bytes_of_any_value(void **state) {
    assert_string_equal(match_bytes("/:a", NULL, "/x\xFF", 3), "x\xFF");
    assert_null(match_bytes("/users", NULL, "/users\0", 7));
    assert_non_null(match_bytes("/:a", NULL, "/\0", 2));
    assert_null(match_bytes("/u", NULL, "", 0));
}

/* More than fits into the rows on the stack. */
static void long_paths(void **state) {
    static char path[20000];
    for (size_t n = 50; n < sizeof path; n = 3 * n + 1) {
        memset(path, 'x', n);
        path[0] = '/';
        path[n] = '\0';
        struct pattern *pattern = compile("/:a(.*)x:b?", NULL);
        struct capture captures[2];
        assert_int_equal(pattern_match(pattern, path, n, captures), 1);
        assert_int_equal(captures[0].length, n - 2);
        assert_null(captures[1].start);
        pattern_free(pattern);
    }
    *path = '\0';
    for (size_t n = 0; n < 1500; n++)
        strcat(path, "/1");
    check("/:p*", path, path + 1);
    path[1] = 'a';
    check("/a{/1}*", path, "");
}

static void names(void **state) {
    struct pattern *pattern = compile("/:one/(\\d+)/:Two_2.:3/{(.*)x}?/:one", NULL);
    static const char *const expected[] = {"one", "0", "Two_2", "3", "1", "one"};
    assert_int_equal(pattern_params(pattern), 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(pattern_param_name(pattern, i), expected[i]);
    assert_null(pattern_param_name(pattern, 6));
    pattern_free(pattern);
    pattern_free(NULL);
}

static void tokens(void **state) {
    struct pattern *pattern = compile("/a/:b.:c(\\d+)?{-d}*{e:f,}+", NULL);
    const struct pattern_tokens *tokens = pattern_tokens(pattern);
    const struct pattern_token *list = tokens->list;
    assert_int_equal(tokens->count, 5);
    assert_int_equal(tokens->params, 3);
    assert_string_equal(list[0].text, "/a");
    assert_false(list[0].group);
    assert_string_equal(list[1].name, "b");
    assert_string_equal(list[1].prefix, "/");
    assert_string_equal(list[1].regex, "[^\\/#\\?]+?");
    assert_string_equal(list[1].avoid, "");
    assert_int_equal(list[1].modifier, '\0');
    assert_string_equal(list[2].prefix, ".");
    assert_string_equal(list[2].regex, "\\d+");
    assert_int_equal(list[2].regex_at, 9);
    assert_null(list[2].avoid);
    assert_int_equal(list[2].modifier, '?');
    assert_string_equal(list[3].text, "-d");
    assert_true(list[3].group && token_repeats(&list[3]) && token_is_optional(&list[3]));
    assert_string_equal(list[4].prefix, "e");
    assert_string_equal(list[4].suffix, ",");
    assert_string_equal(list[4].avoid, "e");
    assert_string_equal(list[4].regex, "(?:(?!e)[^\\/#\\?])+?");
    assert_string_equal(pattern_options(pattern)->delimiter, "/#?");
    pattern_free(pattern);
}

static void errors(void **state) {
    check_error("/:", "Missing parameter name at 1");
    check_error("/::a", "Missing parameter name at 1");
    check_error("/:a/:-", "Missing parameter name at 4");
    check_error("/:\xC3\xA9", "Missing parameter name at 1");
    check_error("/:a-:b:c", "Must have text between two parameters, missing text after \"b\"");
    check_error("/{a}:b", "Must have text between two parameters, missing text after \"\"");
    check_error("/:a:b:", "Missing parameter name at 5"); /* of one sign before their order */
    check_error("/:a:b(?x)", "Pattern cannot start with \"?\" at 6");
    check_error("/()", "Missing pattern at 1");
    check_error("/(a", "Unbalanced pattern at 1");
    check_error("/(a\\)", "Unbalanced pattern at 1");
    check_error("/(a\\", "Unbalanced pattern at 1");
    check_error("/a}", "Unexpected CLOSE at 2, expected END");
    check_error("/{a", "Unexpected END at 3, expected CLOSE");
    check_error("/{a\\", "Unexpected END at 5, expected CLOSE");
    check_error("/{a?}", "Unexpected MODIFIER at 3, expected CLOSE");
    check_error("/{:a{b}}", "Unexpected OPEN at 4, expected CLOSE");
    check_error("/{:a:b}", "Unexpected NAME at 4, expected CLOSE");
    check_error("/a{b}**", "Unexpected MODIFIER at 6, expected END");
    check_error("/:a(.)(.)*", "Can not repeat \"0\" without a prefix and suffix");
}

static void wrong_options(void **state) {
    char *error = NULL;
    assert_null(pattern_compile("/:a", WITH(.delimiter = "z-a"), &error));
    assert_string_equal(error, "Range out of order in the option delimiter");
    free(error);
    assert_null(pattern_compile("/:a", WITH(.ends_with = "z-a"), &error));
    assert_string_equal(error, "Range out of order in the option ends_with");
    free(error);
}

static void at_most_32_parameters(void **state) {
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
    static const char *const cases[][2] = {
        {"--:p", "-"},    {"-!-:p", "-!"},     {"---:p", "-"},    {"-:p", "x-"},   {".:p", "x."},
        {"-.:p", "-."},   {"-:p?", "-x"},      {"/:p*", "/x"},    {"(.*)", "x"},   {"(.*?)", "x"},
        {"{x:p}?", "xx"}, {"{-:p(.*)}*", "-"}, {"([^]*)-", "-x"}, {"{x}*:p?", "x"}};
    static char source[512], path[16 * 1024];
    static struct capture captures[PATTERN_PARAMS_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strcpy(source, "/");
        for (size_t n = 0; n < PATTERN_PARAMS_MAX; n++)
            strcat(source, cases[i][0]);
        for (size_t n = 0; n < sizeof path; n++)
            path[n] = cases[i][1][n % strlen(cases[i][1])];
        path[0] = '/';
        memcpy(path + sizeof path - 3, "\n//", 3);
        char *error;
        struct pattern *pattern = pattern_compile(source, NULL, &error);
        if (!pattern) { /* two parameters in a row are none */
            free(error);
            continue;
        }
        assert_int_equal(pattern_match(pattern, path, sizeof path, captures), 0);
        pattern_free(pattern);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts),
        cmocka_unit_test(literals),
        cmocka_unit_test(case_of_ascii_does_not_matter),
        cmocka_unit_test(parameters),
        cmocka_unit_test(few_bytes_as_possible),
        cmocka_unit_test(text_before_may_not_begin_inside),
        cmocka_unit_test(what_is_optional_is_taken_if_it_can_be),
        cmocka_unit_test(what_repeats_is_taken_often),
        cmocka_unit_test(sets_of_characters),
        cmocka_unit_test(options),
        cmocka_unit_test(bytes_of_any_value),
        cmocka_unit_test(long_paths),
        cmocka_unit_test(names),
        cmocka_unit_test(tokens),
        cmocka_unit_test(errors),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(at_most_32_parameters),
        cmocka_unit_test(no_exponential_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
