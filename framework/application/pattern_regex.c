#include "application/pattern_regex.h"

#include "application/pattern.h"
#include "application/pattern_ecma.h"
#include "application/pattern_parse.h"
#include "application/pattern_text.h"
#include "application/pattern_walk.h"
#include "runtime/arena.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ACACIA_PCRE2

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Steps of the engine. An ordinary expression takes two or three for each byte of a path, of which
 * there are at most 16 KiB. A step is some ten nanoseconds, unless it compares with a long capture.
 */
#define STEPS_MAX 500000
#define STEPS_WITH_REFERENCES_MAX 50000
#define HEAP_MAX (16 * 1024) /* KiB */

struct pattern_regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    size_t count;                         /* of parameters */
    size_t groups[PATTERN_PARAMS_MAX];    /* their groups */
    bool bare_option[PATTERN_PARAMS_MAX]; /* an empty capture stands for an absent one */
};

/* --- Writing ---------------------------------------------------------------------------------- */

struct writer {
    struct pattern_text text;
    const struct pattern_tokens *tokens;
    const struct walk *walk;
    size_t params;                      /* so far */
    size_t numbers[PATTERN_PARAMS_MAX]; /* their groups */
    size_t groups;                      /* all groups so far */
    char **error;
};

static void put(struct writer *writer, const char *text) {
    pattern_text_string(&writer->text, text);
}

/* What a value must be, in PCRE2's syntax. NULL, and perhaps an error, if that can't be said. */
static const char *translate(struct writer *writer, const struct pattern_token *token,
                             const struct ecma_context *context, struct ecma_result *result) {
    struct pattern_text value = {.arena = writer->text.arena};
    if (ecma_translate(&value, token->regex, context, result))
        return pattern_text_end(&value);
    pattern_error(writer->error, "Invalid regular expression at %zu: %s",
                  token->regex_at + result->at, result->reason);
    return NULL;
}

/* "(value)", or if it repeats "(value(?:suffix prefix value)*)". */
static void write_capture(struct writer *writer, const struct pattern_token *token,
                          const char *value, size_t groups) {
    writer->numbers[writer->params++] = ++writer->groups;
    writer->groups += groups;
    pattern_text_format(&writer->text, "((?:%s)", value);
    if (token_repeats(token)) {
        put(writer, "(?:");
        ecma_put_text(&writer->text, token->suffix);
        ecma_put_text(&writer->text, token->prefix);
        pattern_text_format(&writer->text, "(?:%s))*", value);
        writer->groups += groups;
    }
    put(writer, ")");
}

static bool is_bare_option(const struct pattern_token *token) {
    return token->modifier == '?' && !*token->prefix && !*token->suffix;
}

static bool write_param(struct writer *writer, const struct pattern_token *token) {
    const struct ecma_context context = {.sensitive = !writer->walk->fold,
                                         .groups = writer->tokens->params,
                                         .closed = writer->params,
                                         .numbers = writer->numbers};
    struct ecma_result result;
    const char *value = translate(writer, token, &context, &result);
    if (!value)
        return false;
    bool careful = is_bare_option(token) && result.may_start_empty;
    put(writer, "(?:");
    ecma_put_text(&writer->text, token->prefix);
    if (careful) {
        put(writer, ECMA_SOMETHING_FROM);
        writer->groups++;
    }
    write_capture(writer, token, value, result.groups);
    if (careful)
        pattern_text_format(&writer->text, ECMA_SOMETHING_UP_TO,
                            (long)writer->numbers[writer->params - 1] - 1);
    ecma_put_text(&writer->text, token->suffix);
    put(writer, token_is_optional(token) ? ")?" : ")");
    return true;
}

static void write_text(struct writer *writer, const struct pattern_token *token) {
    put(writer, "(?:");
    ecma_put_text(&writer->text, token->text);
    put(writer, ")");
    if (token->modifier && *token->text)
        pattern_text_add(&writer->text, &token->modifier, 1);
}

/* (?=[ends]|\z), with the delimiters as well if they are an end, too. */
static void write_end(struct writer *writer, bool delimited) {
    struct byte_set ends = writer->walk->ends;
    if (delimited)
        byte_set_unite(&ends, &writer->walk->delimiters);
    put(writer, "(?=");
    ecma_put_set(&writer->text, &ends);
    put(writer, "|\\z)");
}

static bool write_all(struct writer *writer) {
    const struct walk *walk = writer->walk;
    /* To look for the start is part of one match: PCRE2 would begin to count anew at each byte. */
    put(writer, walk->any_start ? "\\A[\\x00-\\xff]*?" : "\\A");
    for (size_t i = 0; i < writer->tokens->count; i++) {
        const struct pattern_token *token = &writer->tokens->list[i];
        if (token->text)
            write_text(writer, token);
        else if (!write_param(writer, token))
            return false;
    }
    if (!walk->any_end) {
        if (!walk->strict) {
            ecma_put_set(&writer->text, &walk->delimiters);
            put(writer, "?");
        }
        write_end(writer, false);
    } else if (!walk->end_delimited) {
        write_end(writer, true);
    }
    return true;
}

/* --- Compiling -------------------------------------------------------------------------------- */

