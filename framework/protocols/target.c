#include "protocols/target.h"

#include "protocols/authority.h"

#include <string.h>
#include <strings.h>

/* Where the host begins in a whole URL, or NULL. */
static const char *authority_of(const char *target) {
    if (strncasecmp(target, "http://", 7) == 0)
        return target + 7;
    return strncasecmp(target, "https://", 8) == 0 ? target + 8 : NULL;
}

bool target_is_clear(const char *target, const char *host) {
    if (*target == '/' || *target == '*')
        return true;
    const char *authority = authority_of(target);
    size_t n = authority ? strcspn(authority, "/?#") : 0;
    return authority_is_host(authority, n) &&
           (!host || (strlen(host) == n && strncasecmp(authority, host, n) == 0));
}
