/* What OpenSSL has to say, in words. */
#ifndef ACACIA_TLS_ERROR_H
#define ACACIA_TLS_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_WHY 256

/* Where a reason is put, cut to `size`. */
struct tls_why {
    char *text;
    size_t size;
};

/* Say `text` of `subject` (a file, …; may be NULL). Returns false. */
bool tls_say(const struct tls_why *why, const char *subject, const char *text);

/* The same with what OpenSSL has noted first; its notes are dropped. */
bool tls_explain(const struct tls_why *why, const char *subject);

/* What OpenSSL has noted first, in words. Its notes stay. */
const char *tls_reason(void);

/* OpenSSL's notes are for one call: drop those of others before it, and its own after it. There are
 * hardly ever any, and to look costs less. */
void tls_forget(void);

/* Was it that there is no memory? */
bool tls_no_memory(void);

#endif
