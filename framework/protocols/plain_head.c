#include "protocols/plain_head.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* --- Sixteen bytes ---------------------------------------------------------------------------- */

enum { BLOCK = 16 };

/* Compilers have a register for them on every machine that has any. A comparison gives 0xff or 0
 * for each of them. */
typedef unsigned char bytes __attribute__((vector_size(BLOCK)));

static ALWAYS_INLINE bytes between(bytes b, unsigned char first, unsigned char last) {
    return (bytes)(b - first <= (bytes){0} + (unsigned char)(last - first));
}

/* A bit for each of them: the lowest is the first one's. Most often there is none. */
static ALWAYS_INLINE unsigned bits(bytes b) {
#ifdef __SSE2__
    return (unsigned)_mm_movemask_epi8((__m128i)b);
#else
    uint64_t halves[2];
    unsigned all = 0;
    memcpy(halves, &b, BLOCK);
    for (unsigned i = 0; i < BLOCK && (halves[0] | halves[1]); i++)
        all |= (b[i] & 1u) << i;
    return all;
#endif
}

/* --- Where strings end ------------------------------------------------------------------------ */

/* Names are of these as a rule; others are tokens, too (RFC 9110 5.6.2), but not plain. */
static ALWAYS_INLINE unsigned ends_name(bytes b) {
    return bits(~(between(b | 0x20, 'a', 'z') | between(b, '0', '9') | (bytes)(b == '-')));
}

/* Values: no controls, not even a tab, but bytes that are none of ASCII. */
static ALWAYS_INLINE unsigned ends_value(bytes b) {
    return bits((bytes)(b < 0x20) | (bytes)(b == 0x7f));
}

/* Methods and URLs. */
static ALWAYS_INLINE unsigned ends_word(bytes b) {
    return bits(~between(b, 0x21, 0x7e));
}

struct range {
    const char *end;
    const char *last_block; /* the last place where a block can be read */
    const char *last_line;  /* … where a line may end that another one comes behind */
};

static ALWAYS_INLINE bytes load(const char *at) {
    bytes b;
    memcpy(&b, at, BLOCK);
    return b;
}

/* Where the string ends that begins at `at`; or the end of all. */
static ALWAYS_INLINE const char *find(unsigned (*ends)(bytes b), const char *at,
                                      const struct range *range) {
    unsigned places;
    for (; at <= range->last_block; at += BLOCK) {
        places = ends(load(at));
        if (places)
            return at + (unsigned)__builtin_ctz(places);
    }
    places = ends(load(range->last_block)) >> (at - range->last_block);
    return places ? at + (unsigned)__builtin_ctz(places) : range->end;
}

static ALWAYS_INLINE bool is_crlf(const char *at) {
    return memcmp(at, "\r\n", 2) == 0;
}

/* Does the line end here, and not the head? */
static ALWAYS_INLINE bool ends_line(const char *at, const struct range *range) {
    return at <= range->last_line && is_crlf(at);
}

/* --- Lines ------------------------------------------------------------------------------------ */

/* Where the next one begins, or NULL. Whether there is such a method llhttp will say. */
static ALWAYS_INLINE const char *read_request_line(struct plain_head *head, const char *at,
                                                   const struct range *range) {
    static const char version[] = " HTTP/1.", rest[] = "1\r\n\r\n";
    const char *blank = find(ends_word, at, range);
    if (blank == at || blank == range->end || *blank != ' ')
        return NULL;
    head->url = blank + 1;
    at = find(ends_word, head->url, range);
    head->url_length = (size_t)(at - head->url);
    if (head->url_length == 0 || (size_t)(range->end - at) < strlen(version) + strlen(rest) ||
        memcmp(at, version, strlen(version)) != 0)
        return NULL;
    at += strlen(version) + 1;
    head->minor = at[-1];
    return is_crlf(at) ? at + 2 : NULL;
}

/* Has its name the length and the first letter of one of them? */
static ALWAYS_INLINE bool is_framing(const struct header *field) {
    static const char first_letters[32] = {
        [4] = 'h',  /* Host */
        [6] = 'e',  /* Expect */
        [7] = 'u',  /* Upgrade */
        [10] = 'c', /* Connection */
        [14] = 'c', /* Content-Length */
        [16] = 'p', /* Proxy-Connection */
        [17] = 't', /* Transfer-Encoding */
    };
    return first_letters[field->name_length % 32] == (field->name[0] | 0x20);
}

/* "Name: value", or without that blank, and no other one around it. */
static ALWAYS_INLINE const char *read_field(struct header *field, const char *at,
                                            const struct range *range) {
    const char *colon = find(ends_name, at, range);
    if (colon == at || colon > range->last_line || *colon != ':')
        return NULL;
    const char *value = colon + 1;
    if (*value == ' ')
        value++;
    const char *end = find(ends_value, value, range);
    if (*value == ' ' || end[-1] == ' ' || !ends_line(end, range))
        return NULL;
    *field = (struct header){at, value, (uint32_t)(colon - at), (uint32_t)(end - value)};
    return end + 2;
}

/* Up to the empty line; or NULL. */
static ALWAYS_INLINE const char *read_fields(struct plain_head *head, struct headers *headers,
                                             struct arena *arena, size_t limit, const char *at,
                                             const struct range *range) {
    for (; *at != '\r'; headers->count++) {
        if (headers->count == limit ||
            (headers->count == headers->capacity && headers_grow(headers, arena)))
            return NULL;
        struct header *field = &headers->list[headers->count];
        at = read_field(field, at, range);
        if (!at)
            return NULL;
        headers->seen |= header_bit(field->name, field->name_length);
        head->framing |= (uint64_t)is_framing(field) << headers->count;
    }
    return is_crlf(at) ? at : NULL;
}

bool plain_head_read(struct plain_head *head, struct headers *headers, struct arena *arena,
                     size_t limit, const char *data, size_t n) {
    if (n < BLOCK)
        return false;
    const struct range range = {data + n, data + n - BLOCK, data + n - strlen("\r\n\r\n")};
    const size_t room = sizeof head->framing * 8;
    if (limit > room)
        limit = room;
    head->framing = 0;
    head->fields = read_request_line(head, data, &range);
    head->end =
        head->fields ? read_fields(head, headers, arena, limit, head->fields, &range) : NULL;
    if (head->end)
        return true;
    headers->count = 0;
    headers->seen = 0;
    return false;
}
