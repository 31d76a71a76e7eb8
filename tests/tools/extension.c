/*
 * Sec-WebSocket-Extensions from outside, a line each: a role, a TAB, the options of ws's
 * perMessageDeflate as JSON, a TAB, the header, which goes up to the end of the line. For each line
 * comes one of JSON:
 *
 *     parse     [["a",[["b","c"],["d",true]]]], the extensions with their parameters in order;
 *               {"error":"…","at":7}
 *     server    {"text":"…","params":{…}}, what is answered to these offers; null: nothing;
 *               {"error":"…"}
 *     client    {"params":{…}}, what is agreed on by this response; {"error":"…"}
 *     offer     "…", what a client offers; the header is not looked at
 */
#include "protocols/extension.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *failure(const char *message) {
    return json_pack("{ss}", "error", message);
}

/* Backslashes are left in a value, and mean nothing. */
static json_t *value_of(const struct extension_text *value) {
    char *text = malloc(value->length + 1), *to = text;
    if (!value->start || !text) {
        free(text);
        return json_true();
    }
    for (size_t i = 0; i < value->length; i++)
        if (value->start[i] != '\\')
            *to++ = value->start[i];
    json_t *json = json_stringn(text, (size_t)(to - text));
    free(text);
    return json;
}

static json_t *parse(const char *header, size_t n) {
    struct extension_reader reader;
    struct extension_text name, value;
    json_t *extensions = json_array();
    extension_reader_init(&reader, header, n);
    while (extension_next(&reader, &name)) {
        json_t *parameters = json_array();
        json_array_append_new(
            extensions, json_pack("[s#o]", name.start, (int)name.length, json_incref(parameters)));
        while (extension_next_parameter(&reader, &name, &value))
            json_array_append_new(
                parameters, json_pack("[s#o]", name.start, (int)name.length, value_of(&value)));
        json_decref(parameters);
    }
    if (!reader.error)
        return extensions;
    json_decref(extensions);
    return json_pack("{sssi}", "error", reader.error, "at", (int)(reader.at - header));
}

static json_t *params_of(const struct deflate_agreement *agreement) {
    return json_pack("{sbsbsisi}", "server_no_context_takeover",
                     agreement->server_no_context_takeover, "client_no_context_takeover",
                     agreement->client_no_context_takeover, "server_max_window_bits",
                     agreement->server_max_window_bits, "client_max_window_bits",
                     agreement->client_max_window_bits);
}

static json_t *serve(const struct deflate_options *options, const char *header, size_t n) {
    struct deflate_agreement agreement;
    const char *why;
    int agreed = deflate_accept_offer(&agreement, options, header, n, &why);
    if (agreed < 0)
        return failure(why);
    if (!agreed)
        return json_null();
    return json_pack("{ssso}", "text", agreement.text, "params", params_of(&agreement));
}

static json_t *connect_to(const struct deflate_options *options, const char *header, size_t n) {
    struct deflate_agreement agreement;
    const char *why;
    if (deflate_accept_response(&agreement, options, header, n, &why) < 0)
        return failure(why);
    return json_pack("{so}", "params", params_of(&agreement));
}

static json_t *offer(const struct deflate_options *options) {
    char text[DEFLATE_TEXT_SIZE];
    deflate_write_offer(text, options);
    return json_string(text);
}

static int option(const json_t *options, const char *name) {
    const json_t *value = json_object_get(options, name);
    if (json_is_boolean(value))
        return json_is_true(value) ? 1 : DEFLATE_REFUSE;
    return (int)json_integer_value(value);
}

static json_t *answer(const char *role, const json_t *json, const char *header, size_t n) {
    const struct deflate_options options = {
        .server_no_context_takeover = option(json, "serverNoContextTakeover"),
        .client_no_context_takeover = option(json, "clientNoContextTakeover"),
        .server_max_window_bits = option(json, "serverMaxWindowBits"),
        .client_max_window_bits = option(json, "clientMaxWindowBits"),
    };
    if (strcmp(role, "parse") == 0)
        return parse(header, n);
    if (strcmp(role, "server") == 0)
        return serve(&options, header, n);
    if (strcmp(role, "client") == 0)
        return connect_to(&options, header, n);
    return offer(&options);
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        char *end = line + n - (line[n - 1] == '\n');
        char *first = memchr(line, '\t', (size_t)(end - line));
        char *second = first ? memchr(first + 1, '\t', (size_t)(end - first - 1)) : NULL;
        json_t *options =
            second ? json_loadb(first + 1, (size_t)(second - first - 1), 0, NULL) : NULL;
        if (!options) {
            fprintf(stderr, "extension: want a role, a TAB, {options}, a TAB, and a header\n");
            return 2;
        }
        *first = '\0';
        size_t length = (size_t)(end - second - 1);
        char *exact = malloc(length ? length : 1); /* so that ASan sees an overrun */
        if (!exact)
            return 2;
        memcpy(exact, second + 1, length);
        json_t *result = answer(line, options, exact, length);
        json_dumpf(result, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        putchar('\n');
        json_decref(result);
        json_decref(options);
        free(exact);
    }
    free(line);
    return 0;
}
