#include "access_line.h"

#include "base64.h"
#include "request_id.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SECOND UINT64_C(1000000000) /* in nanoseconds */

/* --- koa-logger ------------------------------------------------------------------------------- */

/* Colours of chalk: what switches them on, and off. */
struct colour {
    const char *on, *off;
};

static const struct colour none = {"", ""}, bold = {"\x1b[1m", "\x1b[22m"},
                           grey = {"\x1b[90m", "\x1b[39m"}, red = {"\x1b[31m", "\x1b[39m"},
                           green = {"\x1b[32m", "\x1b[39m"}, yellow = {"\x1b[33m", "\x1b[39m"},
                           magenta = {"\x1b[35m", "\x1b[39m"}, cyan = {"\x1b[36m", "\x1b[39m"};

static const struct colour *colour_of(int status) {
    switch (status / 100) {
    case 1:
    case 2:
        return &green;
    case 3:
        return &cyan;
    case 5:
        return &red;
    case 6:
        return &none;
    case 7:
        return &magenta;
    default:
        return &yellow;
    }
}

static void add_word(struct text *text, const struct colour *colour, bool colours,
                     const char *word) {
    text_add_char(text, ' ');
    text_add(text, colours ? colour->on : "");
    text_add_escaped(text, word, ESCAPE_LOG);
    text_add(text, colours ? colour->off : "");
}

static void add_id(struct text *text, ctx_t *ctx, bool colours) {
    const char *id = request_id_of(ctx);
    if (id)
        add_word(text, &grey, colours, id);
}

void access_line_begin(struct text *text, ctx_t *ctx, bool colours) {
    text_add_char(text, ' ');
    add_word(text, &grey, colours, "<--");
    add_word(text, &bold, colours, ctx->method);
    add_word(text, &grey, colours, ctx->original_url);
    add_id(text, ctx, colours);
}

/* "1,234": with a comma before each three digits. */
static void write_grouped(char *to, size_t size, uint64_t number, const char *unit) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);
    char *at = to;
    for (int i = 0; i < length && (size_t)(at - to) + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    snprintf(at, size - (size_t)(at - to), "%s", unit);
}

/* Milliseconds, or from ten seconds on seconds. */
static void write_time(char *to, size_t size, uint64_t nanoseconds) {
    uint64_t milliseconds = (nanoseconds + 500000) / 1000000;
    if (milliseconds < 10000)
        write_grouped(to, size, milliseconds, "ms");
    else
        write_grouped(to, size, (milliseconds + 500) / 1000, "s");
}

/* "1.5kb": npm's bytes, in lower case. Half of a hundredth is one more, as in toFixed. */
static void write_size(char *to, size_t size, uint64_t bytes) {
    static const char *const units[] = {"b", "kb", "mb", "gb", "tb", "pb"};
    int unit = 0;
    while (unit < 5 && bytes >> (10 * (unit + 1)))
        unit++;
    uint64_t one = UINT64_C(1) << (10 * unit), whole = bytes / one;
    unsigned hundredths = (unsigned)((bytes % one * 100 + one / 2) / one);
    whole += hundredths / 100;
    hundredths %= 100;
    if (hundredths == 0)
        snprintf(to, size, "%" PRIu64 "%s", whole, units[unit]);
    else if (hundredths % 10 == 0)
        snprintf(to, size, "%" PRIu64 ".%u%s", whole, hundredths / 10, units[unit]);
    else
        snprintf(to, size, "%" PRIu64 ".%02u%s", whole, hundredths, units[unit]);
}

static void write_length(char *to, size_t size, const struct access *access, int status) {
    int64_t length = access->error ? 0 : ctx_response_length(access->ctx);
    if (length < 0)
        length = (int64_t)ctx_bytes_sent(access->ctx);
    if (status == 204 || status == 205 || status == 304)
        to[0] = '\0';
    else if (length == 0)
        snprintf(to, size, "-");
    else
        write_size(to, size, (uint64_t)length);
}

void access_line_end(struct text *text, const struct access *access, bool colours) {
    ctx_t *ctx = access->ctx;
    int status = access->error ? access->error_status : ctx->status ? ctx->status : 404;
    char number[12], time_taken[40], length[40];
    snprintf(number, sizeof number, "%d", status);
    write_time(time_taken, sizeof time_taken, access->nanoseconds);
    write_length(length, sizeof length, access, status);
    text_add_char(text, ' ');
    if (access->error)
        add_word(text, &red, colours, "xxx");
    else if (access->complete)
        add_word(text, &grey, colours, "-->");
    else
        add_word(text, &yellow, colours, "-x-");
    add_word(text, &bold, colours, ctx->method);
    add_word(text, &grey, colours, ctx->original_url);
    add_word(text, colour_of(status), colours, number);
    add_word(text, &grey, colours, time_taken);
    add_word(text, &grey, colours, length);
    add_id(text, ctx, colours);
}

