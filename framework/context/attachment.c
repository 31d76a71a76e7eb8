/* A response to be saved as a file. */
#include "context/context.h"
#include "context/disposition.h"

#include <string.h>

int ctx_attachment(ctx_t *ctx, const char *filename) {
    return ctx_attachment_with(ctx, filename, NULL);
}

int ctx_attachment_with(ctx_t *ctx, const char *filename, const attachment_options_t *options) {
    struct context *context = context_of(ctx);
    const char *error;
    struct attachment attachment = {.filename = filename};
    if (options) {
        attachment.type = options->type;
        attachment.fallback = options->fallback;
        attachment.no_fallback = options->no_fallback;
    }
    if (context->header_sent)
        return UV_EALREADY;
    char *value = disposition_write(context->home.arena, &attachment, &error);
    if (!value)
        return error ? ctx_throw(ctx, 500, "attachment: %s", error) : context_no_memory(context);
    if (filename)
        context_type_by_name(context, filename);
    return context_set_header(context, "Content-Disposition", value);
}
