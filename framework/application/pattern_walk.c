#include "application/pattern_walk.h"

#include "application/pattern.h"
#include "application/pattern_parse.h"
#include "application/pattern_text.h"
#include "runtime/arena.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* --- Preparing -------------------------------------------------------------------------------- */

/* `first` and `second`, one after the other. */
static bool set_text(struct walk *walk, struct arena *arena, struct walk_text *text,
                     const char *first, const char *second) {
    struct pattern_text joined = {.arena = arena};
    pattern_text_string(&joined, first);
    pattern_text_string(&joined, second);
    text->start = pattern_text_end(&joined);
    text->length = joined.length;
    for (size_t i = 0; text->start && walk->fold && i < text->length; i++)
        joined.data[i] = byte_lower(joined.data[i]);
    return text->start;
}

static bool set_param(struct walk *walk, struct arena *arena, struct walk_step *step,
                      const struct pattern_token *token) {
    step->is_param = true;
    if (token->avoid) {
        step->simple = true;
        step->span.set = walk->delimiters;
        byte_set_invert(&step->span.set);
    } else {
        step->simple = ecma_is_span(token->regex, !walk->fold, &step->span);
    }
    /* In JavaScript a group that is optional is left out rather than taken empty. */
    bool bare = step->optional && !*token->prefix && !*token->suffix;
    step->may_be_empty = step->span.may_be_empty && !bare;
    return set_text(walk, arena, &step->before, token->prefix, "") &&
           set_text(walk, arena, &step->after, token->suffix, "") &&
           set_text(walk, arena, &step->between, token->suffix, token->prefix) &&
           set_text(walk, arena, &step->avoid, token->avoid ? token->avoid : "", "");
}

static bool set_step(struct walk *walk, struct arena *arena, struct walk_step *step,
                     const struct pattern_token *token) {
    *step =
        (struct walk_step){.optional = token_is_optional(token), .repeats = token_repeats(token)};
    if (!token->text)
        return set_param(walk, arena, step, token);
    step->simple = true;
    step->repeats = step->repeats && *token->text; /* "{}*" is nothing, once or often */
    return set_text(walk, arena, &step->before, token->text, "");
}

/* Does the pattern end with a delimiter? The brackets and the '\' come from path-to-regexp, which
 * looks for it in the regular expression of the delimiters. */
static bool ends_with_delimiter(const struct pattern_tokens *tokens, const char *delimiter) {
    if (tokens->count == 0)
        return true;
    const struct pattern_token *last = &tokens->list[tokens->count - 1];
    if (!last->text || last->group)
        return false;
    char c = last->text[strlen(last->text) - 1];
    return c == '[' || c == ']' || strchr(delimiter, c) ||
           (c == '\\' && strpbrk(delimiter, ".+*?=^!:${}()[]|/\\"));
}

static bool set_bytes(struct byte_set *set, const char *list, bool fold, const char *option,
                      char **error) {
    if (!byte_set_list(set, list))
        return pattern_error(error, "Range out of order in the option %s", option);
    if (fold)
        byte_set_fold(set);
    return true;
}

/* Is there only one place where this step can end? For a value that is where it can't go on, if
 * what follows begins with what it doesn't take. */
static bool is_certain(const struct walk *walk, size_t index) {
    const struct walk_step *step = &walk->steps[index];
    const struct walk_text *next = &step->after;
    if (step->optional || step->repeats)
        return false;
    if (!step->is_param)
        return true;
    if (next->length == 0 && index + 1 < walk->count)
        next = &step[1].before;
    if (next->length > 0)
        return !byte_set_has(&step->span.set, (unsigned char)next->start[0]);
    return index + 1 == walk->count && !byte_set_overlap(&step->span.set, &walk->delimiters) &&
           !byte_set_overlap(&step->span.set, &walk->ends);
}

static bool is_straight(const struct walk *walk) {
    bool straight = walk->simple && !walk->any_start && walk->count > 0;
    for (size_t i = 0; i + 1 < walk->count; i++)
        straight = straight && is_certain(walk, i);
    if (!straight || is_certain(walk, walk->count - 1))
        return straight;
    const struct walk_step *last = &walk->steps[walk->count - 1];
    return last->is_param && last->span.greedy && last->after.length == 0 && !last->optional &&
           !last->repeats;
}

