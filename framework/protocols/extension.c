#include "protocols/extension.h"

#include "protocols/exchange.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* --- The header ------------------------------------------------------------------------------- */

/* The next line of it. */
static bool next_line(const struct headers *headers, struct header_walk *walk) {
    while (headers_next(headers, walk))
        if (strcasecmp(walk->header.name, "Sec-WebSocket-Extensions") == 0)
            return true;
    return false;
}

int extension_header(const struct headers *headers, struct arena *arena, const char **value) {
    size_t size = 0, count = 0;
    *value = NULL;
    for (struct header_walk walk = {0}; next_line(headers, &walk); count++) {
        *value = walk.header.value;
        size += walk.header.value_length + 2;
    }
    if (count < 2)
        return 0;
    char *joined = arena_alloc(arena, size), *to = joined;
    const char *separator = "";
    if (!joined)
        return UV_ENOMEM;
    for (struct header_walk walk = {0}; next_line(headers, &walk);) {
        to = stpcpy(stpcpy(to, separator), walk.header.value);
        separator = ", ";
    }
    *value = joined;
    return 0;
}

static bool is_token_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool fail(struct extension_reader *reader) {
    reader->error = reader->at == reader->end ? "unexpected end" : "unexpected character";
    return false;
}

static bool is_at(const struct extension_reader *reader, char c) {
    return reader->at < reader->end && *reader->at == c;
}

static bool is_at_token(const struct extension_reader *reader) {
    return reader->at < reader->end && is_token_character(*reader->at);
}

static void skip_blanks(struct extension_reader *reader) {
    while (is_at(reader, ' ') || is_at(reader, '\t'))
        reader->at++;
}

static bool read_token(struct extension_reader *reader, struct extension_text *token) {
    token->start = reader->at;
    while (is_at_token(reader))
        reader->at++;
    token->length = (size_t)(reader->at - token->start);
    return token->length > 0 || fail(reader);
}

/* Behind the opening quote. */
static bool read_quoted(struct extension_reader *reader, struct extension_text *token) {
    token->start = reader->at;
    while (!is_at(reader, '"') || reader->at == token->start) {
        if (is_at(reader, '\\'))
            reader->at++;
        if (!is_at_token(reader))
            return fail(reader);
        reader->at++;
    }
    token->length = (size_t)(reader->at++ - token->start);
    return true;
}

/* Behind a name or a value there is the end, or a separator. */
static bool end_item(struct extension_reader *reader) {
    if (reader->at == reader->end)
        return true;
    skip_blanks(reader);
    return is_at(reader, ',') || is_at(reader, ';') || fail(reader);
}

void extension_reader_init(struct extension_reader *reader, const char *header, size_t n) {
    *reader = (struct extension_reader){.start = header, .at = header, .end = header + n};
}

bool extension_next_parameter(struct extension_reader *reader, struct extension_text *name,
                              struct extension_text *value) {
    *value = (struct extension_text){0};
    if (reader->error || !is_at(reader, ';'))
        return false;
    reader->at++;
    skip_blanks(reader);
    if (!read_token(reader, name))
        return false;
    if (is_at(reader, '=')) {
        reader->at++;
        bool quoted = is_at(reader, '"');
        reader->at += quoted;
        if (quoted ? !read_quoted(reader, value) : !read_token(reader, value))
            return false;
    }
    return end_item(reader);
}

bool extension_next(struct extension_reader *reader, struct extension_text *name) {
    if (reader->at > reader->start) {
        struct extension_text skipped;
        while (extension_next_parameter(reader, name, &skipped))
            ;
        if (reader->error || reader->at == reader->end)
            return false;
        reader->at++;
        skip_blanks(reader);
    }
    return !reader->error && read_token(reader, name) && end_item(reader);
}

/* --- permessage-deflate ----------------------------------------------------------------------- */

#define NAME "permessage-deflate"

enum parameter {
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
    PARAMETERS
};

static const char *const parameter_names[PARAMETERS] = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
};

#define PRESENT 1 /* a parameter without a value */

/* An offer or a response. */
struct terms {
    int values[PARAMETERS]; /* 0: it is not there; PRESENT; 8–15 */
    enum parameter order[PARAMETERS];
    size_t count; /* of `order` */
};

static bool is(const struct extension_text *text, const char *string) {
    return text->length == strlen(string) && memcmp(text->start, string, text->length) == 0;
}

static enum parameter parameter_of(const struct extension_text *name) {
    enum parameter i = 0;
    while (i < PARAMETERS && !is(name, parameter_names[i]))
        i++;
    return i;
}

