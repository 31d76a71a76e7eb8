/* Files, read on libuv's thread pool while the coroutine waits. Results are libuv's. */
#ifndef ACACIA_FS_H
#define ACACIA_FS_H

#include "await.h"

#include <sys/types.h>
#include <uv.h>

/* A descriptor for reading, or a negative error. */
may_await int fs_open(const char *name);
may_await int fs_stat(int file, uv_stat_t *stat);
/* How many bytes were read at `offset`; 0 at the end. */
may_await ssize_t fs_read(int file, void *buffer, size_t size, int64_t offset);
void fs_close(int file);

#endif
