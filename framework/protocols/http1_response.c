#include "protocols/http1_response.h"

#include <llhttp.h>
#include <string.h>

struct parser {
    llhttp_t llhttp; /* first */
    struct http1_response *response;
    struct arena *arena;
    const char *name, *value; /* in the data, which is there in one piece */
    size_t name_length, value_length;
    bool complete, no_memory;
};

size_t http1_response_head(const char *data, size_t n) {
    for (const char *at = data; (at = memchr(at, '\n', n - (size_t)(at - data))); at++) {
        size_t left = n - (size_t)(at + 1 - data);
        if (left >= 2 && at[1] == '\r' && at[2] == '\n')
            return (size_t)(at + 3 - data);
        if (left == 0)
            break;
    }
    return 0;
}

static int on_name(llhttp_t *llhttp, const char *at, size_t n) {
    struct parser *p = (struct parser *)llhttp;
    if (p->name_length == 0)
        p->name = at;
    p->name_length += n;
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t n) {
    struct parser *p = (struct parser *)llhttp;
    if (p->value_length == 0)
        p->value = at;
    if (at != p->value + p->value_length) /* it is folded over two lines */
        return HPE_USER;
    p->value_length += n;
    return 0;
}

static int on_value_complete(llhttp_t *llhttp) {
    struct parser *p = (struct parser *)llhttp;
    size_t n = p->value_length;
    if (p->name_length == 0) /* llhttp takes a field without a name */
        return HPE_USER;
    while (n > 0 && (p->value[n - 1] == ' ' || p->value[n - 1] == '\t'))
        n--;
    const char *name = arena_copy(p->arena, p->name, p->name_length);
    const char *value = arena_copy(p->arena, n ? p->value : "", n);
    p->no_memory = !name || !value ||
                   headers_add(&p->response->headers, p->arena, name, p->name_length, value, n);
    p->name_length = p->value_length = 0;
    return p->no_memory ? HPE_USER : 0;
}

/* The body, if there is one, is nobody's affair. */
static int on_headers_complete(llhttp_t *llhttp) {
    struct parser *p = (struct parser *)llhttp;
    p->response->status = llhttp->status_code;
    p->complete = true;
    return 1;
}

int http1_response_parse(struct http1_response *response, struct arena *arena, const char *data,
                         size_t n) {
    llhttp_settings_t settings;
    struct parser p = {.response = response, .arena = arena};
    llhttp_settings_init(&settings);
    settings.on_header_field = on_name;
    settings.on_header_value = on_value;
    settings.on_header_value_complete = on_value_complete;
    settings.on_headers_complete = on_headers_complete;
    llhttp_init(&p.llhttp, HTTP_RESPONSE, &settings);
    *response = (struct http1_response){0};
    llhttp_execute(&p.llhttp, data, n);
    if (p.no_memory)
        return UV_ENOMEM;
    bool is_status = response->status >= 100 && response->status <= 999; /* RFC 9112 4: 3DIGIT */
    return p.complete && is_status ? 0 : UV_EPROTO;
}
