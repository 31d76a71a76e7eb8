/* JSON in and out, by jansson. */
#include "context/context.h"

#ifdef ACACIA_HAVE_JSON

#include <stdlib.h>
#include <string.h>

static const char *type_for_json(struct context *context) {
    /* Koa keeps a type that is JSON of some kind already. */
    const char *type = headers_get(&context->headers, "Content-Type");
    return type && strstr(type, "json") ? type : "application/json; charset=utf-8";
}

int ctx_json(ctx_t *ctx, json_t *json) {
    struct context *context = context_of(ctx);
    if (!json)
        return UV_EINVAL;
    size_t length = json_dumpb(json, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    char *text = length ? arena_alloc(context->home.arena, length + 1) : NULL;
    if (text)
        json_dumpb(json, text, length, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    if (!length)
        return UV_EINVAL;
    if (!text)
        return context_no_memory(context);
    text[length] = '\0';
    if (context->header_sent)
        return UV_EALREADY;
    int err = context_set_header(context, "Content-Type", type_for_json(context));
    return err ? err : context_set_body(context, BODY_MEMORY, (bytes_t){text, length}, NULL);
}

may_await int ctx_read_json(ctx_t *ctx, json_t **json) {
    json_error_t error;
    bytes_t body;
    *json = NULL;
    int err = ctx_read_body(ctx, &body);
    if (err)
        return err;
    *json = json_loadb(body.data, body.length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    return *json ? 0 : ctx_throw(ctx, 400, "invalid JSON: %s", error.text);
}

/* A value joins those of the same name: one is a string, several are an array. */
static int add_value(json_t *object, const char *name, const char *value) {
    json_t *string = json_string(value), *known = json_object_get(object, name);
    if (!string)
        return -1;
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
    for (size_t i = 0; object && ctx_query_at(ctx, i, &name, &value); i++)
        if (add_value(object, name, value)) {
            json_decref(object);
            object = NULL;
        }
    if (!object)
        context_no_memory(context_of(ctx));
    return object;
}

#endif
