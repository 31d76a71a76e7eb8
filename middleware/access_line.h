/* What a line of the log says: the formats of logger.h. Not installed. */
#ifndef ACACIA_ACCESS_LINE_H
#define ACACIA_ACCESS_LINE_H

#include "logger.h"
#include "text.h"

/* What is known of a request when its line is written. */
struct access {
    ctx_t *ctx;
    const char *ip;       /* of the client, asked for while it was there */
    uint64_t nanoseconds; /* that it took */
    const char *error;    /* the message of one that passed by, or NULL */
    int error_status;
    bool complete;
};

/* koa-logger's two lines. */
void access_line_begin(struct text *text, ctx_t *ctx, bool colours);
void access_line_end(struct text *text, const struct access *access, bool colours);

/* The one line of the other formats. */
void access_line_common(struct text *text, const struct access *access, bool combined);
void access_line_json(struct text *text, const struct access *access);

#endif
