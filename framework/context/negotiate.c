#include "context/negotiate.h"

#include "context/mime.h"
#include "context/span.h"
#include "runtime/arena.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* So many before the q. Comparing them takes the square of it, which must not be the client's to
 * choose. */
#define PARAMETERS_MAX 16

/* What an item of the field says, "text/html;level=1;q=0.5"; or an offer, read in the same way. */
struct range {
    struct span name;          /* "text/html", "en-GB", "gzip" */
    struct span first, second; /* "text" and "html", "en" and "GB" */
    struct span parameters;    /* of a type: "level=1" */
    size_t parameter_count;
    double quality; /* NAN if it is none */
    size_t order;   /* which item of the field it is */
};

/* What distinguishes the four fields. */
struct field {
    const char *missing; /* what it means if there is none */
    bool implies_identity;
    bool (*next)(struct span *rest, char separator, struct span *item);
    bool (*read)(struct range *range, struct span item); /* false: malformed */
    bool (*read_offer)(struct range *range, const char *offer);
    int (*specificity)(const struct range *range, const struct range *offer); /* -1: no match */
};

/* --- Qualities and parameters ----------------------------------------------------------------- */

/* "e-2" behind digits: the power of ten, in 400 either way; 0 if this is none. */
static int read_exponent(struct span text) {
    bool negative = text.length > 1 && text.at[1] == '-';
    size_t i = negative || (text.length > 1 && text.at[1] == '+') ? 2 : 1;
    int exponent = 0;
    if (text.length == 0 || (*text.at | 0x20) != 'e')
        return 0;
    for (; i < text.length && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        exponent = exponent > 39 ? 400 : exponent * 10 + text.at[i] - '0';
    return negative ? -exponent : exponent;
}

/* "12", "0.5", ".5", "5e-1", and whatever comes behind it. Digits past the 18th count for nothing.
 */
static double read_digits(struct span text) {
    uint64_t digits = 0;
    double scale = 1;
    bool any = false, fraction = false;
    size_t i;
    for (i = 0; i < text.length; i++) {
        char c = text.at[i];
        bool point = c == '.' && !fraction;
        if (!point && (c < '0' || c > '9'))
            break;
        if (point) {
            fraction = true;
        } else if (digits < UINT64_MAX / 100) {
            digits = digits * 10 + (uint64_t)(c - '0');
            scale *= fraction ? 10 : 1;
        }
        any |= !point;
    }
    int exponent = read_exponent((struct span){text.at + i, text.length - i});
    for (; exponent < 0; exponent++)
        scale *= 10;
    double number = (double)digits / scale;
    for (; exponent > 0 && number > 0; exponent--)
        number *= 10;
    return any ? number : NAN;
}

/* The number that the text begins with, as parseFloat reads it: "0.5", ".5", "-1", "0.5x". NAN if
 * there is none. */
static double read_number(struct span text) {
    text = span_trim(text);
    bool negative = text.length > 0 && *text.at == '-';
    if (negative || (text.length > 0 && *text.at == '+')) {
        text.at++;
        text.length--;
    }
    double number = read_digits(text);
    return negative ? -number : number;
}

/* Cut "name=value"; without a '=' the value is empty. */
static void split_parameter(struct span parameter, struct span *name, struct span *value) {
    struct span rest = parameter;
    span_next(&rest, '=', name);
    *value = rest.at ? rest : (struct span){parameter.at + parameter.length, 0};
}

/* The value of a media range's parameter, without its quotes. Escapes stay, as they do in npm. */
static struct span unquote(struct span value) {
    if (value.length == 0 || value.at[0] != '"' || value.at[value.length - 1] != '"')
        return value;
    return (struct span){value.at + 1, value.length > 2 ? value.length - 2 : 0};
}

/* --- Names ------------------------------------------------------------------------------------ */

/* "name ; parameters": the name has no white space in it and only a ';' may come behind it. */
static bool read_name(struct range *range, struct span item) {
    item = span_trim(item);
    size_t n = 0;
    while (n < item.length && item.at[n] != ';' && !ascii_is_space(item.at[n]))
        n++;
    struct span behind = span_trim((struct span){item.at + n, item.length - n});
    *range = (struct range){.name = {item.at, n}, .quality = 1};
    if (behind.length > 1)
        range->parameters = (struct span){behind.at + 1, behind.length - 1};
    return n > 0 && (behind.length == 0 || behind.at[0] == ';');
}

/* At the first separator. Neither half may be empty, but the second may be missing. */
static bool split_name(struct range *range, char separator) {
    struct span rest = range->name;
    span_next(&rest, separator, &range->first);
    range->second = rest;
    return range->first.length > 0 && (!rest.at || rest.length > 0);
}

/* --- Encodings and charsets: "gzip;q=0.5" ----------------------------------------------------- */

/* The first q counts. */
static bool read_token(struct range *range, struct span item) {
    if (!read_name(range, item))
        return false;
    struct span rest = range->parameters, parameter, name, value;
    while (span_next(&rest, ';', &parameter)) {
        split_parameter(span_trim(parameter), &name, &value);
        if (span_is(name, "q")) {
            range->quality = read_number(value);
            return true;
        }
    }
    return true;
}

static bool read_token_offer(struct range *range, const char *offer) {
    *range = (struct range){.name = span_of(offer)};
    return true;
}

static int token_specificity(const struct range *range, const struct range *offer) {
    if (span_equal(range->name, offer->name))
        return 1;
    return span_is(range->name, "*") ? 0 : -1;
}

/* --- Languages: "en-GB;q=0.5" ----------------------------------------------------------------- */

/* Here, in npm, the last q counts, and none that has a space before it. */
static bool read_language(struct range *range, struct span item) {
    if (!read_name(range, item) || !split_name(range, '-'))
        return false;
    struct span rest = range->parameters, parameter, name, value;
    while (span_next(&rest, ';', &parameter)) {
        split_parameter(parameter, &name, &value);
        if (span_is(name, "q"))
            range->quality = read_number(value);
    }
    return true;
}

static bool read_language_offer(struct range *range, const char *offer) {
    return read_language(range, span_of(offer));
}

/* "en" of the client takes our "en-GB", and "en-GB" of the client our "en". */
static int language_specificity(const struct range *range, const struct range *offer) {
    if (span_equal(range->name, offer->name))
        return 4;
    if (span_equal(range->first, offer->name))
        return 2;
    if (span_equal(range->name, offer->first))
        return 1;
    return span_is(range->name, "*") ? 0 : -1;
}

/* --- Types: "text/html;level=1;q=0.5" --------------------------------------------------------- */

static bool next_parameter(struct span *rest, struct span *name, struct span *value) {
    struct span parameter;
    if (!span_next_unquoted(rest, ';', &parameter))
        return false;
    split_parameter(span_trim(parameter), name, value);
    *value = unquote(*value);
    return true;
}

/* What comes behind the q is not of the media range. */
static bool read_type(struct range *range, struct span item) {
    if (!read_name(range, item) || !split_name(range, '/') || !range->second.at)
        return false;
    struct span rest = range->parameters, name, value;
    while (next_parameter(&rest, &name, &value)) {
        if (span_equal(name, span_of("q"))) {
            range->quality = read_number(value);
            return true;
        }
        if (++range->parameter_count > PARAMETERS_MAX)
            return false;
    }
    return true;
}

static bool read_type_offer(struct range *range, const char *offer) {
    if (!strchr(offer, '/'))
        offer = mime_of_extension(offer, strlen(offer));
    return offer && read_type(range, span_of(offer));
}

/* The last parameter of that name; empty if there is none. */
static struct span parameter_of(const struct range *range, struct span wanted) {
    struct span rest = range->parameters, name, value, found = {"", 0};
    for (size_t i = 0; i < range->parameter_count && next_parameter(&rest, &name, &value); i++)
        if (span_equal(name, wanted))
            found = value;
    return found;
}

static bool parameters_match(const struct range *range, const struct range *offer) {
    struct span rest = range->parameters, name, value;
    for (size_t i = 0; i < range->parameter_count && next_parameter(&rest, &name, &value); i++) {
        value = parameter_of(range, name);
        if (!span_is(value, "*") && !span_equal(value, parameter_of(offer, name)))
            return false;
    }
    return true;
}

static int type_specificity(const struct range *range, const struct range *offer) {
    int specificity = 0;
    if (span_equal(range->first, offer->first))
        specificity += 4;
    else if (!span_is(range->first, "*"))
        return -1;
    if (span_equal(range->second, offer->second))
        specificity += 2;
    else if (!span_is(range->second, "*"))
        return -1;
    if (!parameters_match(range, offer))
        return -1;
    return specificity + (range->parameter_count > 0);
}

/* --- The items of a field --------------------------------------------------------------------- */

static const struct field types = {
    .missing = "*/*",
    .next = span_next_unquoted,
    .read = read_type,
    .read_offer = read_type_offer,
    .specificity = type_specificity,
};
static const struct field encodings = {
    .missing = "",
    .implies_identity = true,
    .next = span_next,
    .read = read_token,
    .read_offer = read_token_offer,
    .specificity = token_specificity,
};
static const struct field charsets = {
    .missing = "*",
    .next = span_next,
    .read = read_token,
    .read_offer = read_token_offer,
    .specificity = token_specificity,
};
static const struct field languages = {
    .missing = "*",
    .next = span_next,
    .read = read_language,
    .read_offer = read_language_offer,
    .specificity = language_specificity,
};

static const struct range identity = {.name = {"identity", 8}};

struct ranges {
    const struct field *field;
    struct span rest;
    size_t count;
    bool implied;  /* identity is still to come */
    double lowest; /* quality of all items, which is that of an implied identity */
};

static void ranges_init(struct ranges *ranges, const struct field *field, struct span value) {
    *ranges = (struct ranges){
        .field = field, .rest = value, .implied = field->implies_identity, .lowest = 1};
}

static struct span value_of(const struct field *field, const char *header) {
    return span_of(header ? header : field->missing);
}

/* The next item that is not malformed, and behind the last one the implied one. */
static bool next_range(struct ranges *ranges, struct range *range) {
    struct span item;
    while (ranges->field->next(&ranges->rest, ',', &item)) {
        size_t order = ranges->count++;
        if (!ranges->field->read(range, item))
            continue;
        range->order = order;
        if (ranges->implied && token_specificity(range, &identity) >= 0)
            ranges->implied = false;
        if (range->quality != 0 && range->quality < ranges->lowest)
            ranges->lowest = range->quality;
        return true;
    }
    if (!ranges->implied)
        return false;
    ranges->implied = false;
    *range = identity;
    range->quality = ranges->lowest;
    range->order = ranges->count;
    return true;
}

/* --- The best offer --------------------------------------------------------------------------- */

/* How well the field likes an offer. */
struct fit {
    double quality; /* 0 or NAN: not at all */
    int specificity;
    size_t order;
};

/* Of all items that match, the most specific one decides; of several, the one of the highest
 * quality, then the last. A quality that is no number is neither higher nor lower than others. */
static struct fit fit_of(const struct field *field, struct span value, const struct range *offer) {
    struct fit fit = {0};
    struct ranges ranges;
    struct range range;
    ranges_init(&ranges, field, value);
    while (next_range(&ranges, &range)) {
        int specificity = field->specificity(&range, offer);
        if (specificity > fit.specificity ||
            (specificity == fit.specificity && !(range.quality < fit.quality)))
            fit = (struct fit){range.quality, specificity, range.order};
    }
    return fit;
}

typedef bool better_fn(const struct fit *a, const struct fit *b);

static bool fits_better(const struct fit *a, const struct fit *b) {
    if (a->quality != b->quality)
        return a->quality > b->quality;
    if (a->specificity != b->specificity)
        return a->specificity > b->specificity;
    return a->order < b->order;
}

static bool is_liked_better(const struct fit *a, const struct fit *b) {
    return a->quality > b->quality;
}

static const char *choose_by(const struct field *field, const char *header,
                             const char *const *offers, better_fn *is_better) {
    struct span value = value_of(field, header);
    struct fit best_fit = {0};
    const char *best = NULL;
    struct range offer;
    for (; *offers; offers++) {
        if (!field->read_offer(&offer, *offers))
            continue;
        struct fit fit = fit_of(field, value, &offer);
        if (fit.quality > 0 && (!best || is_better(&fit, &best_fit))) {
            best = *offers;
            best_fit = fit;
        }
    }
    return best;
}

static const char *choose(const struct field *field, const char *header,
                          const char *const *offers) {
    return choose_by(field, header, offers, fits_better);
}

const char *negotiate_type(const char *header, const char *const *offers) {
    return header && *header ? choose(&types, header, offers) : offers[0];
}

const char *negotiate_encoding(const char *header, const char *const *offers) {
    return choose(&encodings, header, offers);
}

const char *negotiate_preferred_encoding(const char *header, const char *const *offers) {
    return choose_by(&encodings, header, offers, is_liked_better);
}

const char *negotiate_charset(const char *header, const char *const *offers) {
    return choose(&charsets, header, offers);
}

const char *negotiate_language(const char *header, const char *const *offers) {
    return choose(&languages, header, offers);
}

/* --- Everything that is acceptable ------------------------------------------------------------ */

/* The names lie one behind the other, so that their addresses tell the client's order. */
struct acceptable {
    const char *name;
    double quality;
};

static int compare_acceptable(const void *left, const void *right) {
    const struct acceptable *a = left, *b = right;
    if (a->quality != b->quality)
        return a->quality > b->quality ? -1 : 1;
    return a->name < b->name ? -1 : a->name > b->name;
}

static bool next_acceptable(struct ranges *ranges, struct range *range) {
    while (next_range(ranges, range))
        if (range->quality > 0)
            return true;
    return false;
}

/* Count first, so that there is one block for each kind of thing. */
static int list_acceptable(const struct field *field, struct arena *arena, const char *header,
                           const char *const **list) {
    struct span value = value_of(field, header);
    struct ranges ranges;
    struct range range;
    size_t count = 0, size = 0;
    ranges_init(&ranges, field, value);
    for (; next_acceptable(&ranges, &range); count++)
        size += range.name.length + 1;
    char *text = arena_alloc(arena, size);
    struct acceptable *all = arena_alloc(arena, count * sizeof *all);
    const char **names = arena_alloc(arena, (count + 1) * sizeof *names);
    if (!text || !all || !names)
        return UV_ENOMEM;
    ranges_init(&ranges, field, value);
    for (size_t i = 0; next_acceptable(&ranges, &range); i++) {
        memcpy(text, range.name.at, range.name.length);
        text[range.name.length] = '\0';
        all[i] = (struct acceptable){text, range.quality};
        text += range.name.length + 1;
    }
    if (count > 0)
        qsort(all, count, sizeof *all, compare_acceptable);
    for (size_t i = 0; i < count; i++)
        names[i] = all[i].name;
    names[count] = NULL;
    *list = names;
    return 0;
}

int negotiate_types(struct arena *arena, const char *header, const char *const **list) {
    return list_acceptable(&types, arena, header, list);
}

int negotiate_encodings(struct arena *arena, const char *header, const char *const **list) {
    return list_acceptable(&encodings, arena, header, list);
}

int negotiate_charsets(struct arena *arena, const char *header, const char *const **list) {
    return list_acceptable(&charsets, arena, header, list);
}

int negotiate_languages(struct arena *arena, const char *header, const char *const **list) {
    return list_acceptable(&languages, arena, header, list);
}
