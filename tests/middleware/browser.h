/* What the tests of sessions share: a client that keeps its cookies. */
#include <acacia.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

struct browser {
    app_t *app;
    char cookies[20000]; /* as the header Cookie has them */
    int set_cookies;     /* lines of Set-Cookie in the last response */
    char last_set[8192]; /* the first of them */
    int status;
    char body[20000];
    bool failed;
    const char *header[2]; /* a header of its own, if the name is not NULL */
};

static inline void forget_cookie(struct browser *browser, const char *name, size_t length) {
    char *at = browser->cookies;
    while (*at) {
        size_t item = strcspn(at, ";"), skip = item + (at[item] ? 2 : 0);
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            memmove(at, at + skip, strlen(at + skip) + 1);
        else
            at += skip;
    }
    size_t end = strlen(browser->cookies);
    if (end >= 2 && strcmp(browser->cookies + end - 2, "; ") == 0)
        browser->cookies[end - 2] = '\0';
}

/* As a browser does: the last one counts, and an empty one with an old date is gone. */
static inline void take_cookie(struct browser *browser, const char *line) {
    size_t pair = strcspn(line, ";"), name = strcspn(line, "=");
    forget_cookie(browser, line, name);
    if (strstr(line, "expires=Thu, 01 Jan 1970"))
        return;
    size_t end = strlen(browser->cookies);
    assert_true(end + pair + 3 < sizeof browser->cookies);
    sprintf(browser->cookies + end, "%s%.*s", end ? "; " : "", (int)pair, line);
}

static inline void browse(struct browser *browser, const char *method, const char *url) {
    const char *const headers[] = {"Host",
                                   "a",
                                   *browser->cookies ? "Cookie" : "X-No-Cookie",
                                   browser->cookies,
                                   browser->header[0] ? browser->header[0] : NULL,
                                   browser->header[1],
                                   NULL};
    app_response_t *response = app_inject(
        browser->app, &(app_request_t){.method = method, .url = url, .headers = headers});
    assert_non_null(response);
    browser->status = response->status;
    browser->failed = response->failed;
    browser->set_cookies = 0;
    snprintf(browser->body, sizeof browser->body, "%s", response->body.data);
    const char *name, *value;
    for (size_t i = 0; app_response_header_at(response, i, &name, &value); i++) {
        if (strcasecmp(name, "Set-Cookie") != 0)
            continue;
        if (browser->set_cookies++ == 0)
            snprintf(browser->last_set, sizeof browser->last_set, "%s", value);
        take_cookie(browser, value);
    }
    app_response_free(response);
}

/* GET it, and look at the answer; `body` NULL: whatever it is. */
static inline void visit(struct browser *browser, const char *url, int status, const char *body) {
    browse(browser, "GET", url);
    if (browser->status != status || (body && strcmp(browser->body, body) != 0))
        fail_msg("%s: %d \"%s\", not %d \"%s\"", url, browser->status, browser->body, status,
                 body ? body : "...");
}

/* What the error listener was told last. */
static char told[512];

static inline void listen_to_errors(ctx_t *ctx, const ctx_error_t *error) {
    snprintf(told, sizeof told, "%s", error->message);
}

static inline void check_told(const char *expected) {
    if (!strstr(told, expected))
        fail_msg("\"%s\", not \"%s\"", told, expected);
    told[0] = '\0';
}

static inline app_t *app_with_keys(void) {
    static const char *const keys[] = {"new", "old", NULL};
    app_t *app = app_new_with(&(app_options_t){.silent = true, .keys = keys});
    app_on_error(app, listen_to_errors);
    return app;
}

/* The options are wrong: an app with this layer can't start. */
static inline void check_complaint(middleware_t middleware, const char *expected) {
    if (!middleware.error || !strstr(middleware.error, expected))
        fail_msg("\"%s\", not \"%s\"", middleware.error ? middleware.error : "", expected);
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, middleware);
    assert_null(app_inject(app, &(app_request_t){0}));
    app_free(app);
}
