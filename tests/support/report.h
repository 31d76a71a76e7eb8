/* What servers of tests say about themselves: GET /stats, all counters as JSON, and options from
 * the environment. */
#ifndef TESTS_REPORT_H
#define TESTS_REPORT_H

#include <acacia.h>

/* A handler. Counters that are 0 stand there, too; save the reasons of closed connections. */
int report_stats(ctx_t *ctx);

/* The number that this variable of the environment holds, or 0. */
uint64_t report_setting(const char *name);

#endif
