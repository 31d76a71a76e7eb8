/* The index of routes finds what a walk through all of them finds. */
#include "test_pattern.h"

#include "application/route_index.h"

#define ROUTES 24 /* at most, in a set */
#define SETS 3000
#define PATHS 40 /* for each set */

/* --- Chance ----------------------------------------------------------------------------------- */

static uint64_t seed = 1;

static uint32_t below(uint32_t limit) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % limit;
}

#define PICK(list) ((list)[below(sizeof(list) / sizeof *(list))])

static void random_pattern(char *to) {
    static const char *const pieces[] = {
        "/a",       "/b",   "/ab",        "/A",      "/",     "/c",     "/:x",      "/:y",
        "/:x",      "/:y",  "/:x-:y",     "/:x.:y?", "/a:x",  "/a",     "/b",       "/:x(\\d+)",
        "/:x?",     "/:y*", "/:x+",       "/(.*)",   "(.*)",  "{/b}?",  "{/b}",     "{a}?",
        "{-:x}?",   "a",    "b",          "-",       ".",     "\\#",    "/a\\?",    "{}",
        ":x",       "(a*)", "/:x([^/]*)", "/:y(a?)", "{-a}*", "{/:x}?", "{/a/:x}*", "{/a-:y}",
#ifdef ACACIA_PCRE2
        "/:x(a|b)",
#endif
    };
    *to = '\0';
    for (uint32_t n = below(5); n > 0; n--)
        strcat(to, PICK(pieces));
}

static struct pattern_options random_options(void) {
    static const char *const delimiters[] = {NULL, NULL, NULL, NULL, "/", "/#", "-", "", "/-"};
    static const char *const prefixes[] = {NULL, NULL, NULL, "", "/", "-"};
    static const char *const ends[] = {NULL, NULL, NULL, NULL, NULL, "b", "-"};
    return (struct pattern_options){
        .sensitive = below(4) == 0,
        .strict = below(4) == 0,
        .no_end = below(3) == 0,
        .no_start = below(12) == 0,
        .delimiter = PICK(delimiters),
        .prefixes = PICK(prefixes),
        .ends_with = PICK(ends),
    };
}

static struct pattern *random_route(void) {
    struct pattern *pattern = NULL;
    char source[64], *error;
    while (!pattern) {
        struct pattern_options options = {0};
        if (below(3) == 0)
            options = random_options();
        random_pattern(source);
        pattern = pattern_compile(source, &options, &error);
        if (!pattern)
            free(error);
    }
    return pattern;
}

static void random_path(char *to) {
    static const char *const pieces[] = {
        "/a", "/a", "/b", "/ab", "/c", "/A",  "/1",  "/",  "/a-b", "/a.b",
        "a",  "b",  "-",  "/-a", "/",  "/xy", "/a1", "/a", "/b",   "/a-1",
    };
    *to = '\0';
    for (uint32_t n = below(6); n > 0; n--)
        strcat(to, PICK(pieces));
    if (below(8) == 0)
        strcat(to, below(2) ? "?a" : "#");
}

/* --- Comparing -------------------------------------------------------------------------------- */

struct set {
    struct pattern *patterns[ROUTES]; /* NULL: matches all */
    uint32_t count;
    struct route_index *index;
};

static void make_set(struct set *set) {
    set->count = 1 + below(ROUTES);
    set->index = route_index_new();
    for (uint32_t i = 0; i < set->count; i++) {
        set->patterns[i] = below(16) ? random_route() : NULL;
        assert_true(route_index_add(set->index, set->patterns[i], i));
    }
}

static void free_set(struct set *set) {
    for (uint32_t i = 0; i < set->count; i++)
        pattern_free(set->patterns[i]);
    route_index_free(set->index);
}

static bool matches(const struct pattern *pattern, const char *path) {
    struct capture captures[PATTERN_PARAMS_MAX];
    int matched = pattern ? pattern_match(pattern, path, strlen(path), captures) : 1;
    assert_in_range(matched, 0, 1);
    return matched;
}

/* Returns how many are candidates. */
static uint32_t find(const struct set *set, const char *path, bool *candidates) {
    struct route_walk walk;
    uint32_t count = 0;
    route_walk_start(&walk, set->index, path, strlen(path));
    for (const struct route_ids *ids; (ids = route_walk_next(&walk));) {
        assert_true(ids->count > 0);
        for (uint32_t i = 0; i < ids->count; i++) {
            assert_true(i == 0 || ids->list[i] > ids->list[i - 1]);
            assert_false(candidates[ids->list[i]]);
            candidates[ids->list[i]] = true;
            count++;
        }
    }
    return count;
}

