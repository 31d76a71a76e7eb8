/*
 * Text that goes into a URL or into HTML, so that nothing in it is taken for something else.
 */
#ifndef ACACIA_ESCAPE_H
#define ACACIA_ESCAPE_H

#include <stddef.h>

struct arena;

/*
 * Percent-encode `n` bytes: control characters, whatever is not ASCII, and the characters in
 * `also`. The rest stays as it is: a '%', too, unless it is in `also`.
 *
 * Returns the length of the result, which is at most 3 * n. With `to` NULL it only counts; else
 * `to` has room for that many bytes and does not overlap `from`. No NUL is appended.
 */
size_t escape_percent(char *to, const char *from, size_t n, const char *also);

/*
 * What is not allowed in a URL, percent-encoded, as npm encodeurl 2.0.3 does: what is an escape
 * already stays ("%20"), a '%' that begins none becomes "%25". For the header Location.
 *
 * Bytes that are not UTF-8 are encoded one by one; encodeurl gets no bytes, but strings, in which
 * they are U+FFFD by then. In the arena; NULL when there is no memory.
 */
char *escape_url(struct arena *arena, const char *url);

/* " & ' < and > as &quot; &amp; &#39; &lt; &gt;, as npm escape-html 1.0.3 does. In the arena; NULL
 * when there is no memory. */
char *escape_html(struct arena *arena, const char *text);

#endif
