#include "application/pattern_ecma.h"

#include "application/pattern_text.h"

#include <limits.h>
#include <string.h>

#define DEPTH_MAX 64         /* groups within groups */
#define QUANTIFIER_MAX 65535 /* of PCRE2 */
#define COPY_MAX 4096        /* bytes of a group that is written twice */

/*
 * PCRE2 and JavaScript differ in what a repeated group may match: "(?:|a)*" takes "aa" in
 * JavaScript, where a round that takes nothing doesn't count, and "" in PCRE2, which stops there.
 * It makes no difference as long as taking nothing is the last thing that a group tries; otherwise
 * PCRE2 is told to go on trying.
 */
enum emptiness {
    NEVER_EMPTY,
    EMPTY_AT_LAST,
    EMPTY_ANYTIME,
};

struct group {
    size_t start;  /* of what has been written for it */
    size_t groups; /* written before it */
    enum { GROUP, LOOKAHEAD, LOOKBEHIND } kind;
    enum emptiness earlier; /* of the alternatives before this one */
    enum emptiness current; /* of this one */
};

struct translation {
    const char *regex, *at;
    const struct ecma_context *context;
    struct pattern_text *to;
    struct ecma_result *result;
    struct group groups[DEPTH_MAX];
    size_t depth;
};

/* What a quantifier can follow, when it has just been written. */
struct atom {
    size_t start;
    size_t groups; /* within it */
    enum emptiness emptiness;
    bool quantifiable;
    bool lookahead;
};

static bool fail(struct translation *t, const char *reason) {
    t->result->reason = reason;
    t->result->at = (size_t)(t->at - t->regex);
    return false;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return byte_lower(c) >= 'a' && byte_lower(c) <= 'z';
}

static void put_byte(struct pattern_text *to, unsigned char byte) {
    if (is_digit((char)byte) || is_letter((char)byte))
        pattern_text_add(to, (char *)&byte, 1);
    else
        pattern_text_format(to, "\\x%02x", byte);
}

void ecma_put_text(struct pattern_text *to, const char *text) {
    for (; *text; text++)
        put_byte(to, (unsigned char)*text);
}

void ecma_put_set(struct pattern_text *to, const struct byte_set *set) {
    bool empty = true;
    for (int first = 0; first < 256; first++) {
        if (!byte_set_has(set, (unsigned char)first))
            continue;
        int last = first;
        while (last < 255 && byte_set_has(set, (unsigned char)(last + 1)))
            last++;
        pattern_text_format(to, "%s\\x%02x-\\x%02x", empty ? "[" : "", first, last);
        empty = false;
        first = last;
    }
    pattern_text_string(to, empty ? "[^\\x00-\\xff]" : "]");
}

/* --- Escapes ---------------------------------------------------------------------------------- */

