/* Sessions in cookies: what is in them, when they are saved, and for how long. */
#include "browser.h"

#include <middleware/session.h>

#include <inttypes.h>

/* --- What handlers do ------------------------------------------------------------------------- */

static int show(ctx_t *ctx) {
    json_t *data = session_json(ctx);
    char *text = json_dumps(data, JSON_COMPACT);
    int err = text ? ctx_text(ctx, text) : UV_EIO;
    free(text);
    return err;
}

static int count(ctx_t *ctx) {
    int err = session_set_int(ctx, "views", session_get_int(ctx, "views") + 1);
    return err ? err : ctx_textf(ctx, "%" PRId64, session_get_int(ctx, "views"));
}

/* /set?name=value, and without a value it is taken away. */
static int set(ctx_t *ctx) {
    const char *name, *value;
    for (size_t i = 0; ctx_query_at(ctx, i, &name, &value); i++) {
        int err = session_set(ctx, name, *value ? value : NULL);
        if (err)
            return err;
    }
    return show(ctx);
}

static int look_away(ctx_t *ctx) {
    return ctx_text(ctx, "away");
}

static int is_new(ctx_t *ctx) {
    return ctx_text(ctx, session_is_new(ctx) ? "new" : "known");
}

static int leave(ctx_t *ctx) {
    int err = session_destroy(ctx);
    return err ? err : show(ctx);
}

/* A cookie by our keys, with whatever is in it: /forge?cookie=… */
static int forge(ctx_t *ctx) {
    int err = ctx_set_cookie(ctx, "koa.sess", ctx_query(ctx, "cookie"),
                             &(cookie_options_t){.is_signed = true});
    return err ? err : ctx_text(ctx, "forged");
}

static int age(ctx_t *ctx) {
    const char *wanted = ctx_query(ctx, "ms");
    int err = wanted ? session_set_max_age(ctx, strtoll(wanted, NULL, 10)) : 0;
    return err ? ctx_text(ctx, uv_err_name(err)) : ctx_textf(ctx, "%" PRId64, session_max_age(ctx));
}

static int fail_after(ctx_t *ctx) {
    int err = count(ctx);
    return err ? err : ctx_throw(ctx, 409, "no");
}

static app_t *app_with(middleware_t layer) {
    app_t *app = app_with_keys();
    app_use(app, route_get("/forge", forge));
    app_use(app, layer);
    app_use(app, route_get("/count", count));
    app_use(app, route_get("/set", set));
    app_use(app, route_get("/show", show));
    app_use(app, route_get("/away", look_away));
    app_use(app, route_get("/new", is_new));
    app_use(app, route_get("/leave", leave));
    app_use(app, route_get("/age", age));
    app_use(app, route_get("/fail", fail_after));
    return app;
}

/* The JSON in the cookie, which is one block of base64. */
static json_t *json_of_cookie(const struct browser *browser) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strstr(browser->cookies, "koa.sess=");
    assert_non_null(at);
    char text[8192];
    size_t length = 0;
    unsigned bits = 0;
    int have = 0;
    for (at += 9; strchr(digits, *at) && *at; at++) {
        bits = bits << 6 | (unsigned)(strchr(digits, *at) - digits);
        have += 6;
        if (have >= 8)
            text[length++] = (char)(bits >> (have -= 8));
    }
    json_t *json = json_loadb(text, length, 0, NULL);
    assert_non_null(json);
    return json;
}

static int64_t now(void) {
    uv_timeval64_t time;
    uv_gettimeofday(&time);
    return time.tv_sec * 1000 + time.tv_usec / 1000;
}

/* --- The cookie ------------------------------------------------------------------------------- */

