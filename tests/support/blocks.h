/*
 * An arena of a test's own, in place of runtime/arena.c: every allocation is a block of malloc of
 * just that size, so that the sanitizer sees its ends, and any of them can be made to fail. For the
 * one file of a program.
 */
#ifndef TESTS_SUPPORT_BLOCKS_H
#define TESTS_SUPPORT_BLOCKS_H

#include "runtime/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *blocks[32];
static size_t block_count;
static size_t fail_at; /* this one does, from 1; 0: none does */

static struct arena empty; /* it has no room, so that all is asked for here */

void *arena_alloc_more(struct arena *arena, size_t size) {
    if (fail_at && block_count + 1 == fail_at)
        return NULL;
    assert_true(block_count < sizeof blocks / sizeof blocks[0]);
    return blocks[block_count++] = malloc(size);
}

char *arena_copy(struct arena *arena, const char *data, size_t length) {
    char *copy = arena_alloc(arena, length + 1);
    if (copy) {
        memcpy(copy, data, length);
        copy[length] = '\0';
    }
    return copy;
}

/* Free all of them; none fails any more. A teardown. */
static int release(void **state) {
    while (block_count > 0)
        free(blocks[--block_count]);
    fail_at = 0;
    return 0;
}

#endif
