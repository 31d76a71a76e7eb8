/* Patterns with regular expressions: JavaScript's, matched by PCRE2. */
#include "test_pattern.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define WITH(...) (&(const struct pattern_options){__VA_ARGS__})

#ifdef ACACIA_PCRE2

static void among_parameters(void **state) {
    check("/:user(tj|ab)", "/AB", "AB");
    check("/:user(tj|ab)", "/tjab", NULL);
    check("/:lang(en|de)?/:page", "/x", "~|x");
    check("/:lang(en|de)?/:page", "/en", "~|en");
    check("/:lang(en|de)?/:page", "/en/x/", "en|x");
    check("/:y(\\d{4})-:m(\\d\\d)", "/2024-05", "2024|05");
    check("/:a(ab?)*", "/a/ab/A", "a/ab/A");
    check("/:a(ab?)*", "/", "~");
    check("/x{-:a(\\d?x),}+", "/x-1x,-x,", "1x,-x");
    check("/:id([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/:p(.*)",
          "/123e4567-e89b-12d3-a456-426614174000/a/b", "123e4567-e89b-12d3-a456-426614174000|a/b");
    check("/:a-:b(x|y)", "/1-2-x", "1-2|x");
    check("/a{b}?:c(1|2){}*", "/ab1", "1");
}

static void with_options(void **state) {
    check_with(WITH(.sensitive = true), "/A:user(tj|ab)", "/Atj", "tj");
    check_with(WITH(.sensitive = true), "/A:user(tj|ab)", "/AAB", NULL);
    check_with(WITH(.sensitive = true), "/A:user(tj|ab)", "/atj", NULL);
    check_with(WITH(.strict = true), "/:a(x|y)", "/x/", NULL);
    check_with(WITH(.no_end = true), "/:a(x|y)", "/x/z", "x");
    check_with(WITH(.no_end = true), "/:a(x|y)", "/xz", NULL);
    check_with(WITH(.no_end = true), "/:a(x|y)/", "/x/z", "x");
    check_with(WITH(.no_start = true), ":a(xy?|y)", "zzxy", "xy");
    check_with(WITH(.no_start = true), "/:a(^x|y)", "/x/y", "y");
    check_with(WITH(.ends_with = "?"), "/:a(x|y)", "/x/?z", "x");
    check_with(WITH(.delimiter = "-"), "/:a(x|y)-:b", "/y-a/b-", "y|a/b");
}

/* Where PCRE2 by itself has it otherwise. */
static void as_in_javascript(void **state) {
    check("/:a([^]|xx)", "/\n", "\n");
    check("/:a([]|b)", "/b", "b");
    check("/:a(.{2})", "/a\r", NULL);
    check("/:a(\\u0041\\/\\x42)", "/a/b", "a/b");
    check("/:a(\\u{2}\\x4)", "/uux4", "uux4");
    check("/:a(\\Qa\\E|\\e\\z\\A\\h\\R)", "/QaE", "QaE");
    check("/:a(\\Qa\\E|\\e\\z\\A\\h\\R)", "/ezAhR", "ezAhR");
    check("/:a(x{,2}|x{)", "/x{,2}", "x{,2}");
    check("/:a(x{,2}|x{)", "/xx", NULL);
    check("/:a(\\cJ|\\c!)", "/\n", "\n");
    check("/:a(\\cJ|\\c!)", "/\\c!", "\\c!");
    check("/:a([\\b]\\0|\\101)", "/A", "A");
    check("/:a([\\d-z]{3})", "/5-z", "5-z");
    check("/:a([\\d-z]{3})", "/5-y", NULL);
    check("/:a([[:digit:]]{2})", "/:]]", ":]]"); /* no class of that name */
    check("/:a(#x y|(?!b))", "/#x y", "#x y");
    check("/:a(x$|y)", "/x", "x");
    check("/:a(x$|y)", "/x\n", NULL);
    check("/:a(\\s\\S|\\W\\w)", "/\xA0x", "\xA0x"); /* no space, and no letter */
    check("/:a(\\s\\S|\\W\\w)", "/\vx", "\vx");
    check("/:a([\xC3\xA9]{2})", "/\xC3\xA9", "\xC3\xA9");
    check("/:a((?<=/)x(?!y).)", "/xz", "xz");
    check("/:a((?=x)?y|(?!y){1}z)", "/y", "y");
    check("/:a(x|y):b(\\1z)", "/xxz", "x|xz");
    check("/:a(x|y)?/:b(\\1z)", "/z", "~|z"); /* what is absent is found anywhere */
    check("/:b(\\1\\2z)/:a(x|y)", "/z/x", "z|x");
    check("/:a((?:|x)*?):b((?:|x)*)", "/xx", "|xx"); /* a round that takes nothing doesn't count */
    check("/:a((?:x*?|y){1,2}):b(.*)", "/xy", "x|y");
    check("(a*?|b)?:b(\\1.*)", "aa", "a|a");
    check("(a*?|b)?:b(.*)", "c", "~|c");
    check("/:a((?=(?:|x)*y)?z|q):b(\\d{2})", "/z12", "z|12");
    check("(a?b?)?", "", "~");
    check("/{:a(a?b?)x}?", "/x", "");
}

