/*
 * Counts in memory: a table with a fixed number of places. A key is kept as a keyed hash of 128
 * bits, so that a long one takes no more than a short one, and nobody can make two collide.
 *
 * The places are in a list, in the order in which the time of their keys is over. A new key takes
 * the place that is the first of them, if its time is over; else one that was never used; else that
 * first one all the same. So each request takes constant time.
 *
 * Not for users.
 */
#ifndef ACACIA_RATE_LIMIT_TABLE_H
#define ACACIA_RATE_LIMIT_TABLE_H

#include "rate_limit.h"

#define RATE_TABLE_KEYS 100000
#define RATE_TABLE_KEYS_MAX 16777216 /* 1 GiB */

struct rate_table;

/* Of so many places. NULL when there is no memory. */
struct rate_table *rate_table_new(size_t keys);
void rate_table_free(struct rate_table *table);

/* Count a request of `key` at the time `now`, in nanoseconds that never go back. `stats` learns of
 * keys. Returns 0 or UV_ENOMEM. */
int rate_table_take(struct rate_table *table, const char *key, const rate_limit_rule_t *rule,
                    uint64_t now, rate_limit_result_t *result, rate_limit_stats_t *stats);

#endif
