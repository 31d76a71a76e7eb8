/*
 * Sessions, as koa-session: what is known of a client from one request to the next.
 *
 *     static int count(ctx_t *ctx) {
 *         int64_t views = session_get_int(ctx, "views") + 1;
 *         int err = session_set_int(ctx, "views", views);
 *         return err ? err : ctx_textf(ctx, "%" PRId64 " views", views);
 *     }
 *
 *     app_use(app, session(NULL)); // the app needs keys, which sign the cookie
 *     app_use(app, count);
 *
 * A session is an object of JSON. It is in the cookie itself, for the client to read but not to
 * change; or in a store, and the cookie holds but its key: see session_store_t. With the same keys
 * and options, sessions of koa-session are read here, and the other way round.
 *
 * It is read when somebody asks for it first, and saved when the middleware below has returned,
 * with an error, too: if it was changed, or as `rolling` and `renew` say. One that is new and empty
 * is not saved. An error of the middleware takes all cookies from the response, unless one above
 * the session catches it; so what only the cookie holds is lost then, as in Koa.
 *
 * Whatever reads the session may suspend, since the store may. When reading fails, the functions
 * below return nothing, or the error, and the middleware returns it in the end: nobody takes a
 * session that can't be read for none.
 *
 * For WebSockets: app_ws_use(app, session(&options)) reads it at the handshake. A cookie can be set
 * only by the response to that: call session_save before the handshake is accepted. Later, in
 * message handlers, nothing is saved by itself: session_save does, if there is a store.
 *
 * Two requests of one client may be at work at once. Each has the session as it was when it read
 * it, and who saves last wins, as in Koa. All functions belong to the thread of the app.
 */
#ifndef ACACIA_SESSION_H
#define ACACIA_SESSION_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#ifdef ACACIA_HAVE_JSON

/* --- The middleware --------------------------------------------------------------------------- */

/* In place of a time: until the browser is closed (koa-session's maxAge: 'session'). The server
 * takes such a session for good whenever it comes back, unless a store forgets it. */
#define SESSION_COOKIE (-1)

/*
 * Where sessions are kept, if not in cookies: Redis, SQL, files; for memory see session_memory.h.
 * The functions may suspend, and return a negative error for the request to fail with. `state` is
 * what they are called with, `key` the one in the cookie: with not_signed it may be anything that a
 * client can think of. Arguments live until the function returns.
 */
typedef struct {
    int64_t max_age; /* milliseconds to keep it; SESSION_COOKIE: as long as the store likes */
    bool changed;    /* false: what differs is only when it expires */
    bool update;     /* it was there when it was read. If it is gone since, somebody has destroyed
                        it, by a logout, and it must not come back: the store leaves it so */
} session_write_t;

typedef struct {
    /* *text gets the text that `set` was given last, in memory that is freed by free(). It is left
     * NULL if there is none, or if it is too old. Returns 0. */
    may_await int (*get)(ctx_t *ctx, void *state, const char *key, char **text);

    /* Keep `text`, which is JSON. Returns 0, or 1 for an `update` of what is gone. */
    may_await int (*set)(ctx_t *ctx, void *state, const char *key, const char *text,
                         const session_write_t *how);

    /* Forget it. Returns 0, also if there is none. */
    may_await int (*destroy)(ctx_t *ctx, void *state, const char *key);

    void *state; /* not freed: that is up to the program, after app_free or by app_set_value */
} session_store_t;

/* Why a client has no session though it has brought one along. */
typedef enum {
    SESSION_MISSED,  /* the store has none of that key */
    SESSION_EXPIRED, /* it is too old */
    SESSION_INVALID, /* `valid` said no */
} session_loss_t;

/* Zero is the default. Strings are copied. */
typedef struct {
    const char *key; /* the cookie's name; NULL: "koa.sess" */
    int64_t max_age; /* milliseconds, from when it was saved last; 0: one day; SESSION_COOKIE */

    /* The cookie's path, domain, same_site, priority, secure, not_secure, script_access,
     * partitioned and not_signed; the other fields are not looked at. Signing needs
     * app_options_t.keys. */
    cookie_options_t cookie;
    bool no_overwrite;  /* a cookie that was set before it in the same response stays there, too */
    size_t cookie_size; /* 4096 bytes for its name and value: what browsers take; beyond it 500 */

    bool manual_commit; /* saved only by session_commit and session_save */
    bool rolling;       /* saved each time it was read, so that it expires max_age after the last
                           request; with a store it is read each time, too */
    bool renew;         /* saved when it was read with less than half of its time left; likewise */

    session_store_t store;            /* none of it: the cookie */
    const char *prefix;               /* of the keys that are made for the store; NULL: "" */
    const char *(*genid)(ctx_t *ctx); /* makes a key, in memory of the ctx, or NULL: UV_ENOMEM.
                                         The default is `prefix` and 32 random letters */

    /* The key of the store elsewhere than in a cookie: in a header, for example. get_key returns
     * NULL if there is none; set_key gets NULL when the session is destroyed. Both or none. */
    const char *(*get_key)(ctx_t *ctx);
    int (*set_key)(ctx_t *ctx, const char *key);

    /* Is what was read good for this client? If not, it gets a new session. Must not suspend. */
    bool (*valid)(ctx_t *ctx, json_t *data);

    /* Called before it is saved; may change it. An error keeps it from being saved. May suspend. */
    int (*before_save)(ctx_t *ctx, json_t *data);

    /* Told when a session is lost (koa-session's events); `data` is NULL if there is none. */
    void (*on_loss)(ctx_t *ctx, session_loss_t why, json_t *data);

    /*
     * How the session is written into the cookie, for one that is encrypted, for example. `encode`
     * returns the text in memory of the ctx, or NULL, which is a 500. `decode` returns a new
     * reference, or NULL: such a cookie is none. The default is base64 of the JSON text. Both or
     * none; neither is asked if there is a store.
     */
    const char *(*encode)(ctx_t *ctx, json_t *data);
    json_t *(*decode)(ctx_t *ctx, const char *text);
} session_options_t;

