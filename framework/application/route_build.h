/* Paths out of patterns, for handlers. */
#ifndef ACACIA_ROUTE_BUILD_H
#define ACACIA_ROUTE_BUILD_H

struct context;
struct pattern;

/* As pattern_build, in memory of the ctx. NULL on an error, which has been thrown. */
char *route_build(struct context *context, const struct pattern *pattern,
                  const char *const *params);

/* Throw, to be returned as UV_EINVAL: there is no path for that, and why. NULL as the reason is
 * that there is no memory. */
void route_throw_unbuilt(struct context *context, const char *what, const char *reason);

#endif