bool walk_init(struct walk *walk, struct arena *arena, const struct pattern_tokens *tokens,
               const struct pattern_options *options, char **error) {
    *walk = (struct walk){
        .steps = arena_alloc(arena, tokens->count * sizeof *walk->steps),
        .count = tokens->count,
        .simple = true,
        .fold = !options->sensitive,
        .strict = options->strict,
        .any_start = options->no_start,
        .any_end = options->no_end,
        .end_delimited = ends_with_delimiter(tokens, options->delimiter),
    };
    if (!walk->steps ||
        !set_bytes(&walk->delimiters, options->delimiter, walk->fold, "delimiter", error) ||
        !set_bytes(&walk->ends, options->ends_with, walk->fold, "ends_with", error))
        return false;
    for (size_t i = 0; i < tokens->count; i++) {
        if (!set_step(walk, arena, &walk->steps[i], &tokens->list[i]))
            return false;
        walk->simple = walk->simple && walk->steps[i].simple;
    }
    walk->straight = is_straight(walk);
    walk->plain = walk->straight && walk->count == 1 && !walk->steps[0].is_param;
    return true;
}

/* --- Looking at the path ---------------------------------------------------------------------- */

struct match {
    const struct walk *walk;
    const char *path;
    size_t length;
    size_t low; /* no position before this one counts */
    size_t words;
    uint64_t *rows;
};

static bool text_at(const struct match *match, const struct walk_text *text, size_t at) {
    if (text->length > match->length - at)
        return false;
    const char *path = match->path + at;
    if (!match->walk->fold)
        return memcmp(path, text->start, text->length) == 0;
    for (size_t i = 0; i < text->length; i++)
        if (byte_lower(path[i]) != text->start[i])
            return false;
    return true;
}

static bool set_at(const struct match *match, const struct byte_set *bytes, size_t at) {
    return at < match->length && byte_set_has(bytes, (unsigned char)match->path[at]);
}

/* May the pattern end here? */
static bool is_end(const struct match *match, size_t at) {
    const struct walk *walk = match->walk;
    bool delimiter = set_at(match, &walk->delimiters, at);
    if (at == match->length || set_at(match, &walk->ends, at))
        return true;
    if (walk->any_end)
        return delimiter || walk->end_delimited;
    return delimiter && !walk->strict &&
           (at + 1 == match->length || set_at(match, &walk->ends, at + 1));
}

/* Can a value go on with this byte? */
static bool value_takes(const struct match *match, const struct walk_step *step, size_t at) {
    return set_at(match, &step->span.set, at) &&
           (step->avoid.length == 0 || !text_at(match, &step->avoid, at));
}

/* --- Without a choice ------------------------------------------------------------------------- */

/* One pass is enough for most patterns. Negative if the last value can't go up to the end of the
 * path, so that there is something to choose after all. */
static int match_straight(const struct match *match, struct capture *captures) {
    const struct walk *walk = match->walk;
    size_t at = 0;
    for (size_t i = 0; i < walk->count; i++) {
        const struct walk_step *step = &walk->steps[i];
        if (!text_at(match, &step->before, at))
            return 0;
        at += step->before.length;
        if (!step->is_param)
            continue;
        size_t start = at;
        while (value_takes(match, step, at))
            at++;
        if (at == start && !step->may_be_empty)
            return 0;
        if (!text_at(match, &step->after, at))
            return 0;
        *captures++ = (struct capture){match->path + start, at - start};
        at += step->after.length;
    }
    if (at == match->length)
        return 1;
    return is_certain(walk, walk->count - 1) ? is_end(match, at) : -1;
}

/* --- With choices ----------------------------------------------------------------------------- */