static int hex_value(char c) {
    if (is_digit(c))
        return c - '0';
    c = byte_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "41" behind "\x"; without its digits, the 'x' is itself. */
static int read_hex(const char **at, int digits, char otherwise) {
    int value = 0;
    for (int i = 0; i < digits; i++) {
        int digit = hex_value((*at)[i]);
        if (digit < 0)
            return otherwise;
        value = 16 * value + digit;
    }
    *at += digits;
    return value;
}

static int read_octal(const char **at) {
    int value = 0;
    for (int i = 0; i < 3 && **at >= '0' && **at <= '7' && value < 32; i++)
        value = 8 * value + *(*at)++ - '0';
    return value;
}

/* "\cJ" is a newline. Without a letter, the '\' is itself, and the 'c' remains. */
static int read_control(const char **at, bool in_class) {
    char c = **at;
    if (is_letter(c) || (in_class && (is_digit(c) || c == '_'))) {
        ++*at;
        return c % 32;
    }
    --*at;
    return '\\';
}

/* The character that an escape stands for, from behind its '\'. Those above 0xFF are in no path. */
static int read_escape(const char **at, bool in_class) {
    char c = *(*at)++;
    switch (c) {
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    case 'b': /* only in a class; elsewhere it is an assertion */
        return in_class ? '\b' : c;
    case 'c':
        return read_control(at, in_class);
    case 'x':
        return read_hex(at, 2, c);
    case 'u':
        return read_hex(at, 4, c);
    default:
        if (c < '0' || c > '7')
            return (unsigned char)c;
        --*at;
        return read_octal(at);
    }
}

/* --- Sets of characters ----------------------------------------------------------------------- */

/* \d, \w, \s and their opposites. Bytes outside of ASCII are neither words nor space. */
static bool named_set(char name, struct byte_set *set) {
    *set = (struct byte_set){0};
    switch (byte_lower(name)) {
    case 'd':
        byte_set_add(set, '0', '9');
        break;
    case 'w':
        byte_set_add(set, '0', '9');
        byte_set_add(set, 'A', 'Z');
        byte_set_add(set, '_', '_');
        byte_set_add(set, 'a', 'z');
        break;
    case 's':
        byte_set_add(set, '\t', '\r');
        byte_set_add(set, ' ', ' ');
        break;
    default:
        return false;
    }
    if (name != byte_lower(name))
        byte_set_invert(set);
    return true;
}

/* What is negative has been added already, and above 0xFF there is nothing. */
static void add_range(struct byte_set *set, int first, int last) {
    if (first >= 0 && first <= 0xFF)
        byte_set_add(set, (unsigned char)first, (unsigned char)(last < 0xFF ? last : 0xFF));
}

/* A character or a named set between brackets: -1 for a set, which is added. */
static int read_class_atom(const char **at, struct byte_set *set) {
    struct byte_set named;
    if (**at != '\\')
        return (unsigned char)*(*at)++;
    ++*at;
    if (!named_set(**at, &named))
        return read_escape(at, true);
    ++*at;
    byte_set_unite(set, &named);
    return -1;
}

/* The reason why it is wrong; NULL if it is not. */
static const char *read_class(const char **at, bool sensitive, struct byte_set *set) {
    static const char unterminated[] = "Unterminated character class";
    *set = (struct byte_set){0};
    bool negated = **at == '^';
    *at += negated;
    while (**at != ']') {
        if (**at == '\0' || (**at == '\\' && (*at)[1] == '\0'))
            return unterminated;
        int first = read_class_atom(at, set), last = first;
        bool range = **at == '-' && (*at)[1] != ']';
        if (range) {
            ++*at;
            if (**at == '\0' || (**at == '\\' && (*at)[1] == '\0'))
                return unterminated;
            last = read_class_atom(at, set);
        }
        if (range && (first < 0 || last < 0)) { /* "\w-z" is no range */
            byte_set_add(set, '-', '-');
            add_range(set, first, first);
            add_range(set, last, last);
        } else if (first > last) {
            return "Range out of order in character class";
        } else {
            add_range(set, first, last);
        }
    }
    ++*at;
    if (!sensitive)
        byte_set_fold(set);
    if (negated)
        byte_set_invert(set);
    return NULL;
}

/* What stands for one byte of a set: ".", "\d", "[a-z]". False, and no reason, if it is something
 * else. */
static bool read_set(const char **at, bool sensitive, struct byte_set *set, const char **reason) {
    *reason = NULL;
    if (**at == '.') {
        ++*at;
        *set = (struct byte_set){0};
        byte_set_add(set, '\n', '\n');
        byte_set_add(set, '\r', '\r');
        byte_set_invert(set);
        return true;
    }
    if (**at == '[') {
        ++*at;
        *reason = read_class(at, sensitive, set);
        return !*reason;
    }
    bool named = **at == '\\' && named_set((*at)[1], set);
    *at += named ? 2 : 0;
    return named;
}

bool ecma_is_span(const char *regex, bool sensitive, struct ecma_span *span) {
    const char *reason;
    if (!read_set(&regex, sensitive, &span->set, &reason) || (*regex != '*' && *regex != '+'))
        return false;
    span->may_be_empty = *regex++ == '*';
    span->greedy = *regex != '?';
    return strcmp(regex, span->greedy ? "" : "?") == 0;
}

/* --- Quantifiers ------------------------------------------------------------------------------ */

struct quantifier {
    unsigned min, max; /* UINT_MAX: any number */
    bool lazy;
};

static unsigned read_number(const char **at) {
    unsigned value = 0;
    for (; is_digit(**at); ++*at)
        value = value > UINT_MAX / 20 ? UINT_MAX / 2 : 10 * value + (unsigned)(**at - '0');
    return value;
}

/* "{2}", "{2,}" or "{2,5}". Everything else that begins with a '{' is text. */
static bool read_interval(const char **start, struct quantifier *quantifier) {
    const char *at = *start + 1;
    if (!is_digit(*at))
        return false;
    quantifier->min = quantifier->max = read_number(&at);
    if (*at == ',') {
        at++;
        quantifier->max = is_digit(*at) ? read_number(&at) : UINT_MAX;
    }
    if (*at != '}')
        return false;
    *start = at + 1;
    return true;
}

static bool read_quantifier(const char **at, struct quantifier *quantifier) {
    switch (**at) {
    case '*':
        *quantifier = (struct quantifier){0, UINT_MAX, false};
        break;
    case '+':
        *quantifier = (struct quantifier){1, UINT_MAX, false};
        break;
    case '?':
        *quantifier = (struct quantifier){0, 1, false};
        break;
    case '{':
        return read_interval(at, quantifier);
    default:
        return false;
    }
    ++*at;
    return true;
}

static enum emptiness quantified(enum emptiness emptiness, const struct quantifier *quantifier) {
    if (quantifier->max == 0)
        return EMPTY_AT_LAST;
    if (quantifier->min > 0 && emptiness == NEVER_EMPTY)
        return NEVER_EMPTY;
    if (quantifier->min == quantifier->max || (quantifier->min > 0 && emptiness == EMPTY_ANYTIME))
        return emptiness;
    return quantifier->lazy ? EMPTY_ANYTIME : EMPTY_AT_LAST;
}

static void put_quantifier(struct pattern_text *to, const struct quantifier *quantifier) {
    pattern_text_format(to, "{%u,", quantifier->min);
    if (quantifier->max != UINT_MAX)
        pattern_text_format(to, "%u", quantifier->max);
    pattern_text_string(to, quantifier->lazy ? "}?" : "}");
}

/* What isn't required must take something, in each of its rounds. */
static bool put_careful_quantifier(struct translation *t, const struct atom *atom,
                                   const struct quantifier *quantifier) {
    size_t length = t->to->length - atom->start;
    if (t->to->failed)
        return true;
    if (length > COPY_MAX)
        return fail(t, "a group that may be empty is too long to be repeated");
    char group[COPY_MAX + 1];
    memcpy(group, t->to->data + atom->start, length);
    group[length] = '\0';
    t->to->length = atom->start;
    if (quantifier->min > 0) {
        pattern_text_format(t->to, "%s{%u}", group, quantifier->min);
        t->result->groups += atom->groups;
    }
    pattern_text_format(t->to, "(?:" ECMA_SOMETHING_FROM "%s" ECMA_SOMETHING_UP_TO ")", group,
                        -1 - (long)atom->groups);
    t->result->groups++;
    unsigned more = quantifier->max == UINT_MAX ? UINT_MAX : quantifier->max - quantifier->min;
    put_quantifier(t->to, &(struct quantifier){0, more, quantifier->lazy});
    return true;
}

static bool quantify(struct translation *t, struct atom *atom) {
    struct quantifier quantifier;
    if (!atom->quantifiable || !read_quantifier(&t->at, &quantifier))
        return true;
    if (quantifier.max < quantifier.min)
        return fail(t, "numbers out of order in {} quantifier");
    if (quantifier.min > QUANTIFIER_MAX ||
        (quantifier.max > QUANTIFIER_MAX && quantifier.max != UINT_MAX))
        return fail(t, "number too big in {} quantifier");
    quantifier.lazy = *t->at == '?';
    t->at += quantifier.lazy;
    if (atom->lookahead) {
        /* It takes nothing, so that it is looked at once, or not at all. */
        if (quantifier.min == 0) {
            t->to->length = atom->start;
            t->result->groups -= atom->groups;
            pattern_text_string(t->to, "(?:)");
        }
        return true;
    }
    if (atom->emptiness != EMPTY_ANYTIME || quantifier.min == quantifier.max)
        put_quantifier(t->to, &quantifier);
    else if (!put_careful_quantifier(t, atom, &quantifier))
        return false;
    atom->emptiness = quantified(atom->emptiness, &quantifier);
    return true;
}

/* --- Groups ----------------------------------------------------------------------------------- */

static enum emptiness in_sequence(enum emptiness a, enum emptiness b) {
    if (a == NEVER_EMPTY || b == NEVER_EMPTY)
        return NEVER_EMPTY;
    return a == EMPTY_ANYTIME || b == EMPTY_ANYTIME ? EMPTY_ANYTIME : EMPTY_AT_LAST;
}

static struct group *current_group(struct translation *t) {
    return &t->groups[t->depth];
}

static enum emptiness group_emptiness(const struct group *group) {
    return group->earlier == NEVER_EMPTY ? group->current : EMPTY_ANYTIME;
}

static bool open_group(struct translation *t) {
    static const struct {
        const char *text;
        int kind;
    } openings[] = {{"(?:", GROUP},
                    {"(?=", LOOKAHEAD},
                    {"(?!", LOOKAHEAD},
                    {"(?<=", LOOKBEHIND},
                    {"(?<!", LOOKBEHIND}};
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
        size_t length = strlen(openings[i].text);
        if (strncmp(t->at, openings[i].text, length) != 0)
            continue;
        if (t->depth + 1 == DEPTH_MAX)
            return fail(t, "too many groups within groups");
        t->groups[++t->depth] = (struct group){t->to->length, t->result->groups, openings[i].kind,
                                               NEVER_EMPTY, EMPTY_AT_LAST};
        pattern_text_string(t->to, openings[i].text);
        t->at += length;
        return true;
    }
    bool captures = t->at[1] != '?' || t->at[2] == '<';
    return fail(t, captures ? "Capturing groups are not allowed" : "Invalid group");
}

