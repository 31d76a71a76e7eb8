/* Headers that tell browsers to be careful, as helmet 8. */
#include "security_headers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE_BYTES 16
#define NONCE_VALUE "acacia csp_nonce" /* its name among the values of a ctx */

static const char nonce_mark[] = "'nonce'";

/* Which headers there are, where their options lie, and what they may be: words, the first of which
 * is the default. */
static const struct field {
    const char *name;
    size_t option;
    const char *fallback;
    const char *words;
} fields[] = {
#define FIELD(name, option, fallback, words)                                                       \
    { name, offsetof(security_headers_options_t, option), fallback, words }
    FIELD("Cross-Origin-Embedder-Policy", cross_origin_embedder_policy, "",
          "require-corp credentialless unsafe-none"),
    FIELD("Cross-Origin-Opener-Policy", cross_origin_opener_policy, "same-origin",
          "same-origin same-origin-allow-popups noopener-allow-popups unsafe-none"),
    FIELD("Cross-Origin-Resource-Policy", cross_origin_resource_policy, "same-origin",
          "same-origin same-site cross-origin"),
    FIELD("Origin-Agent-Cluster", origin_agent_cluster, "?1", "?1"),
    FIELD("Referrer-Policy", referrer_policy, "no-referrer",
          "no-referrer no-referrer-when-downgrade same-origin origin strict-origin "
          "origin-when-cross-origin strict-origin-when-cross-origin unsafe-url"),
    FIELD("Strict-Transport-Security", strict_transport_security,
          "max-age=31536000; includeSubDomains", NULL),
    FIELD("X-Content-Type-Options", x_content_type_options, "nosniff", "nosniff"),
    FIELD("X-DNS-Prefetch-Control", x_dns_prefetch_control, "off", "off on"),
    FIELD("X-Download-Options", x_download_options, "noopen", "noopen"),
    FIELD("X-Frame-Options", x_frame_options, "SAMEORIGIN", "SAMEORIGIN DENY"),
    FIELD("X-Permitted-Cross-Domain-Policies", x_permitted_cross_domain_policies, "none",
          "none master-only by-content-type all"),
    FIELD("X-XSS-Protection", x_xss_protection, "0", "0"),
#undef FIELD
};
enum { FIELDS = sizeof fields / sizeof *fields };

struct security_headers {
    char *values[FIELDS]; /* NULL: not sent */
    char *csp;            /* NULL: not sent; with nonce_mark where a nonce belongs */
    const char *csp_name;
    bool has_nonce, keep_x_powered_by;
    char error[256];
};

/* --- Each request ----------------------------------------------------------------------------- */

const char *csp_nonce(const ctx_t *ctx) {
    return ctx_value(ctx, NONCE_VALUE);
}

static int make_nonce(ctx_t *ctx, char **nonce) {
    unsigned char bytes[NONCE_BYTES];
    *nonce = ctx_alloc(ctx, 2 * NONCE_BYTES + 1);
    if (!*nonce)
        return UV_ENOMEM;
    int err = uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL);
    for (size_t i = 0; i < NONCE_BYTES; i++)
        snprintf(*nonce + 2 * i, 3, "%02x", bytes[i]);
    return err ? err : ctx_set_value(ctx, NONCE_VALUE, *nonce, NULL);
}

/* The policy with its marks filled in. */
static int set_csp(ctx_t *ctx, const struct security_headers *headers) {
    const char *policy = "", *rest = headers->csp, *mark;
    char *nonce;
    if (!headers->has_nonce)
        return ctx_set(ctx, headers->csp_name, headers->csp);
    int err = make_nonce(ctx, &nonce);
    if (err)
        return err;
    while (policy && (mark = strstr(rest, nonce_mark))) {
        policy = ctx_printf(ctx, "%s%.*s'nonce-%s'", policy, (int)(mark - rest), rest, nonce);
        rest = mark + strlen(nonce_mark);
    }
    policy = policy ? ctx_printf(ctx, "%s%s", policy, rest) : NULL;
    return policy ? ctx_set(ctx, headers->csp_name, policy) : UV_ENOMEM;
}

/* As it stands now: a handler may have changed it. */
static int keep(ctx_t *ctx, const char *name) {
    const char *value = ctx_response_get(ctx, name);
    return value ? ctx_throw_header(ctx, name, value) : 0;
}

