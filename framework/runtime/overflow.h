/*
 * A handler that has used up its stack runs into the guard page below it, and the process ends by
 * SIGSEGV, as it must. Here it says why, and which option helps.
 */
#ifndef ACACIA_OVERFLOW_H
#define ACACIA_OVERFLOW_H

/* Watch from now on, on this thread; once is enough. Does nothing where the program, or a
 * sanitizer, has a handler for SIGSEGV of its own. */
void overflow_watch(void);

#endif
