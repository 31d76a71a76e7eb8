/*
 * Content-Type: which charset, and is it one of these types?
 *
 *     const char *match;
 *     media_type_is(&arena, "text/html; charset=utf-8", types, &match)
 *     // of {"json", "html", NULL}: "html"
 */
#ifndef ACACIA_MEDIA_TYPE_H
#define ACACIA_MEDIA_TYPE_H

struct arena;

/*
 * The value of the last parameter "charset", as npm's content-type 1.0.5 reads it: without quotes
 * and escapes, in the case in which it came. "" if there is none, or if anything in the value is
 * malformed. Never NULL but when there is no memory; may lie in the arena.
 */
const char *media_type_charset(struct arena *arena, const char *value);

/*
 * Which of `types`, at the end of which there is a NULL, the type in `value` is, as npm's type-is
 * 2.1.0 has it. Parameters don't matter. A type is one of
 *
 *     text/html                 only in lower case does it match
 *     html, .html               an extension, see mime_of_extension
 *     urlencoded, multipart     forms: application/x-www-form-urlencoded, and any type multipart
 *     +json                     any type with that suffix
 *     a '*' before or behind the '/', or both
 *
 * *match becomes the first that does, as it was given; but where it has a '*' or begins with '+',
 * and where there are no types at all, it is the type itself, in lower case and in the arena. NULL
 * if none does, or if the value is missing (NULL or "") or malformed.
 *
 * Returns 0; or UV_ENOMEM, and *match is as it was.
 */
int media_type_is(struct arena *arena, const char *value, const char *const *types,
                  const char **match);

#endif
