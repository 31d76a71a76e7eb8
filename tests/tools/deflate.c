/*
 * Messages from outside, compressed or inflated: a line of JSON for each side of a connection.
 *
 *     {"deflate":[["48656c","6c6f"],[""]],"bits":15,"forget":true,"level":9,"memory":1}
 *     {"inflate":[["f248cdc9c90700"]],"bits":15,"forget":true,"limit":1000}
 *
 * Each message is a list of its fragments, as hex; `forget` is no context takeover, and with
 * "release":true the memory is given back after each message. For each line comes one with the same
 * lists of what they became; what is inflated is one string a message. At an error the list ends
 * with a string: its name.
 */
#include "protocols/deflate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static int take_hex(void *owner, const char *data, size_t n) {
    char hex[2];
    for (size_t i = 0; i < n; i++) {
        hex[0] = "0123456789abcdef"[(unsigned char)data[i] >> 4];
        hex[1] = "0123456789abcdef"[data[i] & 15];
        if (deflate_buffer_take(owner, hex, 2))
            return UV_ENOMEM;
    }
    return 0;
}

static int digit(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* In a block of just that size, so that ASan sees an overrun. */
static unsigned char *bytes_of(const char *hex, size_t *n) {
    *n = strlen(hex) / 2;
    unsigned char *bytes = malloc(*n ? *n : 1);
    for (size_t i = 0; bytes && i < *n; i++)
        bytes[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    return bytes;
}

static json_t *text_of(struct deflate_buffer *hex) {
    json_t *text = json_stringn(hex->length ? hex->data : "", hex->length);
    deflate_buffer_free(hex);
    return text;
}

static int number(const json_t *options, const char *name) {
    return (int)json_integer_value(json_object_get(options, name));
}

static bool flag(const json_t *options, const char *name) {
    return json_is_true(json_object_get(options, name));
}

static int deflate_message(struct deflater *deflater, const json_t *fragments, json_t *results) {
    size_t i, n, count = json_array_size(fragments);
    const json_t *fragment;
    json_t *result = json_array();
    json_array_append_new(results, result);
    json_array_foreach(fragments, i, fragment) {
        struct deflate_buffer out = {0};
        unsigned char *bytes = bytes_of(json_string_value(fragment), &n);
        int err = deflater_feed(deflater, bytes, n, i + 1 == count, take_hex, &out);
        free(bytes);
        json_array_append_new(result, text_of(&out));
        if (err)
            return err;
    }
    return 0;
}

static int inflate_message(struct inflater *inflater, const json_t *fragments, size_t limit,
                           json_t *results) {
    size_t i, n, count = json_array_size(fragments);
    const json_t *fragment;
    struct deflate_buffer out = {0};
    int err = 0;
    json_array_foreach(fragments, i, fragment) {
        unsigned char *bytes = bytes_of(json_string_value(fragment), &n);
        err = inflater_feed(inflater, bytes, n, i + 1 == count, limit, take_hex, &out);
        free(bytes);
        if (err)
            break;
    }
    json_t *text = text_of(&out);
    if (!err)
        json_array_append(results, text);
    json_decref(text);
    return err;
}

static int deflate_all(const json_t *options, const json_t *messages, json_t *results) {
    struct deflater deflater;
    size_t i;
    const json_t *message;
    int err = 0;
    deflater_init(&deflater, &(struct deflater_options){
                                 .window_bits = number(options, "bits"),
                                 .level = number(options, "level"),
                                 .memory_level = number(options, "memory"),
                                 .no_context_takeover = flag(options, "forget"),
                             });
    json_array_foreach(messages, i, message) {
        err = deflate_message(&deflater, message, results);
        if (err)
            break;
        if (flag(options, "release"))
            deflater_release(&deflater);
    }
    deflater_free(&deflater);
    return err;
}

static int inflate_all(const json_t *options, const json_t *messages, json_t *results) {
    struct inflater inflater;
    size_t i, limit = (size_t)number(options, "limit");
    const json_t *message;
    int err = 0;
    inflater_init(&inflater, number(options, "bits"), flag(options, "forget"));
    json_array_foreach(messages, i, message) {
        err = inflate_message(&inflater, message, limit ? limit : SIZE_MAX, results);
        if (!err && flag(options, "release"))
            err = inflater_release(&inflater);
        if (err)
            break;
    }
    inflater_free(&inflater);
    return err;
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        json_t *options = json_loadb(line, (size_t)n, 0, NULL), *results = json_array();
        const json_t *messages = json_object_get(options, "deflate");
        int err;
        if (!options) {
            fprintf(stderr, "deflate: want lines of JSON\n");
            return 2;
        }
        if (messages)
            err = deflate_all(options, messages, results);
        else
            err = inflate_all(options, json_object_get(options, "inflate"), results);
        if (err)
            json_array_append_new(results, json_string(uv_err_name(err)));
        json_dumpf(results, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(results);
        json_decref(options);
    }
    free(line);
    return 0;
}
