/*
 * Sessions under all kinds of options: e2e/session.test.mjs has the same by koa-session, and plays
 * the same requests to both.
 *
 * A path such as /store/set:user:ada/save/get names the options, and then what is done, one after
 * the other. The answer is what was seen on the way, as an array.
 */
#include <acacia.h>
#include <stdlib.h>
#include <string.h>

#include <middleware/basic_auth.h>
#include <middleware/body_parser.h>
#include <middleware/csrf.h>
#include <middleware/session.h>

/* --- A store that shows what it has ----------------------------------------------------------- */

static json_t *kept;

static int store_get(ctx_t *ctx, void *state, const char *key, char **text) {
    json_t *found = json_object_get(kept, key);
    *text = found ? strdup(json_string_value(json_object_get(found, "text"))) : NULL;
    return await_sleep(0);
}

static int store_set(ctx_t *ctx, void *state, const char *key, const char *text,
                     const session_write_t *how) {
    if (how->update && !json_object_get(kept, key))
        return 1;
    json_object_set_new(kept, key,
                        json_pack("{s:s, s:I}", "text", text, "maxAge", (json_int_t)how->max_age));
    return await_sleep(0);
}

static int store_destroy(ctx_t *ctx, void *state, const char *key) {
    json_object_del(kept, key);
    return 0;
}

static int show_store(ctx_t *ctx) {
    return ctx_json(ctx, json_incref(kept));
}

/* --- What is done ----------------------------------------------------------------------------- */

static int note(json_t *seen, json_t *value) {
    return json_array_append_new(seen, value) ? UV_ENOMEM : 0;
}

/* "set:user:ada": `name` and `value` are cut out of it. */
static int do_one(ctx_t *ctx, json_t *seen, const char *what, const char *name, const char *value) {
    if (strcmp(what, "get") == 0)
        return note(seen, json_deep_copy(session_json(ctx)));
    if (strcmp(what, "new") == 0)
        return note(seen, json_boolean(session_is_new(ctx)));
    if (strcmp(what, "age") == 0 && !name)
        return note(seen, session_max_age(ctx) == SESSION_COOKIE
                              ? json_string("session")
                              : json_integer(session_max_age(ctx)));
    if (strcmp(what, "age") == 0)
        return session_set_max_age(ctx, strcmp(name, "session") == 0 ? SESSION_COOKIE
                                                                     : strtoll(name, NULL, 10));
    if (strcmp(what, "set") == 0)
        return session_set(ctx, name, value);
    if (strcmp(what, "int") == 0)
        return session_set_int(ctx, name, strtoll(value, NULL, 10));
    if (strcmp(what, "json") == 0) {
        json_t *json = json_loads(value, JSON_DECODE_ANY, NULL);
        return json_object_set_new(session_json(ctx), name, json) ? UV_EINVAL : 0;
    }
    if (strcmp(what, "del") == 0)
        return session_set(ctx, name, NULL);
    if (strcmp(what, "replace") == 0)
        return session_replace(ctx, json_pack("{s:s}", name, value));
    if (strcmp(what, "save") == 0)
        return session_save(ctx);
    if (strcmp(what, "commit") == 0)
        return session_commit(ctx);
    if (strcmp(what, "regenerate") == 0)
        return session_regenerate(ctx);
    if (strcmp(what, "null") == 0)
        return session_destroy(ctx);
    if (strcmp(what, "token") == 0)
        return note(seen, json_string(csrf_token(ctx)));
    return ctx_throw(ctx, 409, "%s", what);
}

static int do_all(ctx_t *ctx) {
    json_t *seen = json_array();
    char *rest = ctx_strdup(ctx, ctx_query(ctx, "do") ? ctx_query(ctx, "do") : "");
    int err = 0;
    for (char *item; !err && (item = strsep(&rest, "/"));) {
        char *what = strsep(&item, ":"), *name = strsep(&item, ":");
        if (*what)
            err = do_one(ctx, seen, what, name, item);
    }
    if (!err)
        return ctx_json(ctx, seen);
    json_decref(seen);
    return err;
}