static void counts(void **state) {
    struct browser browser = {.app = app_with(session(NULL))};
    visit(&browser, "/new", 200, "new");
    assert_int_equal(browser.set_cookies, 0); /* new and empty */
    visit(&browser, "/count", 200, "1");
    assert_int_equal(browser.set_cookies, 2); /* and its signature */
    visit(&browser, "/count", 200, "2");
    visit(&browser, "/new", 200, "known");
    assert_int_equal(browser.set_cookies, 0); /* read and not changed */
    visit(&browser, "/away", 200, "away");
    assert_int_equal(browser.set_cookies, 0);
    visit(&browser, "/count", 200, "3");
    app_free(browser.app);
}

static void has_koas_format(void **state) {
    struct browser browser = {.app = app_with(session(NULL))};
    int64_t before = now();
    visit(&browser, "/set?user=ada", 200, "{\"user\":\"ada\"}");
    json_t *json = json_of_cookie(&browser);
    int64_t expires = json_integer_value(json_object_get(json, "_expire"));
    assert_int_equal(json_object_size(json), 3);
    assert_string_equal(json_string_value(json_object_get(json, "user")), "ada");
    assert_int_equal(json_integer_value(json_object_get(json, "_maxAge")), 86400000);
    assert_in_range(expires, before + 86400000, now() + 86400000);
    assert_non_null(strstr(browser.last_set, "; path=/; expires="));
    assert_non_null(strstr(browser.last_set, "; httponly"));
    json_decref(json);
    app_free(browser.app);
}

/* Made by koa-session 7.0.2 with app.keys = ['new', 'old'] and maxAge: 'session'. */
static void reads_koas_cookies(void **state) {
    struct browser browser = {
        .app = app_with(session(NULL)),
        .cookies = "koa.sess=eyJ1c2VyIjoiYWRhIiwidmlld3MiOjcsIl9zZXNzaW9uIjp0cnVlfQ==; "
                   "koa.sess.sig=MI6Wr5TMzQ86Rt4YmA5C7wkqbiY",
    };
    visit(&browser, "/show", 200, "{\"user\":\"ada\",\"views\":7}");
    visit(&browser, "/count", 200, "8");
    assert_null(strstr(browser.last_set, "expires=")); /* still until the browser is closed */
    visit(&browser, "/age", 200, "-1");
    app_free(browser.app);
}

static void tampered(void **state) {
    struct browser browser = {.app = app_with(session(NULL))};
    visit(&browser, "/count", 200, "1");
    char *value = strstr(browser.cookies, "koa.sess=") + 9;
    *value = *value == 'x' ? 'y' : 'x';
    visit(&browser, "/show", 200, "{}");
    assert_int_equal(browser.set_cookies, 1); /* the wrong signature is deleted */
    assert_null(strstr(browser.cookies, "sig"));
    visit(&browser, "/show", 200, "{}");
    app_free(browser.app);
}

/* All of them are by our own keys, so that only what is in them is to blame. */
static void what_is_no_session(void **state) {
    static const char *const cookies[] = {
        "x",
        "%3D",
        "bnVsbA==",    /* null */
        "WzFd",        /* [1] */
        "MQ==",        /* 1 */
        "ImEi",        /* "a" */
        "eyJhIjoxfQ=", /* {"a":1} with too few '=' */
        "eyJhIjoxfQ===",
        "eyJhIjo=",     /* {"a": */
        "eyJhIjoi/yJ9", /* no UTF-8 */
    };
    struct browser browser = {.app = app_with(session(NULL))};
    for (size_t i = 0; i < sizeof cookies / sizeof *cookies; i++) {
        char url[200];
        snprintf(url, sizeof url, "/forge?cookie=%s", cookies[i]);
        visit(&browser, url, 200, "forged");
        visit(&browser, "/show", 200, "{}");
    }
    visit(&browser, "/forge?cookie=eyJhIjoxfQ%3D%3D", 200, NULL);
    visit(&browser, "/show", 200, "{\"a\":1}");
    visit(&browser, "/forge?cookie=eyJhIjoxfQ", 200, NULL); /* '=' may be missing */
    visit(&browser, "/show", 200, "{\"a\":1}");
    visit(&browser, "/forge?cookie=eyJhIjoiPz8_In0", 200, NULL); /* base64 for URLs */
    visit(&browser, "/show", 200, "{\"a\":\"?\?\?\"}");
    app_free(browser.app);
}

