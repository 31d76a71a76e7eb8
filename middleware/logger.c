#include "logger.h"

#include "access_line.h"
#include "log_writer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)1024 * 1024)

struct logger {
    logger_options_t options;
    bool colours;
    struct log_writer writer;
    struct text line; /* the memory of one, used for all */
};

/* A request that is on its way; in the memory of its ctx. */
struct logged {
    struct logger *logger;
    uint64_t began;
    struct access access;
};

/* --- Lines ------------------------------------------------------------------------------------ */

static void send_line(struct logger *logger, app_t *app) {
    const logger_options_t *options = &logger->options;
    if (options->output) {
        if (!logger->line.failed)
            options->output(logger->line.data, logger->line.length, options->arg);
    } else {
        text_add_char(&logger->line, '\n');
        log_writer_add(&logger->writer, app, &logger->line);
    }
}

static struct text *begin_line(struct logger *logger) {
    logger->line.length = 0;
    logger->line.failed = false;
    return &logger->line;
}

static bool is_skipped(const struct logger *logger, ctx_t *ctx) {
    return logger->options.skip && logger->options.skip(ctx);
}

static void log_begin(struct logger *logger, ctx_t *ctx) {
    if (logger->options.format != LOGGER_KOA || is_skipped(logger, ctx))
        return;
    access_line_begin(begin_line(logger), ctx, logger->colours);
    send_line(logger, ctx->app);
}

static void log_end(struct logged *logged, ctx_t *ctx, bool complete) {
    struct logger *logger = logged->logger;
    struct access *access = &logged->access;
    struct text *line = begin_line(logger);
    if (is_skipped(logger, ctx))
        return;
    access->ctx = ctx;
    access->complete = complete;
    access->nanoseconds = uv_hrtime() - logged->began;
    if (logger->options.format == LOGGER_KOA)
        access_line_end(line, access, logger->colours);
    else if (logger->options.format == LOGGER_JSON)
        access_line_json(line, access);
    else
        access_line_common(line, access, logger->options.format == LOGGER_COMBINED);
    send_line(logger, ctx->app);
}

/* --- The middleware --------------------------------------------------------------------------- */

static void on_finish(ctx_t *ctx, bool complete, void *arg) {
    struct logged *logged = arg;
    if (logged->logger->options.format != LOGGER_KOA || !logged->access.error)
        log_end(logged, ctx, complete);
}

/* koa-logger tells of an error when it passes by; whoever catches it may answer anything. */
static void note_error(struct logged *logged, ctx_t *ctx, int err) {
    const ctx_error_t *error = ctx_error(ctx);
    bool is_status = err <= -400 && err >= -599; /* one that has no name is answered as 500 */
    logged->access.error = error ? error->message : "";
    logged->access.error_status = is_status ? -err : error ? error->status : 500;
    if (logged->logger->options.format == LOGGER_KOA)
        log_end(logged, ctx, true);
}

/* That the client has gone, or that the server ends a stream, is no error. */
static bool is_end(ctx_t *ctx, int err) {
    return ctx_aborted(ctx) || (err == UV_ECANCELED && ctx_header_sent(ctx));
}

static int run(ctx_t *ctx, void *state) {
    struct logger *logger = state;
    struct logged *logged = ctx_new(ctx, struct logged);
    if (!logged)
        return UV_ENOMEM;
    logged->logger = logger;
    logged->began = uv_hrtime();
    if (logger->options.format != LOGGER_KOA)
        logged->access.ip = ctx_ip(ctx);
    log_begin(logger, ctx);
    int err = ctx_on_finish(ctx, on_finish, logged);
    if (err)
        return err;
    err = next(ctx);
    if (err < 0 && !is_end(ctx, err))
        note_error(logged, ctx, err);
    return err;
}

/* --- Options ---------------------------------------------------------------------------------- */

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value;
}

static bool wants_colours(logger_colours_t colours, bool is_terminal) {
    if (colours != LOGGER_AUTO)
        return colours == LOGGER_COLOURS;
    if (is_set("FORCE_COLOR"))
        return strcmp(getenv("FORCE_COLOR"), "0") != 0;
    const char *terminal = getenv("TERM");
    return is_terminal && !is_set("NO_COLOR") && !(terminal && strcmp(terminal, "dumb") == 0);
}

static void destroy(void *state) {
    struct logger *logger = state;
    log_writer_end(&logger->writer);
    text_free(&logger->line);
    free(logger);
}

middleware_t logger(const logger_options_t *options) {
    struct logger *logger = calloc(1, sizeof *logger);
    if (!logger)
        return (middleware_t){.name = "logger", .error = "out of memory"};
    if (options)
        logger->options = *options;
    struct log_writer *writer = &logger->writer;
    writer->fd = logger->options.fd ? logger->options.fd : STDOUT_FILENO;
    writer->limit = logger->options.buffer_size ? logger->options.buffer_size : BUFFER_SIZE;
    writer->is_terminal = isatty(writer->fd);
    logger->colours =
        wants_colours(logger->options.colours, !logger->options.output && writer->is_terminal);
    return (middleware_t){run, logger, destroy, "logger", NULL};
}
