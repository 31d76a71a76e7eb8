/* A session is saved: in the cookie, or in the store. */
#include "base64.h"
#include "session_state.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define GRACE 10000 /* milliseconds that a store keeps it longer than the browser, as in Koa */

/* --- The cookie ------------------------------------------------------------------------------- */

int session_set_cookie(struct session *session, const char *value) {
    const session_options_t *o = &session->settings->options;
    cookie_options_t cookie = o->cookie;
    cookie.max_age = session->max_age == SESSION_COOKIE ? 0 : session->max_age;
    cookie.expires = 0;
    cookie.overwrite = !o->no_overwrite;
    cookie.is_signed = !cookie.not_signed;
    size_t size = strlen(o->key) + 1 + strlen(value ? value : "");
    if (size > o->cookie_size)
        return ctx_throw(session->ctx, 500,
                         "the session takes a cookie of %zu bytes, and browsers drop what is more "
                         "than %zu: keep less in it, or give it a store",
                         size, o->cookie_size);
    if (ctx_header_sent(session->ctx))
        return ctx_throw(session->ctx, 500,
                         "the session's cookie can't be set after the head was sent: call "
                         "session_save before");
    return ctx_set_cookie(session->ctx, o->key, value, &cookie);
}

static int write_cookie(struct session *session, json_t *data) {
    const session_options_t *o = &session->settings->options;
    if (o->encode) {
        const char *own = o->encode(session->ctx, data);
        return own ? session_set_cookie(session, own)
                   : ctx_throw(session->ctx, 500, "the session can't be encoded");
    }
    char *text = json_dumps(data, JSON_COMPACT);
    char *value = text ? base64_write(text, strlen(text)) : NULL;
    int err = value ? session_set_cookie(session, value) : UV_ENOMEM;
    free(text);
    free(value);
    return err;
}

/* --- The store -------------------------------------------------------------------------------- */

/* The prefix and 32 random letters, 192 bits. */
static char *random_key(const char *prefix) {
    unsigned char bytes[24];
    char *random =
        RAND_bytes(bytes, sizeof bytes) == 1 ? base64url_write(bytes, sizeof bytes) : NULL;
    char *key = random ? malloc(strlen(prefix) + strlen(random) + 1) : NULL;
    if (key)
        strcat(strcpy(key, prefix), random);
    free(random);
    return key;
}

int session_make_key(struct session *session) {
    const session_options_t *o = &session->settings->options;
    if (session->key)
        return 0;
    const char *key = o->genid ? o->genid(session->ctx) : NULL;
    if (!o->genid)
        session->key = random_key(o->prefix);
    else if (key)
        session->key = strdup(key);
    return session->key ? 0 : UV_ENOMEM;
}

/* The client must learn the key. If it has it the cookie only gets a new date, where one can be
 * set. */
static int tell_key(struct session *session) {
    const session_options_t *o = &session->settings->options;
    if (session->client_has_key && ctx_header_sent(session->ctx))
        return 0;
    int err = o->set_key ? o->set_key(session->ctx, session->key)
                         : session_set_cookie(session, session->key);
    session->client_has_key = err >= 0;
    return err < 0 ? err : 0;
}

/* 1 if another request has destroyed it. Another task of this handler may regenerate or destroy it
 * while the store is at work, hence the copy of the key. */
static int put(struct session *session, const char *text, bool changed) {
    const session_store_t *store = &session->settings->options.store;
    session_write_t how = {
        .max_age = session->max_age == SESSION_COOKIE ? SESSION_COOKIE : session->max_age + GRACE,
        .changed = changed,
        .update = session->is_stored,
    };
    char *key = strdup(session->key);
    if (!key)
        return UV_ENOMEM;
    int err = store->set(session->ctx, store->state, key, text, &how);
    bool is_same = session->key && strcmp(session->key, key) == 0;
    free(key);
    if (err > 0)
        return how.update ? 1 : UV_EIO;
    if (err || !is_same)
        return err;
    session->is_stored = true;
    return tell_key(session);
}

