#include "response_time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MILLISECOND 1000000 /* in nanoseconds */

/* "3.5", as JavaScript writes a number: no zeros at its end. */
static void write_milliseconds(char *text, size_t size, uint64_t nanoseconds) {
    int length = snprintf(text, size, "%" PRIu64 ".%06" PRIu64, nanoseconds / MILLISECOND,
                          nanoseconds % MILLISECOND);
    while (text[length - 1] == '0')
        text[--length] = '\0';
    if (text[length - 1] == '.')
        text[length - 1] = '\0';
}

static int run(ctx_t *ctx, void *state) {
    static const char name[] = "X-Response-Time";
    uint64_t begin = uv_hrtime();
    int err = next(ctx);
    uint64_t taken = uv_hrtime() - begin;
    char text[32];
    if (err < 0 || ctx_header_sent(ctx))
        return err;
    if (!state)
        return ctx_setf(ctx, name, "%" PRIu64 "ms", (taken + MILLISECOND / 2) / MILLISECOND);
    write_milliseconds(text, sizeof text, taken);
    return ctx_setf(ctx, name, "%sms", text);
}

middleware_t response_time(const response_time_options_t *options) {
    static bool hrtime = true; /* a state that needs no memory */
    return (middleware_t){run, options && options->hrtime ? &hrtime : NULL, NULL, "response_time",
                          NULL};
}