static void refused(void **state) {
    check_error("/:a(x|[b)", "Invalid regular expression at 6: Unterminated character class");
    check_error("/:a(x|[\\)", "Unbalanced pattern at 3");
    check_error("/:a([z-a]|x)", "Invalid regular expression at 4: Range out of order in character "
                                "class");
    check_error("/:a(+x)", "Invalid regular expression at 4: Nothing to repeat");
    check_error("/:a(x**)", "Invalid regular expression at 6: Nothing to repeat");
    check_error("/:a(x++)", "Invalid regular expression at 6: Nothing to repeat");
    check_error("/:a(^*)", "Invalid regular expression at 5: Nothing to repeat");
    check_error("/:a({2})", "Invalid regular expression at 4: Nothing to repeat");
    check_error("/:a(x{2,1})", "Invalid regular expression at 10: numbers out of order in {} "
                               "quantifier");
    check_error("/:a(x|(?#y))", "Invalid regular expression at 6: Invalid group");
    check_error("/:a(x|(?>y))", "Invalid regular expression at 6: Invalid group");
    check_error("/:a(x|(?R))", "Invalid regular expression at 6: Invalid group");
    check_error("/:a(x|(?1))", "Invalid regular expression at 6: Invalid group");
    check_error("/:a(x|(?C1))", "Invalid regular expression at 6: Invalid group");
    check_error("/:a(x|(?i:y))", "Invalid regular expression at 6: Invalid group");
    check_error("/:a(x|(*FAIL))", "Capturing groups are not allowed at 6");
}

