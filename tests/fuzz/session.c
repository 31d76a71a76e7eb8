/*
 * What a client may send to sessions, basic authentication and CSRF tokens. Lines of the input: a
 * byte of flags and the session's cookie, or the JSON in it; Authorization; the path; a token.
 */
#include <acacia.h>

#include <middleware/base64.h>
#include <middleware/basic_auth.h>
#include <middleware/csrf.h>
#include <middleware/session.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SESSION, AUTHORIZATION, PATH, TOKEN, FIELDS };

static void check(bool holds) {
    if (!holds)
        abort();
}

/* What is in the session, which is saved again. */
static int show(ctx_t *ctx) {
    char *text = json_dumps(session_json(ctx), JSON_COMPACT | JSON_SORT_KEYS);
    check(text != NULL);
    int err = session_save(ctx);
    err = err ? err : ctx_text(ctx, text);
    free(text);
    return err;
}

static int secret(ctx_t *ctx) {
    check(basic_auth_name(ctx) != NULL);
    return ctx_text(ctx, "secret");
}

static int behind_csrf(ctx_t *ctx) {
    return ctx_text(ctx, "ignored");
}

static app_t *make_app(void) {
    static const char *const globs[] = {"/a*b*c/?", "/x/**", "/?*/y/**", NULL};
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, session(&(session_options_t){.cookie.not_signed = true, .cookie_size = 1 << 20}));
    app_use(app, route_get("/session", show));
    app_use(app, mount_at("/secret",
                          compose(basic_auth(&(basic_auth_options_t){.name = "a", .password = "b"}),
                                  middleware(secret))));
    app_use(app, csrf(&(csrf_options_t){.ignored_paths = globs, .check_origin = true}));
    app_use(app, behind_csrf);
    return app;
}

static app_response_t *ask(app_t *app, const char *method, const char *url, const char *name,
                           const char *value) {
    const char *const headers[] = {"Host", "a", name, value, NULL};
    app_response_t *response =
        app_inject(app, &(app_request_t){.method = method, .url = url, .headers = headers});
    check(response != NULL);
    return response;
}

/* "koa.sess=…": a session of a few milliseconds, which may be over before it is read again. */
static bool is_short_lived(const char *saved) {
    char *json;
    size_t length;
    if (base64_read(saved + 9, &json, &length))
        return false;
    bool is_short = strstr(json, "_maxAge") != NULL;
    free(json);
    return is_short;
}

/* What was saved is what is read, and saved once more it is the same. */
static void fuzz_session(app_t *app, const char *cookie) {
    app_response_t *first = ask(app, "GET", "/session", "Cookie", cookie), *second;
    check(first->status == 200);
    const char *line = app_response_get(first, "Set-Cookie");
    check(line && strncmp(line, "koa.sess=", 9) == 0);
    char *saved = strndup(line, strcspn(line, ";"));
    second = ask(app, "GET", "/session", "Cookie", saved);
    check(second->status == 200);
    check(is_short_lived(saved) || strcmp(second->body.data, first->body.data) == 0);
    app_response_free(first);
    app_response_free(second);
    free(saved);
}

static void fuzz_rest(app_t *app, char *fields[FIELDS]) {
    app_response_t *response = ask(app, "GET", "/secret", "Authorization", fields[AUTHORIZATION]);
    check(response->status == 200 || response->status == 401);
    app_response_free(response);
    if (*fields[PATH] == '/' && strncmp(fields[PATH], "/secret", 7) != 0) {
        response = ask(app, "POST", fields[PATH], "X-CSRF-Token", fields[TOKEN]);
        check(response->status == 403 || response->status == 200);
        app_response_free(response);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static app_t *app;
    char *fields[FIELDS] = {"", "", "", ""};
    if (!app)
        app = make_app();
    if (size < 2)
        return 0;
    char *text = strndup((const char *)data + 1, size - 1), *at = text;
    for (size_t i = 0; i < FIELDS && at; i++)
        fields[i] = strsep(&at, "\n");
    char *code = data[0] & 1 ? base64_write(fields[SESSION], strlen(fields[SESSION])) : NULL;
    const char *value = code ? code : fields[SESSION];
    char *cookie = malloc(strlen(value) + 10);
    sprintf(cookie, "koa.sess=%s", value);
    fuzz_session(app, cookie);
    fuzz_rest(app, fields);
    free(cookie);
    free(code);
    free(text);
    return 0;
}
