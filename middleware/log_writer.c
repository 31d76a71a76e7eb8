#include "log_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* All of it, however long that takes; what can't be written is dropped. */
static void write_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
}

/* On a thread: the loop does not touch the batch meanwhile. */
static void write_batch(void *arg) {
    struct log_writer *writer = arg;
    write_all(writer->fd, writer->batch.data, writer->batch.length);
    if (writer->told > 0)
        fprintf(stderr, "acacia: %" PRIu64 " lines of the log were dropped\n", writer->told);
}

/* What waits becomes the batch, whose memory is used for the next lines. */
static void take_lines(struct log_writer *writer) {
    struct text empty = writer->batch;
    empty.length = 0;
    empty.failed = false;
    writer->batch = writer->lines;
    writer->lines = empty;
    writer->told = writer->dropped;
    writer->dropped = 0;
}

/* --- In the background ------------------------------------------------------------------------ */

static void write_in_background(app_t *app, void *arg) {
    struct log_writer *writer = arg;
    while (writer->lines.length > 0) {
        take_lines(writer);
        if (await_work(write_batch, writer))
            write_batch(writer); /* the server is torn down: nobody is kept waiting any more */
    }
    writer->is_busy = false;
}

/* At the end of this turn of the loop; at once if nobody can do it then. */
static void begin_to_write(struct log_writer *writer, app_t *app) {
    writer->is_busy = !app_spawn(app, write_in_background, writer);
    if (writer->is_busy)
        return;
    take_lines(writer);
    write_batch(writer);
}

/* --- The interface ---------------------------------------------------------------------------- */

static bool is_full(const struct log_writer *writer, size_t length) {
    return writer->lines.length + length >= writer->limit;
}

void log_writer_add(struct log_writer *writer, app_t *app, const struct text *line) {
    if (writer->is_terminal) {
        write_all(writer->fd, line->data, line->length);
        return;
    }
    if (line->failed || is_full(writer, line->length)) {
        writer->dropped++;
        return;
    }
    text_add_bytes(&writer->lines, line->data, line->length);
    if (!writer->is_busy)
        begin_to_write(writer, app);
}

void log_writer_end(struct log_writer *writer) {
    write_all(writer->fd, writer->lines.data, writer->lines.length);
    text_free(&writer->lines);
    text_free(&writer->batch);
}