/* The middleware. Options that are wrong keep the app from starting. One below another one, with
 * another key, has the word for what is below itself. */
middleware_t session(const session_options_t *options);

/* --- What is in it ---------------------------------------------------------------------------- */

/*
 * Strings and numbers by name. What is missing, or of another kind, is NULL or 0; a string lives as
 * long as the ctx, or, in a message handler, until that returns. NULL as a value takes the name
 * away.
 *
 * Setters return 0; UV_EINVAL for a text that is not UTF-8, and for the names "_expire", "_maxAge"
 * and "_session", which are koa-session's own; UV_ENOMEM; or why the session can't be read.
 */
may_await const char *session_get(ctx_t *ctx, const char *name);
may_await int session_set(ctx_t *ctx, const char *name, const char *value);
may_await int64_t session_get_int(ctx_t *ctx, const char *name);
may_await int session_set_int(ctx_t *ctx, const char *name, int64_t value);

/*
 * All of it, an object to read and to change by jansson (Koa's ctx.session). Borrowed: it is this
 * one until the session is replaced, destroyed, or read again. May nest 64 levels deep.
 *
 * NULL if it can't be read, and if there is no session() above: that is a 500, thrown already.
 */
may_await json_t *session_json(ctx_t *ctx);

/* Another object in its place (Koa's ctx.session = {…}). Takes over the reference; NULL, for which
 * a packing may have failed, is UV_EINVAL, as is what is no object. */
may_await int session_replace(ctx_t *ctx, json_t *data);

/* Has the client come without a session, or with one that is no good? Also what session_destroy
 * leaves is new; what session_replace has set is not. */
may_await bool session_is_new(ctx_t *ctx);

/* The key in the store, also of a session that has not been saved yet; NULL if there is no store,
 * or on an error. It is this one until the session is regenerated or destroyed. */
may_await const char *session_key(ctx_t *ctx);

/* How long this session is good for, in milliseconds from when it is saved, or SESSION_COOKIE. It
 * is saved with the session, so that it holds from then on: for "remember me". UV_EINVAL for 0, for
 * what is negative, and for more than 8e15 (250,000 years: the cookie's date must exist); in a
 * cookie that says so it counts for nothing. */
may_await int64_t session_max_age(ctx_t *ctx);
may_await int session_set_max_age(ctx_t *ctx, int64_t max_age);

/* --- Its life --------------------------------------------------------------------------------- */

/*
 * They return 0, or an error: the store's; -500, thrown, for a cookie that can't be set (too large,
 * no keys, after the head was sent); UV_ENOMEM.
 *
 * session_save saves it now, whatever is in it. session_commit saves it now if that is due: it is
 * what happens when the middleware below has returned, unless manual_commit. Both return UV_ENOENT,
 * and save nothing, if another request has destroyed it since it was read.
 */
may_await int session_save(ctx_t *ctx);
may_await int session_commit(ctx_t *ctx);

/*
 * Another key for what is in it, saved at once; the old one is destroyed. To be called whenever
 * somebody logs in: whoever has slipped him a key of his own (session fixation) is left with
 * nothing. Without a store there are no keys, and it is only saved.
 */
may_await int session_regenerate(ctx_t *ctx);

/* Forget it, in the store and in the client, at once (Koa's ctx.session = null). What is set
 * afterwards begins a new one. Without a store a copy of the cookie stays good until it expires. */
may_await int session_destroy(ctx_t *ctx);

/*
 * Read it again, dropping what was changed and not saved: for a WebSocket, whose session may have
 * changed, or ended, since the handshake. 0; UV_ENOENT if it is gone: then it is new and empty; or
 * why it can't be read.
 */
may_await int session_reload(ctx_t *ctx);

#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