/* --- Apache ----------------------------------------------------------------------------------- */

/* When the request came. */
static struct timespec time_of(const struct access *access) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t began = (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec - access->nanoseconds;
    return (struct timespec){(time_t)(began / SECOND), (long)(began % SECOND)};
}

/* "21/Nov/2026:11:05:00 +0000". The months have English names wherever the program runs. */
static void add_clf_time(struct text *text, const struct access *access) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct timespec time = time_of(access);
    struct tm tm;
    gmtime_r(&time.tv_sec, &tm);
    text_printf(text, "%02d/%.3s/%d:%02d:%02d:%02d +0000", tm.tm_mday, months + 3 * tm.tm_mon,
                tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* "-" stands for nothing. */
static void add_field(struct text *text, const char *value) {
    if (value && *value)
        text_add_escaped(text, value, ESCAPE_QUOTED);
    else
        text_add_char(text, '-');
}

/* The "user:password" of basic authentication (RFC 7617), to be freed by free(); NULL if there is
 * none. */
static char *read_credentials(ctx_t *ctx) {
    const char *header = ctx_get(ctx, "Authorization");
    char *credentials;
    size_t length;
    if (strncasecmp(header, "Basic ", 6) != 0)
        return NULL;
    char *encoded = ctx_strdup(ctx, header + 6 + strspn(header + 6, " "));
    if (!encoded)
        return NULL;
    encoded[strcspn(encoded, " ")] = '\0';
    return base64_read(encoded, &credentials, &length) ? NULL : credentials;
}

/* Whether or not he may come in. Blanks would make two fields of one. */
static void add_user(struct text *text, ctx_t *ctx) {
    char *user = read_credentials(ctx);
    char *end = user ? strchr(user, ':') : NULL;
    for (char *at = user; end && at < end; at++)
        *at = *at == ' ' ? '_' : *at;
    if (end)
        *end = '\0';
    add_field(text, end ? user : NULL);
    free(user);
}

void access_line_common(struct text *text, const struct access *access, bool combined) {
    ctx_t *ctx = access->ctx;
    uint64_t bytes = ctx_bytes_sent(ctx);
    add_field(text, access->ip);
    text_add(text, " - ");
    add_user(text, ctx);
    text_add(text, " [");
    add_clf_time(text, access);
    text_add(text, "] \"");
    text_add_escaped(text, ctx->method, ESCAPE_QUOTED);
    text_add_char(text, ' ');
    text_add_escaped(text, ctx->original_url, ESCAPE_QUOTED);
    text_printf(text, " HTTP/%s\" ", ctx_http_version(ctx));
    if (ctx_header_sent(ctx))
        text_printf(text, "%d", ctx->status);
    else
        text_add_char(text, '-');
    if (bytes > 0)
        text_printf(text, " %" PRIu64, bytes);
    else
        text_add(text, " -");
    if (!combined)
        return;
    text_add(text, " \"");
    add_field(text, ctx_get(ctx, "Referer"));
    text_add(text, "\" \"");
    add_field(text, ctx_get(ctx, "User-Agent"));
    text_add_char(text, '"');
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void add_member(struct text *text, const char *name, const char *value) {
    if (!value || !*value)
        return;
    text_printf(text, ",\"%s\":\"", name);
    text_add_escaped(text, value, ESCAPE_JSON);
    text_add_char(text, '"');
}

/* RFC 3339, which any log reader knows. */
static void add_time(struct text *text, const struct access *access) {
    struct timespec time = time_of(access);
    struct tm tm;
    char date[32];
    gmtime_r(&time.tv_sec, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    text_printf(text, "{\"time\":\"%s.%03ldZ\"", date, time.tv_nsec / 1000000);
}

void access_line_json(struct text *text, const struct access *access) {
    ctx_t *ctx = access->ctx;
    add_time(text, access);
    add_member(text, "id", request_id_of(ctx));
    add_member(text, "ip", access->ip);
    add_member(text, "method", ctx->method);
    add_member(text, "url", ctx->original_url);
    add_member(text, "route", ctx->route_path);
    add_member(text, "version", ctx_http_version(ctx));
    if (ctx_header_sent(ctx))
        text_printf(text, ",\"status\":%d", ctx->status);
    text_printf(text, ",\"bytes\":%" PRIu64, ctx_bytes_sent(ctx));
    text_printf(text, ",\"ms\":%" PRIu64 ".%03u", access->nanoseconds / 1000000,
                (unsigned)(access->nanoseconds / 1000 % 1000));
    add_member(text, "referrer", ctx_get(ctx, "Referer"));
    add_member(text, "user_agent", ctx_get(ctx, "User-Agent"));
    add_member(text, "error", access->error);
    if (!access->complete)
        text_add(text, ",\"aborted\":true");
    text_add_char(text, '}');
}
