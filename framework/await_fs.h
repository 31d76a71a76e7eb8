/*
 * Files, without blocking: what await.h says about waiting holds here. The work is done by libuv's
 * thread pool (UV_THREADPOOL_SIZE threads, 4 by default), one call at a time on each thread.
 *
 * These are the POSIX calls of the same names, as uv_fs_* has them: they return 0 or more, or a
 * negative error such as UV_ENOENT. UV_EINVAL also stands for a path that is NULL, and for a call
 * from where there is no handler to suspend; then nothing was done. What isn't here (links, owners,
 * permissions, locks) is for await_work and the POSIX call.
 *
 * Paths are taken as they are: relative to the working directory, "..", links and all. So a path
 * made from what a client has sent reaches every file that the process may open, be it
 * "../../etc/passwd", "/dev/sda", or a link that somebody has put where uploads go. Choose names of
 * files yourself (a number, or what a database says), or look those from clients up in a list.
 *
 * Cancelling (see await.h) takes effect before a thread has begun: UV_ECANCELED, and nothing was
 * done. Once begun, a call is waited for and has the result that it has, so that what was opened is
 * always told and can be closed. A disk that doesn't answer, or a FIFO that nobody writes to, thus
 * keeps a handler, and a thread, as long as it likes. After a handler was cancelled nothing here
 * begins any more but await_fs_close; a file that must not stay behind is for unlink(2) then.
 */
#ifndef ACACIA_AWAIT_FS_H
#define ACACIA_AWAIT_FS_H

#include "await.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* --- Whole files ------------------------------------------------------------------------------ */

/*
 * Read a whole file into memory. `*data` is the caller's to free(); a NUL that doesn't count stands
 * behind it. `*length` (may be NULL) gets the length.
 *
 * Returns 0, or an error with `*data` NULL: UV_EFBIG for a file of more than `limit` bytes;
 * UV_EISDIR for a directory, UV_EINVAL for anything else that is no file, such as a FIFO or a
 * device; UV_ENOMEM; those of open(2) and read(2).
 */
may_await int await_fs_read_file(const char *path, size_t limit, char **data, size_t *length);

/*
 * Write a whole file, atomically: whoever opens it, at any time, sees either what was there before
 * or all that is new, even after the machine has crashed. The data goes to a file with a name such
 * as ".0123456789abcdef.tmp" in the same directory, is brought to the disk (fsync, which takes its
 * time), and then the file is renamed. It is gone when anything fails, save the machine.
 *
 * A new file gets the permissions 0666 less the umask, one that was there keeps its own; but it
 * belongs to the process then, and its other hard links keep the old content. A symbolic link is
 * replaced, not followed. The process must be allowed to write to the directory.
 *
 * Returns 0, or an error, and the file is as it was: UV_EISDIR for a directory, UV_EINVAL for
 * anything else that is no file; UV_ENOMEM; those of open(2), write(2), fsync(2) and rename(2).
 */
may_await int await_fs_write_file(const char *path, const void *data, size_t length);

/* --- Piece by piece --------------------------------------------------------------------------- */

/*
 * Open a file: UV_FS_O_RDONLY, or UV_FS_O_WRONLY | UV_FS_O_CREAT | UV_FS_O_TRUNC, and so on; `mode`
 * are the permissions of one that is created. Programs that the process runs don't inherit it.
 * Returns the descriptor, which the caller must close.
 */
may_await int await_fs_open(const char *path, int flags, int mode);

/* Close a descriptor, also in a handler that was cancelled. It is closed even if this returns an
 * error, except for UV_EINVAL where nobody can wait. */
may_await int await_fs_close(int file);

/*
 * Read up to `size` bytes at `position`; -1 is the current one, which then moves on. Returns how
 * many bytes were read, 0 at the end of the file. What Linux has in memory, up to 64 KiB at a known
 * position, comes at once, mostly without suspending.
 */
may_await ssize_t await_fs_read(int file, void *buffer, size_t size, int64_t position);

/* Write `data` at `position`, -1 being the current one. Returns how many bytes were written, which
 * may be fewer than `length` when the disk is full. */
may_await ssize_t await_fs_write(int file, const void *data, size_t length, int64_t position);

/* Cut the file, or fill it up with zeros, to this length. */
may_await int await_fs_ftruncate(int file, int64_t length);

/* Return when what was written is on the disk. */
may_await int await_fs_fsync(int file);

/* --- What is known about a file --------------------------------------------------------------- */

/* `*stat` is left alone on failure. lstat looks at a symbolic link itself. */
may_await int await_fs_stat(const char *path, uv_stat_t *stat);
may_await int await_fs_lstat(const char *path, uv_stat_t *stat);
may_await int await_fs_fstat(int file, uv_stat_t *stat);

/* When it was read and changed last, in seconds since 1970. */
may_await int await_fs_utime(const char *path, double accessed, double modified);

/* The absolute path, without links, "." and "..": `*real` is the caller's to free(); NULL on
 * failure. */
may_await int await_fs_realpath(const char *path, char **real);

/* --- Directories ------------------------------------------------------------------------------ */

may_await int await_fs_unlink(const char *path);

/* What is called `to` is replaced, at once. Both must be on the same file system (UV_EXDEV). */
may_await int await_fs_rename(const char *from, const char *to);

may_await int await_fs_mkdir(const char *path, int mode);

/* It must be empty (UV_ENOTEMPTY). */
may_await int await_fs_rmdir(const char *path);

/*
 * Make a directory, or create and open a file, that nobody else has. `path` ends in "XXXXXX", which
 * are replaced by what makes it unique; else UV_EINVAL. Only the owner has permissions: 0700, or
 * 0600. mkstemp returns the descriptor.
 *
 *     char path[] = "/tmp/upload-XXXXXX";
 *     int file = await_fs_mkstemp(path);
 */
may_await int await_fs_mkdtemp(char *path);
may_await int await_fs_mkstemp(char *path);

/*
 * All that is in a directory, save "." and "..": sorted by strcoll(3). `type` is UV_DIRENT_FILE,
 * UV_DIRENT_DIR, UV_DIRENT_LINK and so on; UV_DIRENT_UNKNOWN where the file system doesn't say.
 *
 *     uv_dirent_t *entries;
 *     int count = await_fs_scandir("uploads", &entries);
 *     for (int i = 0; i < count; i++)
 *         puts(entries[i].name);
 *     free(entries);
 *
 * Returns how many there are. `*entries` is the caller's to free(), names and all; NULL on failure.
 */
may_await int await_fs_scandir(const char *path, uv_dirent_t **entries);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
