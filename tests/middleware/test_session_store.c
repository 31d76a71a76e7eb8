/* Sessions in a store: what it is asked for, when it suspends, and when it fails. */
#include "browser.h"

#include <middleware/session.h>

/* --- A store of one session, that writes down what it is asked -------------------------------- */

static struct {
    char *key, *text;
    int64_t max_age;
    char calls[256]; /* "get set+ set- destroy ": + changed, - not, u an update */
    bool suspends;
    int get_err, set_err, destroy_err;
} store;

static int answer(const char *call, int err) {
    strcat(store.calls, call);
    if (store.suspends)
        await_sleep(0);
    return err;
}

static int store_get(ctx_t *ctx, void *state, const char *key, char **text) {
    int err = answer("get ", store.get_err);
    if (!err && store.key && strcmp(store.key, key) == 0)
        *text = strdup(store.text);
    return err;
}

static int store_set(ctx_t *ctx, void *state, const char *key, const char *text,
                     const session_write_t *how) {
    char call[8];
    snprintf(call, sizeof call, "set%c%s ", how->changed ? '+' : '-', how->update ? "u" : "");
    int err = answer(call, store.set_err);
    if (err)
        return err;
    if (how->update && (!store.key || strcmp(store.key, key) != 0))
        return 1;
    char *old_key = store.key, *old_text = store.text;
    store.key = strdup(key);
    store.text = strdup(text);
    store.max_age = how->max_age;
    free(old_key);
    free(old_text);
    return 0;
}

static void store_clear(void) {
    free(store.key);
    free(store.text);
    store.key = store.text = NULL;
}

static int store_destroy(ctx_t *ctx, void *state, const char *key) {
    int err = answer("destroy ", store.destroy_err);
    if (!err && store.key && strcmp(store.key, key) == 0)
        store_clear();
    return err;
}

static const session_store_t the_store = {store_get, store_set, store_destroy, NULL};

static int begin(void **state) {
    memset(&store, 0, sizeof store);
    return 0;
}

static int end(void **state) {
    store_clear();
    return 0;
}

/* What it was asked since it was looked at last. */
static void check_calls(const char *expected) {
    assert_string_equal(store.calls, expected);
    store.calls[0] = '\0';
}

/* --- Handlers --------------------------------------------------------------------------------- */

static int show(ctx_t *ctx) {
    char *text = json_dumps(session_json(ctx), JSON_COMPACT);
    int err = ctx_text(ctx, text ? text : "none");
    free(text);
    return err;
}

static int set(ctx_t *ctx) {
    int err = session_set(ctx, "user", ctx_param(ctx, "user"));
    return err ? err : show(ctx);
}

static int look_away(ctx_t *ctx) {
    return ctx_text(ctx, "away");
}

static int save(ctx_t *ctx) {
    int err = session_save(ctx);
    return err ? err : show(ctx);
}

static int regenerate(ctx_t *ctx) {
    const char *before = ctx_strdup(ctx, session_key(ctx));
    int err = session_regenerate(ctx);
    if (err)
        return err;
    assert_string_not_equal(session_key(ctx), before);
    err = session_set(ctx, "again", "1");
    return err ? err : show(ctx);
}

static int leave(ctx_t *ctx) {
    int err = session_destroy(ctx);
    return err ? err : show(ctx);
}

static int leave_and_set(ctx_t *ctx) {
    int err = session_destroy(ctx);
    err = err ? err : session_set(ctx, "flash", "bye");
    return err ? err : show(ctx);
}

static int key(ctx_t *ctx) {
    return ctx_text(ctx, session_key(ctx));
}

static int reload(ctx_t *ctx) {
    session_set(ctx, "user", "nobody");
    int err = session_reload(ctx);
    return err ? ctx_text(ctx, uv_err_name(err)) : show(ctx);
}

/* Asks its own app, with the cookies that it has got, while it holds the session. */
static int ask_meanwhile(ctx_t *ctx) {
    const char *const headers[] = {"Cookie", ctx_get(ctx, "Cookie"), NULL};
    if (!session_json(ctx))
        return UV_EIO;
    app_response_t *response =
        app_inject(ctx->app, &(app_request_t){.url = "/leave", .headers = headers});
    int status = response ? response->status : 0;
    app_response_free(response);
    int err = ctx_query(ctx, "set") ? session_set(ctx, "user", "ghost") : 0;
    err = ctx_query(ctx, "save") ? session_save(ctx) : err;
    return ctx_textf(ctx, "%d %s", status, err ? uv_err_name(err) : "ok");
}