static void expires(void **state) {
    struct browser browser = {.app = app_with(session(NULL))};
    visit(&browser, "/forge?cookie=eyJhIjoxLCJfZXhwaXJlIjoxfQ%3D%3D", 200, NULL); /* in 1970 */
    visit(&browser, "/show", 200, "{}");
    visit(&browser, "/forge?cookie=eyJhIjoxLCJfZXhwaXJlIjo5ZTE1fQ%3D%3D", 200, NULL); /* 9e15 */
    visit(&browser, "/show", 200, "{\"a\":1}");
    visit(&browser, "/forge?cookie=eyJhIjoxLCJfZXhwaXJlIjotMX0%3D", 200, NULL); /* -1 */
    visit(&browser, "/show", 200, "{}");
    visit(&browser, "/forge?cookie=eyJhIjoxLCJfZXhwaXJlIjoieCJ9", 200, NULL); /* "x": none */
    visit(&browser, "/show", 200, "{\"a\":1}");
    app_free(browser.app);
}

static void attributes(void **state) {
    session_options_t options = {
        .key = "s",
        .max_age = SESSION_COOKIE,
        .cookie = {.path = "/app",
                   .domain = "example.org",
                   .same_site = "lax",
                   .priority = "high",
                   .script_access = true,
                   .not_signed = true},
    };
    struct browser browser = {.app = app_with(session(&options))};
    visit(&browser, "/count", 200, "1");
    assert_int_equal(browser.set_cookies, 1);
    assert_string_equal(browser.last_set,
                        "s=eyJ2aWV3cyI6MSwiX3Nlc3Npb24iOnRydWV9; path=/app; domain=example.org; "
                        "priority=high; samesite=lax");
    visit(&browser, "/count", 200, "2");
    app_free(browser.app);
}

static void secure_needs_tls(void **state) {
    struct browser browser = {.app =
                                  app_with(session(&(session_options_t){.cookie.secure = true}))};
    visit(&browser, "/count", 500, NULL);
    check_told("can't send a secure cookie");
    app_free(browser.app);
}

static void needs_keys(void **state) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_on_error(app, listen_to_errors);
    app_use(app, session(NULL));
    app_use(app, count);
    struct browser browser = {.app = app};
    visit(&browser, "/", 500, NULL);
    check_told("keys are required");
    app_free(app);
}

/* 3012 letters and what is around them are 3063 bytes, in base64 4084, and "koa.sess=" before it.
 */
static void too_large(void **state) {
    struct browser browser = {.app = app_with(session(NULL))};
    char url[4000] = "/set?a=";
    memset(url + strlen(url), 'x', 3012);
    visit(&browser, url, 200, NULL);
    assert_int_equal(strcspn(browser.last_set, ";"), 4093);
    strcat(url, "x");
    visit(&browser, url, 500, "Internal Server Error");
    check_told("a cookie of 4097 bytes, and browsers drop what is more than 4096");
    assert_int_equal(browser.set_cookies, 0);
    app_free(browser.app);

    browser = (struct browser){.app = app_with(session(&(session_options_t){.cookie_size = 50}))};
    visit(&browser, "/count", 500, NULL);
    check_told("more than 50");
    app_free(browser.app);
}

/* --- When it is saved ------------------------------------------------------------------------- */

static void destroys(void **state) {
    struct browser browser = {.app = app_with(session(NULL))};
    visit(&browser, "/count", 200, "1");
    visit(&browser, "/leave", 200, "{}");
    assert_string_equal(browser.cookies, "");
    assert_int_equal(browser.set_cookies, 2);
    visit(&browser, "/new", 200, "new");
    app_free(browser.app);
}

