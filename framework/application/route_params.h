/* What a route has taken from the path, for ctx_param. */
#ifndef ACACIA_ROUTE_PARAMS_H
#define ACACIA_ROUTE_PARAMS_H

#include <stdbool.h>

struct capture;
struct context;
struct pattern;

/*
 * Make the captures of `pattern` the parameters of the ctx, percent-decoded. An empty one is as
 * good as none, as in koa-route. Of several with one name the last that is there counts. With
 * `inherit` those that the ctx has already stay behind them, if the pattern doesn't set them anew.
 *
 * Returns 0; what ctx_throw returns for a malformed escape (400); or UV_ENOMEM.
 */
int route_set_params(struct context *context, const struct pattern *pattern,
                     const struct capture *captures, bool inherit);

/* Throw what pattern_match has returned in place of an answer: -E2BIG or -ENOMEM. */
int route_throw_unmatched(struct context *context, int err);

#endif
