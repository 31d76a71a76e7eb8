/* What clients with TLS are made of: read once for all that have the same options. */
#ifndef ACACIA_WS_TLS_H
#define ACACIA_WS_TLS_H

#include "application/application.h"
#include "protocols/openssl/tls_client.h"

/* The material for these options; `abroad`: without what is meant for one host only. It is the
 * caller's to release. NULL, and why. */
struct tls_material *ws_tls_material(struct app *app, const tls_client_options_t *options,
                                     bool abroad, const struct tls_why *why);

/* Copy the options. NULL when there is no memory. */
const tls_client_options_t *ws_tls_copy(struct arena *arena, const tls_client_options_t *options);

#endif
