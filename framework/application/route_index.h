/*
 * Which routes may a path be for? A tree of the segments that patterns consist of finds them in a
 * time that doesn't grow with the number of routes.
 *
 *     struct route_index *index = route_index_new();
 *     route_index_add(index, users, 0); // "/users/:id"
 *     route_index_add(index, files, 1); // "/files/(.*)"
 *
 *     struct route_walk walk;
 *     route_walk_start(&walk, index, path, strlen(path));
 *     for (const struct route_ids *ids; (ids = route_walk_next(&walk));)
 *         ; // candidates, for pattern_match to decide
 *
 * A segment is a '/' and what follows up to the next one. One that is only text is found by a hash,
 * in lower case; all others (":id", ":name.:ext", "@:user(\\d+)") are one branch. A pattern is
 * followed as far as it consists of segments that are always there and contain no '/'. What comes
 * behind, an optional "/:page?" or a "(.*)", is not looked at: such a route is a candidate for all
 * paths that begin like it. One that doesn't begin with such a segment is always a candidate.
 */
#ifndef ACACIA_ROUTE_INDEX_H
#define ACACIA_ROUTE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTE_DEPTH 32 /* no pattern is followed further */

struct pattern;
struct route_index;

/* In ascending order. */
struct route_ids {
    uint32_t *list;
    uint32_t count, capacity;
};

/* NULL when there is no memory. */
struct route_index *route_index_new(void);
void route_index_free(struct route_index *index); /* NULL is fine */

/* Add a route. Each has a greater id than the one before. The pattern is only looked at; NULL is
 * one that matches every path. False when there is no memory. */
bool route_index_add(struct route_index *index, const struct pattern *pattern, uint32_t id);

/* A look at the tree, for one path. */
struct route_walk {
    const struct route_index *index;
    const char *end;               /* of the path */
    const struct route_ids *ready; /* to be returned next */
    size_t pending_count;
    struct route_branch {
        uint32_t node;
        const char *at; /* where in the path the next segment begins */
    } pending[ROUTE_DEPTH + 1];
};

void route_walk_start(struct route_walk *walk, const struct route_index *index, const char *path,
                      size_t length);

/* The candidates, list by list, each of them once and none of the lists empty; NULL at the end. */
const struct route_ids *route_walk_next(struct route_walk *walk);

#endif