/* Koa takes all cookies from an error, but who catches it above the session keeps them. */
static int catch_it(ctx_t *ctx) {
    int err = next(ctx);
    const ctx_error_t *error = err ? ctx_catch(ctx) : NULL;
    if (!error)
        return err;
    ctx->status = error->status;
    return ctx_text(ctx, error->message);
}

static void errors_below(void **state) {
    struct browser browser = {.app = app_with(session(NULL))};
    visit(&browser, "/fail", 409, "no");
    assert_int_equal(browser.set_cookies, 0);
    app_free(browser.app);
    browser = (struct browser){.app = app_with(compose(middleware(catch_it), session(NULL)))};
    visit(&browser, "/fail", 409, "no");
    assert_int_equal(browser.set_cookies, 2);
    visit(&browser, "/count", 200, "2");
    app_free(browser.app);
}

static void rolling(void **state) {
    struct browser browser = {.app = app_with(session(&(session_options_t){.rolling = true}))};
    visit(&browser, "/show", 200, "{}");
    assert_int_equal(browser.set_cookies, 0);
    visit(&browser, "/count", 200, "1");
    visit(&browser, "/show", 200, "{\"views\":1}");
    assert_int_equal(browser.set_cookies, 2);
    visit(&browser, "/away", 200, NULL); /* a cookie that nobody has read */
    assert_int_equal(browser.set_cookies, 0);
    app_free(browser.app);
}

/* A cookie with this in it, but for the last bytes of three. */
static void forge_text(struct browser *browser, const char *text) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char url[200] = "/forge?cookie=", *to = url + strlen(url);
    int length = (int)strlen(text);
    for (int i = 0; i + 2 < length; i += 3) {
        unsigned bits =
            (unsigned)text[i] << 16 | (unsigned)text[i + 1] << 8 | (unsigned)text[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *to++ = digits[bits >> shift & 63];
    }
    *to = '\0';
    visit(browser, url, 200, "forged");
}

/* Of {"a":1} that was to live for a day, `left` milliseconds are left. */
static void forge_age(struct browser *browser, int64_t left) {
    char text[100];
    snprintf(text, sizeof text, "{\"a\":1,\"_expire\":%" PRId64 ",\"_maxAge\":86400000}   ",
             now() + left);
    forge_text(browser, text);
}

static void renew(void **state) {
    struct browser browser = {.app = app_with(session(&(session_options_t){.renew = true}))};
    forge_age(&browser, 86400000 * 6 / 10);
    visit(&browser, "/show", 200, "{\"a\":1}");
    assert_int_equal(browser.set_cookies, 0);
    forge_age(&browser, 86400000 * 4 / 10);
    visit(&browser, "/show", 200, "{\"a\":1}");
    assert_int_equal(browser.set_cookies, 2);
    visit(&browser, "/show", 200, "{\"a\":1}");
    assert_int_equal(browser.set_cookies, 0);
    app_free(browser.app);
}

static void own_max_age(void **state) {
    struct browser browser = {.app = app_with(session(&(session_options_t){.max_age = 5000}))};
    visit(&browser, "/age", 200, "5000");
    visit(&browser, "/age?ms=0", 200, "EINVAL");
    visit(&browser, "/age?ms=-2", 200, "EINVAL");
    visit(&browser, "/age?ms=9007199254740993", 200, "EINVAL");
    visit(&browser, "/age?ms=60000", 200, "60000");
    assert_int_equal(browser.set_cookies, 2); /* though it is empty */
    visit(&browser, "/count", 200, "1");
    visit(&browser, "/age", 200, "60000"); /* from now on */
    visit(&browser, "/age?ms=-1", 200, "-1");
    assert_null(strstr(browser.last_set, "expires="));
    visit(&browser, "/age", 200, "-1");
    app_free(browser.app);
}