/* 0 if it is none. A backslash only says that what follows is meant. */
static int window_bits_of(const struct extension_text *value) {
    int bits = 0;
    for (size_t i = 0; i < value->length && bits <= 15; i++) {
        char c = value->start[i];
        if (c == '\\')
            continue;
        if (c < '0' || c > '9' || (c == '0' && bits == 0))
            return 0;
        bits = bits * 10 + (c - '0');
    }
    return bits >= 8 && bits <= 15 ? bits : 0;
}

/* 0 if the parameter may not have that value. */
static int value_of(enum parameter parameter, const struct extension_text *value, bool offered) {
    bool has_bits = parameter == SERVER_MAX_WINDOW_BITS || parameter == CLIENT_MAX_WINDOW_BITS;
    if (value->start)
        return has_bits ? window_bits_of(value) : 0;
    return !has_bits || (parameter == CLIENT_MAX_WINDOW_BITS && offered) ? PRESENT : 0;
}

static void set(struct terms *terms, enum parameter parameter, int value) {
    if (terms->values[parameter] == 0)
        terms->order[terms->count++] = parameter;
    terms->values[parameter] = value;
}

/* The parameters of the extension that was read last. NULL, or what is wrong with them. */
static const char *read_terms(struct terms *terms, struct extension_reader *reader, bool offered) {
    struct extension_text name, text;
    *terms = (struct terms){0};
    while (extension_next_parameter(reader, &name, &text)) {
        enum parameter parameter = parameter_of(&name);
        if (parameter == PARAMETERS)
            return "an unknown parameter";
        if (terms->values[parameter])
            return "a parameter that comes twice";
        int value = value_of(parameter, &text, offered);
        if (value == 0)
            return "a parameter with a wrong value";
        set(terms, parameter, value);
    }
    return NULL;
}

static void write_terms(char text[DEFLATE_TEXT_SIZE], const struct terms *terms) {
    const char *end = text + DEFLATE_TEXT_SIZE; /* there is room for all parameters */
    char *at = text + snprintf(text, DEFLATE_TEXT_SIZE, NAME);
    for (size_t i = 0; i < terms->count; i++) {
        enum parameter parameter = terms->order[i];
        int value = terms->values[parameter];
        if (value == 0)
            continue; /* it was taken out again */
        at += snprintf(at, (size_t)(end - at), "; %s", parameter_names[parameter]);
        if (value != PRESENT)
            at += snprintf(at, (size_t)(end - at), "=%d", value);
    }
}

static void agree(struct deflate_agreement *agreement, const struct terms *terms) {
    const int *values = terms->values;
    int server_bits = values[SERVER_MAX_WINDOW_BITS], client_bits = values[CLIENT_MAX_WINDOW_BITS];
    *agreement = (struct deflate_agreement){
        .server_no_context_takeover = values[SERVER_NO_CONTEXT_TAKEOVER],
        .client_no_context_takeover = values[CLIENT_NO_CONTEXT_TAKEOVER],
        .server_max_window_bits = (uint8_t)(server_bits ? server_bits : 15),
        .client_max_window_bits = (uint8_t)(client_bits ? client_bits : 15),
    };
}

static int refuse(const char **why, const char *text) {
    *why = text;
    return UV_EINVAL;
}

/* --- The server's side ------------------------------------------------------------------------ */

static bool declines(const struct deflate_options *options, const struct terms *offer) {
    const int *values = offer->values;
    int server_bits = values[SERVER_MAX_WINDOW_BITS], client_bits = values[CLIENT_MAX_WINDOW_BITS];
    if (values[SERVER_NO_CONTEXT_TAKEOVER] && options->server_no_context_takeover == DEFLATE_REFUSE)
        return true;
    if (server_bits && (options->server_max_window_bits == DEFLATE_REFUSE ||
                        options->server_max_window_bits > server_bits))
        return true;
    return client_bits != PRESENT && options->client_max_window_bits > client_bits;
}

static void answer(struct terms *terms, const struct deflate_options *options) {
    if (options->server_no_context_takeover > 0)
        set(terms, SERVER_NO_CONTEXT_TAKEOVER, PRESENT);
    if (options->client_no_context_takeover > 0)
        set(terms, CLIENT_NO_CONTEXT_TAKEOVER, PRESENT);
    if (options->server_max_window_bits > 0)
        set(terms, SERVER_MAX_WINDOW_BITS, options->server_max_window_bits);
    if (options->client_max_window_bits > 0)
        set(terms, CLIENT_MAX_WINDOW_BITS, options->client_max_window_bits);
    else if (terms->values[CLIENT_MAX_WINDOW_BITS] == PRESENT ||
             options->client_max_window_bits == DEFLATE_REFUSE)
        terms->values[CLIENT_MAX_WINDOW_BITS] = 0;
}

