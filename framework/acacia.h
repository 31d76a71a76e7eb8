/*
 * Acacia: Koa for C. Needs C11 and, for libuv's header, POSIX: -std=gnu11 or later, the default of
 * gcc and clang, has both.
 *
 * The one header that a program includes. What it pulls in can each be read from top to bottom as a
 * manual page of its own:
 *
 *   app.h        the application: app_new, app_use, app_ws_use, app_listen, limits, counters
 *   ctx.h        what a middleware gets: next, ctx_throw, memory, values
 *   request.h    what the client asked for: URL, headers, negotiation, body
 *   response.h   what it gets: status, headers, ctx_text, ctx_json, ctx_file, ctx_redirect
 *   cookies.h    cookies, signed ones too
 *   sse.h        server-sent events
 *   route.h      route_get("/users/:id", show_user) and its sisters, compose, mount_at
 *   router.h     many routes under one prefix, with middleware, hooks, names and 405
 *   websocket.h  ctx->websocket: messages in, messages out, close, everybody who is connected
 *   ws_client.h  WebSockets to other servers
 *   tls.h        https and wss: certificates, and those of clients
 *   await.h      wait without blocking: sleep, threads, descriptors, futures, several at once
 *   await_fs.h   files, without blocking
 *   inject.h     requests without a network, for tests of one's own
 */
#ifndef ACACIA_H
#define ACACIA_H

#include <uv.h>

#include "app.h"
#include "await.h"
#include "await_fs.h"
#include "cookies.h"
#include "ctx.h"
#include "inject.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "router.h"
#include "sse.h"
#include "tls.h"
#include "websocket.h"
#include "ws_client.h"

#endif
