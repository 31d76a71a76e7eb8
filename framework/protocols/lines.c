#include "protocols/lines.h"

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* May `c` stand behind `before`? */
static bool may_follow(char before, char c) {
    return (before == '\r') == (c == '\n') && !(before == '\n' && is_blank(c));
}

#ifdef __SSE2__
/* Bits for the places of a byte. */
static unsigned where(__m128i bytes, char c) {
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)));
}

/* Shifted by one they are the places behind. Returns how many bytes were looked at, all but fewer
 * than 16; or SIZE_MAX if they are wrong. */
static size_t check_blocks(char before, const char *data, size_t n) {
    unsigned was_cr = before == '\r', was_lf = before == '\n';
    size_t at = 0;
    for (; n - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(data + at));
        unsigned cr = where(bytes, '\r'), lf = where(bytes, '\n');
        if ((cr | lf | was_cr | was_lf) == 0)
            continue;
        unsigned behind_cr = cr << 1 | was_cr, behind_lf = lf << 1 | was_lf;
        unsigned blank = where(bytes, ' ') | where(bytes, '\t');
        if ((behind_cr & 0xffff) != lf || (behind_lf & blank))
            return SIZE_MAX;
        was_cr = cr >> 15;
        was_lf = lf >> 15;
    }
    return at;
}
#endif

bool lines_are_strict(char *last, const char *data, size_t n) {
    char before = *last;
    size_t at = 0;
#ifdef __SSE2__
    at = check_blocks(before, data, n);
    if (at == SIZE_MAX)
        return false;
    if (at > 0)
        before = data[at - 1];
#endif
    for (; at < n; at++) {
        if (!may_follow(before, data[at]))
            return false;
        before = data[at];
    }
    *last = before;
    return true;
}

bool request_line_is_strict(struct request_line *former, const char *data, size_t n) {
    static const char protocol[] = "HTTP/";
    struct request_line line = *former;
    for (const char *at = data; at < data + n && !line.done; at++) {
        unsigned char c = (unsigned char)*at;
        if (c > ' ' && c < 0x7f) {
            line.begun = true;
            if (line.blanks == 2 && line.protocol < sizeof protocol - 1 &&
                *at != protocol[line.protocol++])
                return false;
        } else if (c == ' ') {
            line.begun = true;
            line.blanks++;
        } else if (c == '\r' || c == '\n') {
            line.done = line.begun;
        } else {
            return false;
        }
    }
    *former = line;
    return !line.done || line.blanks == 2;
}
