/*
 * WebSockets to other servers.
 *
 * With a handler, which is what the stack of app_ws_use is for those that come in: it attaches
 * handlers, or reads in a loop.
 *
 *     static int talk(ctx_t *ctx) {
 *         ws_on_message(ctx->websocket, on_message);
 *         return ws_send_text(ctx->websocket, "Hello, server!");
 *     }
 *
 *     ws_client(app, "ws://example.org/chat", talk, NULL);
 *
 * Or as a call that waits:
 *
 *     websocket_t *ws = ws_connect(ctx->app, "ws://example.org/chat", NULL, &failure);
 *     if (!ws)
 *         return ctx_throw(ctx, 502, "%s", failure.reason);
 *     ws_send_text(ws, "Hello, server!");
 *     while (ws_recv(ws, &message))
 *         …
 *     ws_release(ws);
 *
 * All of websocket.h works on them, save what is about the handshake, and that ws_each and its kind
 * don't count them. Their ctx, ws_ctx(ws), has the URL that was asked for, and ctx_get the headers
 * of the server's answer. What is sent is masked.
 *
 * URLs are ws:// and http://, or ws+unix:/path/of/socket:/path. A user and a password in it become
 * Basic authorization. wss:// and https:// are TLS: see tls_client_options_t in tls.h.
 */
#ifndef ACACIA_WS_CLIENT_H
#define ACACIA_WS_CLIENT_H

#include "tls.h"
#include "websocket.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Why there is no connection. */
typedef struct {
    int error;        /* negative: UV_ECONNREFUSED, UV_ETIMEDOUT, UV_EPROTO, UV_EINVAL (the URL, or
                         a header that can't be sent), UV_ECONNRESET …; 0: it was there, and is closed */
    int status;       /* that the server has answered in place of 101; else 0 */
    int code;         /* of the close, when it was there: see ws_close_code; else 0 */
    int certificate;  /* why the server's was refused, by OpenSSL's number, such as
                         X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_HOSTNAME_MISMATCH,
                         X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY; else 0 */
    char reason[256]; /* in words: "Unexpected server response: 403"; of TLS they are OpenSSL's */
} ws_failure_t;

/* Zero is the default. All is copied. */
typedef struct {
    ws_options_t ws; /* limits; zero: those of the app. `deflate`: NULL is zlib's defaults */
    bool no_deflate; /* compression is not offered */
    const char *const *protocols; /* to offer, NULL at the end; the server must choose one */
    const char *const *headers;   /* more of the request: name, value, …, NULL; a Host, Origin or
                                     Authorization in place of ours, but none of the handshake's */
    const char *origin;           /* NULL: none is told */
    const tls_client_options_t *tls; /* for wss; NULL: verified, by the system's authorities */
    uint64_t handshake_timeout;      /* 30 s until the 101, redirects included */
    int redirects; /* how many to follow; 0: none. Authorization, cookies, `headers`, the
                      certificate of `tls` and its server_name don't go to another host, nor from
                      wss to ws */
    void *state;   /* becomes ctx->state */

    /* for ws_client only: when it could not connect, or the connection is lost, it tries again */
    bool reconnect;         /* until the app stops, or this end closes the socket */
    uint64_t reconnect_min; /* 500 ms before the first attempt, twice as much before each next … */
    uint64_t reconnect_max;   /* … up to 30 s; all by chance between a half and the whole */
    unsigned reconnect_tries; /* in a row; 0: without end */
    /* Told each time that there is no connection; in place of that on stderr. Must not suspend. */
    void (*on_failure)(app_t *app, const ws_failure_t *failure, void *state);
} ws_client_options_t;

/*
 * Connect, and run `handler` once the socket is open: each time, with a ctx and a socket of their
 * own, if it reconnects. From the app's thread; soon, and from app_run on.
 *
 * Returns 0; UV_EINVAL if the URL is none; UV_ENOMEM; UV_EAGAIN and UV_ECANCELED as app_spawn. All
 * else that may go wrong is told to on_failure.
 */
int ws_client(app_t *app, const char *url, middleware_fn *handler,
              const ws_client_options_t *options);

/*
 * Connect, and wait for it. The socket is the caller's, who reads it by ws_recv, until he gives it
 * up by ws_release. NULL when there is none: *failure, which may be NULL, says why.
 */
may_await websocket_t *ws_connect(app_t *app, const char *url, const ws_client_options_t *options,
                                  ws_failure_t *failure);

/* Give up a socket of ws_connect: handlers that were attached get what comes from now on; without a
 * handler for messages it is closed, with 1000 unless it is already. */
void ws_release(websocket_t *ws);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
