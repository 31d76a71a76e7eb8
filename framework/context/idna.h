/* Domain names beyond ASCII: "bücher.example" is "xn--bcher-kva.example" for DNS and in URLs. */
#ifndef ACACIA_IDNA_H
#define ACACIA_IDNA_H

struct arena;

/*
 * The name in ASCII and in lower case, in the arena. libidn2 makes it: by the mapping of UTS #46,
 * not transitional, and by the rules of IDNA 2008, which are stricter than those of browsers: what
 * cannot be registered under most domains (an emoji, say) is no name here, nor what is too long for
 * DNS. Without libidn2 no such name is one.
 *
 * `domain` is UTF-8. Returns 0; UV_EINVAL, if it is no domain name; or UV_ENOMEM.
 */
int idna_to_ascii(char **ascii, struct arena *arena, const char *domain);

#endif
