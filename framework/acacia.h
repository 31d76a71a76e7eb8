/*
 * Acacia: Koa for C. Needs C11 and, for libuv's header, POSIX: -std=gnu11 or later, the default of gcc
 * and clang, has both.
 *
 * The one header that a program includes. What it pulls in can each be read from top to bottom as a
 * manual page of its own:
 *
 *   app.h        the application: app_new, app_use, app_ws_use, app_listen, limits, counters
 *   ctx.h        one request and its answer: what a middleware gets, next, ctx_text, ctx_throw …
 *   route.h      route_get("/users/:id", show_user) and its sisters, compose
 *   websocket.h  ctx->websocket: messages in, messages out, close, everybody who is connected
 *   await.h      wait without blocking: sleep, threads, descriptors, futures
 */
#ifndef ACACIA_H
#define ACACIA_H

#include <uv.h>

#include "app.h"
#include "await.h"
#include "ctx.h"
#include "route.h"
#include "websocket.h"

#endif
