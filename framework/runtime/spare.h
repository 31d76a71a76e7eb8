/*
 * Memory of something large, kept for the next. To the C library it would go back to the system,
 * which then gives it anew page by page, filled with zeros: for a MiB that takes longer than to
 * unmask and copy it, and as long as to seal it by TLS. What is small the C library keeps itself.
 *
 * A loop keeps little, and not for long: see loop.c.
 */
#ifndef ACACIA_SPARE_H
#define ACACIA_SPARE_H

#include "runtime/loop.h"

#include <stddef.h>

#define SPARE_LEAST (128 * 1024) /* below that nothing is kept: what glibc asks the system for */

#ifndef SPARE_TOTAL
#if ARENA_POISONED
#define SPARE_TOTAL 0 /* AddressSanitizer sees who uses it too late */
#else
#define SPARE_TOTAL (8 * 1024 * 1024) /* bytes that a loop keeps */
#endif
#endif

/* Memory that was kept, at least `*size` bytes; then `*size` says how many they are. It is
 * malloc's: to be given to realloc, to free, or back. NULL: there is none, or `*size` is little. */
void *spare_take(struct loop *loop, size_t *size);

/* Nobody needs its `size` bytes any more. NULL is fine. */
void spare_put(struct loop *loop, void *data, size_t size);

/* Give back all that is kept. */
void spare_trim(struct loop *loop);

#endif