/* The error, or that there is no memory for its headers. */
static int keep_on_error(ctx_t *ctx, const struct security_headers *headers, int err) {
    int failure = headers->csp ? keep(ctx, headers->csp_name) : 0;
    for (size_t i = 0; i < FIELDS && !failure; i++)
        if (headers->values[i])
            failure = keep(ctx, fields[i].name);
    return failure == UV_ENOMEM ? failure : err;
}

static int run_security_headers(ctx_t *ctx, void *state) {
    const struct security_headers *headers = state;
    int err = headers->csp ? set_csp(ctx, headers) : 0;
    for (size_t i = 0; i < FIELDS && !err; i++)
        if (headers->values[i])
            err = ctx_set(ctx, fields[i].name, headers->values[i]);
    if (!err && !headers->keep_x_powered_by)
        err = ctx_remove(ctx, "X-Powered-By");
    if (err)
        return err;
    err = next(ctx);
    return err < 0 ? keep_on_error(ctx, headers, err) : err;
}

/* --- Checking options ------------------------------------------------------------------------- */

static const char *fail(struct security_headers *headers, const char *format, ...)
    ACACIA_PRINTF(2, 3);

static const char *fail(struct security_headers *headers, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(headers->error, sizeof headers->error, format, args);
    va_end(args);
    return headers->error;
}

/* Is one of `words` the `length` bytes of `text`? */
static bool is_word(const char *words, const char *text, size_t length) {
    for (size_t n; *words; words += n + (words[n] == ' ')) {
        n = strcspn(words, " ");
        if (n == length && memcmp(words, text, n) == 0)
            return true;
    }
    return false;
}

/* One word; or, of Referrer-Policy, several. */
static bool are_words(const struct field *field, const char *value) {
    bool is_list = strcmp(field->name, "Referrer-Policy") == 0;
    for (;;) {
        size_t length = is_list ? strcspn(value, ",") : strlen(value);
        if (!is_word(field->words, value, length))
            return false;
        if (!value[length])
            return true;
        value += length + 1;
    }
}

/* "max-age=1; includeSubDomains; preload" (RFC 6797 6.1, as helmet writes it). */
static bool is_transport_security(const char *value) {
    static const char *const parts[] = {"; includeSubDomains", "; preload"};
    if (strncmp(value, "max-age=", 8) != 0)
        return false;
    value += 8;
    size_t digits = strspn(value, "0123456789");
    value += digits;
    for (size_t i = 0; i < 2; i++)
        if (strncmp(value, parts[i], strlen(parts[i])) == 0)
            value += strlen(parts[i]);
    return digits > 0 && !*value;
}

static const char *check_field(struct security_headers *headers, const struct field *field,
                               const char *value) {
    if (!*value)
        return NULL;
    if (!field->words)
        return is_transport_security(value)
                   ? NULL
                   : fail(headers,
                          "%s is \"max-age=SECONDS; includeSubDomains; preload\", not \"%s\"",
                          field->name, value);
    return are_words(field, value) ? NULL
                                   : fail(headers, "%s can't be \"%s\"; it may be: %s", field->name,
                                          value, field->words);
}

/* --- The policy ------------------------------------------------------------------------------- */

static const csp_directive_t csp_defaults[] = {
    {"default-src", "'self'"},
    {"base-uri", "'self'"},
    {"font-src", "'self' https: data:"},
    {"form-action", "'self'"},
    {"frame-ancestors", "'self'"},
    {"img-src", "'self' data:"},
    {"object-src", "'none'"},
    {"script-src", "'self'"},
    {"script-src-attr", "'none'"},
    {"style-src", "'self' https: 'unsafe-inline'"},
    {"upgrade-insecure-requests", ""},
    {NULL, NULL},
};

static const csp_directive_t *find_directive(const csp_directive_t *list, const char *name) {
    while (list && list->name && strcmp(list->name, name) != 0)
        list++;
    return list && list->name ? list : NULL;
}