static void finds_the_same(void **state) {
    size_t pairs = 0, hits = 0, candidates = 0;
    for (int i = 0; i < SETS; i++) {
        struct set set;
        make_set(&set);
        for (int j = 0; j < PATHS; j++) {
            char path[64];
            bool found[ROUTES] = {false};
            random_path(path);
            candidates += find(&set, path, found);
            for (uint32_t k = 0; k < set.count; k++) {
                bool matched = matches(set.patterns[k], path);
                if (matched && !found[k])
                    fail_msg("%s is not found for %s", pattern_source(set.patterns[k]), path);
                hits += matched;
                pairs++;
            }
        }
        free_set(&set);
    }
    print_message("%zu pairs, %zu match, %zu were looked at\n", pairs, hits, candidates);
    assert_true(hits > pairs / 50);
    assert_true(candidates < pairs * 2 / 3);
}

/* --- How few it looks at ---------------------------------------------------------------------- */

static void check_candidates(const char *const *sources, const char *path, uint32_t expected) {
    struct set set = {.index = route_index_new()};
    bool found[ROUTES] = {false};
    for (; sources[set.count]; set.count++) {
        set.patterns[set.count] = compile(sources[set.count], NULL);
        assert_true(route_index_add(set.index, set.patterns[set.count], set.count));
    }
    uint32_t count = find(&set, path, found);
    if (count != expected)
        fail_msg("%u candidates for %s", count, path);
    free_set(&set);
}

#define SOURCES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void is_selective(void **state) {
    check_candidates(SOURCES("/a", "/b", "/c"), "/b", 1);
    check_candidates(SOURCES("/a", "/b", "/c"), "/B/", 1);
    check_candidates(SOURCES("/a", "/b", "/c"), "/d", 0);
    check_candidates(SOURCES("/a", "/a/:x", "/a/:x/b", "/:x/b"), "/a/b", 2);
    check_candidates(SOURCES("/a/:x/b", "/a/:x/c", "/b/:x/b", "/:x/:y/:z"), "/a/1/b", 2);
    check_candidates(SOURCES("/a/:x(\\d+)", "/a/@:x", "/a/:x.:y?", "/b/:x(\\d+)"), "/a/1", 3);
    check_candidates(SOURCES("/a/(.*)", "/b/(.*)", "/a/b/:x?"), "/a/b/c/d", 2);
    check_candidates(SOURCES("/:x?", "(.*)", "/a"), "/b", 2);
    check_candidates(SOURCES("/a", "/b"), "/a?", 2); /* no request has such a path */
}

/* Nothing is followed without end. */
static void is_bounded(void **state) {
    char source[512] = "", path[512] = "";
    for (int i = 0; i < 100; i++) {
        strcat(source, i % 2 ? "/:x" : "/a");
        strcat(path, "/a");
    }
    source[3 * 20] = '\0'; /* "/a/:x" and so on: too many parameters otherwise */
    check_candidates(SOURCES(source), path, 0);
    memset(source, 0, sizeof source);
    memcpy(source, path, sizeof path);
    check_candidates(SOURCES(source), path, 1);
    check_candidates(SOURCES(source), "/a/a", 0);
    source[1] = 'b';
    check_candidates(SOURCES(source), path, 0);
    source[1] = 'a';
    source[2 * 50 + 1] = 'b';
    check_candidates(SOURCES(source), path, 1);
}

/* All kinds of branches at once: each node is looked at, and none twice. */
static void has_room(void **state) {
    struct set set = {.index = route_index_new()};
    char path[128] = "";
    for (int depth = 0; depth < ROUTE_DEPTH + 2; depth++) {
        char source[256] = "";
        for (int i = 0; i < depth; i++)
            strcat(source, "/a");
        strcat(path, "/a");
        strcat(source, "/:x/(.*)");
        struct pattern *pattern = compile(source, NULL);
        assert_true(route_index_add(set.index, pattern, (uint32_t)depth));
        pattern_free(pattern);
    }
    bool found[ROUTE_DEPTH + 2] = {false};
    assert_int_equal(find(&set, path, found), ROUTE_DEPTH + 2);
    route_index_free(set.index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_same),
        cmocka_unit_test(is_selective),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