/*
 * First from right to left: for each step and each position of the path, can all from that step on
 * be matched from there? Then from left to right: each step has its choices, in an order, and takes
 * the first one from where the rest can be matched. That is what an engine finds by trying, but
 * nothing is ever tried twice.
 *
 * Each step has two rows of bits, one for each position up to the end of the path. In the row
 * "from" are the positions where the step can begin. In the row "inside" are, for a parameter,
 * those where a value can end or go on; for text, those where it has been matched often enough. One
 * more row stands for the end of the pattern.
 */
static uint64_t *from_row(const struct match *match, size_t step) {
    return match->rows + 2 * step * match->words;
}

static uint64_t *inside_row(const struct match *match, size_t step) {
    return match->rows + (2 * step + 1) * match->words;
}

static bool has(const uint64_t *row, size_t at) {
    return row[at / 64] >> (at % 64) & 1;
}

static void set(uint64_t *row, size_t at, bool value) {
    row[at / 64] |= (uint64_t)value << (at % 64);
}

/* Is the text here, and does it lead to a position in the row? Few positions are in one. */
static bool text_leads(const struct match *match, const struct walk_text *text, size_t at,
                       const uint64_t *row) {
    return text->length <= match->length - at && has(row, at + text->length) &&
           text_at(match, text, at);
}

/* --- Values ----------------------------------------------------------------------------------- */

/* Can a value begin here, so that the rest can be matched? */
static bool value_begins(const struct match *match, size_t index, size_t at) {
    const struct walk_step *step = &match->walk->steps[index];
    if (step->may_be_empty)
        return has(inside_row(match, index), at);
    return value_takes(match, step, at) && has(inside_row(match, index), at + 1);
}

static bool value_repeats(const struct match *match, size_t index, size_t at) {
    const struct walk_step *step = &match->walk->steps[index];
    return step->repeats && text_at(match, &step->between, at) &&
           value_begins(match, index, at + step->between.length);
}

/* Can a value end here, so that the rest can be matched? */
static bool value_ends(const struct match *match, size_t index, size_t at) {
    const struct walk_step *step = &match->walk->steps[index];
    return text_leads(match, &step->after, at, from_row(match, index + 1)) ||
           value_repeats(match, index, at);
}

/* --- From right to left ----------------------------------------------------------------------- */

static void fill_text(const struct match *match, size_t index) {
    const struct walk_step *step = &match->walk->steps[index];
    uint64_t *from = from_row(match, index), *inside = inside_row(match, index);
    const uint64_t *next = from_row(match, index + 1);
    for (size_t at = match->length + 1; at-- > match->low;) {
        bool last = has(next, at);
        set(inside, at, last); /* which the text may lead to, if there is none */
        bool leads = text_leads(match, &step->before, at, inside);
        set(inside, at, leads && step->repeats);
        set(from, at, leads || (last && step->optional));
    }
}

static void fill_param(const struct match *match, size_t index) {
    const struct walk_step *step = &match->walk->steps[index];
    uint64_t *from = from_row(match, index), *inside = inside_row(match, index);
    const uint64_t *next = from_row(match, index + 1);
    for (size_t at = match->length + 1; at-- > match->low;) {
        set(inside, at,
            value_ends(match, index, at) || (value_takes(match, step, at) && has(inside, at + 1)));
        set(from, at,
            (text_at(match, &step->before, at) &&
             value_begins(match, index, at + step->before.length)) ||
                (step->optional && has(next, at)));
    }
}

static void fill(const struct match *match, size_t first) {
    size_t count = match->walk->count;
    memset(from_row(match, first), 0,
           (2 * (count - first) + 1) * match->words * sizeof *match->rows);
    uint64_t *end = from_row(match, count);
    for (size_t at = match->low; at <= match->length; at++)
        set(end, at, is_end(match, at));
    for (size_t i = count; i-- > first;) {
        if (match->walk->steps[i].is_param)
            fill_param(match, i);
        else
            fill_text(match, i);
    }
}

/* --- From left to right ----------------------------------------------------------------------- */

/* Text is repeated as often as it can be. */
static size_t take_text(const struct match *match, size_t index, size_t at) {
    const struct walk_step *step = &match->walk->steps[index];
    const uint64_t *inside = inside_row(match, index);
    bool again = true;
    while (again && text_leads(match, &step->before, at, inside)) {
        at += step->before.length;
        again = step->repeats;
    }
    return at;
}

