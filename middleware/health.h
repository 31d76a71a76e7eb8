/*
 * Two pages for whoever watches the server, such as Kubernetes or a load balancer:
 *
 *     static int ping_database(app_t *app, void *arg) {
 *         return database_ping(arg); // may suspend
 *     }
 *
 *     app_use(app, health(&(health_options_t){
 *         .checks = (const health_check_t[]){{"database", ping_database, db, 500}, {0}},
 *     }));
 *
 *     /healthz    the process lives: 200 {"status":"ok"}
 *     /readyz     it wants requests: 200
 * {"status":"ok","checks":{"database":{"status":"ok","ms":2}}} or 503, when one of the checks
 * fails, or is not done in time; while the server drains it is 503 {"status":"draining"}: see
 * app_options_t.drain_delay
 *
 * A live page that fails gets the process killed, so that it asks for nothing. The first layer of
 * the stack, before those who log and guard.
 *
 * However often the page is asked for, the checks run once in a second at most, all at once: who
 * asks meanwhile gets the same answer.
 */
#ifndef ACACIA_HEALTH_H
#define ACACIA_HEALTH_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/*
 * Something that must be there for the app to work. `check` returns 0, or a negative error; it runs
 * in the background, as by app_spawn, and may suspend: when `timeout` is over it is cancelled (see
 * await.h) and has failed.
 */
typedef struct {
    const char *name; /* copied; NULL ends a list of checks */
    int (*check)(app_t *app, void *arg);
    void *arg;
    uint64_t timeout; /* 1,000 milliseconds */
} health_check_t;

/* Zero is the default. Strings are copied. */
typedef struct {
    const char *live;             /* NULL: "/healthz" */
    const char *ready;            /* NULL: "/readyz" */
    const health_check_t *checks; /* copied; NULL: none */
    uint64_t cache_time;          /* 1,000 milliseconds for which a result is good */
    bool quiet;                   /* only the status is told: which checks there are is nobody's
                                     business */
} health_options_t;

/* `options` may be NULL. GET and HEAD are answered; other methods with 405. */
middleware_t health(const health_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
