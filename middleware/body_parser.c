#include "body_parser.h"

#include "charset.h"
#include "inflate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KIB 1024
#define MIB (1024 * KIB)

/* --- Settings --------------------------------------------------------------------------------- */

enum kind { KIND_JSON, KIND_FORM, KIND_TEXT, KIND_XML, KINDS, KIND_NONE = KINDS };

struct parser {
    bool enabled[KINDS];
    const char **types[KINDS];
    size_t limits[KINDS];
    const char **methods;
    bool strict, inflate;
    nesting_options_t nesting;
    bool (*detect_json)(ctx_t *ctx);
    int (*on_error)(ctx_t *ctx, const ctx_error_t *error);
};

static const char *const json_types[] = {"application/json",         "application/json-patch+json",
                                         "application/vnd.api+json", "application/csp-report",
                                         "application/scim+json",    NULL};
static const char *const form_types[] = {"application/x-www-form-urlencoded", NULL};
static const char *const text_types[] = {"text/plain", NULL};
static const char *const xml_types[] = {"text/xml", "application/xml", NULL};
static const char *const *const usual_types[KINDS] = {json_types, form_types, text_types,
                                                      xml_types};
static const char *const usual_methods[] = {"POST", "PUT", "PATCH", NULL};

static size_t count_of(const char *const *list) {
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

static void free_list(const char **list) {
    for (const char **at = list; at && *at; at++)
        free((char *)*at);
    free(list);
}

/* A copy of both, one behind the other; either may be NULL. NULL when there is no memory. */
static const char **copy_lists(const char *const *first, const char *const *second) {
    size_t firsts = count_of(first), count = firsts + count_of(second);
    const char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(i < firsts ? first[i] : second[i - firsts]);
        if (!copy[i]) {
            free_list(copy);
            return NULL;
        }
    }
    return copy;
}

static void free_parser(void *state) {
    struct parser *parser = state;
    for (enum kind kind = 0; kind < KINDS; kind++)
        free_list(parser->types[kind]);
    free_list(parser->methods);
    free(parser);
}

static bool copy_settings(struct parser *parser, const body_parser_options_t *options) {
    const char *const *const more[KINDS] = {options->json_types, options->form_types,
                                            options->text_types, options->xml_types};
    for (enum kind kind = 0; kind < KINDS; kind++)
        if (!(parser->types[kind] = copy_lists(usual_types[kind], more[kind])))
            return false;
    parser->methods = copy_lists(options->methods ? options->methods : usual_methods, NULL);
    return parser->methods;
}

/* --- What came -------------------------------------------------------------------------------- */

struct parsed {
    enum kind kind;
    const struct parser *parser;
    bytes_t raw;
    const char *text; /* of KIND_TEXT and KIND_XML */
    form_pair_t *pairs;
    size_t count;
#ifdef ACACIA_HAVE_JSON
    json_t *json; /* of a form only when somebody has asked */
#endif
    char *inflated;
};

static const char value_name[] = "acacia.body";

static void free_parsed(void *value) {
    struct parsed *parsed = value;
#ifdef ACACIA_HAVE_JSON
    json_decref(parsed->json);
#endif
    free(parsed->inflated); /* itself it lies in memory of the ctx */
}

static struct parsed *parsed_of(const ctx_t *ctx, enum kind kind) {
    struct parsed *parsed = ctx_value(ctx, value_name);
    return parsed && parsed->kind == kind ? parsed : NULL;
}

#ifdef ACACIA_HAVE_JSON
json_t *body_json(ctx_t *ctx) {
    const struct parsed *parsed = parsed_of(ctx, KIND_JSON);
    return parsed ? parsed->json : NULL;
}

json_t *body_form(ctx_t *ctx) {
    struct parsed *parsed = parsed_of(ctx, KIND_FORM);
    if (!parsed)
        return NULL;
    if (!parsed->json)
        parsed->json = ctx_nest_pairs(ctx, parsed->pairs, parsed->count, &parsed->parser->nesting);
    return parsed->json;
}

