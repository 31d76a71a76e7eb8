/*
 * Lines on their way to a descriptor. Those of one turn of the loop leave together, by a thread, so
 * that a slow disk or reader keeps nobody waiting. Not installed.
 */
#ifndef ACACIA_LOG_WRITER_H
#define ACACIA_LOG_WRITER_H

#include "acacia.h"
#include "text.h"

struct log_writer {
    int fd;
    bool is_terminal;  /* written at once */
    size_t limit;      /* of bytes that wait */
    struct text lines; /* that wait */
    struct text batch; /* that a thread is writing, while `is_busy` */
    bool is_busy;
    uint64_t dropped, told; /* lines, since that was told last; those to be told with the batch */
};

/* Write a line, and its end. The app is that of the handler. */
void log_writer_add(struct log_writer *writer, app_t *app, const struct text *line);

/* Write what waits, and let go of the memory. */
void log_writer_end(struct log_writer *writer);

#endif
