#include "error_page.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct error_page {
    error_page_options_t options;
    char redirect[];
};

/* --- Templates -------------------------------------------------------------------------------- */

/* The text becomes the body, and is freed. */
static int send_body(ctx_t *ctx, struct text *text, const char *type) {
    int err = text->failed ? UV_ENOMEM : ctx_type(ctx, type);
    if (!err)
        err = ctx_bytes(ctx, text->data, text->length);
    text_free(text);
    return err;
}

static int send_text(ctx_t *ctx, const error_page_t *page) {
    int err = ctx_type(ctx, "text");
    return err ? err : ctx_text(ctx, page->message);
}

static int send_json(ctx_t *ctx, const error_page_t *page) {
    struct text text = {0};
    text_add(&text, "{\"error\":\"");
    text_add_escaped(&text, page->message, ESCAPE_JSON);
    text_add(&text, "\"}");
    return send_body(ctx, &text, "json");
}

static const char begin_of_page[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>\n"
    "body { max-width: 48rem; margin: 10vh auto; padding: 0 1rem; font: 1rem/1.5 sans-serif; }\n"
    "td { padding-right: 1rem; vertical-align: top; overflow-wrap: anywhere; }\n"
    "</style>\n";

/* Not even for whoever looks over one's shoulder. */
static bool is_secret(const char *name) {
    static const char *const parts[] = {"auth", "cookie", "token", "secret", "session", "key"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const char *at = name; *at; at++)
            if (strncasecmp(at, parts[i], strlen(parts[i])) == 0)
                return true;
    return false;
}

static void add_row(struct text *text, const char *name, const char *value) {
    text_add(text, "<tr><td>");
    text_add_escaped(text, name, ESCAPE_HTML);
    text_add(text, "</td><td>");
    text_add_escaped(text, value, ESCAPE_HTML);
    text_add(text, "</td></tr>\n");
}

static void add_details(struct text *text, ctx_t *ctx, const error_page_t *page) {
    const char *name, *value;
    char code[64] = "";
    int number = page->error->code;
    if (number != -page->error->status) /* libuv's, with a name such as ENOENT */
        uv_err_name_r(number, code, 40);
    snprintf(code + strlen(code), 24, "%s%d", *code ? " " : "", number);
    text_add(text, "<table>\n");
    add_row(text, "code", code);
    add_row(text, "method", ctx->method);
    add_row(text, "url", ctx->original_url);
    add_row(text, "route", ctx->route_path ? ctx->route_path : "none");
    text_add(text, "</table>\n<h2>Headers</h2>\n<table>\n");
    for (size_t i = 0; ctx_header_at(ctx, i, &name, &value); i++)
        add_row(text, name, is_secret(name) ? "(not shown)" : value);
    text_add(text, "</table>\n");
}

static int send_html(ctx_t *ctx, const error_page_t *page) {
    struct text text = {0};
    text_add(&text, begin_of_page);
    text_printf(&text, "<title>%d</title>\n</head>\n<body>\n<h1>%d</h1>\n<p>", page->status,
                page->status);
    text_add_escaped(&text, page->message, ESCAPE_HTML);
    text_add(&text, "</p>\n");
    if (page->details)
        add_details(&text, ctx, page);
    text_add(&text, "</body>\n</html>\n");
    if (!ctx_has(ctx, "Content-Security-Policy")) /* should anything ever get through */
        ctx_set(ctx, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    ctx_set(ctx, "X-Content-Type-Options", "nosniff");
    return send_body(ctx, &text, "html");
}

const char *error_page_escape(ctx_t *ctx, const char *string) {
    struct text text = {0};
    text_add_escaped(&text, string, ESCAPE_HTML);
    const char *copy = text.failed ? NULL : ctx_strdup(ctx, text.data ? text.data : "");
    text_free(&text);
    return copy;
}

/* --- Which, and what it shows ----------------------------------------------------------------- */

static error_page_template *template_of(const error_page_options_t *options, const char *type) {
    if (options->all)
        return options->all;
    if (type && strcmp(type, "html") == 0)
        return options->html ? options->html : send_html;
    if (type && strcmp(type, "json") == 0)
        return options->json ? options->json : send_json;
    return options->text ? options->text : send_text;
}

static bool shows_details(ctx_t *ctx, error_page_details_t details) {
    if (details == ERROR_PAGE_AUTO)
        return strcmp(app_env(ctx->app), "development") == 0;
    return details == ERROR_PAGE_DETAILS;
}

static int answer(ctx_t *ctx, const ctx_error_t *error, void *state) {
    const error_page_options_t *options = &((const struct error_page *)state)->options;
    const char *type = ctx_accepts(ctx, "html", "text", "json");
    error_page_t page = {.error = error, .details = shows_details(ctx, options->details)};
    if (error->code == UV_ENOENT)
        ctx->status = 404;
    page.status = ctx->status;
    page.message = page.details || error->expose ? error->message : ctx_response_message(ctx);
    ctx_remove(ctx, "Content-Type");
    ctx_vary(ctx, "Accept");
    if (options->redirect && !options->all && !(type && strcmp(type, "json") == 0))
        return ctx_redirect(ctx, options->redirect);
    return template_of(options, type)(ctx, &page);
}

/* --- The middleware --------------------------------------------------------------------------- */

static int run(ctx_t *ctx, void *state) {
    ctx_set_error_page(ctx, answer, state);
    return next(ctx);
}

middleware_t error_page(const error_page_options_t *options) {
    const char *redirect = options && options->redirect ? options->redirect : "";
    struct error_page *state = calloc(1, sizeof *state + strlen(redirect) + 1);
    if (!state)
        return (middleware_t){.name = "error_page", .error = "out of memory"};
    if (options)
        state->options = *options;
    if (state->options.redirect)
        state->options.redirect = strcpy(state->redirect, redirect);
    return (middleware_t){run, state, free, "error_page", NULL};
}
