#include "context/idna.h"

#include "runtime/arena.h"

#include <string.h>
#include <uv.h>

#ifdef ACACIA_IDN2

#include <idn2.h>

/* DNS has room for 253 characters, each of which has at most four bytes in UTF-8. Whatever is
 * longer is not worth the time that it takes to refuse it. */
#define DOMAIN_MAX 1024

int idna_to_ascii(char **ascii, struct arena *arena, const char *domain) {
    char *result;
    if (strlen(domain) > DOMAIN_MAX)
        return UV_EINVAL;
    int err = idn2_to_ascii_8z(domain, &result, IDN2_NONTRANSITIONAL);
    if (err != IDN2_OK)
        return err == IDN2_MALLOC ? UV_ENOMEM : UV_EINVAL;
    *ascii = arena_copy(arena, result, strlen(result));
    idn2_free(result);
    return *ascii ? 0 : UV_ENOMEM;
}

#else

int idna_to_ascii(char **ascii, struct arena *arena, const char *domain) {
    return UV_EINVAL;
}

#endif
