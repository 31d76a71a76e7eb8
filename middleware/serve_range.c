/* The field Range: which bytes of a file a client wants. */
#include "serve_parts.h"

#include <string.h>
#include <strings.h>

#define DECIMALS "0123456789"
#define BLANKS " \t"

/* A number as it is written, without zeros in front: it may have any length. */
struct number {
    const char *digits;
    size_t length;
    bool is_there;
};

static struct number read_number(const char **at) {
    size_t length = strspn(*at, DECIMALS), zeros = strspn(*at, "0");
    struct number number = {*at + zeros, length - zeros, length > 0};
    *at += length;
    return number;
}

static bool is_less(struct number a, struct number b) {
    if (a.length != b.length)
        return a.length < b.length;
    return memcmp(a.digits, b.digits, a.length) < 0;
}

/* UINT64_MAX if it is more than that: no file is as long. */
static uint64_t value_of(struct number number) {
    uint64_t value = 0;
    for (size_t i = 0; i < number.length; i++) {
        uint64_t digit = (uint64_t)(number.digits[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return UINT64_MAX;
        value = value * 10 + digit;
    }
    return value;
}

/* "0-499", "500-" or "-500"; both numbers are missing in none. */
struct spec {
    struct number first, last;
};

static bool read_spec(const char **at, struct spec *spec) {
    spec->first = read_number(at);
    if (**at != '-')
        return false;
    ++*at;
    spec->last = read_number(at);
    *at += strspn(*at, BLANKS);
    if (**at != ',' && **at != '\0')
        return false;
    if (!spec->first.is_there)
        return spec->last.is_there;
    return !spec->last.is_there || !is_less(spec->last, spec->first);
}

/* What of it the file has. False if that is nothing. */
static bool within(const struct spec *spec, uint64_t length, struct serve_range *range) {
    uint64_t first = value_of(spec->first), last = value_of(spec->last);
    if (length == 0)
        return false;
    if (!spec->first.is_there) {
        *range = (struct serve_range){last < length ? length - last : 0, length - 1};
        return last > 0;
    }
    *range = (struct serve_range){first, length - 1};
    if (spec->last.is_there && last < length)
        range->last = last;
    return first < length;
}

/* The last bytes of a file that has none are all of it, though no range can say so. */
static bool is_end_of_nothing(const struct spec *spec, uint64_t length) {
    return length == 0 && !spec->first.is_there && spec->last.length > 0;
}

const char *serve_range_specs(const char *value) {
    static const char unit[] = "bytes=";
    size_t length = sizeof unit - 1;
    return strncasecmp(value, unit, length) == 0 ? value + length : NULL;
}

enum serve_spec serve_next_range(const char **at, uint64_t length, struct serve_range *range) {
    struct spec spec;
    *at += strspn(*at, BLANKS ",");
    if (!**at)
        return SERVE_NO_MORE;
    if (!read_spec(at, &spec))
        return SERVE_MALFORMED;
    if (is_end_of_nothing(&spec, length))
        return SERVE_ALL;
    return within(&spec, length, range) ? SERVE_WITHIN : SERVE_OUTSIDE;
}

enum serve_extent serve_parse_range(const char *value, uint64_t length, size_t limit,
                                    struct serve_range *ranges, size_t *count) {
    const char *at = serve_range_specs(value);
    size_t specs = 0;
    uint64_t total = 0;
    bool is_whole = false;
    enum serve_spec spec;
    struct serve_range range;
    *count = 0;
    if (!at)
        return SERVE_WHOLE;
    while ((spec = serve_next_range(&at, length, &range)) != SERVE_NO_MORE) {
        if (specs++ == limit || spec == SERVE_MALFORMED)
            return SERVE_WHOLE;
        is_whole = is_whole || spec == SERVE_ALL;
        if (spec == SERVE_WITHIN) {
            if (range.last - range.first >= length - total)
                return SERVE_WHOLE;
            total += range.last - range.first + 1;
            ranges[(*count)++] = range;
        }
    }
    if (specs == 0 || is_whole)
        return SERVE_WHOLE;
    return *count > 0 ? SERVE_PARTS : SERVE_NOTHING;
}
