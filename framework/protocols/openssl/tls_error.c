#include "protocols/openssl/tls_error.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

bool tls_say(const struct tls_why *why, const char *subject, const char *text) {
    if (why->size)
        snprintf(why->text, why->size, "%s%s%s", subject ? subject : "", subject ? ": " : "", text);
    return false;
}

void tls_forget(void) {
    if (ERR_peek_error())
        ERR_clear_error();
}

unsigned long tls_take_error(void) {
    unsigned long error = ERR_get_error(), first = error, own = 0;
    for (; error; error = ERR_get_error()) {
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            first = own = error;
        else if (!own && ERR_GET_LIB(error) == ERR_LIB_SSL)
            own = error;
    }
    return own ? own : first;
}

/* OpenSSL's words, save where they would puzzle whoever has given it a file. */
const char *tls_reason(unsigned long error) {
    const char *text = ERR_reason_error_string(error);
    if (ERR_SYSTEM_ERROR(error))
        return strerror(ERR_GET_REASON(error));
    bool is_missing =
        ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    bool is_other =
        ERR_GET_LIB(error) == ERR_LIB_OSSL_DECODER && ERR_GET_REASON(error) == ERR_R_UNSUPPORTED;
    if (is_missing || is_other)
        return "there is nothing of that kind in it (in PEM)";
    bool is_secret =
        ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_BAD_PASSWORD_READ;
    if (is_secret || ERR_GET_REASON(error) == ERR_R_INTERRUPTED_OR_CANCELLED)
        return "it is encrypted, and there is no passphrase";
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
        return "wrong version number: it may be no TLS at all";
    return text ? text : error ? "OpenSSL does not say why" : "out of memory";
}

bool tls_explain(const struct tls_why *why, const char *subject) {
    tls_say(why, subject, tls_reason(ERR_peek_error()));
    ERR_clear_error();
    return false;
}