json_t *body_parsed(ctx_t *ctx) {
    json_t *json = body_json(ctx);
    return json ? json : body_form(ctx);
}
#endif

const char *body_field(ctx_t *ctx, const char *name) {
    const struct parsed *parsed = parsed_of(ctx, KIND_FORM);
    for (size_t i = 0; parsed && i < parsed->count; i++)
        if (strcmp(parsed->pairs[i].name, name) == 0)
            return parsed->pairs[i].value;
    return NULL;
}

bool body_field_at(ctx_t *ctx, size_t index, const char **name, const char **value) {
    const struct parsed *parsed = parsed_of(ctx, KIND_FORM);
    if (!parsed || index >= parsed->count)
        return false;
    *name = parsed->pairs[index].name;
    *value = parsed->pairs[index].value;
    return true;
}

const char *body_text(ctx_t *ctx) {
    const struct parsed *parsed = parsed_of(ctx, KIND_TEXT);
    if (!parsed)
        parsed = parsed_of(ctx, KIND_XML);
    return parsed ? parsed->text : NULL;
}

bytes_t body_raw(ctx_t *ctx) {
    const struct parsed *parsed = ctx_value(ctx, value_name);
    return parsed ? parsed->raw : (bytes_t){"", 0};
}

/* --- JSON ------------------------------------------------------------------------------------- */

#ifdef ACACIA_HAVE_JSON
/* It calls itself for each level; ctx_parse_json has counted them. */
static bool has_proto(const json_t *json) {
    json_t *object = (json_t *)json, *value;
    for (size_t i = 0; (value = json_array_get(json, i)); i++)
        if (has_proto(value))
            return true;
    void *member = json_object_iter(object);
    for (; member; member = json_object_iter_next(object, member))
        if (strcmp(json_object_iter_key(member), "__proto__") == 0 ||
            has_proto(json_object_iter_value(member)))
            return true;
    return false;
}

/* JSON of an empty body is {}, or "" if any value may come. */
static json_t *json_of_nothing(const struct parser *parser) {
    return parser->strict ? json_object() : json_string("");
}

static int parse_json(ctx_t *ctx, struct parsed *parsed, bytes_t text) {
    int err = 0;
    if (text.length == 0) {
        parsed->json = json_of_nothing(parsed->parser);
        return parsed->json ? 0 : UV_ENOMEM;
    }
    if (parsed->parser->strict) {
        const char *first = text.data + strspn(text.data, " \t\r\n");
        err = ctx_assert(ctx, *first == '{' || *first == '[', 400,
                         "invalid JSON, only supports object and array");
    }
    if (!err)
        err = ctx_parse_json(ctx, text, &parsed->json);
    /* harmless here, but not in a program in JavaScript that copies it carelessly */
    if (!err && (strstr(text.data, "__proto__") || strstr(text.data, "\\u")))
        err = ctx_assert(ctx, !has_proto(parsed->json), 400,
                         "Object contains forbidden prototype property");
    return err;
}
#endif

/* --- Forms ------------------------------------------------------------------------------------ */

/* A form in Latin-1 as one in UTF-8: what is beyond ASCII in it, escaped or not, becomes UTF-8. */
static int recode_form(ctx_t *ctx, bytes_t *text) {
    const char *end = text->data + text->length;
    char *copy = ctx_alloc(ctx, 3 * text->length + 1), *to = copy;
    if (!copy)
        return UV_ENOMEM;
    for (const char *at = text->data; at < end; at++) {
        int escape = charset_escape(at, end);
        char byte = escape >= 0x80 ? (char)escape : *at;
        to += charset_decode(CHARSET_LATIN1, to, &byte, 1);
        at += escape >= 0x80 ? 2 : 0;
    }
    *text = (bytes_t){copy, (size_t)(to - copy)};
    return 0;
}

