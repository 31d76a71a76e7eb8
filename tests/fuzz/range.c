/* Range: what is taken of a file lies within it, and can be asked for again. The first byte of the
 * input chooses the length of the file, the rest is the field. */
#include "middleware/serve_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 8

struct parsed {
    enum serve_extent extent;
    size_t count;
    struct serve_range ranges[LIMIT];
};

static void check(bool holds) {
    if (!holds)
        abort();
}

static struct parsed parse(const char *value, uint64_t length) {
    struct parsed parsed = {0};
    char *exact = strdup(value); /* at its own address, so that ASan sees an overrun */
    struct serve_range *ranges = malloc(LIMIT * sizeof *ranges);
    parsed.extent = serve_parse_range(exact, length, LIMIT, ranges, &parsed.count);
    check(parsed.count <= LIMIT);
    memcpy(parsed.ranges, ranges, parsed.count * sizeof *ranges);
    free(ranges);
    free(exact);
    return parsed;
}

static void check_within(const struct parsed *parsed, uint64_t length) {
    uint64_t total = 0;
    check(parsed->count > 0);
    for (size_t i = 0; i < parsed->count; i++) {
        const struct serve_range *range = &parsed->ranges[i];
        check(range->first <= range->last && range->last < length);
        check(range->last - range->first + 1 <= length - total);
        total += range->last - range->first + 1;
    }
}

/* Written down plainly, with blanks, with what adds nothing: it is the same. */
static void check_again(const struct parsed *parsed, uint64_t length) {
    static const char *const separators[] = {",", " ,\t", ",,"};
    char text[LIMIT * 48 + 64];
    for (size_t k = 0; k < 3; k++) {
        char *at = stpcpy(text, k ? "BYTES=" : "bytes=");
        for (size_t i = 0; i < parsed->count; i++)
            at += sprintf(at, "%s%" PRIu64 "-%" PRIu64, i ? separators[k] : "",
                          parsed->ranges[i].first, parsed->ranges[i].last);
        if (k == 2 && parsed->count < LIMIT)
            sprintf(at, ",%" PRIu64 "-99999999999999999999999", length);
        struct parsed again = parse(text, length);
        check(again.extent == SERVE_PARTS && again.count == parsed->count);
        check(memcmp(again.ranges, parsed->ranges, parsed->count * sizeof again.ranges[0]) == 0);
    }
}

/* With something behind it that is no range, it is none either. */
static void check_malformed(const char *value, uint64_t length) {
    static const char *const wrong[] = {",x", ",-", ",2-1", ",1-2-", ",1 -2"};
    char *text = malloc(strlen(value) + 8);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        strcpy(stpcpy(text, value), wrong[i]);
        check(parse(text, length).extent == SERVE_WHOLE);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint64_t lengths[] = {0, 1, 2, 10, 1000, UINT32_MAX, INT64_MAX, UINT64_MAX};
    if (size < 1)
        return 0;
    uint64_t length = lengths[data[0] % 8];
    char *value = strndup((const char *)data + 1, size - 1);
    struct parsed parsed = parse(value, length);
    if (parsed.extent == SERVE_PARTS) {
        check_within(&parsed, length);
        check_again(&parsed, length);
    } else {
        check(parsed.extent == SERVE_WHOLE || parsed.count == 0);
    }
    check_malformed(value, length);
    free(value);
    return 0;
}
