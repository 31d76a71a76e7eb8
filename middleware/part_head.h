/* What the head of a part of a form says (RFC 7578, 4): a part of multipart. */
#ifndef ACACIA_PART_HEAD_H
#define ACACIA_PART_HEAD_H

#include "acacia.h"

/* Strings are UTF-8, whole as C strings, and live until part_head_free. */
typedef struct {
    const char *name;     /* NULL: it is no part of a form, or has none */
    const char *filename; /* as the client says; NULL: it is a field */
    const char *type;     /* "image/png", in lower case; "text/plain" if there is none */
    const char *charset;  /* "" if there is none */
    char *memory;
} part_head_t;

/*
 * `lines` each end with CRLF. A line that begins with a blank goes on with the one before.
 *
 * Names are read as browsers write them: in UTF-8, with '"', CR and LF as %22, %0D and %0A, while a
 * backslash is one unless a '"' or another one follows. filename* (RFC 8187) goes before filename,
 * if its charset is known.
 *
 * Returns 0; UV_EINVAL for lines that are no header; UV_E2BIG for more than `most` of them;
 * UV_ENOMEM. Then there is nothing to free.
 */
int part_head_parse(part_head_t *head, bytes_t lines, size_t most);

void part_head_free(part_head_t *head);

/* The boundary in a Content-Type, into `to`, which has room for `size` bytes. Its length; 0 if
 * there is none, the type is malformed, or it is too long. */
size_t part_head_boundary(const char *content_type, char *to, size_t size);

#endif
