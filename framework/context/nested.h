/*
 * Queries and forms whose names nest: "user[name]=a&user[tags][]=b" as JSON.
 *
 *     {"user": {"name": "a", "tags": ["b"]}}
 */
#ifndef ACACIA_NESTED_H
#define ACACIA_NESTED_H

#include "request.h"

#ifdef ACACIA_HAVE_JSON

/*
 * As npm's qs 6.17 reads it. Names are taken apart at their brackets:
 *
 *     a=1&a=2, a[]=1&a[]=2    {"a": ["1", "2"]}
 *     a[1]=x&a[0]=y           {"a": ["y", "x"]}: gaps between indices are closed
 *     a[b]=1&a=2              {"a": [{"b": "1"}, "2"]}: what does not go together becomes a list
 *     a[]=1&a[b]=2            {"a": {"0": "1", "b": "2"}}
 *
 * Limits are those of qs unless `options`, which may be NULL, say otherwise. Only the first 1,000
 * pairs count. Past five brackets the rest of a name is one key: "a[b][c][d][e][f][g]" ends in
 * {"f": {"[g]": …}}. An array with an index past 19, or with more than 20 items, becomes an object
 * with indices for names. Pairs are dropped that have no name, or one with "__proto__", "toString"
 * or another name in it that all objects of JavaScript have. So the result is about 20 levels deep
 * at most, time is n log n in the size of the names and values, and memory linear and, beyond the
 * text itself, less than 8 MiB.
 *
 * Differences come from the pairs, which are split and decoded before brackets are looked for: a
 * name ends at the first '=', not at the first "]="; escapes are decoded one by one, also where
 * others are malformed; empty pairs don't count.
 *
 * *json gets a new object, whose reference is the caller's. All strings in it are copies.
 * Returns 0; or UV_ENOMEM, and *json is as it was.
 */
int nested_parse(const form_pair_t *pairs, size_t count, const nesting_options_t *options,
                 json_t **json);

#endif
#endif