static int catch_it(ctx_t *ctx) {
    int err = next(ctx);
    const ctx_error_t *error = err ? ctx_catch(ctx) : NULL;
    if (!error)
        return err;
    ctx->status = error->status;
    return ctx_text(ctx, error->message);
}

/* --- Options ---------------------------------------------------------------------------------- */

static bool has_no_veto(ctx_t *ctx, json_t *data) {
    return !json_object_get(data, "veto");
}

static int stamp(ctx_t *ctx, json_t *data) {
    return json_object_set_new(data, "stamped", json_true()) ? UV_ENOMEM : 0;
}

static const char *get_key(ctx_t *ctx) {
    return ctx_get(ctx, "X-Key");
}

static int set_key(ctx_t *ctx, const char *key) {
    return key ? ctx_set(ctx, "X-Key", key) : ctx_remove(ctx, "X-Key");
}

static void add(app_t *app, const char *path, session_options_t options, middleware_t more) {
    options.max_age = options.max_age ? options.max_age : 86400000;
    app_use(app, mount_at(path, compose(middleware(catch_it), session(&options), more,
                                        middleware(do_all))));
}

static int pass(ctx_t *ctx) {
    return next(ctx);
}

static void add_sessions(app_t *app) {
    const session_store_t store = {store_get, store_set, store_destroy, NULL};
    add(app, "/cookie", (session_options_t){0}, middleware(pass));
    add(app, "/rolling", (session_options_t){.rolling = true, .key = "r"}, middleware(pass));
    add(app, "/renew", (session_options_t){.renew = true, .max_age = 60000}, middleware(pass));
    add(app, "/browser", (session_options_t){.max_age = SESSION_COOKIE}, middleware(pass));
    add(app, "/manual", (session_options_t){.manual_commit = true}, middleware(pass));
    add(app, "/open",
        (session_options_t){.cookie = {.not_signed = true, .script_access = true, .path = "/open"}},
        middleware(pass));
    add(app, "/lax", (session_options_t){.cookie = {.same_site = "lax", .domain = "a.example"}},
        middleware(pass));
    add(app, "/hooks", (session_options_t){.valid = has_no_veto, .before_save = stamp},
        middleware(pass));
    add(app, "/store", (session_options_t){.store = store}, middleware(pass));
    add(app, "/store-rolling", (session_options_t){.store = store, .rolling = true},
        middleware(pass));
    add(app, "/store-renew", (session_options_t){.store = store, .renew = true, .prefix = "pre:"},
        middleware(pass));
    add(app, "/store-browser", (session_options_t){.store = store, .max_age = SESSION_COOKIE},
        middleware(pass));
    add(app, "/store-key",
        (session_options_t){.store = store, .get_key = get_key, .set_key = set_key},
        middleware(pass));
    add(app, "/csrf", (session_options_t){0}, compose(body_parser(NULL), csrf(NULL)));
    add(app, "/csrf-paths", (session_options_t){0},
        csrf(&(csrf_options_t){
            .no_query = true,
            .ignored_paths = (const char *const[]){"/hook/**", "/a*/?", NULL},
            .excluded_methods = (const char *const[]){"GET", "PUT", NULL},
        }));
}

static int secret(ctx_t *ctx) {
    return ctx_text(ctx, "secret");
}

static void add_auth(app_t *app, const char *path, basic_auth_options_t options) {
    app_use(app, mount_at(path, compose(basic_auth(&options), middleware(secret))));
}

int main(void) {
    static const char *const keys[] = {"new", "old", NULL};
    app_t *app = app_new_with(
        &(app_options_t){.http.keep_alive_timeout = 60000, .keys = keys, .silent = true});
    kept = json_object();
    app_use(app, route_get("/stored", show_store));
    add_sessions(app);
    add_auth(app, "/auth/both", (basic_auth_options_t){.name = "tobi", .password = "fe:rret"});
    add_auth(app, "/auth/name", (basic_auth_options_t){.name = "tobi", .any_password = true});
    add_auth(app, "/auth/password",
             (basic_auth_options_t){.password = "ü", .realm = "a \"realm\""});
    int code = app_listen(app, 3000);
    json_decref(kept);
    return code;
}