int deflate_accept_offer(struct deflate_agreement *agreement, const struct deflate_options *options,
                         const char *header, size_t n, const char **why) {
    struct extension_reader reader;
    struct extension_text name;
    struct terms offer, chosen = {0};
    const char *wrong = NULL;
    bool offered = false, found = false;
    extension_reader_init(&reader, header, n);
    while (extension_next(&reader, &name)) {
        if (!is(&name, NAME))
            continue;
        offered = true;
        const char *error = read_terms(&offer, &reader, true);
        if (!wrong)
            wrong = error;
        if (!error && !found && !declines(options, &offer)) {
            found = true;
            chosen = offer;
        }
    }
    if (reader.error || wrong)
        return refuse(why, reader.error ? reader.error : wrong);
    if (!offered)
        return 0;
    if (!found)
        return refuse(why, "no acceptable offer");
    answer(&chosen, options);
    agree(agreement, &chosen);
    write_terms(agreement->text, &chosen);
    return 1;
}

/* --- The client's side ------------------------------------------------------------------------ */

void deflate_write_offer(char text[DEFLATE_TEXT_SIZE], const struct deflate_options *options) {
    struct terms terms = {0};
    if (options->server_no_context_takeover > 0)
        set(&terms, SERVER_NO_CONTEXT_TAKEOVER, PRESENT);
    if (options->client_no_context_takeover > 0)
        set(&terms, CLIENT_NO_CONTEXT_TAKEOVER, PRESENT);
    if (options->server_max_window_bits > 0)
        set(&terms, SERVER_MAX_WINDOW_BITS, options->server_max_window_bits);
    if (options->client_max_window_bits >= 0)
        set(&terms, CLIENT_MAX_WINDOW_BITS,
            options->client_max_window_bits ? options->client_max_window_bits : PRESENT);
    write_terms(text, &terms);
}

/* NULL if we can live with it. */
static const char *objection(const struct deflate_options *options, const struct terms *response) {
    int most = options->client_max_window_bits, bits = response->values[CLIENT_MAX_WINDOW_BITS];
    if (options->client_no_context_takeover == DEFLATE_REFUSE &&
        response->values[CLIENT_NO_CONTEXT_TAKEOVER])
        return "client_no_context_takeover, which is refused";
    if (bits && most && (most == DEFLATE_REFUSE || bits > most))
        return "client_max_window_bits, which was not offered";
    return NULL;
}

int deflate_accept_response(struct deflate_agreement *agreement,
                            const struct deflate_options *options, const char *header, size_t n,
                            const char **why) {
    struct extension_reader reader;
    struct extension_text name;
    struct terms terms, response = {0};
    const char *wrong = NULL;
    bool foreign = false, found = false;
    extension_reader_init(&reader, header, n);
    while (extension_next(&reader, &name)) {
        if (!is(&name, NAME)) {
            foreign = true;
            continue;
        }
        const char *error = read_terms(&terms, &reader, false);
        if (!wrong)
            wrong = error;
        if (!found)
            response = terms;
        found = true;
    }
    if (reader.error)
        return refuse(why, reader.error);
    if (foreign) {
        *why = "an extension that was not offered";
        return UV_ENOTSUP;
    }
    if (!wrong)
        wrong = objection(options, &response);
    if (wrong)
        return refuse(why, wrong);
    if (!response.values[CLIENT_MAX_WINDOW_BITS] && options->client_max_window_bits > 0)
        set(&response, CLIENT_MAX_WINDOW_BITS, options->client_max_window_bits);
    agree(agreement, &response);
    return 1;
}

/* --- Options ---------------------------------------------------------------------------------- */

static bool are_window_bits(int bits) {
    return bits == 0 || bits == DEFLATE_REFUSE || (bits >= 8 && bits <= 15);
}

const char *deflate_options_check(const struct deflate_options *options) {
    if (!are_window_bits(options->server_max_window_bits))
        return "server_max_window_bits must be between 8 and 15";
    if (!are_window_bits(options->client_max_window_bits))
        return "client_max_window_bits must be between 8 and 15";
    if (options->level < 0 || options->level > 9)
        return "the level of compression must be between 1 and 9";
    if (options->memory_level < 0 || options->memory_level > 9)
        return "the memory level of compression must be between 1 and 9";
    return NULL;
}

bool deflate_is_worthwhile(const struct deflate_options *options, bool no_context_takeover,
                           size_t length) {
    size_t threshold = options->threshold ? options->threshold : 1024;
    return !no_context_takeover || length >= threshold;
}