/* Keywords and hashes that mean something only in quotes; without, they are hosts of that name. */
static bool lacks_quotes(const char *source, size_t length) {
    static const char words[] =
        "none self strict-dynamic report-sample inline-speculation-rules unsafe-inline unsafe-eval "
        "unsafe-hashes wasm-unsafe-eval nonce";
    static const char *const prefixes[] = {"nonce-", "sha256-", "sha384-", "sha512-"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(source, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return is_word(words, source, length);
}

static const char *check_value(struct security_headers *headers, const csp_directive_t *directive) {
    const char *value = directive->value;
    for (const char *at = value; *at; at++)
        if (*at < ' ' || *at > '~' || *at == ';' || *at == ',')
            return fail(headers, "the value of %s has a character that ends it: \"%s\"",
                        directive->name, value);
    while (*value) {
        size_t length = strcspn(value, " ");
        if (lacks_quotes(value, length))
            return fail(headers, "in %s, %.*s needs quotes: '%.*s'", directive->name, (int)length,
                        value, (int)length, value);
        value += length;
        value += strspn(value, " ");
    }
    return NULL;
}

static const char *check_directive(struct security_headers *headers,
                                   const csp_directive_t *directive) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const char *name = directive->name;
    size_t length = strspn(name, allowed);
    if (*name < 'a' || *name > 'z' || name[length] || name[length - 1] == '-')
        return fail(headers, "\"%s\" is no directive: small letters, digits, '-' between", name);
    if (find_directive(directive + 1, name))
        return fail(headers, "there are two directives %s", name);
    return directive->value ? check_value(headers, directive) : NULL;
}

static const char *check_csp(struct security_headers *headers,
                             const security_headers_options_t *options) {
    const csp_directive_t *own = find_directive(options->csp, "default-src");
    bool has_default_src = own ? !!own->value : !options->csp_no_defaults;
    const char *error = NULL;
    for (const csp_directive_t *at = options->csp; at && at->name && !error; at++)
        error = check_directive(headers, at);
    if (!error && !has_default_src && !options->csp_no_default_src)
        error = "a policy without default-src allows almost everything; csp_no_default_src says "
                "that it is meant so";
    return error;
}

static void write_directive(FILE *file, const csp_directive_t *directive, bool *is_first) {
    if (!directive->value)
        return;
    fprintf(file, "%s%s%s%s", *is_first ? "" : ";", directive->name, *directive->value ? " " : "",
            directive->value);
    *is_first = false;
}

/* The default directives, or what replaces them, then the others. */
static void write_csp(FILE *file, const security_headers_options_t *options) {
    bool is_first = true;
    for (const csp_directive_t *at = csp_defaults; at->name && !options->csp_no_defaults; at++) {
        const csp_directive_t *own = find_directive(options->csp, at->name);
        bool is_left_out = options->csp_no_default_src && strcmp(at->name, "default-src") == 0;
        if (own || !is_left_out)
            write_directive(file, own ? own : at, &is_first);
    }
    for (const csp_directive_t *at = options->csp; at && at->name; at++)
        if (options->csp_no_defaults || !find_directive(csp_defaults, at->name))
            write_directive(file, at, &is_first);
}

/* What is wrong with the policy, or NULL. */
static const char *make_csp(struct security_headers *headers,
                            const security_headers_options_t *options) {
    size_t length;
    const char *error = check_csp(headers, options);
    if (error)
        return error;
    FILE *file = open_memstream(&headers->csp, &length);
    if (file)
        write_csp(file, options);
    if (!file || fclose(file))
        return "out of memory";
    headers->has_nonce = strstr(headers->csp, nonce_mark);
    return length ? NULL : "a policy without directives: no_csp leaves it out";
}

/* --- Making one ------------------------------------------------------------------------------- */

static void free_security_headers(void *state) {
    struct security_headers *headers = state;
    for (size_t i = 0; i < FIELDS; i++)
        free(headers->values[i]);
    free(headers->csp);
    free(headers);
}

static const char *make_field(struct security_headers *headers, size_t i,
                              const security_headers_options_t *options) {
    const char *value = *(const char *const *)((const char *)options + fields[i].option);
    if (!value)
        value = fields[i].fallback;
    const char *error = check_field(headers, &fields[i], value);
    if (!error && *value && !(headers->values[i] = strdup(value)))
        error = "out of memory";
    return error;
}

middleware_t security_headers(const security_headers_options_t *options) {
    static const security_headers_options_t defaults;
    const security_headers_options_t *given = options ? options : &defaults;
    struct security_headers *headers = calloc(1, sizeof *headers);
    if (!headers)
        return (middleware_t){.name = "security_headers", .error = "out of memory"};
    middleware_t layer = {run_security_headers, headers, free_security_headers, "security_headers",
                          NULL};
    headers->keep_x_powered_by = given->keep_x_powered_by;
    headers->csp_name =
        given->csp_report_only ? "Content-Security-Policy-Report-Only" : "Content-Security-Policy";
    if (!given->no_csp)
        layer.error = make_csp(headers, given);
    for (size_t i = 0; i < FIELDS && !layer.error; i++)
        layer.error = make_field(headers, i, given);
    return layer;
}
