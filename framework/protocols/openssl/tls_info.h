/* What there is to tell of a connection with TLS, in the public structs. */
#ifndef ACACIA_TLS_INFO_H
#define ACACIA_TLS_INFO_H

#include "runtime/arena.h"
#include "runtime/connection.h"
#include "tls.h"

/* All of it, in `arena`. 0; UV_ENOENT if there is no TLS; UV_ENOMEM. */
int tls_info_make(const tls_info_t **info, const struct connection *connection,
                  struct arena *arena);

#endif
