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

bool method_serves(const char *method, const char *asked) {
    if (!method || strcmp(method, asked) == 0)
        return true;
    return strcmp(method, "GET") == 0 && strcmp(asked, "HEAD") == 0;
}

void method_capitalize(char *method) {
    for (; *method; method++)
        if (*method >= 'a' && *method <= 'z')
            *method = (char)(*method - 'a' + 'A');
}
