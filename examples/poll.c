/* A vote whose result everybody sees at once: server-sent events, a signed cookie, a download. */
#include <acacia.h>
#include <string.h>

#ifndef PAGE_DIR
#define PAGE_DIR "."
#endif

static struct choice {
    const char *name;
    int votes;
} choices[] = {{"tea", 0}, {"coffee", 0}, {"water", 0}};

#define CHOICES (sizeof choices / sizeof *choices)

/* Those who look at the result, waiting for the next vote. */
static struct watcher {
    future_t *changed;
    struct watcher *next;
} *watchers;

static struct choice *find(const char *name) {
    for (size_t i = 0; name && i < CHOICES; i++)
        if (strcmp(choices[i].name, name) == 0)
            return &choices[i];
    return NULL;
}

static void tell_watchers(void) {
    while (watchers) {
        struct watcher *watcher = watchers;
        watchers = watcher->next;
        future_resolve(watcher->changed, 0, NULL);
    }
}

/* Suspends until somebody votes, or until the client has gone. */
static int next_vote(void) {
    struct watcher watcher = {future_new(), watchers}, **link = &watchers;
    if (!watcher.changed)
        return UV_ENOMEM;
    watchers = &watcher;
    int err = await_future(watcher.changed, NULL);
    while (*link && *link != &watcher)
        link = &(*link)->next;
    if (*link) { /* nobody has resolved it, and nobody may any more */
        *link = watcher.next;
        future_resolve(watcher.changed, err, NULL);
    }
    future_free(watcher.changed);
    return err;
}

static int result(ctx_t *ctx) {
    int err = sse_begin(ctx);
    while (!err) {
        err = sse_sendf(ctx, "tea %d, coffee %d, water %d", choices[0].votes, choices[1].votes,
                        choices[2].votes);
        if (!err)
            err = next_vote();
    }
    return err;
}

/* One vote for each browser: the cookie remembers it, and its signature keeps it honest. */
static int vote(ctx_t *ctx) {
    struct choice *choice = find(ctx_query(ctx, "for"));
    int err = ctx_assert(ctx, choice != NULL, 400, "there is no such choice");
    if (err)
        return err;
    struct choice *before = find(ctx_signed_cookie(ctx, "vote", &err));
    if (err)
        return err;
    if (before)
        before->votes--;
    choice->votes++;
    tell_watchers();
    err = ctx_set_cookie(ctx, "vote", choice->name,
                         &(cookie_options_t){.max_age = 86400000, .same_site = "lax"});
    return err ? err : ctx_textf(ctx, "you chose %s", choice->name);
}

static int download(ctx_t *ctx) {
    int err = ctx_attachment(ctx, "result.csv");
    for (size_t i = 0; i < CHOICES && !err; i++)
        err = ctx_writef(ctx, "%s,%d\r\n", choices[i].name, choices[i].votes);
    return err;
}

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/poll.html");
}

int main(void) {
    /* A real one would come from the environment. */
    static const char *const keys[] = {"keep me secret", NULL};
    app_t *app = app_new_with(&(app_options_t){.keys = keys});
    app_use(app, route_get("/", page));
    app_use(app, route_get("/result", result));
    app_use(app, route_post("/vote", vote));
    app_use(app, route_get("/result.csv", download));
    return app_listen(app, 3000);
}
