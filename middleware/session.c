/* Sessions, as koa-session 7: the middleware and its options. */
#include "session.h"

#include "session_state.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE "acacia session" /* its name among the values of the ctx */
#define ONE_DAY INT64_C(86400000)

/* --- The middleware --------------------------------------------------------------------------- */

/* All sessions of a ctx. There is mostly one. */
struct sessions {
    struct session *innermost; /* the one that handlers see */
    struct session *last;
};

static void free_sessions(void *value) {
    struct sessions *sessions = value;
    while (sessions->last) {
        struct session *session = sessions->last;
        sessions->last = session->previous;
        json_decref(session->data);
        free(session->known);
        free(session->key);
        free(session);
    }
    free(sessions);
}

struct session *session_of(ctx_t *ctx) {
    struct sessions *sessions = ctx_value(ctx, VALUE);
    if (sessions)
        return sessions->innermost;
    ctx_throw(ctx, 500, "there is no session: app_use(app, session(...)) is missing above");
    return NULL;
}

static struct sessions *sessions_of(ctx_t *ctx) {
    struct sessions *sessions = ctx_value(ctx, VALUE);
    if (sessions || !(sessions = calloc(1, sizeof *sessions)))
        return sessions;
    return ctx_set_value(ctx, VALUE, sessions, free_sessions) ? NULL : sessions;
}

static struct session *begin(struct sessions *sessions, ctx_t *ctx,
                             const struct session_settings *settings) {
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    *session = (struct session){.ctx = ctx, .settings = settings, .previous = sessions->last};
    sessions->last = sessions->innermost = session;
    return session;
}

/* With `rolling` and `renew` a store is asked each time, as in Koa; and a WebSocket gets its
 * session while a cookie can still be set. */
static bool is_read_at_once(const ctx_t *ctx, const session_options_t *o) {
    return ctx->websocket || (o->store.get && (o->rolling || o->renew));
}

static int run(ctx_t *ctx, void *state) {
    const struct session_settings *settings = state;
    struct sessions *sessions = sessions_of(ctx);
    struct session *outer = sessions ? sessions->innermost : NULL;
    struct session *session = sessions ? begin(sessions, ctx, settings) : NULL;
    if (!session)
        return UV_ENOMEM;
    int err = is_read_at_once(ctx, &settings->options) ? session_load(session) : 0;
    err = err ? err : next(ctx);
    int failed = settings->options.manual_commit ? session->err : session_write_if_due(session);
    if (outer && !ctx->websocket) /* a socket's handlers keep the innermost */
        sessions->innermost = outer;
    return failed < 0 ? failed : err; /* one that another request has destroyed is no error */
}

/* --- Options ---------------------------------------------------------------------------------- */

static void destroy_settings(void *state) {
    struct session_settings *settings = state;
    for (size_t i = 0; i < settings->string_count; i++)
        free(settings->strings[i]);
    free(settings);
}

/* False when there is no memory. */
static bool copy_string(struct session_settings *settings, const char **string) {
    char *copy = *string ? strdup(*string) : NULL;
    bool copied = copy || !*string;
    settings->strings[settings->string_count++] = copy;
    *string = copy;
    return copied;
}

static struct session_settings *copy_options(const session_options_t *options) {
    struct session_settings *settings = calloc(1, sizeof *settings);
    if (!settings)
        return NULL;
    session_options_t *o = &settings->options;
    *o = *options;
    o->key = o->key ? o->key : "koa.sess";
    o->prefix = o->prefix ? o->prefix : "";
    o->max_age = o->max_age ? o->max_age : ONE_DAY;
    o->cookie_size = o->cookie_size ? o->cookie_size : 4096;
    bool copied =
        copy_string(settings, &o->key) && copy_string(settings, &o->prefix) &&
        copy_string(settings, &o->cookie.path) && copy_string(settings, &o->cookie.domain) &&
        copy_string(settings, &o->cookie.same_site) && copy_string(settings, &o->cookie.priority);
    if (copied)
        return settings;
    destroy_settings(settings);
    return NULL;
}

/* RFC 6265 4.1.1: a token of HTTP. */
static bool is_cookie_name(const char *name) {
    const char *at = name;
    while (isalnum((unsigned char)*at) || (*at && strchr("!#$%&'*+-.^_`|~", *at)))
        at++;
    return at > name && !*at;
}

static bool is_same_site(const char *value) {
    return !value || strcasecmp(value, "strict") == 0 || strcasecmp(value, "lax") == 0 ||
           strcasecmp(value, "none") == 0;
}

/* What is wrong with them, or NULL. */
static const char *complaint(const session_options_t *o) {
    const session_store_t *store = &o->store;
    bool has_store = store->get && store->set && store->destroy;
    if (!has_store && (store->get || store->set || store->destroy))
        return "session: a store needs get, set and destroy";
    if (!has_store && (o->get_key || o->set_key || o->genid || o->prefix))
        return "session: get_key, set_key, genid and prefix are for a store, and there is none";
    if (!o->get_key != !o->set_key)
        return "session: get_key needs set_key, and the other way round";
    if (!o->encode != !o->decode)
        return "session: encode needs decode, and the other way round";
    if (o->max_age < SESSION_COOKIE || o->max_age > SESSION_LONGEST)
        return "session: max_age is no time in milliseconds, nor SESSION_COOKIE";
    if (o->key && !is_cookie_name(o->key))
        return "session: key is no name that a cookie can have";
    if (!is_same_site(o->cookie.same_site))
        return "session: same_site is \"strict\", \"lax\" or \"none\"";
    return NULL;
}

middleware_t session(const session_options_t *options) {
    static const session_options_t defaults;
    middleware_t middleware = {.fn = run, .destroy = destroy_settings, .name = "session"};
    options = options ? options : &defaults;
    middleware.error = complaint(options);
    middleware.state = middleware.error ? NULL : copy_options(options);
    if (!middleware.error && !middleware.state)
        middleware.error = "session: out of memory";
    if (middleware.error)
        middleware.destroy = NULL;
    return middleware;
}
