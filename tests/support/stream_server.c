/* Responses that go on: events, detached ones, handlers whose client goes. Listens on the unix
 * socket SOCKET in the environment, if it is set, beside its port. */
#include <acacia.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What handlers have seen, the last one last. */
static char seen[4096];

static void note(const char *text) {
    snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s\n", text);
}

static int show_seen(ctx_t *ctx) {
    int err = ctx_text(ctx, seen);
    seen[0] = '\0';
    return err;
}

/* --- When the client goes --------------------------------------------------------------------- */

static int nap(void *arg) {
    return await_sleep(60000);
}

/* Asks for its handler, from a coroutine that ends before the client goes. */
static int ask_for_handler(void *arg) {
    ctx_cancel_on_abort(ctx_current(), true);
    return 0;
}

static int waits(ctx_t *ctx) {
    const char *how = ctx_param(ctx, "how");
    await_task_t tasks[] = {{nap, NULL, 0}, {nap, NULL, 0}};
    if (strcmp(how, "asked") == 0)
        await_all(&(await_task_t){ask_for_handler, NULL, 0}, 1);
    else
        ctx_cancel_on_abort(ctx, true);
    int err = strcmp(how, "tasks") == 0 ? await_all(tasks, 2) : await_sleep(60000);
    note(err == UV_ECANCELED ? "cancelled" : "not cancelled");
    note(await_sleep(60000) == UV_ECANCELED ? "and again" : "not again");
    note(ctx_aborted(ctx) ? "aborted" : "not aborted");
    return err;
}

/* Without the option a handler goes on. */
static int patient(ctx_t *ctx) {
    await_sleep(300);
    note(ctx_aborted(ctx) ? "patient, aborted" : "patient");
    return ctx_text(ctx, "patient");
}

/* --- Events ----------------------------------------------------------------------------------- */

static int events(ctx_t *ctx) {
    int err = sse_begin(ctx);
    const char *last = ctx_get(ctx, "Last-Event-ID");
    for (int i = *last ? atoi(last) + 1 : 1; !err; i++) {
        char id[16], data[64];
        snprintf(id, sizeof id, "%d", i);
        snprintf(data, sizeof data, "tick %d\nline 2", i);
        err = sse_send(ctx, &(sse_event_t){.data = data, .id = id, .event = "tick", .retry = 10});
        if (!err && i % 3 == 0)
            return 0; /* the client comes again */
        if (!err)
            err = await_sleep(5);
    }
    note("events end");
    return err;
}

static int endless_events(ctx_t *ctx) {
    int err = sse_begin(ctx);
    while (!err) {
        err = sse_comment(ctx, "still here");
        if (!err)
            err = await_sleep(20);
    }
    note(err == UV_ECANCELED ? "events cancelled" : uv_strerror(err));
    return err;
}

/* --- Detached --------------------------------------------------------------------------------- */

/* Everybody who waits for news. */
struct listener {
    ctx_t *ctx;
    struct listener *next;
};

static struct listener *listeners;

static void forget(void *arg) {
    note("gone");
}

static int poll_news(ctx_t *ctx) {
    struct listener *listener = ctx_new(ctx, struct listener);
    if (!listener)
        return UV_ENOMEM;
    *listener = (struct listener){ctx, listeners};
    listeners = listener;
    ctx_defer(ctx, forget, NULL);
    ctx_detach(ctx);
    return 0;
}

static int tell_news(ctx_t *ctx) {
    size_t told = 0, aborted = 0;
    while (listeners) {
        ctx_t *other = listeners->ctx;
        listeners = listeners->next;
        aborted += ctx_aborted(other);
        ctx_textf(other, "news: %s", ctx_query(ctx, "text"));
        ctx_end(other);
        told++;
    }
    return ctx_textf(ctx, "%zu told, %zu aborted", told, aborted);
}

/* Written to from another handler: it never waits there. */
static ctx_t *flooded;

static int be_flooded(ctx_t *ctx) {
    flooded = ctx;
    ctx_detach(ctx);
    return ctx_flush_headers(ctx);
}

static int flood(ctx_t *ctx) {
    static char piece[65536];
    int result = 0, count = 0;
    while (result == 0 && count++ < 1000)
        result = ctx_write(flooded, piece, sizeof piece);
    ctx_end(flooded);
    return ctx_textf(ctx, "%d", result);
}

int main(void) {
    const char *path = getenv("SOCKET");
    app_t *app = app_new_with(&(app_options_t){.silent = true, .drain_timeout = 500});
    app_use(app, route_get("/seen", show_seen));
    app_use(app, route_get("/waits/:how", waits));
    app_use(app, route_get("/patient", patient));
    app_use(app, route_get("/events", events));
    app_use(app, route_get("/endless-events", endless_events));
    app_use(app, route_get("/news", poll_news));
    app_use(app, route_get("/tell", tell_news));
    app_use(app, route_get("/be-flooded", be_flooded));
    app_use(app, route_get("/flood", flood));
    if (path && app_bind(app, &(listen_options_t){.path = path, .mode = 0600}))
        return EXIT_FAILURE;
    return app_listen(app, 3000);
}