/* A cookie's date must exist: what is longer is no time, wherever it comes from. */
static void longest_max_age(void **state) {
    struct browser browser = {.app = app_with(session(NULL))};
    visit(&browser, "/age?ms=8000000000000001", 200, "EINVAL");
    visit(&browser, "/age?ms=8000000000000000", 200, "8000000000000000");
    assert_non_null(strstr(browser.last_set, "expires="));
    visit(&browser, "/count", 200, "1");
    visit(&browser, "/age", 200, "8000000000000000");
    forge_text(&browser, "{\"a\":1,\"_maxAge\":9e15}   ");
    visit(&browser, "/age", 200, "86400000");
    visit(&browser, "/count", 200, "1");
    app_free(browser.app);
}

static int save_twice(ctx_t *ctx) {
    int err = count(ctx);
    err = err ? err : session_save(ctx);
    err = err ? err : session_commit(ctx);
    return err;
}

static void by_hand(void **state) {
    app_t *app = app_with_keys();
    app_use(app, session(&(session_options_t){.manual_commit = true, .no_overwrite = true}));
    app_use(app, route_get("/count", count));
    app_use(app, route_get("/save", save_twice));
    struct browser browser = {.app = app};
    visit(&browser, "/count", 200, "1");
    assert_int_equal(browser.set_cookies, 0);
    visit(&browser, "/save", 200, "1");
    assert_int_equal(browser.set_cookies, 2); /* once: what was saved is not changed any more */
    visit(&browser, "/count", 200, "2");
    visit(&browser, "/count", 200, "2");
    app_free(app);
}

static int write_first(ctx_t *ctx) {
    int err = ctx_write(ctx, "a", 1);
    return err ? err : count(ctx);
}

static int save_first(ctx_t *ctx) {
    int err = session_set(ctx, "a", "1");
    err = err ? err : session_save(ctx);
    return err ? err : ctx_write(ctx, "a", 1);
}

static int write_and_look(ctx_t *ctx) {
    int err = ctx_write(ctx, "a", 1);
    return err ? err : ctx_writef(ctx, "%s", session_get(ctx, "a"));
}

static void after_the_head(void **state) {
    app_t *app = app_with_keys();
    app_use(app, session(&(session_options_t){.rolling = true}));
    app_use(app, route_get("/write", write_first));
    app_use(app, route_get("/save", save_first));
    app_use(app, route_get("/look", write_and_look));
    struct browser browser = {.app = app};
    visit(&browser, "/write", 200, NULL);
    assert_true(browser.failed);
    check_told("can't be set after the head was sent");
    visit(&browser, "/save", 200, "a");
    assert_false(browser.failed);
    visit(&browser, "/look", 200, "a1"); /* it does not roll then */
    assert_false(browser.failed);
    app_free(app);
}

/* --- What is in it ---------------------------------------------------------------------------- */

static int values(ctx_t *ctx) {
    assert_null(session_get(ctx, "none"));
    assert_int_equal(session_get_int(ctx, "none"), 0);
    assert_int_equal(session_set(ctx, "s", "text"), 0);
    assert_int_equal(session_set_int(ctx, "i", INT64_MIN), 0);
    const char *text = session_get(ctx, "s");
    assert_int_equal(session_set(ctx, "s", "other"), 0);
    assert_string_equal(text, "text"); /* lives as long as the ctx */
    assert_null(session_get(ctx, "i"));
    assert_int_equal(session_get_int(ctx, "s"), 0);
    assert_true(session_get_int(ctx, "i") == INT64_MIN);
    assert_int_equal(session_set(ctx, "bad", "\xff"), UV_EINVAL);
    assert_int_equal(session_set(ctx, "\xff", "bad"), UV_EINVAL);
    assert_int_equal(session_set(ctx, "_expire", "1"), UV_EINVAL);
    assert_int_equal(session_set(ctx, "_session", "1"), UV_EINVAL);
    assert_int_equal(session_set_int(ctx, "_maxAge", 1), UV_EINVAL);
    assert_int_equal(session_set(ctx, "_own", "kept"), 0);
    assert_int_equal(session_set(ctx, "s", NULL), 0);
    assert_int_equal(session_set(ctx, "s", NULL), 0);
    json_object_set_new(session_json(ctx), "nul", json_stringn("admin\0x", 7));
    assert_null(session_get(ctx, "nul")); /* which is not "admin" */
    assert_null(session_key(ctx));
    return show(ctx);
}