static int read_it(void *arg) {
    ctx_t *ctx = arg;
    const char *user = session_get(ctx, "user");
    return user && strcmp(user, "ada") == 0 ? 0 : UV_EIO;
}

static int read_twice(ctx_t *ctx) {
    await_task_t tasks[] = {{.fn = read_it, .arg = ctx}, {.fn = read_it, .arg = ctx}};
    int err = await_all(tasks, 2);
    return err ? err : show(ctx);
}

static app_t *app_with(session_options_t options) {
    app_t *app = app_with_keys();
    if (!options.store.get)
        options.store = the_store;
    app_use(app, session(&options));
    app_use(app, route_get("/set/:user", set));
    app_use(app, route_get("/show", show));
    app_use(app, route_get("/away", look_away));
    app_use(app, route_get("/save", save));
    app_use(app, route_get("/regenerate", regenerate));
    app_use(app, route_get("/leave", leave));
    app_use(app, route_get("/leave-and-set", leave_and_set));
    app_use(app, route_get("/key", key));
    app_use(app, route_get("/reload", reload));
    app_use(app, route_get("/meanwhile", ask_meanwhile));
    app_use(app, route_get("/twice", read_twice));
    return app;
}

/* --- What it is asked ------------------------------------------------------------------------- */

static void is_asked(void **state) {
    struct browser browser = {.app = app_with((session_options_t){0})};
    visit(&browser, "/show", 200, "{}");
    check_calls(""); /* there is no key */
    visit(&browser, "/set/ada", 200, "{\"user\":\"ada\"}");
    check_calls("set+ ");
    assert_int_equal(store.max_age, 86400000 + 10000);
    assert_int_equal(strlen(store.key), 32);
    assert_int_equal(strncmp(store.text, "{\"user\":\"ada\",\"_expire\":", 24), 0);
    assert_non_null(strstr(browser.cookies, store.key));
    visit(&browser, "/away", 200, NULL);
    check_calls("");
    visit(&browser, "/show", 200, "{\"user\":\"ada\"}");
    check_calls("get ");
    assert_int_equal(browser.set_cookies, 0);
    visit(&browser, "/set/bob", 200, "{\"user\":\"bob\"}");
    check_calls("get set+u ");
    assert_int_equal(browser.set_cookies, 2);
    visit(&browser, "/key", 200, store.key);
    check_calls("get ");
    app_free(browser.app);
}

static void rolls(void **state) {
    struct browser browser = {.app = app_with((session_options_t){.rolling = true})};
    visit(&browser, "/set/ada", 200, NULL);
    check_calls("set+ ");
    visit(&browser, "/away", 200, NULL);
    check_calls("get set-u ");
    assert_int_equal(browser.set_cookies, 2);
    app_free(browser.app);
}

static void until_the_browser_is_closed(void **state) {
    struct browser browser = {.app = app_with((session_options_t){.max_age = SESSION_COOKIE})};
    visit(&browser, "/set/ada", 200, NULL);
    assert_int_equal(store.max_age, SESSION_COOKIE);
    assert_string_equal(store.text, "{\"user\":\"ada\",\"_session\":true}");
    assert_null(strstr(browser.last_set, "expires"));
    app_free(browser.app);
}

static void goes(void **state) {
    struct browser browser = {.app = app_with((session_options_t){0})};
    visit(&browser, "/set/ada", 200, NULL);
    visit(&browser, "/leave", 200, "{}");
    check_calls("set+ get destroy ");
    assert_null(store.key);
    assert_string_equal(browser.cookies, "");
    visit(&browser, "/set/ada", 200, NULL);
    char before[64];
    snprintf(before, sizeof before, "%s", store.key);
    visit(&browser, "/leave-and-set", 200, "{\"flash\":\"bye\"}");
    check_calls("set+ get destroy set+ ");
    assert_string_not_equal(store.key, before);
    assert_non_null(strstr(browser.cookies, store.key));
    visit(&browser, "/show", 200, "{\"flash\":\"bye\"}");
    app_free(browser.app);
}