static bool close_group(struct translation *t, struct atom *atom) {
    const struct group *group = current_group(t);
    if (t->depth == 0)
        return fail(t, "Unmatched ')'");
    atom->start = group->start;
    atom->groups = t->result->groups - group->groups;
    atom->emptiness = group->kind == GROUP ? group_emptiness(group) : EMPTY_AT_LAST;
    atom->lookahead = group->kind == LOOKAHEAD;
    atom->quantifiable = group->kind != LOOKBEHIND;
    pattern_text_string(t->to, ")");
    t->depth--;
    t->at++;
    return true;
}

static void next_alternative(struct translation *t) {
    struct group *group = current_group(t);
    if (group->current != NEVER_EMPTY)
        group->earlier = EMPTY_ANYTIME;
    group->current = EMPTY_AT_LAST;
    pattern_text_string(t->to, "|");
    t->at++;
}

/* --- Atoms ------------------------------------------------------------------------------------ */

/* ^, $, \b and \B. */
static bool translate_assertion(struct translation *t) {
    static const char *const assertions[][2] = {
        {"^", "\\A"}, {"$", "\\z"}, {"\\b", "\\b"}, {"\\B", "\\B"}};
    for (size_t i = 0; i < sizeof assertions / sizeof *assertions; i++) {
        size_t length = strlen(assertions[i][0]);
        if (strncmp(t->at, assertions[i][0], length) == 0) {
            pattern_text_string(t->to, assertions[i][1]);
            t->at += length;
            return true;
        }
    }
    return false;
}