static int replace(ctx_t *ctx) {
    assert_int_equal(session_replace(ctx, NULL), UV_EINVAL);
    assert_int_equal(session_replace(ctx, json_array()), UV_EINVAL);
    assert_int_equal(session_replace(ctx, json_pack("{s:[i,i]}", "a", 1, 2)), 0);
    return show(ctx);
}

static void in_it(void **state) {
    app_t *app = app_with_keys();
    app_use(app, session(NULL));
    app_use(app, route_get("/values", values));
    app_use(app, route_get("/replace", replace));
    app_use(app, route_get("/show", show));
    struct browser browser = {.app = app};
    visit(&browser, "/values", 200, NULL);
    visit(&browser, "/show", 200,
          "{\"i\":-9223372036854775808,\"_own\":\"kept\",\"nul\":\"admin\\u0000x\"}");
    visit(&browser, "/replace", 200, "{\"a\":[1,2]}");
    visit(&browser, "/show", 200, "{\"a\":[1,2]}");
    app_free(app);
}

static int reorder(ctx_t *ctx) {
    json_t *a = json_incref(json_object_get(session_json(ctx), "a"));
    json_object_del(session_json(ctx), "a");
    json_object_set_new(session_json(ctx), "a", a);
    return show(ctx);
}

static int change_inside(ctx_t *ctx) {
    json_object_set_new(json_object_get(session_json(ctx), "a"), "b", json_integer(2));
    return show(ctx);
}

static int put_inside(ctx_t *ctx) {
    json_t *inner = json_pack("{s:i}", "b", 1);
    json_object_set_new(session_json(ctx), "a", inner);
    return session_set(ctx, "c", "1");
}

static void is_changed(void **state) {
    app_t *app = app_with_keys();
    app_use(app, session(NULL));
    app_use(app, route_get("/put", put_inside));
    app_use(app, route_get("/reorder", reorder));
    app_use(app, route_get("/change", change_inside));
    struct browser browser = {.app = app};
    visit(&browser, "/put", 404, NULL);
    visit(&browser, "/reorder", 200, "{\"c\":\"1\",\"a\":{\"b\":1}}");
    assert_int_equal(browser.set_cookies, 0);
    visit(&browser, "/change", 200, "{\"a\":{\"b\":2},\"c\":\"1\"}");
    assert_int_equal(browser.set_cookies, 2);
    visit(&browser, "/change", 200, "{\"a\":{\"b\":2},\"c\":\"1\"}");
    assert_int_equal(browser.set_cookies, 0);
    app_free(app);
}

static int nest(ctx_t *ctx) {
    json_t *inner = json_object();
    for (int i = 1; i < atoi(ctx_query(ctx, "levels")); i++)
        inner = i % 2 ? json_pack("[o]", inner) : json_pack("{s:o}", "a", inner);
    int err = session_replace(ctx, json_pack("{s:o}", "a", inner));
    return err ? err : ctx_text(ctx, "nested");
}

static void how_deep(void **state) {
    app_t *app = app_with_keys();
    app_use(app, session(&(session_options_t){.cookie_size = 100000}));
    app_use(app, route_get("/nest", nest));
    app_use(app, route_get("/show", show));
    struct browser browser = {.app = app};
    visit(&browser, "/nest?levels=63", 200, "nested");
    visit(&browser, "/show", 200, NULL);
    assert_non_null(strstr(browser.body, "{\"a\":{\"a\":[{\"a\":[{\"a\":["));
    visit(&browser, "/nest?levels=64", 500, NULL);
    check_told("more than 64 levels");
    app_free(app);
}

