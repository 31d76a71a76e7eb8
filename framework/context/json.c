/* JSON in and out, by jansson. */
#include "context/context.h"
#include "context/json_text.h"
#include "context/nested.h"
#include "protocols/utf8.h"

#ifdef ACACIA_HAVE_JSON

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Of what a client sends: jansson calls itself for each. */
#define LEVELS_MAX 200

static const char *type_for_json(struct context *context) {
    /* Koa keeps a type that is JSON of some kind already. */
    const char *type = headers_get(&context->response->headers, "Content-Type");
    return type && strstr(type, "json") ? type : "application/json; charset=utf-8";
}

int ctx_json(ctx_t *ctx, json_t *json) {
    struct context *context = context_of(ctx);
    bytes_t text;
    if (!json)
        return UV_EINVAL;
    int err = json_text(context->home.arena, json, &text);
    json_decref(json);
    if (err)
        return err == UV_ENOMEM ? context_no_memory(context) : err;
    if (!context->header_sent)
        err = context_set_header(context, "Content-Type", type_for_json(context));
    return err ? err : context_set_body(context, text, NULL);
}

/* Are there more levels than that? What follows an error does not matter: it is refused anyway. */
static bool is_too_deep(bytes_t text) {
    int level = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.length && level <= LEVELS_MAX; i++) {
        char c = text.data[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else
            level += (c == '[' || c == '{') - (c == ']' || c == '}');
    }
    return level > LEVELS_MAX;
}

int ctx_parse_json(ctx_t *ctx, bytes_t text, json_t **json) {
    const size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_error_t error;
    *json = NULL;
    if (is_too_deep(text))
        return ctx_throw(ctx, 400, "invalid JSON: more than %d levels", LEVELS_MAX);
    if (text.length >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark */
        text = (bytes_t){text.data + 3, text.length - 3};
    *json = json_loadb(text.data, text.length, flags, &error);
    if (!*json && !*error.text) /* jansson has no words when it has no memory */
        return context_no_memory(context_of(ctx));
    return *json ? 0 : ctx_throw(ctx, 400, "invalid JSON: %s", error.text);
}

may_await int ctx_read_json(ctx_t *ctx, json_t **json) {
    bytes_t body;
    *json = NULL;
    int err = ctx_read_body(ctx, &body);
    return err ? err : ctx_parse_json(ctx, body, json);
}

/* Whatever bytes a client has sent, as JSON can hold them: what is not UTF-8 is taken for Latin-1,
 * as node does with all of it. */
static json_t *text_of(struct context *context, const char *text) {
    size_t length = strlen(text);
    if (utf8_valid(text, length))
        return json_stringn(text, length);
    char *wide = arena_alloc(context->scope->arena, 2 * length + 1), *to = wide;
    if (!wide)
        return NULL;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x80) {
            *to++ = (char)byte;
        } else {
            *to++ = (char)(0xc0 | byte >> 6);
            *to++ = (char)(0x80 | (byte & 0x3f));
        }
    }
    return json_stringn(wide, (size_t)(to - wide));
}

/* A value joins those of the same name: one is a string, several are an array. */
static int add_value(json_t *object, const char *name, json_t *string) {
    json_t *known = json_object_get(object, name);
    if (!known)
        return json_object_set_new(object, name, string);
    if (json_is_array(known))
        return json_array_append_new(known, string);
    json_t *array = json_pack("[O,o]", known, string);
    return array ? json_object_set_new(object, name, array) : -1;
}

json_t *ctx_query_json(ctx_t *ctx) {
    json_t *object = json_object();
    const char *name, *value;
    for (size_t i = 0; object && ctx_query_at(ctx, i, &name, &value); i++) {
        json_t *string = json_string(value);
        if (!string || add_value(object, name, string)) {
            json_decref(object);
            object = NULL;
        }
    }
    if (!object)
        context_no_memory(context_of(ctx));
    return object;
}

json_t *ctx_nest_pairs(ctx_t *ctx, const form_pair_t *pairs, size_t count,
                       const nesting_options_t *options) {
    json_t *object;
    if (nested_parse(pairs, count, options, &object) == 0)
        return object;
    context_no_memory(context_of(ctx));
    return NULL;
}

json_t *ctx_query_nested(ctx_t *ctx) {
    const struct query *query = context_query(context_of(ctx));
    return ctx_nest_pairs(ctx, query->pairs, query->count, NULL);
}

/* --- ctx.toJSON ------------------------------------------------------------------------------- */

static const char *lower(struct context *context, const char *name) {
    char *copy = arena_copy(context->scope->arena, name, strlen(name));
    for (char *at = copy; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return copy;
}

static json_t *headers_json(struct context *context, const struct headers *headers) {
    json_t *object = json_object();
    for (struct header_walk walk = {0}; object && headers_next(headers, &walk);) {
        const char *name = lower(context, walk.header.name);
        json_t *value = name ? text_of(context, walk.header.value) : NULL;
        if (!value || add_value(object, name, value)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *ctx_to_json(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    const app_options_t *options = context->host->options;
    const char *message = ctx_response_message(ctx);
    json_t *json = json_pack(
        "{s: {s: s, s: o, s: o}, s: {s: i, s: s, s: o}, s: {s: i, s: b, s: s}, s: o}", /**/
        "request", "method", ctx->method, "url", text_of(context, ctx->url), "header",
        headers_json(context, &context->exchange->headers), /**/
        "response", "status", ctx->status ? ctx->status : 404, "message", message ? message : "",
        "header", headers_json(context, &context->response->headers), /**/
        "app", "subdomainOffset", options->subdomain_offset, "proxy", options->proxy, "env",
        options->env, /**/
        "originalUrl", text_of(context, ctx->original_url));
    if (!json)
        context_no_memory(context);
    return json;
}

#endif
