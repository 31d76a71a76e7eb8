/*
 * The header Content-Disposition, written and read as npm content-disposition 1.0.1 does.
 *
 *     disposition_write(&arena, &(struct attachment){.filename = "dir/50 €.txt"}, &error)
 *     // attachment; filename="50 ?.txt"; filename*=UTF-8''50%20%E2%82%AC.txt
 *
 *     disposition_parse(&disposition, &arena, "form-data; name=a; filename*=UTF-8''%e2%82%ac.txt");
 *     disposition_get(&disposition, "filename") // "€.txt"
 */
#ifndef ACACIA_DISPOSITION_H
#define ACACIA_DISPOSITION_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* --- Writing ---------------------------------------------------------------------------------- */

/* What is to be saved as a file. Zero is the default, in all of them. */
struct attachment {
    const char *filename; /* UTF-8, of which what is behind the last '/' counts; NULL: none */
    const char *type;     /* NULL or "": "attachment"; or "inline", or another token */
    const char *fallback; /* for those who can't read `filename*`; NULL: made from the name */
    bool no_fallback;     /* none, in place of one that is made */
};

/*
 * The value of the header, in the arena. A name that is no plain ASCII goes as `filename*`, which
 * RFC 8187 encodes, with a fallback in `filename` that has a '?' for each character that is not:
 * two for one beyond U+FFFF, as JavaScript counts.
 *
 * Ours: the line is ASCII. npm content-disposition leaves what is in ISO-8859-1 ("é.txt") in
 * `filename`, often without another form beside it, and node sends that as bytes which most clients
 * cannot read. Bytes that are not UTF-8 become U+FFFD.
 *
 * NULL on an error: *error is then what is wrong ("invalid type", "fallback must be ISO-8859-1
 * string"), not to be freed, or NULL if there is no memory.
 */
char *disposition_write(struct arena *arena, const struct attachment *attachment,
                        const char **error);

/* --- Reading ---------------------------------------------------------------------------------- */

struct disposition_parameter {
    const char *name; /* in lower case, without the '*' of an extended one */
    const char *value;
    bool extended; /* it was */
};

struct disposition {
    const char *type; /* in lower case */
    struct disposition_parameter *parameters;
    size_t count;
};

/*
 * Parse the value of the header. Of "filename" and "filename*" only the latter is kept.
 *
 * A value is without its quotes and escapes, in the bytes that came: those of a form are what the
 * browser took for the file's name, in the form's charset, which is UTF-8 mostly. An extended one
 * is decoded, from UTF-8 or ISO-8859-1, and is UTF-8: what is malformed becomes U+FFFD, and so does
 * NUL, or '?' in ISO-8859-1.
 *
 * Nothing makes sure that a file name is one: it may be "../../etc/passwd".
 *
 * Returns 0; UV_EINVAL, if anything is malformed, comes twice or is in another charset; or
 * UV_ENOMEM. After an error it is all zeros. What is parsed lies in the arena and does not point
 * into `value`.
 */
int disposition_parse(struct disposition *disposition, struct arena *arena, const char *value);

/* The value of the parameter with this name, which is in lower case; NULL if there is none. */
const char *disposition_get(const struct disposition *disposition, const char *name);

#endif