/* --- Options ---------------------------------------------------------------------------------- */

static session_loss_t lost_why;
static int losses;

static void on_loss(ctx_t *ctx, session_loss_t why, json_t *data) {
    lost_why = why;
    losses++;
}

static bool is_of_ada(ctx_t *ctx, json_t *data) {
    return json_object_get(data, "a") != NULL;
}

static void hooks_of_loading(void **state) {
    session_options_t options = {.valid = is_of_ada, .on_loss = on_loss};
    struct browser browser = {.app = app_with(session(&options))};
    losses = 0;
    visit(&browser, "/set?a=1", 200, "{\"a\":\"1\"}");
    visit(&browser, "/show", 200, "{\"a\":\"1\"}");
    assert_int_equal(losses, 0);
    visit(&browser, "/set?a=&b=1", 200, "{\"b\":\"1\"}");
    visit(&browser, "/show", 200, "{}");
    assert_int_equal(losses, 1);
    assert_int_equal(lost_why, SESSION_INVALID);
    visit(&browser, "/forge?cookie=eyJhIjoxLCJfZXhwaXJlIjoxfQ%3D%3D", 200, NULL);
    visit(&browser, "/show", 200, "{}");
    assert_int_equal(losses, 2);
    assert_int_equal(lost_why, SESSION_EXPIRED);
    app_free(browser.app);
}

static int stamp(ctx_t *ctx, json_t *data) {
    if (json_object_get(data, "bad"))
        return ctx_throw(ctx, 422, "bad");
    return json_object_set_new(data, "stamp", json_integer(1)) ? UV_ENOMEM : 0;
}

static void before_save(void **state) {
    struct browser browser = {.app = app_with(session(&(session_options_t){.before_save = stamp}))};
    visit(&browser, "/set?a=1", 200, "{\"a\":\"1\"}");
    visit(&browser, "/show", 200, "{\"a\":\"1\",\"stamp\":1}");
    assert_int_equal(browser.set_cookies, 0);
    visit(&browser, "/set?bad=1", 422, "bad");
    app_free(browser.app);
}

