#include "application/methods.h"

#include <stddef.h>
#include <string.h>

const char *const all_methods[] = {
    "HEAD",   "ACL",     "BIND",        "CHECKOUT", "CONNECT",    "COPY",       "DELETE", "GET",
    "LINK",   "LOCK",    "M-SEARCH",    "MERGE",    "MKACTIVITY", "MKCALENDAR", "MKCOL",  "MOVE",
    "NOTIFY", "OPTIONS", "PATCH",       "POST",     "PROPFIND",   "PROPPATCH",  "PURGE",  "PUT",
    "QUERY",  "REBIND",  "REPORT",      "SEARCH",   "SOURCE",     "SUBSCRIBE",  "TRACE",  "UNBIND",
    "UNLINK", "UNLOCK",  "UNSUBSCRIBE", NULL,
};

void method_capitalize(char *method) {
    for (; *method; method++)
        if (*method >= 'a' && *method <= 'z')
            *method = (char)(*method - 'a' + 'A');
}