static int write_stored(struct session *session, json_t *data, bool changed) {
    bool needs_cookie = !session->client_has_key && !session->settings->options.set_key;
    if (needs_cookie && ctx_header_sent(session->ctx))
        return tell_key(session); /* which says so; nobody could ever ask for what was stored */
    int err = session_make_key(session);
    if (err)
        return err;
    char *text = json_dumps(data, JSON_COMPACT);
    err = text ? put(session, text, changed) : UV_ENOMEM;
    free(text);
    return err;
}

int session_destroy_stored(struct session *session) {
    const session_store_t *store = &session->settings->options.store;
    char *key = session->key;
    bool is_stored = session->is_stored;
    session->key = NULL;
    session->is_stored = session->client_has_key = false;
    int err = key && is_stored ? store->destroy(session->ctx, store->state, key) : 0;
    free(key);
    return err < 0 ? err : 0;
}

/* --- Either ----------------------------------------------------------------------------------- */

/* What is in it, and how long it is good for. A new reference, or NULL when there is no memory. */
static json_t *with_lifetime(const struct session *session) {
    json_t *data = json_copy(session->data);
    int failed;
    if (session->max_age == SESSION_COOKIE) {
        failed = json_object_set_new(data, "_session", json_true());
    } else {
        int64_t expires = session_now() + session->max_age;
        failed = json_object_set_new(data, "_expire", json_integer(expires)) ||
                 json_object_set_new(data, "_maxAge", json_integer(session->max_age));
    }
    if (failed) {
        json_decref(data);
        return NULL;
    }
    return data;
}

static int write_data(struct session *session, json_t *data, bool changed) {
    bool has_store = session->settings->options.store.set;
    char *text = session_text(session->data);
    if (!text)
        return UV_ENOMEM;
    int err = has_store ? write_stored(session, data, changed) : write_cookie(session, data);
    if (err) {
        free(text);
        return err;
    }
    free(session->known);
    session->known = text;
    session->expires = session_milliseconds(json_object_get(data, "_expire"));
    session->must_save = false;
    return 0;
}

int session_write(struct session *session, bool changed) {
    const session_options_t *o = &session->settings->options;
    int err = o->before_save ? o->before_save(session->ctx, session->data) : 0;
    if (err < 0)
        return err;
    if (session_is_too_deep(session->data))
        return ctx_throw(session->ctx, 500, "the session nests more than %d levels deep",
                         SESSION_DEPTH);
    json_t *data = with_lifetime(session);
    err = data ? write_data(session, data, changed) : UV_ENOMEM;
    json_decref(data);
    return err;
}

static bool is_half_over(const struct session *session) {
    int64_t left = session->expires - session_now();
    return session->expires && session->max_age != SESSION_COOKIE && left < session->max_age / 2;
}

/* *changed says whether it is another than the one that was read, or saved. */
static int compare(const struct session *session, bool *changed) {
    *changed = true;
    if (!session->known || session_is_too_deep(session->data))
        return 0;
    char *text = session_text(session->data);
    if (!text)
        return UV_ENOMEM;
    *changed = strcmp(session->known, text) != 0;
    free(text);
    return 0;
}

int session_write_if_due(struct session *session) {
    const session_options_t *o = &session->settings->options;
    bool changed;
    if (session->err || !session->data)
        return session->err;
    if (!session->known && !session->must_save && json_object_size(session->data) == 0)
        return 0;
    int err = compare(session, &changed);
    if (err)
        return err;
    if (changed || session->must_save)
        return session_write(session, changed);
    /* What only lets it live longer has to wait if no cookie can be set. */
    bool is_due = o->rolling || (o->renew && is_half_over(session));
    bool can_be = o->store.set || !ctx_header_sent(session->ctx);
    return is_due && can_be ? session_write(session, false) : 0;
}
