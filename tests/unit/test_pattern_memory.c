/* Allocations of patterns fail, each in turn. (Only ours: not PCRE2's.) */
#include "test_pattern.h"

#include "../support/countdown.h"

#include "application/pattern_build.h"
#include "runtime/arena.h"

#include <errno.h>

static const char *const sources[] = {
    "/users/:id",
    "/a\\:b/:c(\\d+)?{-d:e\\+,}*",
    "/:a/{-:b}?/:c*:d(.*)/:e/:f/:g/:h",
#ifdef ACACIA_PCRE2
    "/:a(x|y)/:b(\\d{2})*-:c",
#endif
};

static void compiling(void **state) {
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct pattern *pattern = NULL;
        for (long n = 0; !pattern; n++) {
            char *error = "";
            countdown = n;
            pattern = pattern_compile(sources[i], NULL, &error);
            countdown = -1;
            assert_null(error);
            assert_true(n < 1000);
        }
        pattern_free(pattern);
    }
}

static void messages(void **state) {
    static const char *const wrong[] = {"/:", "/:a:b", "/{a", "(x)*", "/(x[)"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *error = NULL;
        for (long n = 0; !error; n++) {
            countdown = n;
            assert_null(pattern_compile(wrong[i], NULL, &error));
            countdown = -1;
            assert_true(n < 1000);
        }
        free(error);
    }
}

static void matching(void **state) {
    static char path[8000];
    struct capture captures[PATTERN_PARAMS_MAX];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    struct pattern *pattern = compile("/:a:b(.*)", NULL);
    countdown = 0;
    allocations = 0;
    assert_int_equal(pattern_match(pattern, path, 100, captures), 1);
    assert_int_equal(allocations, 0); /* in the common match */
    assert_int_equal(pattern_match(pattern, path, sizeof path, captures), -ENOMEM);
    countdown = -1;
    assert_int_equal(pattern_match(pattern, path, sizeof path, captures), 1);
    pattern_free(pattern);
}

static void building(void **state) {
    static const char *const params[][7] = {{"a", "x", "b", "1", "b", "2", NULL}, {"a", "x", NULL}};
    struct pattern *pattern = compile("/:a(\\w+)/:b(\\d*)+/:c?", NULL);
    for (size_t i = 0; i < 2; i++) {
        const char *result = NULL;
        for (long n = 0; !result; n++) {
            struct arena arena;
            char *error = "";
            arena_init(&arena, NULL);
            countdown = n;
            const char *path = pattern_build(pattern, &arena, params[i], NULL, &error);
            countdown = -1;
            result = path ? path : error;
            if (result)
                assert_string_equal(result, i == 0 ? "/x/1/2" : "Expected \"b\" to be an array");
            arena_release(&arena);
            assert_true(n < 1000);
        }
    }
    pattern_free(pattern);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiling),
        cmocka_unit_test(messages),
        cmocka_unit_test(matching),
        cmocka_unit_test(building),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
