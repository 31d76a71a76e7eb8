/*
 * Basic authentication (RFC 7617), as koa-basic-auth: the browser asks for a name and a password.
 *
 *     app_use(app, basic_auth(&(basic_auth_options_t){.name = "tobi", .password = "ferret"}));
 *
 * Whoever gives others, or none, is answered 401. Only over TLS, since they are sent in the clear.
 * It is for both stacks: a WebSocket is refused before the 101.
 */
#ifndef ACACIA_BASIC_AUTH_H
#define ACACIA_BASIC_AUTH_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Strings are copied. */
typedef struct {
    const char *name;     /* NULL: any */
    const char *password; /* NULL: an error, so that a variable that is not set opens no door … */
    bool any_password;    /* … unless any will do, or `verify` looks at it */
    const char *realm;    /* what the browser shows; NULL: "Secure Area" */

    /* Asked if name and password, where they are given, are right: 1 for yes, 0 for no, or an error
     * to answer with. May suspend: a password is best compared by await_work, with a hash that
     * takes its time. */
    may_await int (*verify)(ctx_t *ctx, const char *name, const char *password);
} basic_auth_options_t;

/* The middleware. Options that are wrong keep the app from starting. A client can't tell by the
 * time that it takes how much of a name or password was right. */
middleware_t basic_auth(const basic_auth_options_t *options);

/* Who it is, below basic_auth; NULL elsewhere. Lives as long as the ctx. */
const char *basic_auth_name(const ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