/* `place` is where PCRE2's own position, one in what we have written, is of no use: " at 7". */
static pcre2_code *compile(const char *text, bool sensitive, const char *place, char **error) {
    /* Possessive loops would take no step for all that they run through. */
    uint32_t options = PCRE2_MATCH_UNSET_BACKREF | PCRE2_NO_AUTO_POSSESS | PCRE2_NEVER_UTF |
                       PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
    int code;
    PCRE2_SIZE at;
    unsigned char reason[128] = "";
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                      sensitive ? options : options | PCRE2_CASELESS, &code, &at, NULL);
    if (!compiled && code != PCRE2_ERROR_HEAP_FAILED) {
        pcre2_get_error_message(code, reason, sizeof reason);
        pattern_error(error, "Invalid regular expression%s: %s", place, (char *)reason);
    }
    return compiled;
}

static struct pattern_regex *make(struct writer *writer, bool sensitive, const char *place) {
    const char *text = pattern_text_end(&writer->text);
    struct pattern_regex *regex = text ? calloc(1, sizeof *regex) : NULL;
    if (!regex)
        return NULL;
    regex->code = compile(text, sensitive, place, writer->error);
    regex->limits = pcre2_match_context_create(NULL);
    if (!regex->code || !regex->limits) {
        pattern_regex_free(regex);
        return NULL;
    }
    bool refers = strstr(text, "\\g{");
    pcre2_set_match_limit(regex->limits, refers ? STEPS_WITH_REFERENCES_MAX : STEPS_MAX);
    pcre2_set_heap_limit(regex->limits, HEAP_MAX);
    return regex;
}

static void set_groups(struct pattern_regex *regex, const struct writer *writer) {
    memcpy(regex->groups, writer->numbers, sizeof regex->groups);
    for (size_t i = 0; i < writer->tokens->count; i++)
        if (!writer->tokens->list[i].text)
            regex->bare_option[regex->count++] = is_bare_option(&writer->tokens->list[i]);
}

struct pattern_regex *pattern_regex_new(const struct pattern_tokens *tokens,
                                        const struct walk *walk, char **error) {
    struct arena arena;
    arena_init(&arena, NULL);
    struct writer writer = {{.arena = &arena}, tokens, walk, .error = error};
    struct pattern_regex *regex = write_all(&writer) ? make(&writer, !walk->fold, "") : NULL;
    if (regex) {
        set_groups(regex, &writer);
        pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* else it is interpreted */
    }
    arena_release(&arena);
    return regex;
}

struct pattern_regex *pattern_regex_for_value(const struct pattern_tokens *tokens, size_t token,
                                              bool sensitive, char **error) {
    struct arena arena;
    arena_init(&arena, NULL);
    struct writer writer = {{.arena = &arena}, .error = error};
    struct pattern_regex *regex = NULL;
    struct ecma_result result;
    char place[32];
    const char *value = translate(&writer, &tokens->list[token],
                                  &(struct ecma_context){.sensitive = sensitive}, &result);
    if (value) {
        snprintf(place, sizeof place, " at %zu", tokens->list[token].regex_at);
        pattern_text_format(&writer.text, "\\A(?:%s)\\z", value);
        regex = make(&writer, sensitive, place);
    }
    arena_release(&arena);
    return regex;
}

void pattern_regex_free(struct pattern_regex *regex) {
    if (!regex)
        return;
    pcre2_match_context_free(regex->limits);
    pcre2_code_free(regex->code);
    free(regex);
}

/* --- Matching --------------------------------------------------------------------------------- */

static void set_captures(const struct pattern_regex *regex, const char *path,
                         const PCRE2_SIZE *places, struct capture *captures) {
    for (size_t i = 0; i < regex->count; i++) {
        PCRE2_SIZE start = places[2 * regex->groups[i]], end = places[2 * regex->groups[i] + 1];
        if (start == PCRE2_UNSET || (start == end && regex->bare_option[i]))
            captures[i] = (struct capture){NULL, 0};
        else
            captures[i] = (struct capture){path + start, end - start};
    }
}

int pattern_regex_match(const struct pattern_regex *regex, const char *path, size_t length,
                        struct capture *captures) {
    /* Made for each match, since threads can't share one; that takes less time than the match. */
    size_t groups = regex->count > 0 ? regex->groups[regex->count - 1] : 0;
    pcre2_match_data *data = pcre2_match_data_create((uint32_t)groups + 1, NULL);
    if (!data)
        return -ENOMEM;
    PCRE2_SPTR subject = (PCRE2_SPTR)path;
    int found = pcre2_match(regex->code, subject, length, 0, 0, data, regex->limits);
    /* Compiled code has a stack of 32 KiB; the interpreter's grows up to its limit. */
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(regex->code, subject, length, 0, PCRE2_NO_JIT, data, regex->limits);
    if (found >= 0 && captures)
        set_captures(regex, path, pcre2_get_ovector_pointer(data), captures);
    pcre2_match_data_free(data);
    if (found == PCRE2_ERROR_NOMEMORY)
        return -ENOMEM;
    return found >= 0 ? 1 : found == PCRE2_ERROR_NOMATCH ? 0 : -E2BIG;
}

#else

struct pattern_regex *pattern_regex_new(const struct pattern_tokens *tokens,
                                        const struct walk *walk, char **error) {
    return NULL;
}

struct pattern_regex *pattern_regex_for_value(const struct pattern_tokens *tokens, size_t token,
                                              bool sensitive, char **error) {
    pattern_error(error,
                  "Unsupported regular expression at %zu: this Acacia was built without PCRE2, so "
                  "that it can only be one set of characters and a * or a +",
                  tokens->list[token].regex_at);
    return NULL;
}

void pattern_regex_free(struct pattern_regex *regex) {
}

int pattern_regex_match(const struct pattern_regex *regex, const char *path, size_t length,
                        struct capture *captures) {
    return 0;
}

#endif
