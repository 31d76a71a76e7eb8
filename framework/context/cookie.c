#include "context/cookie.h"

#include "runtime/arena.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* --- Reading ---------------------------------------------------------------------------------- */

bool cookie_line_sets(const char *line, const char *name) {
    size_t length = strlen(name);
    return strncmp(line, name, length) == 0 && line[length] == '=';
}

/* The text between '"' and whatever is last: npm cookies looks at the first character only. */
static const char *strip_quotes(const char *value, size_t *length) {
    if (*length == 0 || *value != '"')
        return value;
    *length = *length > 2 ? *length - 2 : 0;
    return value + 1;
}

/* A name may begin with spaces itself, which are then the last ones before it. */
const char *cookie_get(const char *header, const char *name, size_t *length) {
    size_t own_spaces = strspn(name, " ");
    const char *at = header;
    while (at) {
        size_t spaces = strspn(at, " ");
        size_t skip = spaces >= own_spaces ? spaces - own_spaces : 0;
        if (cookie_line_sets(at + skip, name)) {
            const char *value = at + skip + strlen(name) + 1;
            *length = strcspn(value, ";");
            return strip_quotes(value, length);
        }
        const char *semicolon = strchr(at, ';');
        at = semicolon ? semicolon + 1 : NULL;
    }
    return NULL;
}

/* --- What a cookie can be --------------------------------------------------------------------- */

static bool is_set(const char *text) {
    return text && *text;
}

static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* What a header field can hold: tabs, and whatever is no control character (RFC 9110 5.5). */
static bool is_field_content(const char *text) {
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == '\x7F')
            return false;
    return true;
}

static bool name_is_valid(const char *name) {
    return is_set(name) && is_field_content(name) && !strpbrk(name, ";=");
}

static bool value_is_valid(const char *value) {
    return is_field_content(value) && !strchr(value, ';');
}

/* ASCII without ';'; and without '<', by a slip in npm cookies that is not worth a difference. */
static bool path_is_valid(const char *path) {
    for (; *path; path++)
        if (*path < ' ' || *path > '~' || *path == ';' || *path == '<')
            return false;
    return true;
}

/* Letters, digits and inner hyphens: at most 63 (RFC 1034 3.5). */
static bool label_is_valid(const char *label, size_t n) {
    if (n == 0 || n > 63 || label[0] == '-' || label[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_alphanumeric(label[i]) && label[i] != '-')
            return false;
    return true;
}

/* Labels with dots between them, and perhaps one before (RFC 6265 5.2.3). */
static bool domain_is_valid(const char *domain) {
    if (*domain == '.')
        domain++;
    while (true) {
        size_t n = strcspn(domain, ".");
        if (!label_is_valid(domain, n))
            return false;
        if (!domain[n])
            return true;
        domain += n + 1;
    }
}

/* One of three words, in any case. */
static bool is_one_of(const char *text, const char *a, const char *b, const char *c) {
    return strcasecmp(text, a) == 0 || strcasecmp(text, b) == 0 || strcasecmp(text, c) == 0;
}

/* In the order of npm cookies, so that of several errors the same one is told. */
static const char *find_error(const struct cookie *cookie) {
    if (!name_is_valid(cookie->name))
        return "argument name is invalid";
    if (is_set(cookie->value) && !value_is_valid(cookie->value))
        return "argument value is invalid";
    if (is_set(cookie->path) && !path_is_valid(cookie->path))
        return "option path is invalid";
    if (is_set(cookie->domain) && !domain_is_valid(cookie->domain))
        return "option domain is invalid";
    if (is_set(cookie->priority) && !is_one_of(cookie->priority, "low", "medium", "high"))
        return "option priority is invalid";
    if (is_set(cookie->same_site) && !is_one_of(cookie->same_site, "lax", "none", "strict"))
        return "option sameSite is invalid";
    return NULL;
}

/* --- Dates ------------------------------------------------------------------------------------ */

#define DATE_SIZE 40
#define SECONDS_MAX INT64_C(8640000000000) /* as far as JavaScript's dates go, both ways */

/* As Date.prototype.toUTCString, in every locale. False if there is no such date. */
static bool format_date(char text[DATE_SIZE], int64_t seconds) {
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t time = (time_t)seconds;
    struct tm tm;
    if (seconds < -SECONDS_MAX || seconds > SECONDS_MAX || time != seconds || !gmtime_r(&time, &tm))
        return false;
    int year = tm.tm_year + 1900;
    snprintf(text, DATE_SIZE, "%s, %02d %s %s%04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], year < 0 ? "-" : "", year < 0 ? -year : year, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    return true;
}

/* The second in which this millisecond lies, also before 1970. */
static int64_t seconds_of(int64_t milliseconds) {
    int64_t rest = milliseconds % 1000;
    return milliseconds / 1000 - (rest < 0 ? 1 : 0);
}

/* The attribute `expires`, or "" if it has none. Returns the error, or NULL. */
static const char *find_expires(char date[DATE_SIZE], const struct cookie *cookie, int64_t now) {
    int64_t instant;
    *date = '\0';
    if (cookie->expired || !is_set(cookie->value)) {
        format_date(date, 0);
    } else if (cookie->max_age != 0) {
        if (__builtin_add_overflow(now, cookie->max_age, &instant) ||
            !format_date(date, seconds_of(instant)))
            return "option maxAge is invalid";
    } else if (cookie->expires != 0) {
        if (!format_date(date, cookie->expires))
            return "option expires is invalid";
    }
    return NULL;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static char *put(char *at, const char *text) {
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

static char *put_attribute(char *at, const char *name, const char *value) {
    return is_set(value) ? put(put(at, name), value) : at;
}

static char *put_lower(char *at, const char *name, const char *value) {
    char *end = put_attribute(at, name, value);
    for (; at < end; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    return end;
}

static size_t length_of(const char *text) {
    return text ? strlen(text) : 0;
}

/* At least as many bytes as the line has. */
static size_t line_size(const struct cookie *cookie) {
    static const char fixed[] = "=; path=/; expires=; domain=; priority=medium; samesite=strict"
                                "; secure; httponly; partitioned";
    return sizeof fixed + DATE_SIZE + length_of(cookie->name) + length_of(cookie->value) +
           length_of(cookie->path) + length_of(cookie->domain);
}

char *cookie_write(struct arena *arena, const struct cookie *cookie, int64_t now,
                   const char **error) {
    char expires[DATE_SIZE];
    *error = find_error(cookie);
    if (!*error)
        *error = find_expires(expires, cookie, now);
    char *line = *error ? NULL : arena_alloc(arena, line_size(cookie));
    if (!line)
        return NULL;
    char *at = put(line, cookie->name);
    at = put(at, "=");
    at = put(at, cookie->value ? cookie->value : "");
    at = put_attribute(at, "; path=", cookie->path ? cookie->path : "/");
    at = put_attribute(at, "; expires=", expires);
    at = put_attribute(at, "; domain=", cookie->domain);
    at = put_lower(at, "; priority=", cookie->priority);
    at = put_lower(at, "; samesite=", cookie->same_site);
    at = put(at, cookie->secure ? "; secure" : "");
    at = put(at, cookie->script_access ? "" : "; httponly");
    at = put(at, cookie->partitioned ? "; partitioned" : "");
    *at = '\0';
    return line;
}
