/* A session is read: out of the cookie, or out of the store. */
#include "base64.h"
#include "session_state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* --- JSON ------------------------------------------------------------------------------------- */

int64_t session_now(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

int64_t session_milliseconds(const json_t *number) {
    double value = json_number_value(number);
    return value >= 1 && value <= (double)SESSION_LONGEST ? (int64_t)value : 0;
}

char *session_text(const json_t *data) {
    return json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS);
}

static bool is_deeper(json_t *json, int levels) {
    json_t *value;
    const char *name;
    size_t i;
    if (levels == 0)
        return json_is_object(json) || json_is_array(json);
    json_object_foreach(json, name, value) {
        if (is_deeper(value, levels - 1))
            return true;
    }
    json_array_foreach(json, i, value) {
        if (is_deeper(value, levels - 1))
            return true;
    }
    return false;
}

bool session_is_too_deep(json_t *data) {
    return is_deeper(data, SESSION_DEPTH);
}

/* The same, before it is parsed. */
static bool text_is_too_deep(const char *text) {
    bool in_string = false;
    for (int level = 0; *text; text++) {
        if (in_string && *text == '\\' && text[1])
            text++;
        else if (*text == '"')
            in_string = !in_string;
        else if (!in_string && (*text == '{' || *text == '['))
            level++;
        else if (!in_string && (*text == '}' || *text == ']'))
            level--;
        if (level > SESSION_DEPTH)
            return true;
    }
    return false;
}

/*
 * *data stays NULL if it is no JSON: it is taken for none then, as in Koa. Jansson says so, too,
 * when it lacks the memory for a string, and nobody must lose his session for that: a second look
 * tells.
 */
static int parse(const char *text, json_t **data) {
    json_error_t error = {0};
    if (text_is_too_deep(text))
        return 0;
    for (int look = 0; look < 2 && !*data; look++)
        *data = json_loads(text, JSON_ALLOW_NUL, &error);
    return *data || *error.text ? 0 : UV_ENOMEM; /* when it has nothing to say */
}

/* --- Beginning -------------------------------------------------------------------------------- */

int session_start_empty(struct session *session) {
    json_t *data = json_object();
    if (!data)
        return UV_ENOMEM;
    json_decref(session->data);
    free(session->known);
    free(session->key);
    session->data = data;
    session->known = session->key = NULL;
    session->max_age = session->settings->options.max_age;
    session->expires = 0;
    session->is_new = true;
    session->must_save = session->is_stored = session->client_has_key = false;
    return 0;
}

/* How long it is good for stands beside what is in it. */
static void take_lifetime(struct session *session, json_t *data) {
    int64_t max_age = session_milliseconds(json_object_get(data, "_maxAge"));
    if (json_object_get(data, "_session"))
        max_age = SESSION_COOKIE;
    if (max_age)
        session->max_age = max_age;
    session->expires = session_milliseconds(json_object_get(data, "_expire"));
    json_object_del(data, "_maxAge");
    json_object_del(data, "_session");
    json_object_del(data, "_expire");
}

/* What was read is the session. `key` is NULL if there is no store. */
static int start_with(struct session *session, json_t *data, const char *key) {
    int err = session_start_empty(session);
    if (err)
        return err;
    take_lifetime(session, data);
    session->known = session_text(data);
    session->key = key ? strdup(key) : NULL;
    if (!session->known || (key && !session->key))
        return UV_ENOMEM;
    json_decref(session->data);
    session->data = json_incref(data);
    session->is_stored = session->client_has_key = key != NULL;
    session->is_new = false;
    return 0;
}

/* `data` is NULL if there is none, though the client has brought a key along. */
static bool is_good(struct session *session, json_t *data) {
    const session_options_t *o = &session->settings->options;
    json_t *expires = json_object_get(data, "_expire");
    session_loss_t why = SESSION_INVALID;
    if (!json_is_object(data))
        why = SESSION_MISSED;
    else if (json_is_number(expires) && json_number_value(expires) < (double)session_now())
        why = SESSION_EXPIRED;
    else if (!o->valid || o->valid(session->ctx, data))
        return true;
    if (o->on_loss)
        o->on_loss(session->ctx, why, data);
    return false;
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* NULL if the client has none, or if its signature is wrong. */
static const char *read_cookie(struct session *session, int *err) {
    const session_options_t *o = &session->settings->options;
    *err = 0;
    const char *cookie = o->cookie.not_signed ? ctx_cookie(session->ctx, o->key)
                                              : ctx_signed_cookie(session->ctx, o->key, err);
    return cookie && *cookie ? cookie : NULL;
}

/* *data stays NULL if there is no cookie, or if it can't be read. */
static int load_from_cookie(struct session *session, json_t **data) {
    const session_options_t *o = &session->settings->options;
    char *text;
    size_t length;
    int err;
    const char *cookie = read_cookie(session, &err);
    if (!cookie)
        return err;
    if (o->decode) {
        *data = o->decode(session->ctx, cookie);
        if (session_is_too_deep(*data)) {
            json_decref(*data);
            *data = NULL;
        }
        return 0;
    }
    err = base64_read(cookie, &text, &length);
    if (err)
        return err == UV_ENOMEM ? err : 0;
    err = parse(text, data);
    free(text);
    return err;
}

/* In memory of the ctx, or NULL. One that is known already counts: the client may have learned it
 * only by this response. */
static const char *read_key(struct session *session, int *err) {
    const session_options_t *o = &session->settings->options;
    *err = 0;
    if (session->key) {
        const char *key = ctx_strdup(session->ctx, session->key);
        *err = key ? 0 : UV_ENOMEM;
        return key;
    }
    const char *key = o->get_key ? o->get_key(session->ctx) : read_cookie(session, err);
    return key && *key ? key : NULL;
}

/* *key stays NULL if the client has none. */
static int load_from_store(struct session *session, const char **key, json_t **data) {
    const session_store_t *store = &session->settings->options.store;
    char *text = NULL;
    int err;
    *key = read_key(session, &err);
    if (!*key)
        return err;
    err = store->get(session->ctx, store->state, *key, &text);
    if (err >= 0 && text)
        err = parse(text, data);
    free(text);
    return err < 0 ? err : 0;
}

int session_load(struct session *session) {
    bool has_store = session->settings->options.store.get;
    const char *key = NULL;
    json_t *data = NULL;
    if (session->data || session->err)
        return session->err;
    int err = has_store ? load_from_store(session, &key, &data) : load_from_cookie(session, &data);
    if (session->data) { /* another task of this handler was quicker */
        json_decref(data);
        return 0;
    }
    if (!err && (data || key) && is_good(session, data))
        err = start_with(session, data, key);
    else if (!err)
        err = session_start_empty(session);
    json_decref(data);
    return session->err = err;
}
