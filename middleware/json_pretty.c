#include "json_pretty.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

struct json_pretty {
    json_pretty_options_t options; /* with defaults filled in */
    char param[];
};

/* --- The text, read once ---------------------------------------------------------------------- */

struct printer {
    const char *at; /* behind the text stands a NUL, which is no part of JSON */
    struct text out;
    int spaces;
    size_t depth;
    char closing[JSON_PRETTY_DEPTH_MAX]; /* of what is open */
};

static char peek(struct printer *p) {
    p->at += strspn(p->at, " \t\r\n");
    return *p->at;
}

static void new_line(struct printer *p) {
    text_add_char(&p->out, '\n');
    for (size_t i = 0; i < p->depth; i++)
        text_add_bytes(&p->out, "          ", (size_t)p->spaces);
}

static bool take_string(struct printer *p) {
    const char *end = p->at + 1;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end)
        return false;
    text_add_bytes(&p->out, p->at, (size_t)(end + 1 - p->at));
    p->at = end + 1;
    return true;
}

/* A number, true, false or null. */
static bool take_word(struct printer *p) {
    static const char *const words[] = {"true", "false", "null"};
    size_t length = strspn(p->at, "0123456789+-.eE");
    for (size_t i = 0; i < 3 && length == 0; i++)
        if (strncmp(p->at, words[i], strlen(words[i])) == 0)
            length = strlen(words[i]);
    text_add_bytes(&p->out, p->at, length);
    p->at += length;
    return length > 0;
}

/* The name of a member, which goes before its value. */
static bool take_name(struct printer *p) {
    if (peek(p) != '"' || !take_string(p) || peek(p) != ':')
        return false;
    p->at++;
    text_add(&p->out, ": ");
    return true;
}

/* What comes before a value in what is open now. */
static bool begin_item(struct printer *p) {
    new_line(p);
    return p->closing[p->depth - 1] == ']' || take_name(p);
}

/* An opening bracket. True in *is_empty if it has been closed again. */
static bool open_bracket(struct printer *p, bool *is_empty) {
    char closing = *p->at == '{' ? '}' : ']';
    text_add_char(&p->out, *p->at++);
    *is_empty = peek(p) == closing;
    if (*is_empty) {
        text_add_char(&p->out, *p->at++);
        return true;
    }
    if (p->depth == JSON_PRETTY_DEPTH_MAX)
        return false;
    p->closing[p->depth++] = closing;
    return begin_item(p);
}

/* A value, or where it is none yet, the beginning of one. */
static bool take_value(struct printer *p) {
    bool is_whole = false;
    while (!is_whole) {
        char c = peek(p);
        if (c == '{' || c == '[') {
            if (!open_bracket(p, &is_whole))
                return false;
        } else if (c == '"' ? !take_string(p) : !take_word(p)) {
            return false;
        } else {
            is_whole = true;
        }
    }
    return true;
}

/* What follows on a value: all that is closed by it, and a comma. True in *goes_on if another value
 * has to come. */
static bool end_value(struct printer *p, bool *goes_on) {
    while (p->depth > 0 && peek(p) == p->closing[p->depth - 1]) {
        p->depth--;
        new_line(p);
        text_add_char(&p->out, *p->at++);
    }
    *goes_on = p->depth > 0;
    if (!*goes_on)
        return peek(p) == '\0';
    if (peek(p) != ',')
        return false;
    text_add_char(&p->out, *p->at++);
    return begin_item(p);
}

static bool print(struct printer *p, size_t length) {
    const char *end = p->at + length;
    bool goes_on = true;
    while (goes_on) {
        bool is_large = p->out.length > JSON_PRETTY_GROWTH_MAX * length + 4096;
        if (is_large || !take_value(p) || !end_value(p, &goes_on))
            return false;
    }
    return p->at == end; /* else there was a NUL in it */
}

/* --- The middleware --------------------------------------------------------------------------- */

/* To take a type apart costs more than to see that it has no j. */
static bool is_json(ctx_t *ctx) {
    const char *type = ctx_response_get(ctx, "Content-Type");
    return type && strpbrk(type, "jJ") && ctx_response_is(ctx, "json", "+json");
}

static bool is_wanted(ctx_t *ctx, const json_pretty_options_t *options) {
    if (options->no_pretty && !(options->param && ctx_query(ctx, options->param)))
        return false;
    return ctx_body_kind(ctx) == CTX_BODY_BYTES && !ctx_header_sent(ctx) && is_json(ctx);
}

static int run(ctx_t *ctx, void *state) {
    const json_pretty_options_t *options = &((const struct json_pretty *)state)->options;
    int err = next(ctx);
    if (err < 0 || !is_wanted(ctx, options))
        return err;
    bytes_t body = ctx_body_bytes(ctx);
    struct printer printer = {.at = body.data, .spaces = options->spaces};
    if (print(&printer, body.length))
        err = printer.out.failed ? UV_ENOMEM : ctx_bytes(ctx, printer.out.data, printer.out.length);
    text_free(&printer.out);
    return err;
}

middleware_t json_pretty(const json_pretty_options_t *options) {
    const char *param = options && options->param ? options->param : "";
    struct json_pretty *state = calloc(1, sizeof *state + strlen(param) + 1);
    if (!state)
        return (middleware_t){.name = "json_pretty", .error = "out of memory"};
    if (options)
        state->options = *options;
    if (state->options.param)
        state->options.param = strcpy(state->param, param);
    if (state->options.spaces <= 0)
        state->options.spaces = 2;
    if (state->options.spaces > 10)
        state->options.spaces = 10;
    return (middleware_t){run, state, free, "json_pretty", NULL};
}
