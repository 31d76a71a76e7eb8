#include "application/pattern_parse.h"

#include "application/pattern.h"
#include "application/pattern_text.h"
#include "runtime/arena.h"

#include <stdint.h>
#include <string.h>

/* --- The characters of a pattern, and what they are ------------------------------------------- */

enum lexeme_type {
    LEXEME_CHAR,
    LEXEME_ESCAPED_CHAR,
    LEXEME_NAME,
    LEXEME_PATTERN,
    LEXEME_MODIFIER,
    LEXEME_OPEN,
    LEXEME_CLOSE,
    LEXEME_END,
};

static const char *const lexeme_names[] = {
    "CHAR", "ESCAPED_CHAR", "NAME", "PATTERN", "MODIFIER", "OPEN", "CLOSE", "END",
};

struct lexeme {
    enum lexeme_type type;
    size_t at;         /* where it begins */
    const char *value; /* without what only marks it, like ':' */
    size_t length;
};

struct lexer {
    const char *source;
    size_t at;
};

static size_t name_length(const char *name) {
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

/* From the '(' at lexeme->at to the ')' that closes it. Brackets mean nothing here: the ')' in
 * "([)])" does close. */
static bool lex_regex(struct lexer *lexer, struct lexeme *lexeme, char **error) {
    const char *source = lexer->source;
    size_t at = lexeme->at + 1;
    int depth = 1;
    if (source[at] == '?')
        return pattern_error(error, "Pattern cannot start with \"?\" at %zu", at);
    for (; source[at]; at++) {
        if (source[at] == '\\') {
            if (!source[++at])
                break;
        } else if (source[at] == ')') {
            if (--depth == 0)
                break;
        } else if (source[at] == '(') {
            depth++;
            if (source[at + 1] != '?')
                return pattern_error(error, "Capturing groups are not allowed at %zu", at);
        }
    }
    if (depth > 0)
        return pattern_error(error, "Unbalanced pattern at %zu", lexeme->at);
    if (at == lexeme->at + 1)
        return pattern_error(error, "Missing pattern at %zu", lexeme->at);
    lexeme->value = source + lexeme->at + 1;
    lexeme->length = at - lexeme->at - 1;
    lexer->at = at + 1;
    return true;
}

static bool lex_name(struct lexer *lexer, struct lexeme *lexeme, char **error) {
    lexeme->value = lexer->source + lexeme->at + 1;
    lexeme->length = name_length(lexeme->value);
    lexer->at = lexeme->at + 1 + lexeme->length;
    return lexeme->length > 0 || pattern_error(error, "Missing parameter name at %zu", lexeme->at);
}

static enum lexeme_type type_of(char c) {
    switch (c) {
    case '\\':
        return LEXEME_ESCAPED_CHAR;
    case ':':
        return LEXEME_NAME;
    case '(':
        return LEXEME_PATTERN;
    case '?':
    case '*':
    case '+':
        return LEXEME_MODIFIER;
    case '{':
        return LEXEME_OPEN;
    case '}':
        return LEXEME_CLOSE;
    default:
        return LEXEME_CHAR;
    }
}

static bool lex(struct lexer *lexer, struct lexeme *lexeme, char **error) {
    const char *at = lexer->source + lexer->at;
    *lexeme = (struct lexeme){LEXEME_END, lexer->at, at, 0};
    /* Behind a '\' at the end of the source we are past it. */
    if ((lexer->at > 0 && at[-1] == '\0') || *at == '\0')
        return true;
    lexeme->type = type_of(*at);
    if (lexeme->type == LEXEME_NAME)
        return lex_name(lexer, lexeme, error);
    if (lexeme->type == LEXEME_PATTERN)
        return lex_regex(lexer, lexeme, error);
    if (lexeme->type == LEXEME_ESCAPED_CHAR)
        lexeme->value = ++at;
    /* A '\' at the end is a character that isn't there, and counts for one all the same. */
    lexeme->length = *at != '\0';
    lexer->at = (size_t)(at - lexer->source) + 1;
    return true;
}

/* --- Tokens ----------------------------------------------------------------------------------- */

struct parser {
    struct pattern_tokens *tokens;
    struct arena *arena;
    const struct pattern_options *options;
    char **error;
    struct lexer lexer;
    struct lexeme next;
    struct pattern_text path; /* the text that is being collected */
    size_t unnamed;
};

static void advance(struct parser *parser) {
    lex(&parser->lexer, &parser->next, parser->error);
}

/* The next lexeme, if it is of that type. */
static bool take(struct parser *parser, enum lexeme_type type, struct lexeme *lexeme) {
    *lexeme = (struct lexeme){0};
    if (parser->next.type != type)
        return false;
    *lexeme = parser->next;
    if (type != LEXEME_END)
        advance(parser);
    return true;
}

static bool require(struct parser *parser, enum lexeme_type type) {
    struct lexeme lexeme;
    return take(parser, type, &lexeme) ||
           pattern_error(parser->error, "Unexpected %s at %zu, expected %s",
                         lexeme_names[parser->next.type], parser->next.at, lexeme_names[type]);
}

static char take_modifier(struct parser *parser) {
    struct lexeme modifier;
    return take(parser, LEXEME_MODIFIER, &modifier) ? *modifier.value : '\0';
}

static struct pattern_token *add_token(struct parser *parser) {
    struct pattern_tokens *tokens = parser->tokens;
    size_t size = sizeof *tokens->list, capacity = tokens->count;
    if ((capacity & (capacity - 1)) == 0) { /* a power of two, or none: it is full */
        struct pattern_token *list = arena_resize(parser->arena, tokens->list, capacity * size,
                                                  (capacity ? 2 * capacity : 1) * size);
        if (!list)
            return NULL;
        tokens->list = list;
    }
    struct pattern_token *token = &tokens->list[tokens->count++];
    *token = (struct pattern_token){0};
    return token;
}

/* The text that has been collected becomes a token, if there is any. */
static bool flush(struct parser *parser) {
    if (parser->path.length == 0)
        return !parser->path.failed;
    struct pattern_token *token = add_token(parser);
    if (token)
        token->text = arena_copy(parser->arena, parser->path.data, parser->path.length);
    parser->path.length = 0;
    return token && token->text;
}

/* All text up to something else. */
static const char *take_text(struct parser *parser) {
    struct pattern_text text = {.arena = parser->arena};
    struct lexeme c;
    do {
        if (!take(parser, LEXEME_CHAR, &c))
            take(parser, LEXEME_ESCAPED_CHAR, &c);
        pattern_text_add(&text, c.value, c.length);
    } while (c.length > 0);
    return pattern_text_end(&text);
}

/* --- Parameters ------------------------------------------------------------------------------- */

static void add_escaped(struct pattern_text *text, const char *string) {
    for (; *string; string++) {
        if (strchr(".+*?=^!:${}()[]|/\\", *string))
            pattern_text_add(text, "\\", 1);
        pattern_text_add(text, string, 1);
    }
}

/* What a value is when the pattern doesn't say: all up to the next delimiter. If what separates it
 * from the value before has no delimiter in it, that may not begin in the value, or it could not be
 * told which of its places is the separator. */
static bool set_default_regex(struct parser *parser, struct pattern_token *token,
                              const struct pattern_token *before) {
    const char *delimiter = parser->options->delimiter;
    const char *separator = *token->prefix ? token->prefix : "";
    if (!*separator && before && before->text && !before->group)
        separator = before->text;
    if (!*separator && before)
        return pattern_error(parser->error,
                             "Must have text between two parameters, missing text after \"%s\"",
                             before->name ? before->name : "");
    token->avoid = strpbrk(separator, delimiter) ? "" : separator;
    struct pattern_text regex = {.arena = parser->arena};
    if (*token->avoid) {
        pattern_text_string(&regex, "(?:(?!");
        add_escaped(&regex, token->avoid);
        pattern_text_string(&regex, ")");
    }
    pattern_text_string(&regex, "[^");
    add_escaped(&regex, delimiter);
    pattern_text_string(&regex, *token->avoid ? "])+?" : "]+?");
    token->regex = pattern_text_end(&regex);
    return token->regex;
}

/* Fill in a parameter whose prefix is known. `name` and `regex` are empty where there is none. */
static bool set_param(struct parser *parser, struct pattern_token *token, const struct lexeme *name,
                      const struct lexeme *regex) {
    size_t index = (size_t)(token - parser->tokens->list);
    if (++parser->tokens->params > PATTERN_PARAMS_MAX)
        return pattern_error(parser->error, "More than %d parameters at %zu", PATTERN_PARAMS_MAX,
                             name->length ? name->at : regex->at);
    if (name->length > 0) {
        token->name = arena_copy(parser->arena, name->value, name->length);
    } else {
        struct pattern_text number = {.arena = parser->arena};
        pattern_text_format(&number, "%zu", parser->unnamed++);
        token->name = pattern_text_end(&number);
    }
    if (!token->name)
        return false;
    if (regex->length == 0)
        return set_default_regex(parser, token, index > 0 ? token - 1 : NULL);
    token->regex = arena_copy(parser->arena, regex->value, regex->length);
    token->regex_at = regex->at + 1;
    return token->regex;
}

/* ":name", "(regex)" or both; `before` is the character before it, which may be its prefix. */
static bool parse_param(struct parser *parser, const struct lexeme *before,
                        const struct lexeme *name, const struct lexeme *regex) {
    bool is_prefix = before->length > 0 && strchr(parser->options->prefixes, *before->value);
    if (!is_prefix)
        pattern_text_add(&parser->path, before->value, before->length);
    struct pattern_token *token = flush(parser) ? add_token(parser) : NULL;
    if (!token)
        return false;
    token->prefix = is_prefix ? arena_copy(parser->arena, before->value, 1) : "";
    token->suffix = "";
    if (!token->prefix || !set_param(parser, token, name, regex))
        return false;
    token->modifier = take_modifier(parser);
    return true;
}

/* "{prefix :name(regex) suffix}", behind its '{'. */
static bool parse_group(struct parser *parser) {
    struct pattern_token *token = add_token(parser);
    const char *prefix = take_text(parser), *suffix;
    struct lexeme name, regex;
    take(parser, LEXEME_NAME, &name);
    take(parser, LEXEME_PATTERN, &regex);
    suffix = take_text(parser);
    if (!token || !prefix || !suffix || !require(parser, LEXEME_CLOSE))
        return false;
    token->prefix = prefix;
    token->suffix = suffix;
    token->group = true;
    if (name.length == 0 && regex.length == 0)
        token->text = prefix;
    else if (!set_param(parser, token, &name, &regex))
        return false;
    token->modifier = take_modifier(parser);
    return true;
}

static bool parse(struct parser *parser) {
    for (;;) {
        struct lexeme c, name, regex, open;
        take(parser, LEXEME_CHAR, &c);
        take(parser, LEXEME_NAME, &name);
        take(parser, LEXEME_PATTERN, &regex);
        if (name.length > 0 || regex.length > 0) {
            if (!parse_param(parser, &c, &name, &regex))
                return false;
            continue;
        }
        if (c.length == 0)
            take(parser, LEXEME_ESCAPED_CHAR, &c);
        if (c.length > 0) {
            pattern_text_add(&parser->path, c.value, c.length);
            continue;
        }
        if (!flush(parser))
            return false;
        if (!take(parser, LEXEME_OPEN, &open))
            return require(parser, LEXEME_END);
        if (!parse_group(parser))
            return false;
    }
}

bool pattern_parse(struct pattern_tokens *tokens, struct arena *arena, const char *source,
                   const struct pattern_options *options, char **error) {
    struct parser parser = {tokens, arena, options, error, .path = {.arena = arena}};
    *tokens = (struct pattern_tokens){0};
    /* What is wrong with one lexeme is told before what is wrong with their order. */
    parser.lexer = (struct lexer){source, 0};
    do {
        if (!lex(&parser.lexer, &parser.next, error))
            return false;
    } while (parser.next.type != LEXEME_END);
    parser.lexer = (struct lexer){source, 0};
    advance(&parser);
    return parse(&parser);
}
