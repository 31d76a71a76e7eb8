/* One allocation fails: the one that `countdown` says. As a rule a test lets it be each in turn. */
#ifndef TESTS_SUPPORT_COUNTDOWN_H
#define TESTS_SUPPORT_COUNTDOWN_H

#include "failing_allocator.h"

#include <stdatomic.h>

static atomic_long countdown = -1; /* allocations until one fails; negative: none does, or it has */
static atomic_long allocations;    /* so far */

static bool fails(void) {
    allocations++;
    return countdown >= 0 && countdown-- == 0;
}

#endif
