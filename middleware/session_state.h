/* What the files of session share: the session of a ctx, read and saved. It is not installed. */
#ifndef ACACIA_SESSION_STATE_H
#define ACACIA_SESSION_STATE_H

#include "session.h"

#define SESSION_DEPTH 64 /* levels of JSON: jansson recurses, and stacks are small */
#define SESSION_LONGEST INT64_C(8000000000000000) /* milliseconds: dates beyond are none */

struct session_settings {
    session_options_t options; /* with defaults filled in */
    char *strings[6];          /* copies, freed with it */
    size_t string_count;
};

/* The session of a ctx. It lives as long as the ctx, while messages come and go, so that it is none
 * of the memory that ctx_alloc gives to a message handler. */
struct session {
    ctx_t *ctx;
    const struct session_settings *settings;
    struct session *previous; /* of the same ctx, by another middleware above; or NULL */
    json_t *data;             /* NULL until it is read */
    char *known;              /* what was read or saved last, as text; NULL: nobody has it yet */
    char *key;                /* in the store; NULL until there is one */
    int64_t max_age;          /* or SESSION_COOKIE */
    int64_t expires;          /* milliseconds since 1970; 0: unknown */
    bool is_new;
    bool must_save;
    bool is_stored;      /* the store has it under this key, as far as is known */
    bool client_has_key; /* no need to set the cookie */
    int err;             /* why it can't be read */
};

/* The one of the middleware that is next above; NULL, and a 500 was thrown, if there is none. */
struct session *session_of(ctx_t *ctx);

/* --- session_load.c --------------------------------------------------------------------------- */

/* Read it, unless it is read. 0, or why it can't be read, each time. */
may_await int session_load(struct session *session);

/* Let it be new and empty. 0 or UV_ENOMEM. */
int session_start_empty(struct session *session);

/* Are there more levels in it than SESSION_DEPTH? */
bool session_is_too_deep(json_t *data);

/* To compare what is in it: the order of names does not matter. To be freed by free(); NULL when
 * there is no memory. */
char *session_text(const json_t *data);

/* Milliseconds, out of a number that may be anything; 0 for what is none. */
int64_t session_milliseconds(const json_t *number);

int64_t session_now(void); /* in milliseconds since 1970 */

/* --- session_save.c --------------------------------------------------------------------------- */

/* Save it as it is; `changed` is for the store. 0; 1 if another request has destroyed it since it
 * was read: nothing is saved then; or an error. */
may_await int session_write(struct session *session, bool changed);

/* Save it if that is due, likewise. */
may_await int session_write_if_due(struct session *session);

/* Make the key, unless there is one. */
int session_make_key(struct session *session);

/* Set the cookie; NULL as a value deletes it. */
int session_set_cookie(struct session *session, const char *value);

/* Take it out of the store, if it is there. */
may_await int session_destroy_stored(struct session *session);

#endif