static int parse_form(ctx_t *ctx, struct parsed *parsed, bytes_t text) {
    int err = ctx_parse_form(ctx, text, &parsed->pairs, &parsed->count);
    if (!err && parsed->count > parsed->parser->nesting.pairs)
        err = ctx_throw(ctx, 413, "too many parameters");
    return err;
}

/* --- Text ------------------------------------------------------------------------------------- */

/* As UTF-8, in memory of the ctx. */
static int recode_text(ctx_t *ctx, charset_t charset, bytes_t *text) {
    char *copy = ctx_alloc(ctx, 3 * text->length + 1);
    if (!copy)
        return UV_ENOMEM;
    *text = (bytes_t){copy, charset_decode(charset, copy, text->data, text->length)};
    return 0;
}

static bytes_t without_mark(bytes_t text) {
    if (text.length >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
        return (bytes_t){text.data + 3, text.length - 3};
    return text;
}

static int parse_as(ctx_t *ctx, struct parsed *parsed, charset_t charset) {
    bool is_text = parsed->kind == KIND_TEXT || parsed->kind == KIND_XML;
    bytes_t text = parsed->raw;
    int err = 0;
    if (charset == CHARSET_UTF8)
        text = without_mark(text);
    if (parsed->kind == KIND_FORM)
        err = charset == CHARSET_LATIN1 ? recode_form(ctx, &text) : 0;
    else if (is_text || charset == CHARSET_LATIN1)
        err = recode_text(ctx, charset, &text);
    if (err)
        return err;
    if (parsed->kind == KIND_FORM)
        return parse_form(ctx, parsed, text);
#ifdef ACACIA_HAVE_JSON
    if (parsed->kind == KIND_JSON)
        return parse_json(ctx, parsed, text);
#endif
    parsed->text = text.data;
    return 0;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int throw_too_large(ctx_t *ctx) {
    return ctx_throw(ctx, 413, "request entity too large");
}

struct job {
    const inflater_t *inflater;
    bytes_t from, to;
    size_t limit;
    int err;
};

static void inflate_job(void *arg) {
    struct job *job = arg;
    job->err = inflater_run(job->inflater, job->from, job->limit, &job->to);
}

/* On a thread, unless it takes no time. */
static int inflate_body(ctx_t *ctx, struct parsed *parsed, const inflater_t *inflater,
                        size_t limit) {
    struct job job = {.inflater = inflater, .from = parsed->raw, .limit = limit};
    int err = 0;
    if (job.from.length > 4 * KIB)
        err = await_work(inflate_job, &job);
    else
        inflate_job(&job);
    if (err || job.err == UV_ENOMEM)
        return err ? err : UV_ENOMEM;
    if (job.err == UV_E2BIG)
        return throw_too_large(ctx);
    if (job.err)
        return ctx_throw(ctx, 400, "the request body is not %s", ctx_get(ctx, "Content-Encoding"));
    parsed->inflated = (char *)job.to.data;
    parsed->raw = job.to;
    return 0;
}

static int throw_encoding(ctx_t *ctx, const struct parser *parser) {
    ctx_throw_header(ctx, "Accept-Encoding", parser->inflate ? inflate_encodings : "identity");
    return ctx_throw(ctx, 415, "unsupported Content-Encoding");
}

static int read_and_parse(ctx_t *ctx, struct parsed *parsed) {
    const struct parser *parser = parsed->parser;
    const char *encoding = ctx_get(ctx, "Content-Encoding");
    bool is_plain = !*encoding || strcasecmp(encoding, "identity") == 0;
    const inflater_t *inflater = parser->inflate ? inflater_for(encoding) : NULL;
    charset_t charset = charset_of(ctx_request_charset(ctx));
    size_t limit = parser->limits[parsed->kind];
    if (!is_plain && !inflater)
        return throw_encoding(ctx, parser);
    if (charset == CHARSET_UNKNOWN)
        return ctx_throw(ctx, 415, "unsupported charset");
    int err = ctx_read_body_up_to(ctx, &parsed->raw, limit);
    if (err == -413)
        err = throw_too_large(ctx);
    if (!err && !is_plain)
        err = inflate_body(ctx, parsed, inflater, limit);
    return err ? err : parse_as(ctx, parsed, charset);
}

/* --- The middleware --------------------------------------------------------------------------- */

static enum kind kind_of(ctx_t *ctx, const struct parser *parser) {
    if (parser->enabled[KIND_JSON] && parser->detect_json && parser->detect_json(ctx))
        return KIND_JSON;
    for (enum kind kind = 0; kind < KINDS; kind++)
        if (parser->enabled[kind] && ctx_is_one_of(ctx, parser->types[kind]))
            return kind;
    return KIND_NONE;
}

static bool has_method(const struct parser *parser, const char *method) {
    const char **at = parser->methods;
    while (*at && strcmp(*at, method) != 0)
        at++;
    return *at;
}

static int parse_body(ctx_t *ctx, const struct parser *parser) {
    enum kind kind = kind_of(ctx, parser);
    if (kind == KIND_NONE)
        return 0;
    struct parsed *parsed = ctx_new(ctx, struct parsed);
    if (!parsed)
        return UV_ENOMEM;
    parsed->kind = kind;
    parsed->parser = parser;
    int err = read_and_parse(ctx, parsed);
    if (err)
        free_parsed(parsed);
    else
        err = ctx_set_value(ctx, value_name, parsed, free_parsed);
    return err;
}

/* Only what was thrown is for the listener. */
static int listen_to(ctx_t *ctx, const struct parser *parser, int err) {
    const ctx_error_t *thrown = err > -400 || err < -599 ? NULL : ctx_catch(ctx);
    if (!thrown)
        return err;
    const ctx_error_t error = *thrown; /* it may throw another */
    return parser->on_error(ctx, &error);
}

static int run(ctx_t *ctx, void *state) {
    const struct parser *parser = state;
    int err = 0;
    if (!ctx_value(ctx, value_name) && !ctx_value(ctx, "disable_body_parser") &&
        has_method(parser, ctx->method))
        err = parse_body(ctx, parser);
    if (err && parser->on_error)
        err = listen_to(ctx, parser, err);
    return err ? err : next(ctx);
}

static size_t or_default(size_t given, size_t fallback) {
    return given ? given : fallback;
}

middleware_t body_parser(const body_parser_options_t *options) {
    static const body_parser_options_t none;
    struct parser *parser = calloc(1, sizeof *parser);
    if (!options)
        options = &none;
    if (!parser || !copy_settings(parser, options)) {
        if (parser)
            free_parser(parser);
        return (middleware_t){.name = "body_parser", .error = "out of memory"};
    }
#ifdef ACACIA_HAVE_JSON
    parser->enabled[KIND_JSON] = !options->no_json;
#endif
    parser->enabled[KIND_FORM] = !options->no_form;
    parser->enabled[KIND_TEXT] = options->text;
    parser->enabled[KIND_XML] = options->xml;
    parser->limits[KIND_JSON] = or_default(options->json_limit, MIB);
    parser->limits[KIND_FORM] = or_default(options->form_limit, 56 * KIB);
    parser->limits[KIND_TEXT] = or_default(options->text_limit, MIB);
    parser->limits[KIND_XML] = or_default(options->xml_limit, MIB);
    parser->strict = !options->not_strict;
    parser->inflate = !options->no_inflate;
    parser->nesting = (nesting_options_t){
        .dots = !options->no_dots,
        .depth = options->form_depth,
        .items = options->form_items,
        .pairs = or_default(options->form_pairs, 1000),
    };
    parser->detect_json = options->detect_json;
    parser->on_error = options->on_error;
    return (middleware_t){run, parser, free_parser, "body_parser", NULL};
}