/* Against session fixation: what somebody else knows is worth nothing. */
static void is_regenerated(void **state) {
    struct browser browser = {.app = app_with((session_options_t){0})};
    visit(&browser, "/set/ada", 200, NULL);
    struct browser thief = browser;
    check_calls("set+ ");
    visit(&browser, "/regenerate", 200, "{\"user\":\"ada\",\"again\":\"1\"}");
    check_calls("get destroy set+ set+u ");
    visit(&browser, "/show", 200, "{\"user\":\"ada\",\"again\":\"1\"}");
    visit(&thief, "/show", 200, "{}");
    /* A key that the client has thought of, or kept, is not taken for a new session either. */
    visit(&thief, "/set/eve", 200, NULL);
    assert_null(strstr(browser.cookies, store.key));
    app_free(browser.app);
}

static void regenerates_what_is_new(void **state) {
    struct browser browser = {.app = app_with((session_options_t){0})};
    visit(&browser, "/regenerate", 200, "{\"again\":\"1\"}");
    check_calls("set+ set+u ");
    app_free(browser.app);
}

/* A request that began before a logout does not undo it. */
static void stays_destroyed(void **state) {
    static const char *const urls[] = {"/meanwhile", "/meanwhile?set=1"};
    for (int rolling = 0; rolling < 2; rolling++) {
        struct browser browser = {.app = app_with((session_options_t){.rolling = rolling})};
        for (size_t i = 0; i < 2; i++) {
            visit(&browser, "/set/ada", 200, NULL);
            visit(&browser, urls[i], 200, "200 ok");
            assert_null(store.key);
            assert_int_equal(browser.set_cookies, 0);
        }
        visit(&browser, "/set/ada", 200, NULL);
        visit(&browser, "/meanwhile?set=1&save=1", 200, "200 ENOENT");
        assert_null(store.key);
        app_free(browser.app);
    }
}

static void is_read_again(void **state) {
    struct browser browser = {.app = app_with((session_options_t){0})};
    visit(&browser, "/reload", 200, "ENOENT");
    visit(&browser, "/set/ada", 200, NULL);
    check_calls("set+ ");
    visit(&browser, "/reload", 200, "{\"user\":\"ada\"}");
    check_calls("get get ");
    app_free(browser.app);
}

/* --- Suspending and failing ------------------------------------------------------------------- */

static void suspends(void **state) {
    struct browser browser = {.app = app_with((session_options_t){0})};
    store.suspends = true;
    visit(&browser, "/set/ada", 200, NULL);
    check_calls("set+ ");
    visit(&browser, "/twice", 200, "{\"user\":\"ada\"}");
    check_calls("get get "); /* both have asked, and both have the same */
    visit(&browser, "/meanwhile?set=1", 200, "200 ok");
    assert_null(store.key);
    app_free(browser.app);
}

static void fails(void **state) {
    struct browser browser = {.app = app_with((session_options_t){0})};
    store.set_err = UV_ECONNREFUSED;
    visit(&browser, "/set/ada", 500, "Internal Server Error");
    assert_int_equal(browser.set_cookies, 0);
    check_told("connection refused");
    store.set_err = UV_ENOENT; /* an error of its own is no logout */
    visit(&browser, "/set/ada", 500, NULL);
    store.set_err = 1; /* nor is this, of a new one */
    visit(&browser, "/set/ada", 500, NULL);
    store.set_err = 0;
    visit(&browser, "/set/ada", 200, NULL);
    store.get_err = UV_ECONNREFUSED;
    visit(&browser, "/show", 500, NULL); /* though the handler answers */
    check_told("connection refused");
    visit(&browser, "/away", 200, "away");
    visit(&browser, "/leave", 500, NULL);
    store.get_err = UV_ENOENT; /* no session is no error */
    visit(&browser, "/show", 500, NULL);
    store.get_err = 0;
    store.destroy_err = UV_ECONNREFUSED;
    visit(&browser, "/leave", 500, NULL);
    check_told("connection refused");
    store.destroy_err = 0;
    visit(&browser, "/show", 200, "{\"user\":\"ada\"}");
    app_free(browser.app);
}

