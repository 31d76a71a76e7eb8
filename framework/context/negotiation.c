/* What the client takes, and what it has sent: Accept and its sisters, Content-Type, freshness. */
#include "context/context.h"
#include "context/fresh.h"
#include "context/media_type.h"
#include "context/negotiate.h"

#include <stdlib.h>
#include <string.h>

const char *ctx_accepts_one_of(ctx_t *ctx, const char *const *types) {
    return negotiate_type(context_get(context_of(ctx), "Accept"), types);
}

const char *ctx_accepts_encoding_of(ctx_t *ctx, const char *const *encodings) {
    return negotiate_encoding(context_get(context_of(ctx), "Accept-Encoding"), encodings);
}

const char *ctx_prefers_encoding_of(ctx_t *ctx, const char *const *encodings) {
    return negotiate_preferred_encoding(context_get(context_of(ctx), "Accept-Encoding"), encodings);
}

const char *ctx_accepts_charset_of(ctx_t *ctx, const char *const *charsets) {
    return negotiate_charset(context_get(context_of(ctx), "Accept-Charset"), charsets);
}

const char *ctx_accepts_language_of(ctx_t *ctx, const char *const *languages) {
    return negotiate_language(context_get(context_of(ctx), "Accept-Language"), languages);
}

static int make_types(struct context *context, const char *const **list) {
    return negotiate_types(context->home.arena, context_get(context, "Accept"), list);
}

static int make_encodings(struct context *context, const char *const **list) {
    return negotiate_encodings(context->home.arena, context_get(context, "Accept-Encoding"), list);
}

static int make_charsets(struct context *context, const char *const **list) {
    return negotiate_charsets(context->home.arena, context_get(context, "Accept-Charset"), list);
}

static int make_languages(struct context *context, const char *const **list) {
    return negotiate_languages(context->home.arena, context_get(context, "Accept-Language"), list);
}

const char *ctx_accepts_at(ctx_t *ctx, size_t index) {
    return context_list_at(context_of(ctx), LIST_TYPES, make_types, index);
}

const char *ctx_accepts_encoding_at(ctx_t *ctx, size_t index) {
    return context_list_at(context_of(ctx), LIST_ENCODINGS, make_encodings, index);
}

const char *ctx_accepts_charset_at(ctx_t *ctx, size_t index) {
    return context_list_at(context_of(ctx), LIST_CHARSETS, make_charsets, index);
}

const char *ctx_accepts_language_at(ctx_t *ctx, size_t index) {
    return context_list_at(context_of(ctx), LIST_LANGUAGES, make_languages, index);
}

/* --- What it has sent ------------------------------------------------------------------------- */

const char *ctx_request_type(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    const char *type = ctx_get(ctx, "Content-Type");
    type = arena_copy(context->scope->arena, type, strcspn(type, ";"));
    return type ? type : (context_no_memory(context), "");
}

const char *ctx_request_charset(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    const char *charset = media_type_charset(context->scope->arena, ctx_get(ctx, "Content-Type"));
    return charset ? charset : (context_no_memory(context), "");
}

/* As parseInt reads it: digits, and whatever comes behind them. */
int64_t ctx_request_length(ctx_t *ctx) {
    const char *text = ctx_get(ctx, "Content-Length");
    char *end;
    int64_t length = strtoll(text, &end, 10);
    return end > text && length >= 0 ? length : -1;
}

const char *context_type_is(struct context *context, const char *type, const char *const *types) {
    const char *match = NULL;
    if (media_type_is(context->scope->arena, type, types, &match))
        context_no_memory(context);
    return match;
}

const char *ctx_is_one_of(ctx_t *ctx, const char *const *types) {
    if (!ctx_has_body(ctx))
        return NULL;
    return context_type_is(context_of(ctx), ctx_get(ctx, "Content-Type"), types);
}

/* --- What it has already ---------------------------------------------------------------------- */

bool ctx_fresh(ctx_t *ctx) {
    struct context *context = context_of(ctx);
    bool reads = strcmp(ctx->method, "GET") == 0 || strcmp(ctx->method, "HEAD") == 0;
    bool succeeds = (ctx->status >= 200 && ctx->status < 300) || ctx->status == 304;
    return reads && succeeds &&
           fresh(context_get(context, "If-None-Match"), context_get(context, "If-Modified-Since"),
                 context_get(context, "Cache-Control"), ctx_response_get(ctx, "ETag"),
                 ctx_response_get(ctx, "Last-Modified"));
}

bool ctx_stale(ctx_t *ctx) {
    return !ctx_fresh(ctx);
}
