#include "byte_ranges.h"

#include "serve_parts.h"

#include <inttypes.h>
#include <string.h>

enum wanted { THE_WHOLE, A_PART, NOTHING, NONSENSE };

/* The first range that is there, if all are well written. */
static enum wanted find_part(const char *field, uint64_t length, struct serve_range *part) {
    const char *at = serve_range_specs(field);
    enum wanted wanted = NONSENSE; /* as a list without any */
    enum serve_spec spec;
    struct serve_range range;
    if (!at)
        return THE_WHOLE;
    while ((spec = serve_next_range(&at, length, &range)) != SERVE_NO_MORE) {
        if (spec == SERVE_MALFORMED)
            return NONSENSE;
        if (wanted == A_PART)
            continue;
        wanted = spec == SERVE_WITHIN ? A_PART : spec == SERVE_ALL ? THE_WHOLE : NOTHING;
        if (wanted == A_PART)
            *part = range;
    }
    return wanted;
}

static bool may_be_cut(ctx_t *ctx) {
    return strcmp(ctx->method, "GET") == 0 && ctx->status == 200 && !ctx_header_sent(ctx) &&
           ctx_body_kind(ctx) == CTX_BODY_BYTES && !ctx_has(ctx, "Content-Range") &&
           serve_may_send_part(ctx, true);
}

static int send_part(ctx_t *ctx, struct serve_range part) {
    bytes_t body = ctx_body_bytes(ctx);
    int err = ctx_setf(ctx, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%zu", part.first,
                       part.last, body.length);
    if (err)
        return err;
    ctx->status = 206;
    return ctx_bytes(ctx, body.data + part.first, (size_t)(part.last - part.first + 1));
}

static int refuse(ctx_t *ctx, bool is_well_formed) {
    int err = 0;
    if (is_well_formed)
        err = ctx_setf(ctx, "Content-Range", "bytes */%zu", ctx_body_bytes(ctx).length);
    if (err)
        return err;
    ctx->status = 416;
    ctx_remove(ctx, "Content-Type");
    return ctx_text(ctx, ctx_response_message(ctx));
}

may_await int byte_ranges(ctx_t *ctx) {
    const char *field = ctx_get(ctx, "Range");
    struct serve_range part;
    int err = ctx_set(ctx, "Accept-Ranges", "bytes");
    if (!err)
        err = next(ctx);
    if (err || !*field || !may_be_cut(ctx))
        return err;
    switch (find_part(field, ctx_body_bytes(ctx).length, &part)) {
    case A_PART:
        return send_part(ctx, part);
    case THE_WHOLE:
        return 0;
    case NOTHING:
        return refuse(ctx, true);
    default:
        return refuse(ctx, false);
    }
}