/* What JavaScript would take. */
static void refused_though_javascript_does_not(void **state) {
    char *error;
    static const char *const cases[][2] = {
        {"/:a(x|(?<n>y))", "Invalid regular expression at 6: Capturing groups are not allowed"},
        {"/:a((?<=x*)y)", "Invalid regular expression at 4: lookbehind assertion is not fixed "
                          "length"},
        {"/:a(x{70000})", "Invalid regular expression at 12: number too big in {} quantifier"},
        {"/:a((?:xyz){60000})", "Invalid regular expression at 4: regular expression is too large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (pattern_compile(cases[i][0], NULL, &error))
            fail_msg("%s is taken", cases[i][0]);
        assert_string_equal(error, cases[i][1]);
        free(error);
    }
    char deep[1024] = "/(x|";
    for (int i = 0; i < 100; i++)
        strcat(deep, "(?:");
    for (int i = 0; i < 101; i++)
        strcat(deep, ")");
    check_error(deep, "Invalid regular expression at 193: too many groups within groups");
}

/* --- Limits ----------------------------------------------------------------------------------- */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Most of these take JavaScript longer than anybody has. */
static void hostile_paths(void **state) {
    static const struct {
        const char *pattern, *path;
    } cases[] = {
        {"/:a((?:a+)+b)", "a"},
        {"/:a((?:a|a)*b)", "a"},
        {"/:a((?:a|aa)+b)", "a"},
        {"/:a((?:a*)*b)", "a"},
        {"/:a((?:\\w+-?)*b)", "a-"},
        {"/:a(a*a*a*a*a*a*b)", "a"},
        {"/:a(a*?a*?a*?a*?b)", "a"},
        {"/:a([ab]*[ab]*[ab]*[ab]*c)", "ab"},
        {"/:a(.*.*.*.*=x)", "="},
        {"/:a(.*):b(.*):c(x|.*):d(.*)=:e", "="},
        {"/:a((?:a|b)*)/:b(a+b)", "ab"},
        {"/:a((?:(?=.*?b)a)*b)", "a"},
        {"/:a((?:(?=a*?!)a|a)*b)", "a"},
        {"/:a(a*|b):b(\\1*c)", "a"},
        {"/:a(a*?|b):b(a*?):c((?:\\1\\2)*b)", "a"},
        {"/:a(x|y?)-:b([^-]*?-?)/:c(.*)", "-x"},
        {"/:a((?:x?x?x?x?x?x?x?x?)*y)", "x"},
        {"/:a((?:(?:(?:x*)*)*)*y)", "x"},
        {"/:a((?:x{0,30}){0,30}y)", "x"},
        {"((?:a|b)*):c(x|y)", "ab"},
        {":c(x+x+y)", "x"},
    };
    static char path[16 * 1024];
    int given_up = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct capture captures[PATTERN_PARAMS_MAX];
        char *error = NULL;
        for (size_t n = 0; n < sizeof path; n++)
            path[n] = cases[i].path[n % strlen(cases[i].path)];
        path[0] = '/';
        memcpy(path + sizeof path - 5, "bcy!\n", 5);
        for (int start = 0; start < 2; start++) {
            struct pattern *pattern =
                pattern_compile(cases[i].pattern, WITH(.no_start = start), &error);
            if (!pattern) {
                fail_msg("%s: %s", cases[i].pattern, error);
            }
            double before = seconds();
            int matches = pattern_match(pattern, path, sizeof path, captures);
            double time = seconds() - before;
            assert_true(matches == 0 || matches == 1 || matches == -E2BIG);
            given_up += matches == -E2BIG;
            if (time > 2)
                fail_msg("%s took %.1f s", cases[i].pattern, time);
            pattern_free(pattern);
        }
    }
    assert_true(given_up > 10);
}

/* What takes a step or two for each byte comes to no limit. */
static void long_paths(void **state) {
    static char path[16 * 1024];
    static const char *const patterns[] = {"/:a((?:x|y)*)",        "/:a((?:x|yz?)+)",
                                           "/:a((?:(?!ab)[^/])+)", "/:a((?:xx?)*|z)",
                                           "/:a(x|y)?:b(.*)",      "/:a((?:[^-]+-?)*)"};
    memset(path, 'x', sizeof path);
    path[0] = '/';
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct capture captures[PATTERN_PARAMS_MAX];
        struct pattern *pattern = compile(patterns[i], NULL);
        assert_int_equal(pattern_match(pattern, path, sizeof path, captures), 1);
        pattern_free(pattern);
    }
}

/* --- Threads ---------------------------------------------------------------------------------- */

static void *match_often(void *arg) {
    const struct pattern *pattern = arg;
    for (int i = 0; i < 2000; i++) {
        char path[64];
        struct capture captures[2];
        int length = sprintf(path, "/ab/%d", i);
        if (pattern_match(pattern, path, (size_t)length, captures) != 1 ||
            captures[1].start != path + 4 || captures[1].length != (size_t)length - 4)
            return "wrong";
    }
    return NULL;
}

static void threads_share_a_pattern(void **state) {
    struct pattern *pattern = compile("/:a((?:a|b)+)/:id", NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, pattern), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    pattern_free(pattern);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(among_parameters),
        cmocka_unit_test(with_options),
        cmocka_unit_test(as_in_javascript),
        cmocka_unit_test(refused),
        cmocka_unit_test(refused_though_javascript_does_not),
        cmocka_unit_test(hostile_paths),
        cmocka_unit_test(long_paths),
        cmocka_unit_test(threads_share_a_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void without_an_engine(void **state) {
    check("/:id(\\d+)", "/7", "7");
    check_error("/x/:lang(en|de)",
                "Unsupported regular expression at 9: this Acacia was built without PCRE2, so that "
                "it can only be one set of characters and a * or a +");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_an_engine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