static void has_nonsense(void **state) {
    static const char *const texts[] = {"", "x", "[]", "null", "1", "{\"a\":", "{\"_expire\":1}"};
    struct browser browser = {.app = app_with((session_options_t){0})};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        visit(&browser, "/set/ada", 200, NULL);
        free(store.text);
        store.text = strdup(texts[i]);
        visit(&browser, "/show", 200, "{}");
    }
    visit(&browser, "/set/ada", 200, NULL);
    char *deep = calloc(1, 200000);
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 99999);
    free(store.text);
    store.text = deep;
    visit(&browser, "/show", 200, "{}");
    app_free(browser.app);
}

/* --- Keys ------------------------------------------------------------------------------------- */

static void has_a_prefix(void **state) {
    struct browser browser = {.app = app_with((session_options_t){.prefix = "app:"})};
    visit(&browser, "/set/ada", 200, NULL);
    assert_int_equal(strncmp(store.key, "app:", 4), 0);
    assert_int_equal(strlen(store.key), 36);
    visit(&browser, "/show", 200, "{\"user\":\"ada\"}");
    app_free(browser.app);
}

static const char *number(ctx_t *ctx) {
    static int last = 41;
    return ctx_query(ctx, "none") ? NULL : ctx_printf(ctx, "number-%d", ++last);
}

static void has_own_ids(void **state) {
    struct browser browser = {.app = app_with((session_options_t){.genid = number, .prefix = "x"})};
    visit(&browser, "/set/ada", 200, NULL);
    assert_string_equal(store.key, "number-42");
    visit(&browser, "/regenerate", 200, NULL);
    assert_string_equal(store.key, "number-43");
    struct browser other = {.app = browser.app};
    visit(&other, "/set/ada?none=1", 500, NULL);
    app_free(browser.app);
}

static const char *get_key(ctx_t *ctx) {
    return ctx_get(ctx, "X-Session");
}

static char told_key[100];

static int set_key(ctx_t *ctx, const char *key_or_null) {
    snprintf(told_key, sizeof told_key, "%s", key_or_null ? key_or_null : "gone");
    return ctx_set(ctx, "X-Session", key_or_null ? key_or_null : "");
}

static void has_keys_elsewhere(void **state) {
    session_options_t options = {.get_key = get_key, .set_key = set_key};
    struct browser browser = {.app = app_with(options)};
    visit(&browser, "/set/ada", 200, NULL);
    assert_int_equal(browser.set_cookies, 0);
    assert_string_equal(told_key, store.key);
    visit(&browser, "/show", 200, "{}");
    browser.header[0] = "X-Session";
    browser.header[1] = told_key;
    visit(&browser, "/show", 200, "{\"user\":\"ada\"}");
    visit(&browser, "/leave", 200, "{}");
    assert_string_equal(told_key, "gone");
    app_free(browser.app);
    check_complaint(session(&(session_options_t){.store = the_store, .get_key = get_key}),
                    "get_key needs set_key");
}

static session_loss_t lost_why;
static json_t *lost_data;

static void on_loss(ctx_t *ctx, session_loss_t why, json_t *data) {
    lost_why = why;
    lost_data = data;
}

static void is_missed(void **state) {
    struct browser browser = {.app = app_with((session_options_t){.on_loss = on_loss})};
    lost_why = SESSION_INVALID;
    visit(&browser, "/set/ada", 200, NULL);
    store_clear();
    visit(&browser, "/show", 200, "{}");
    assert_int_equal(lost_why, SESSION_MISSED);
    assert_null(lost_data);
    app_free(browser.app);
}

int main(void) {
#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        STORE_TEST(is_asked),
        STORE_TEST(rolls),
        STORE_TEST(until_the_browser_is_closed),
        STORE_TEST(goes),
        STORE_TEST(is_regenerated),
        STORE_TEST(regenerates_what_is_new),
        STORE_TEST(stays_destroyed),
        STORE_TEST(is_read_again),
        STORE_TEST(suspends),
        STORE_TEST(fails),
        STORE_TEST(has_nonsense),
        STORE_TEST(has_a_prefix),
        STORE_TEST(has_own_ids),
        STORE_TEST(has_keys_elsewhere),
        STORE_TEST(is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
