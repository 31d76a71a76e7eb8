/* What handlers do with their session. */
#include "session_state.h"

#include <stdlib.h>
#include <string.h>

/* The session, read; NULL on an error. */
static struct session *loaded(ctx_t *ctx, int *err) {
    struct session *session = session_of(ctx);
    *err = session ? session_load(session) : -500;
    return *err ? NULL : session;
}

/* --- What is in it ---------------------------------------------------------------------------- */

json_t *session_json(ctx_t *ctx) {
    int err;
    struct session *session = loaded(ctx, &err);
    return session ? session->data : NULL;
}

const char *session_get(ctx_t *ctx, const char *name) {
    json_t *value = json_object_get(session_json(ctx), name);
    const char *text = json_string_value(value);
    bool is_whole =
        text && strlen(text) == json_string_length(value); /* "admin\0x" is not "admin" */
    return is_whole ? ctx_strdup(ctx, text) : NULL;
}

int64_t session_get_int(ctx_t *ctx, const char *name) {
    return json_integer_value(json_object_get(session_json(ctx), name));
}

static bool is_reserved(const char *name) {
    return strcmp(name, "_expire") == 0 || strcmp(name, "_maxAge") == 0 ||
           strcmp(name, "_session") == 0;
}

static bool is_utf8(const char *text) {
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

/* Takes `value` over. */
static int set_value(struct session *session, const char *name, json_t *value) {
    if (value && !is_reserved(name) && is_utf8(name))
        return json_object_set_new(session->data, name, value) ? UV_ENOMEM : 0;
    json_decref(value);
    return UV_EINVAL;
}

int session_set(ctx_t *ctx, const char *name, const char *value) {
    int err;
    struct session *session = loaded(ctx, &err);
    if (!session)
        return err;
    if (value)
        return set_value(session, name, json_string(value));
    json_object_del(session->data, name);
    return 0;
}

int session_set_int(ctx_t *ctx, const char *name, int64_t value) {
    int err;
    struct session *session = loaded(ctx, &err);
    return session ? set_value(session, name, json_integer(value)) : err;
}

int session_replace(ctx_t *ctx, json_t *data) {
    int err;
    struct session *session = loaded(ctx, &err);
    if (!session || !json_is_object(data)) {
        json_decref(data);
        return session ? UV_EINVAL : err;
    }
    json_decref(session->data);
    session->data = data;
    session->is_new = false;
    return 0;
}

/* --- What is known of it ---------------------------------------------------------------------- */

bool session_is_new(ctx_t *ctx) {
    int err;
    struct session *session = loaded(ctx, &err);
    return session && session->is_new;
}

const char *session_key(ctx_t *ctx) {
    int err;
    struct session *session = loaded(ctx, &err);
    bool has_key = session && session->settings->options.store.get && !session_make_key(session);
    return has_key ? session->key : NULL;
}

int64_t session_max_age(ctx_t *ctx) {
    int err;
    struct session *session = loaded(ctx, &err);
    return session ? session->max_age : 0;
}

int session_set_max_age(ctx_t *ctx, int64_t max_age) {
    int err;
    struct session *session = loaded(ctx, &err);
    if (!session)
        return err;
    if (max_age == 0 || max_age < SESSION_COOKIE || max_age > SESSION_LONGEST)
        return UV_EINVAL;
    session->max_age = max_age;
    session->must_save = true;
    return 0;
}

/* --- Its life --------------------------------------------------------------------------------- */

int session_save(ctx_t *ctx) {
    int err;
    struct session *session = loaded(ctx, &err);
    err = session ? session_write(session, true) : err;
    return err > 0 ? UV_ENOENT : err;
}

int session_commit(ctx_t *ctx) {
    struct session *session = session_of(ctx);
    int err = session ? session_write_if_due(session) : -500;
    return err > 0 ? UV_ENOENT : err;
}

int session_regenerate(ctx_t *ctx) {
    int err;
    struct session *session = loaded(ctx, &err);
    if (!session)
        return err;
    if (!session->settings->options.set_key && ctx_header_sent(ctx))
        return ctx_throw(ctx, 500, "a session can't be regenerated after the head was sent");
    err = session_destroy_stored(session);
    return err ? err : session_write(session, true);
}

int session_destroy(ctx_t *ctx) {
    int err;
    struct session *session = loaded(ctx, &err);
    if (!session)
        return err;
    const session_options_t *o = &session->settings->options;
    err = session_destroy_stored(session);
    err = err ? err : session_start_empty(session);
    if (err)
        return err;
    if (o->set_key)
        return o->set_key(ctx, NULL);
    /* The key to what is gone from the store does no harm where it can't be deleted any more. */
    return o->store.get && ctx_header_sent(ctx) ? 0 : session_set_cookie(session, NULL);
}

int session_reload(ctx_t *ctx) {
    struct session *session = session_of(ctx);
    if (!session)
        return -500;
    json_decref(session->data);
    session->data = NULL;
    session->err = 0;
    int err = session_load(session);
    return err ? err : session->is_new ? UV_ENOENT : 0;
}
