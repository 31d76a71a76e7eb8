/*
 * Where a loop reads to: one buffer for all of its connections, used anew for each lot of reads.
 *
 * Who wants to keep what lies in it, and not to copy it, holds the buffer. While somebody does, the
 * loop reads into another one. There are few of them: who gets none has to copy.
 */
#ifndef ACACIA_READ_BUFFER_H
#define ACACIA_READ_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#ifndef LOOP_READ_BUFFER
/* A MiB then takes few reads; a build for tests makes it 1. */
#define LOOP_READ_BUFFER (512 * 1024)
#endif

#define READ_BUFFERS 8 /* of a loop, at most */

#ifndef CACHE_LINE
#define CACHE_LINE 64 /* a build for tests makes it 1 */
#endif

struct loop;

struct read_buffer {
    unsigned holders;
    bool was_held;
    char *data; /* LOOP_READ_BUFFER bytes, FILTER_MARGIN, and one for a NUL */
    char room[];
};

/* The first one. False when there is no memory. */
bool read_buffers_init(struct loop *loop);

/* Hold the buffer in which `data` lies, which has been delivered just now. NULL if that is not the
 * loop's, or if there is no other one to read into meanwhile. */
struct read_buffer *read_buffer_hold(struct loop *loop, const char *data);
void read_buffer_release(struct loop *loop, struct read_buffer *buffer);

/* Everything in it has been delivered: if it is held, read into another one from now on. */
void read_buffer_renew(struct loop *loop);

/* Give back the one that is not used. */
void read_buffers_trim(struct loop *loop);

/* Nobody holds any. */
void read_buffers_free(struct loop *loop);

#endif
