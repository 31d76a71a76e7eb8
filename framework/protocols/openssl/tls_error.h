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

/* OpenSSL's notes are for one call: drop those of others, before a call whose success SSL_get_error
 * is asked about, and its own after it. There are hardly ever any, and to look costs less, which is
 * 200 instructions. */
void tls_forget(void);

/* Why a call on a connection has failed; 0 if OpenSSL does not say. It may stand behind notes of
 * others: the first that is about TLS counts, or about memory. All are dropped. */
unsigned long tls_take_error(void);

/* An error of OpenSSL's in words. */
const char *tls_reason(unsigned long error);

#endif
