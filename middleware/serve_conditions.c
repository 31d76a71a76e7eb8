/* The conditions that a client sets, as far as ctx_fresh does not know them (RFC 9110 13). */
#include "serve_parts.h"

#include <string.h>

#define BLANKS " \t"

/* Is it one of the list, by the strong comparison (RFC 9110 8.8.3.2): no weak one ever is? */
static bool has_strong_tag(const char *list, const char *tag) {
    size_t length = strlen(tag);
    if (*tag != '"')
        return false;
    for (list += strspn(list, BLANKS ","); *list; list += strspn(list, BLANKS ",")) {
        bool is_weak = strncmp(list, "W/", 2) == 0;
        const char *opaque = list + (is_weak ? 2 : 0);
        const char *end = *opaque == '"' ? strchr(opaque + 1, '"') : NULL;
        if (!end)
            return false; /* malformed: what follows can't be told apart */
        if (!is_weak && (size_t)(end + 1 - opaque) == length && memcmp(opaque, tag, length) == 0)
            return true;
        list = end + 1;
    }
    return false;
}

static const char *etag_of(const ctx_t *ctx) {
    const char *tag = ctx_response_get(ctx, "ETag");
    return tag ? tag : "";
}

bool serve_is_unwanted(ctx_t *ctx) {
    const char *tags = ctx_get(ctx, "If-Match");
    if (*tags)
        return strcmp(tags, "*") != 0 && !has_strong_tag(tags, etag_of(ctx));
    int64_t limit = ctx_get_date(ctx, "If-Unmodified-Since");
    return limit >= 0 && ctx_response_last_modified(ctx) > limit;
}

bool serve_may_send_part(ctx_t *ctx, bool is_settled) {
    const char *condition = ctx_get(ctx, "If-Range");
    if (!*condition)
        return true;
    if (*condition == '"' || strncmp(condition, "W/", 2) == 0)
        return strcmp(condition, etag_of(ctx)) == 0 && *condition == '"';
    int64_t date = ctx_get_date(ctx, "If-Range");
    return is_settled && date >= 0 && date == ctx_response_last_modified(ctx);
}