/* A value is as short or, if it is greedy, as long as it can be. */
static size_t value_end(const struct match *match, size_t index, size_t at) {
    const struct walk_step *step = &match->walk->steps[index];
    size_t end = at, found = at;
    bool ends = false;
    if (!step->may_be_empty)
        end++;
    for (; !ends || step->span.greedy; end++) {
        if (value_ends(match, index, end)) {
            found = end;
            ends = true;
        }
        if (!value_takes(match, step, end))
            break;
    }
    return found;
}

static size_t take_param(const struct match *match, size_t index, size_t at,
                         struct capture *capture) {
    const struct walk_step *step = &match->walk->steps[index];
    *capture = (struct capture){NULL, 0};
    if (!text_at(match, &step->before, at) || !value_begins(match, index, at + step->before.length))
        return at;
    at += step->before.length;
    capture->start = match->path + at;
    at = value_end(match, index, at);
    while (value_repeats(match, index, at))
        at = value_end(match, index, at + step->between.length);
    capture->length = (size_t)(match->path + at - capture->start);
    return at + step->after.length;
}

static void take(const struct match *match, size_t first, size_t at, struct capture *captures) {
    for (size_t i = first; i < match->walk->count; i++) {
        if (match->walk->steps[i].is_param)
            at = take_param(match, i, at, captures++);
        else
            at = take_text(match, i, at);
    }
}

/* --- All of it -------------------------------------------------------------------------------- */

static bool match_in_rows(struct match *match, struct capture *captures) {
    const struct walk *walk = match->walk;
    const struct walk_step *steps = walk->steps;
    size_t first = 0;
    /* Most paths that don't match differ in the text at the start. */
    if (!walk->any_start && walk->count > 0 && !steps[0].is_param && !steps[0].optional &&
        !steps[0].repeats) {
        if (!text_at(match, &steps[0].before, 0))
            return false;
        match->low = steps[0].before.length;
        first = 1;
    }
    fill(match, first);
    size_t at = match->low, last = walk->any_start ? match->length : match->low;
    while (at < last && !has(from_row(match, first), at))
        at++;
    if (!has(from_row(match, first), at))
        return false;
    take(match, first, at, captures);
    return true;
}

static __attribute__((noinline)) int match_choices(struct match *match, struct capture *captures) {
    uint64_t few[256];
    match->words = match->length / 64 + 1;
    size_t size = (2 * match->walk->count + 1) * match->words;
    match->rows = size <= sizeof few / sizeof *few ? few : malloc(size * sizeof *match->rows);
    if (!match->rows)
        return -ENOMEM;
    bool matches = match_in_rows(match, captures);
    if (match->rows != few)
        free(match->rows);
    match->rows = NULL;
    return matches;
}

static __attribute__((noinline)) int match_any(const struct walk *walk, const char *path,
                                               size_t length, struct capture *captures) {
    struct match match = {.walk = walk, .path = path, .length = length};
    if (walk->straight) {
        int matches = match_straight(&match, captures);
        if (matches >= 0)
            return matches;
    }
    return match_choices(&match, captures);
}

/* Letter by letter, since routes are short. */
bool walk_is_path(const struct walk *walk, const char *path, size_t length) {
    if (!walk->plain || length != walk->steps->before.length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (path[i] != walk->steps->before.start[i])
            return false;
    return true;
}

int walk_match(const struct walk *walk, const char *path, size_t length, struct capture *captures) {
    return walk_is_path(walk, path, length) ? 1 : match_any(walk, path, length, captures);
}

bool walk_accepts(const struct walk *walk, size_t index, const char *value, size_t length) {
    struct match match = {.walk = walk, .path = value, .length = length};
    const struct walk_step *step = &walk->steps[index];
    for (size_t at = 0; at < length; at++)
        if (!value_takes(&match, step, at))
            return false;
    return length > 0 || step->span.may_be_empty;
}