/* "\1", if there is such a group; otherwise it is an octal number. One that hasn't been closed yet
 * is empty. */
static bool translate_reference(struct translation *t) {
    const char *at = t->at + 1;
    if (*t->at != '\\' || *at < '1' || *at > '9')
        return false;
    unsigned number = read_number(&at);
    if (number > t->context->groups)
        return false;
    if (number <= t->context->closed)
        pattern_text_format(t->to, "\\g{%zu}", t->context->numbers[number - 1]);
    else
        pattern_text_string(t->to, "(?:)");
    t->at = at;
    return true;
}

static void translate_character(struct translation *t) {
    int c = (unsigned char)*t->at++;
    if (c == '\\')
        c = read_escape(&t->at, false);
    if (c <= 0xFF)
        put_byte(t->to, (unsigned char)c);
    else
        ecma_put_set(t->to, &(struct byte_set){0});
}

/* All but groups. */
static bool translate_atom(struct translation *t, struct atom *atom) {
    struct byte_set set;
    const char *reason, *start = t->at;
    struct quantifier quantifier;
    *atom = (struct atom){.start = t->to->length, .emptiness = EMPTY_AT_LAST};
    if (translate_assertion(t))
        return true;
    atom->quantifiable = true;
    if (translate_reference(t))
        return true;
    atom->emptiness = NEVER_EMPTY;
    if (read_set(&t->at, t->context->sensitive, &set, &reason)) {
        ecma_put_set(t->to, &set);
        return true;
    }
    if (reason) {
        t->at = start;
        return fail(t, reason);
    }
    if (read_quantifier(&(const char *){t->at}, &quantifier))
        return fail(t, "Nothing to repeat");
    if (strcmp(t->at, "\\") == 0)
        return fail(t, "\\ at end of pattern");
    translate_character(t);
    return true;
}

bool ecma_translate(struct pattern_text *to, const char *regex, const struct ecma_context *context,
                    struct ecma_result *result) {
    struct translation t = {
        .regex = regex, .at = regex, .context = context, .to = to, .result = result};
    *result = (struct ecma_result){0};
    *current_group(&t) = (struct group){to->length, 0, GROUP, NEVER_EMPTY, EMPTY_AT_LAST};
    while (*t.at) {
        struct atom atom = {0};
        if (*t.at == '|') {
            next_alternative(&t);
            continue;
        }
        if (*t.at == '(') {
            if (!open_group(&t))
                return false;
            continue;
        }
        bool good = *t.at == ')' ? close_group(&t, &atom) : translate_atom(&t, &atom);
        if (!good || !quantify(&t, &atom))
            return false;
        struct group *group = current_group(&t);
        group->current = in_sequence(group->current, atom.emptiness);
    }
    if (t.depth > 0)
        return fail(&t, "Unterminated group");
    result->may_start_empty = group_emptiness(current_group(&t)) == EMPTY_ANYTIME;
    return true;
}
