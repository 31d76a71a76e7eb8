/*
 * Accept and its sisters. The first byte of the input says which of them, '0' to '4'; the rest of
 * the first line is the header, further lines are offers.
 */
#include "context/negotiate.h"
#include "runtime/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFERS_MAX 6

struct field {
    const char *(*choose)(const char *header, const char *const *offers);
    int (*list)(struct arena *arena, const char *header, const char *const **list);
    const char
        *marker; /* an item; of encodings that which is implied, since it depends on others */
};

static void check(bool holds) {
    if (!holds)
        abort();
}

/* --- The best offer --------------------------------------------------------------------------- */

/* What is best of all is best of any two as well, and of itself alone. */
static void fuzz_choice(const struct field *field, const char *header, const char *const *offers) {
    const char *best = field->choose(header, offers);
    bool seen = false;
    for (size_t i = 0; offers[i]; i++) {
        const char *before[] = {offers[i], best, NULL}, *behind[] = {best, offers[i], NULL};
        if (!best)
            check(!field->choose(header, before));
        else if (offers[i] == best)
            check(field->choose(header, before + 1) == best);
        else
            check(field->choose(header, seen ? behind : before) == best);
        seen |= offers[i] == best;
    }
    check(seen || !best);
}

/* --- The list --------------------------------------------------------------------------------- */

/* How many names come before the marker; the count of all if it is missing. */
static size_t rank(const char *const *list, const char *marker) {
    size_t n = 0;
    while (list[n] && strcmp(list[n], marker) != 0)
        n++;
    return n;
}

static void check_same_but_marker(const char *const *a, const char *const *b, const char *marker) {
    while (*a || *b) {
        if (*a && strcmp(*a, marker) == 0) {
            a++;
        } else if (*b && strcmp(*b, marker) == 0) {
            b++;
        } else {
            check(*a && *b && strcmp(*a, *b) == 0);
            a++;
            b++;
        }
    }
}

/* Every name is a piece of the header, between things that separate. */
static void check_names(const char *header, const char *const *list, const char *marker) {
    for (; *list; list++) {
        check(**list && !strpbrk(*list, "; \t\n\v\f\r"));
        check(strstr(header, *list) || strcmp(*list, marker) == 0);
    }
}

/* One more item at the front does not disturb the others, and comes the later in the list the lower
 * its quality is. */
static void fuzz_list(const struct field *field, struct arena *arena, const char *header) {
    static const char *const qualities[] = {"1", "0.8", "0.5", "0.2", "0.001"};
    const char *const *list, *const *marked;
    size_t size = strlen(header) + 40, before = 0;
    char *text = malloc(size);
    check(field->list(arena, header, &list) == 0);
    check_names(header, list, field->marker);
    for (size_t i = 0; i < sizeof qualities / sizeof *qualities; i++) {
        snprintf(text, size, "%s;q=%s,%s", field->marker, qualities[i], header);
        check(field->list(arena, text, &marked) == 0);
        check(marked[rank(marked, field->marker)]);
        check(rank(marked, field->marker) >= before);
        check_same_but_marker(list, marked, field->marker);
        before = rank(marked, field->marker);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct field fields[] = {
        {negotiate_type, negotiate_types, "mark/er"},
        {negotiate_encoding, negotiate_encodings, "identity"},
        {negotiate_charset, negotiate_charsets, "marker"},
        {negotiate_language, negotiate_languages, "marker"},
        {negotiate_preferred_encoding, negotiate_encodings, "identity"},
    };
    const char *offers[OFFERS_MAX + 1] = {NULL};
    if (size < 1)
        return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    char *at = text, *header = strsep(&at, "\n");
    for (size_t i = 0; i < OFFERS_MAX && at; i++)
        offers[i] = strsep(&at, "\n");
    const struct field *field = &fields[(uint8_t)(data[0] - '0') % 5];
    struct arena arena;
    arena_init(&arena, NULL);
    fuzz_choice(field, header, offers);
    fuzz_choice(field, NULL, offers);
    fuzz_list(field, &arena, header);
    arena_release(&arena);
    free(text);
    return 0;
}
