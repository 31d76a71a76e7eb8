/* The store in memory: what it keeps, for how long, and what goes when it is full. */
#include "browser.h"

#include <middleware/session_memory.h>

/* The store's functions don't look at the ctx, and never suspend. */
static session_memory_t *memory;
static session_store_t store;

static void open_store(session_memory_options_t options) {
    memory = session_memory_new(&options);
    assert_non_null(memory);
    store = session_memory_store(memory);
}

static void put(const char *key, const char *text, int64_t max_age) {
    session_write_t how = {.max_age = max_age, .changed = true};
    assert_int_equal(store.set(NULL, store.state, key, text, &how), 0);
}

static void check_has(const char *key, const char *text) {
    char *found = NULL;
    assert_int_equal(store.get(NULL, store.state, key, &found), 0);
    if (!found != !text || (text && strcmp(found, text) != 0))
        fail_msg("%s is %s, not %s", key, found ? found : "-", text ? text : "-");
    free(found);
}

static void keeps(void **state) {
    open_store((session_memory_options_t){0});
    check_has("a", NULL);
    put("a", "1", 60000);
    put("b", "2", SESSION_COOKIE);
    put("a", "3", 60000);
    check_has("a", "3");
    check_has("b", "2");
    assert_int_equal(session_memory_count(memory), 2);
    assert_int_equal(store.destroy(NULL, store.state, "a"), 0);
    assert_int_equal(store.destroy(NULL, store.state, "a"), 0);
    check_has("a", NULL);
    session_memory_forget(memory, "b");
    session_memory_forget(memory, "b");
    assert_int_equal(session_memory_count(memory), 0);
    session_memory_free(memory);
    session_memory_free(NULL);
}

static void updates(void **state) {
    session_write_t how = {.max_age = 60000, .update = true};
    open_store((session_memory_options_t){0});
    assert_int_equal(store.set(NULL, store.state, "a", "1", &how), 1);
    check_has("a", NULL);
    put("a", "1", 60000);
    assert_int_equal(store.set(NULL, store.state, "a", "2", &how), 0);
    check_has("a", "2");
    session_memory_free(memory);
}

/* Until the clock has moved on by some milliseconds. */
static void let_time_pass(void) {
    for (uint64_t start = uv_hrtime(); uv_hrtime() - start < 5000000;)
        ;
}

static void forgets(void **state) {
    open_store((session_memory_options_t){.max_age = 1});
    put("c", "3", 60000); /* the oldest, so that nobody looks behind it */
    put("a", "1", 1);
    put("b", "2", SESSION_COOKIE);
    let_time_pass();
    assert_int_equal(session_memory_count(memory), 3);
    check_has("a", NULL);
    assert_int_equal(session_memory_count(memory), 2);
    check_has("c", "3");  /* now it is b that was not used for the longest time */
    put("d", "4", 60000); /* and it goes on the way */
    assert_int_equal(session_memory_count(memory), 2);
    check_has("b", NULL);
    check_has("c", "3");
    put("e", "5", 1);
    let_time_pass();
    session_write_t how = {.max_age = 60000, .update = true};
    assert_int_equal(store.set(NULL, store.state, "e", "6", &how), 1);
    session_memory_free(memory);
}

static void so_many(void **state) {
    open_store((session_memory_options_t){.sessions = 3});
    put("a", "1", 60000);
    put("b", "2", 60000);
    put("c", "3", 60000);
    check_has("a", "1"); /* used again, so that b has waited longest */
    put("d", "4", 60000);
    check_has("b", NULL);
    put("c", "5", 60000);
    put("e", "6", 60000);
    check_has("a", NULL);
    check_has("c", "5");
    check_has("d", "4");
    check_has("e", "6");
    assert_int_equal(session_memory_count(memory), 3);
    session_memory_free(memory);
}

static void so_large(void **state) {
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = '\0';
    open_store((session_memory_options_t){.size = 2500});
    put("a", text, 60000);
    put("b", text, 60000);
    put("c", text, 60000);
    check_has("a", NULL);
    check_has("b", text);
    check_has("c", text);
    put("b", "small", 60000); /* makes room */
    put("d", text, 60000);
    assert_int_equal(session_memory_count(memory), 3);
    session_memory_free(memory);
    open_store((session_memory_options_t){.size = 1000});
    session_write_t how = {.max_age = 60000};
    put("a", "1", 60000);
    assert_int_equal(store.set(NULL, store.state, "b", text, &how), UV_ENOSPC);
    assert_int_equal(store.set(NULL, store.state, "a", text, &how), UV_ENOSPC);
    check_has("a", "1");
    session_memory_free(memory);
}

/* Against a plain list: any order of what can be done. */
static void at_random(void **state) {
    static int model[50]; /* -1: not there */
    uint32_t seed = 7;
    open_store((session_memory_options_t){.sessions = 1000});
    memset(model, -1, sizeof model);
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        int which = (int)(seed >> 8) % 50, what = (int)(seed >> 20) % 4;
        char key[16], text[16];
        snprintf(key, sizeof key, "key-%d", which * 7919 % 1000);
        snprintf(text, sizeof text, "%d", i);
        if (what == 0) {
            session_memory_forget(memory, key);
            model[which] = -1;
        } else if (what == 1) {
            put(key, text, 60000);
            model[which] = i;
        } else {
            snprintf(text, sizeof text, "%d", model[which]);
            check_has(key, model[which] < 0 ? NULL : text);
        }
    }
    session_memory_free(memory);
}

/* --- Under sessions --------------------------------------------------------------------------- */

static int count(ctx_t *ctx) {
    int err = session_set_int(ctx, "views", session_get_int(ctx, "views") + 1);
    return err ? err : ctx_textf(ctx, "%d", (int)session_get_int(ctx, "views"));
}

static void under_sessions(void **state) {
    app_t *app = app_with_keys();
    memory = session_memory_new(NULL);
    app_set_value(app, "sessions", memory, session_memory_free);
    app_use(app, session(&(session_options_t){.store = session_memory_store(memory)}));
    app_use(app, count);
    struct browser one = {.app = app}, other = {.app = app};
    visit(&one, "/", 200, "1");
    visit(&other, "/", 200, "1");
    visit(&one, "/", 200, "2");
    visit(&one, "/", 200, "3");
    visit(&other, "/", 200, "2");
    assert_int_equal(session_memory_count(memory), 2);
    app_free(app);
}

static void without_memory(void **state) {
    check_complaint(session(&(session_options_t){.store = session_memory_store(NULL)}), "store");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps),          cmocka_unit_test(updates),
        cmocka_unit_test(forgets),        cmocka_unit_test(so_many),
        cmocka_unit_test(so_large),       cmocka_unit_test(at_random),
        cmocka_unit_test(under_sessions), cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
