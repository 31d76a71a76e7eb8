/*
 * JSON that people can read, as koa-json: each member on a line of its own.
 *
 *     app_use(app, json_pretty(&(json_pretty_options_t){.param = "pretty", .no_pretty = true}));
 *
 * The body is looked at when the layers below have returned: if its type is JSON, of whatever kind
 * (application/problem+json …), and it is in memory, its blanks are set anew. Nothing else of it
 * changes: names, their order, numbers and escapes stay as they are. What is no JSON is left alone.
 */
#ifndef ACACIA_JSON_PRETTY_H
#define ACACIA_JSON_PRETTY_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* What nests deeper is left alone, and what would grow to more than sixteen times its length (and 4
 * KiB): each line has two blanks for each level, so that a megabyte of brackets would become a
 * terabyte. */
#define JSON_PRETTY_DEPTH_MAX 64
#define JSON_PRETTY_GROWTH_MAX 16

/* Zero is the default. Strings are copied. */
typedef struct {
    bool no_pretty;    /* only when the query asks for it by `param` */
    const char *param; /* "pretty": then /users?pretty is pretty; NULL: none */
    int spaces;        /* 2 for each level; at most 10 */
} json_pretty_options_t;

/* `options` may be NULL. */
middleware_t json_pretty(const json_pretty_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
