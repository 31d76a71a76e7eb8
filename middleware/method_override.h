/*
 * Forms of HTML can only GET and POST. This lets a POST say that it means another method, as
 * koa-override: as "_method" in its form, or its JSON, if body_parser.h has read that before; in
 * the header X-HTTP-Method-Override; or as "_method" in the query.
 *
 *     app_use(app, body_parser(NULL));
 *     app_use(app, method_override(NULL));
 *     app_use(app, route_delete("/users/:id", delete_user));
 *
 *     <form method="post" action="/users/7"><input type="hidden" name="_method" value="DELETE">
 *
 * What is below sees the other method in ctx->method. Put guards against forged requests (csrf.h)
 * above it, where a POST is still a POST.
 */
#ifndef ACACIA_METHOD_OVERRIDE_H
#define ACACIA_METHOD_OVERRIDE_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Zero is the default. Strings and lists are copied; lists end with NULL. */
typedef struct {
    const char *const *allowed_methods; /* that may say so; NULL: POST */
    const char *const *methods;         /* that may be meant; NULL: all that node knows */
    const char *header;                 /* NULL: "X-HTTP-Method-Override" */
    const char *field;                  /* of the body and of the query; NULL: "_method" */
    bool no_header, no_query, no_body;
} method_override_options_t;

/*
 * `options` may be NULL. The body counts more than the header, and that more than the query. The
 * case doesn't matter; what is no method of the list is a 400.
 *
 * The client still knows its own method: a POST that becomes a HEAD is answered with a body.
 */
middleware_t method_override(const method_override_options_t *options);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
