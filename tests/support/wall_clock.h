/* The wall clock of this process, which a test turns: time(), gettimeofday() and clock_gettime() of
 * CLOCK_REALTIME, for the libraries as well. What measures durations must not notice. */
#ifndef TESTS_WALL_CLOCK_H
#define TESTS_WALL_CLOCK_H

#include <stdint.h>

extern int64_t wall_clock_offset; /* seconds */

#endif
