/*
 * Sessions in memory: a store for session.h, for one process, and for as long as that runs.
 *
 *     session_memory_t *memory = session_memory_new(NULL);
 *     session_options_t options = {.store = session_memory_store(memory)};
 *     app_set_value(app, "sessions", memory, session_memory_free); // app_free frees it
 *     app_use(app, session(&options));
 *     app_ws_use(app, session(&options)); // the same sessions
 *
 * It never suspends. When it is full those go that are out of date, then those that nobody has used
 * for the longest time: whoever can make you save many sessions can log others out, so save none
 * for strangers. All functions belong to the thread of the app.
 */
#ifndef ACACIA_SESSION_MEMORY_H
#define ACACIA_SESSION_MEMORY_H

#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#ifdef ACACIA_HAVE_JSON

typedef struct session_memory session_memory_t;

/* Zero is the default. */
typedef struct {
    size_t sessions; /* 10,000 of them */
    size_t size;     /* 64 MiB for all of them, keys and bookkeeping included; one that is larger is
                        UV_ENOSPC */
    int64_t max_age; /* milliseconds for sessions until the browser is closed; one day */
} session_memory_options_t;

/* NULL when there is no memory. `options` may be NULL. */
session_memory_t *session_memory_new(const session_memory_options_t *options);

/* As a store, any number of times. Of NULL it is one that keeps the app from starting. */
session_store_t session_memory_store(session_memory_t *memory);

/* How many sessions there are, some of which may be out of date. */
size_t session_memory_count(const session_memory_t *memory);

/* Forget the session of that key, as a logout from elsewhere; that there is none is fine. */
void session_memory_forget(session_memory_t *memory, const char *key);

/* After app_free. A session_memory_t *, or NULL; void, so that app_set_value takes it. */
void session_memory_free(void *memory);

#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
