/* Routes, as stacks and routers know them. */
#ifndef ACACIA_ROUTE_LAYER_H
#define ACACIA_ROUTE_LAYER_H

#include "application/application.h"
#include "application/pattern.h"
#include "route.h"

/* Which patterns these options mean; the strings are not copied. All NULL: the defaults. */
struct pattern_options route_pattern_options(const route_options_t *options);

/* Is this layer a route? Its pattern, or NULL. */
const struct pattern *route_pattern(const middleware_t *layer);

/* Would this layer, a route, pass on to the next at once? */
bool route_misses(const middleware_t *layer, const ctx_t *ctx);

#endif
