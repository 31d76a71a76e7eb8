/*
 * Hello, with so many ROUTES that are tried before, and so many TIMERS that are pending, both from
 * the environment: what a request costs must not depend on them. Looks inside for the timers, of
 * which handlers can't have a million, since each would wait on a stack of its own. Connections may
 * be silent for a minute, until ten thousand of them are open.
 */
#include <acacia.h>

#include "application/application.h"
#include "runtime/loop.h"

#include <stdio.h>
#include <stdlib.h>

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "Hello, World!");
}

static void on_timer(struct timer *timer) {
}

static size_t count_of(const char *name) {
    const char *value = getenv(name);
    return value ? (size_t)atol(value) : 0;
}

int main(void) {
    size_t routes = count_of("ROUTES"), timers = count_of("TIMERS");
    app_t *app = app_new_with(&(app_options_t){.http.keep_alive_timeout = 60000});
    for (size_t i = 0; i < routes; i++) {
        char pattern[64];
        snprintf(pattern, sizeof pattern, "/resource%zu/:id", i);
        app_use(app, route_get(pattern, hello));
    }
    app_use(app, route_get("/", hello));
    struct timer *all = calloc(timers + 1, sizeof *all);
    for (size_t i = 0; all && i < timers; i++) {
        all[i].fn = on_timer;
        loop_timer_start(&app->loop, &all[i], 60000 + i * 3);
    }
    int err = app_listen(app, 3000);
    free(all);
    return err;
}
