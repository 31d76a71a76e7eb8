/*
 * Content negotiation: which of our offers fits best what the client says in Accept,
 * Accept-Encoding, Accept-Charset or Accept-Language.
 *
 *     const char *offers[] = {"html", "json", NULL};
 *     negotiate_type("text/html;q=0.5, application/json", offers) // "json"
 *
 * All is as npm's accepts 1.3.8, which Koa uses, has it: quality decides, then how specific the
 * client was, then its order, then ours. Three things are ours: white space and the case of letters
 * are those of ASCII; a quality has no exponent ("q=1e-1" is 1) and is not "Infinity"; and a media
 * range with more than 16 parameters before its q is skipped, as are malformed ones.
 *
 * `header` is the value of the field, NULL if the request has none. Time is linear in its length
 * for each offer, and n log n for a list.
 */
#ifndef ACACIA_NEGOTIATE_H
#define ACACIA_NEGOTIATE_H

struct arena;

/*
 * The best of the offers, at the end of which there is a NULL, as it was given; or NULL if the
 * client takes none of them. Nothing is allocated.
 *
 * A type is a name or an extension ("text/html", "html", ".html"); what mime_of_extension doesn't
 * know is never chosen. But without the field, or with an empty one, it is the first offer,
 * whatever that is. Of encodings, "identity" is acceptable unless the client says that it isn't.
 */
const char *negotiate_type(const char *header, const char *const *offers);
const char *negotiate_encoding(const char *header, const char *const *offers);
const char *negotiate_charset(const char *header, const char *const *offers);
const char *negotiate_language(const char *header, const char *const *offers);

/* The same, but of the offers that the client likes equally well, the first one of ours. */
const char *negotiate_preferred_encoding(const char *header, const char *const *offers);

/*
 * Everything that the client takes, best first, NULL at the end: names as the client wrote them,
 * without parameters. Without the field that is one name: the wildcard, or "identity" of encodings.
 *
 * Array and strings lie in the arena. Returns 0; or UV_ENOMEM, and *list is as it was.
 */
int negotiate_types(struct arena *arena, const char *header, const char *const **list);
int negotiate_encodings(struct arena *arena, const char *header, const char *const **list);
int negotiate_charsets(struct arena *arena, const char *header, const char *const **list);
int negotiate_languages(struct arena *arena, const char *header, const char *const **list);

#endif