/* A code that is none of ours: bytes as hexadecimal numbers. */
static const char *encode(ctx_t *ctx, json_t *data) {
    char *text = json_dumps(data, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0;
    char *code = ctx_alloc(ctx, 2 * length + 1);
    for (size_t i = 0; code && i < length; i++)
        sprintf(code + 2 * i, "%02x", (unsigned char)text[i]);
    free(text);
    return json_object_get(data, "bad") ? NULL : code;
}

static json_t *decode(ctx_t *ctx, const char *code) {
    size_t length = strlen(code) / 2;
    char *text = ctx_alloc(ctx, length + 1);
    for (size_t i = 0; i < length; i++) {
        unsigned byte = 0;
        sscanf(code + 2 * i, "%2x", &byte);
        text[i] = (char)byte;
    }
    return json_loads(text, 0, NULL);
}

static void own_code(void **state) {
    session_options_t options = {.encode = encode, .decode = decode};
    struct browser browser = {.app = app_with(session(&options))};
    visit(&browser, "/set?a=1", 200, "{\"a\":\"1\"}");
    assert_non_null(strstr(browser.cookies, "koa.sess=7b2261223a2231222c22"));
    visit(&browser, "/show", 200, "{\"a\":\"1\"}");
    visit(&browser, "/set?bad=1", 500, NULL);
    check_told("can't be encoded");
    visit(&browser, "/forge?cookie=zz", 200, NULL);
    visit(&browser, "/show", 200, "{}");
    app_free(browser.app);
}

/* Each has the word for what is below it. */
static int both(ctx_t *ctx) {
    int err = session_set(ctx, "who", "outer");
    err = err ? err : next(ctx);
    return err ? err : session_set(ctx, "after", session_get(ctx, "who"));
}

static int inner(ctx_t *ctx) {
    int err = session_set(ctx, "who", "inner");
    return err ? err : show(ctx);
}

static void two_of_them(void **state) {
    app_t *app = app_with_keys();
    app_use(app, session(NULL));
    app_use(app, route_get("/show", show));
    app_use(app, both);
    app_use(app, session(&(session_options_t){.key = "second"}));
    app_use(app, inner);
    struct browser browser = {.app = app};
    visit(&browser, "/", 200, "{\"who\":\"inner\"}");
    assert_int_equal(browser.set_cookies, 4);
    visit(&browser, "/show", 200, "{\"who\":\"outer\",\"after\":\"outer\"}");
    app_free(app);
}

static int without(ctx_t *ctx) {
    assert_null(session_json(ctx));
    assert_null(session_get(ctx, "a"));
    assert_null(session_key(ctx));
    assert_false(session_is_new(ctx));
    assert_int_equal(session_get_int(ctx, "a"), 0);
    assert_int_equal(session_max_age(ctx), 0);
    assert_int_equal(session_set(ctx, "a", "b"), -500);
    assert_int_equal(session_set(ctx, "a", NULL), -500);
    assert_int_equal(session_set_int(ctx, "a", 1), -500);
    assert_int_equal(session_set_max_age(ctx, 1), -500);
    assert_int_equal(session_replace(ctx, json_object()), -500);
    assert_int_equal(session_commit(ctx), -500);
    assert_int_equal(session_destroy(ctx), -500);
    assert_int_equal(session_regenerate(ctx), -500);
    assert_int_equal(session_reload(ctx), -500);
    return session_save(ctx);
}

static void without_the_middleware(void **state) {
    app_t *app = app_with_keys();
    app_use(app, without);
    struct browser browser = {.app = app};
    visit(&browser, "/", 500, NULL);
    check_told("there is no session: app_use(app, session(...)) is missing above");
    app_free(app);
}

static int some_set_key(ctx_t *ctx, const char *key) {
    return 0;
}

static int some_get(ctx_t *ctx, void *state, const char *key, char **text) {
    return 0;
}

static void wrong_options(void **state) {
    check_complaint(session(&(session_options_t){.key = ""}), "key is no name");
    check_complaint(session(&(session_options_t){.key = "a b"}), "key is no name");
    check_complaint(session(&(session_options_t){.key = "a;"}), "key is no name");
    check_complaint(session(&(session_options_t){.max_age = -2}), "max_age");
    check_complaint(session(&(session_options_t){.max_age = INT64_MAX}), "max_age");
    check_complaint(session(&(session_options_t){.cookie.same_site = "loose"}), "same_site");
    check_complaint(session(&(session_options_t){.encode = encode}), "encode needs decode");
    check_complaint(session(&(session_options_t){.prefix = "a"}), "are for a store");
    check_complaint(session(&(session_options_t){.set_key = some_set_key}), "are for a store");
    check_complaint(session(&(session_options_t){.store.get = some_get}), "a store needs");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(has_koas_format),
        cmocka_unit_test(reads_koas_cookies),
        cmocka_unit_test(tampered),
        cmocka_unit_test(what_is_no_session),
        cmocka_unit_test(expires),
        cmocka_unit_test(attributes),
        cmocka_unit_test(secure_needs_tls),
        cmocka_unit_test(needs_keys),
        cmocka_unit_test(too_large),
        cmocka_unit_test(destroys),
        cmocka_unit_test(errors_below),
        cmocka_unit_test(rolling),
        cmocka_unit_test(renew),
        cmocka_unit_test(own_max_age),
        cmocka_unit_test(longest_max_age),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(after_the_head),
        cmocka_unit_test(in_it),
        cmocka_unit_test(is_changed),
        cmocka_unit_test(how_deep),
        cmocka_unit_test(hooks_of_loading),
        cmocka_unit_test(before_save),
        cmocka_unit_test(own_code),
        cmocka_unit_test(two_of_them),
        cmocka_unit_test(without_the_middleware),
        cmocka_unit_test(wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
