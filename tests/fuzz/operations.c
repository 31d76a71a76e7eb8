/*
 * What comes from outside goes into logs, pages and JSON, and stays text there. The lines of the
 * input are the URL, User-Agent, X-Request-Id and Authorization; the rest is a body that is
 * answered as JSON.
 */
#include <acacia.h>
#include <middleware/error_page.h>
#include <middleware/json_pretty.h>
#include <middleware/logger.h>
#include <middleware/method_override.h>
#include <middleware/metrics.h>
#include <middleware/request_id.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 4

static app_t *app;

static void check(bool holds) {
    if (!holds)
        abort();
}

/* --- What is logged --------------------------------------------------------------------------- */

static void check_line(const char *line, size_t length, void *arg) {
    check(strlen(line) == length);
    for (size_t i = 0; i < length; i++)
        check((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
    if (!arg)
        return;
    json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    check(json != NULL);
    json_decref(json);
}

/* --- JSON whose blanks were set anew ---------------------------------------------------------- */

/* The text without its blanks, those in strings aside. To be freed by free(). */
static char *compact(const char *text, size_t length) {
    char *copy = malloc(length + 1), *to = copy;
    bool in_string = false;
    check(copy != NULL);
    for (size_t i = 0; i < length; i++) {
        if (!in_string && text[i] && strchr(" \t\r\n", text[i]))
            continue;
        *to++ = text[i];
        if (in_string && text[i] == '\\' && i + 1 < length)
            *to++ = text[++i];
        else if (text[i] == '"')
            in_string = !in_string;
    }
    *to = '\0';
    return copy;
}

static void check_pretty(const char *body, size_t length, bytes_t pretty) {
    char *before = compact(body, length), *after = compact(pretty.data, pretty.length);
    check(strcmp(before, after) == 0);
    check(pretty.length <= JSON_PRETTY_GROWTH_MAX * length + 4096 + 64 * 2 * 64 + length);
    free(before);
    free(after);
}

/* --- The app ---------------------------------------------------------------------------------- */

static int echo(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    if (!err && body.length == 0)
        return ctx_throw(ctx, 404, "nothing at %s", ctx->original_url);
    if (!err)
        err = ctx_type(ctx, "json");
    return err ? err : ctx_bytes(ctx, body.data, body.length);
}

static void set_up(void) {
    app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, metrics(&(metrics_options_t){.no_page = true}));
    app_use(app, request_id(NULL));
    app_use(app, logger(&(logger_options_t){.colours = LOGGER_PLAIN, .output = check_line}));
    app_use(app, logger(&(logger_options_t){.format = LOGGER_COMBINED, .output = check_line}));
    app_use(app,
            logger(&(logger_options_t){.format = LOGGER_JSON, .output = check_line, .arg = &app}));
    app_use(app, error_page(&(error_page_options_t){.details = ERROR_PAGE_DETAILS}));
    app_use(app, method_override(NULL));
    app_use(app, json_pretty(NULL));
    app_use(app, echo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!app)
        set_up();
    char *text = strndup((const char *)data, size), *rest = text, *fields[FIELDS];
    check(text != NULL);
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = rest;
        rest += strcspn(rest, "\n");
        if (*rest)
            *rest++ = '\0';
    }
    const char *const headers[] = {"User-Agent", fields[1],       "X-Request-Id",
                                   fields[2],    "Authorization", fields[3],
                                   "Accept",     "text/html",     NULL};
    size_t length = strlen(rest);
    app_response_t *r = app_inject(app, &(app_request_t){.method = "POST",
                                                         .url = fields[0],
                                                         .headers = headers,
                                                         .body = rest,
                                                         .body_length = length});
    check(r != NULL);
    const char *id = app_response_get(r, "X-Request-Id");
    check(id && *id && strlen(id) <= 128 && !strpbrk(id, " \"'<>&\\\n\r\t"));
    if (r->status == 200)
        check_pretty(rest, length, r->body);
    else
        check(!strstr(r->body.data, "<script") && r->status >= 400);
    app_response_free(r);
    free(text);
    return 0;
}
